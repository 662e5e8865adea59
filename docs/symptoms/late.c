/* SPDX-License-Identifier: 0BSD
 * My driver answers after the timeout: it sends a late result as the answer to the next request. */
#include "symptom.h"

static void work(void *data)
{
    usleep(1000 * (unsigned)((Job *)data)->limit);
}

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    State *state = (State *)data;
    Job *job = new_job(state);

    if (job == NULL)
        return;
    job->limit = len > 0 ? (unsigned char)buf[0] : 0;
    job->number = state->current;
    driver_async(state->port, NULL, work, job, driver_free);
    driver_set_timer(state->port, 20);
}

#ifdef WRONG
/* wrong: */
static void timeout(ErlDrvData data)
{
    State *state = (State *)data;
    driver_output(state->port, "timeout", 7);
}

static void answer(State *state, Job *job)
{
    driver_cancel_timer(state->port);
    driver_output(state->port, "done", 4);
    driver_free(job);
}
/* wrong. */
#else
/* right: */
static void timeout(ErlDrvData data)
{
    State *state = (State *)data;
    state->current++;  /* the job is late */
    driver_output(state->port, "timeout", 7);
}

static void answer(State *state, Job *job)
{
    if (job->number == state->current) {
        driver_cancel_timer(state->port);
        driver_output(state->port, "done", 4);
    }
    driver_free(job);
}
/* right. */
#endif

static void ready_async(ErlDrvData data, ErlDrvThreadData job)
{
    answer((State *)data, (Job *)job);
}

static void stop(ErlDrvData data)
{
    driver_free((State *)data);
}

ENTRY(late, .output = output, .ready_async = ready_async, .timeout = timeout, .stop = stop)
