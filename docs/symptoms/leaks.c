/* SPDX-License-Identifier: 0BSD
 * My driver leaks: no function frees the job when its port is gone, or when it comes back. */
#include "symptom.h"

static void work(void *data)
{
    (void)data;
    usleep(1000);
}

#ifdef WRONG
/* wrong: */
static void submit(State *state)
{
    Job *job = new_job(state);
    if (job == NULL)
        return;
    driver_async(state->port, NULL,
                 work, job, NULL);
}

static void answer(State *state, Job *job)
{
    driver_output(state->port, "done", 4);
    (void)job;
}
/* wrong. */
#else
/* right: */
static void submit(State *state)
{
    Job *job = new_job(state);
    if (job == NULL)
        return;
    driver_async(state->port, NULL,
                 work, job, driver_free);
}

static void answer(State *state, Job *job)
{
    driver_output(state->port, "done", 4);
    driver_free(job);
}
/* right. */
#endif

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    (void)buf, (void)len;
    submit((State *)data);
}

static void ready_async(ErlDrvData data, ErlDrvThreadData job)
{
    answer((State *)data, (Job *)job);
}

static void stop(ErlDrvData data)
{
    driver_free((State *)data);
}

ENTRY(leaks, .output = output, .ready_async = ready_async, .stop = stop)
