/* SPDX-License-Identifier: 0BSD
 * My driver crashes when the port closes: the job uses the port's state. */
#include "symptom.h"

#ifdef WRONG
/* wrong: */
static void work(void *data)
{
    State *state = data;
    usleep(20000);
    state->limit += 1;  /* stop freed it */
}

static void submit(State *state)
{
    driver_async(state->port, NULL,
                 work, state, NULL);
}
/* wrong. */
#else
/* right: */
static void work(void *data)
{
    Job *job = data;
    usleep(20000);
    job->limit += 1;    /* its own block */
}

static void submit(State *state)
{
    Job *job = new_job(state);
    if (job == NULL)
        return;
    job->limit = state->limit; /* copy */
    driver_async(state->port, NULL,
                 work, job, driver_free);
}
/* right. */
#endif

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    (void)buf, (void)len;
    submit((State *)data);
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
#ifndef WRONG
    Job *job = (Job *)thread_data;

    state->limit = job->limit;
    driver_free(job);
#endif
    (void)thread_data;
    driver_output(state->port, "done", 4);
}

static void stop(ErlDrvData data)
{
    driver_free((State *)data);
}

ENTRY(closes, .output = output, .ready_async = ready_async, .stop = stop)
