/* SPDX-License-Identifier: 0BSD
 * My driver crashes in ready_async: driver_failure_eof has called stop. */
#include "symptom.h"

static void work(void *data)
{
    (void)data;
}

#ifdef WRONG
/* wrong: */
static void answer(State *state, Job *job)
{
    driver_free(job);
    driver_failure_eof(state->port);
    state->jobs -= 1;   /* stop freed it */
}
/* wrong. */
#else
/* right: */
static void answer(State *state, Job *job)
{
    driver_free(job);
    state->jobs -= 1;
    /* last, because stop frees the state */
    driver_failure_eof(state->port);
}
/* right. */
#endif

static void ready_async(ErlDrvData data, ErlDrvThreadData job)
{
    answer((State *)data, (Job *)job);
}

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    State *state = (State *)data;
    Job *job;

    (void)buf, (void)len;
    if ((job = new_job(state)) != NULL)
        driver_async(state->port, NULL, work, job, driver_free);
}

static void stop(ErlDrvData data)
{
    driver_free((State *)data);
}

ENTRY(fails, .output = output, .ready_async = ready_async, .stop = stop)
