/* SPDX-License-Identifier: 0BSD
 * My driver answers in the wrong order: its jobs run on several threads. */
#include "symptom.h"

static void work(void *data)
{
    usleep(1000 * (unsigned)((Job *)data)->limit);
}

#ifdef WRONG
/* wrong: */
static void submit(State *state, Job *job)
{
    driver_async(state->port, NULL,
                 work, job, driver_free);
}
/* wrong. */
#else
/* right: */
static void submit(State *state, Job *job)
{
    unsigned int key =
        driver_async_port_key(state->port);
    driver_async(state->port, &key,
                 work, job, driver_free);
}
/* right. */
#endif

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    State *state = (State *)data;
    Job *job = new_job(state);

    if (job == NULL)
        return;
    job->limit = len > 0 ? (unsigned char)buf[0] : 0;
    submit(state, job);
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    Job *job = (Job *)thread_data;
    char byte = (char)job->limit;

    driver_output(((State *)data)->port, &byte, 1);
    driver_free(job);
}

static void stop(ErlDrvData data)
{
    driver_free((State *)data);
}

ENTRY(order, .output = output, .ready_async = ready_async, .stop = stop)
