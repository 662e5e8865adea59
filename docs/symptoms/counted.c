/* SPDX-License-Identifier: 0BSD
 * My driver crashes, or hangs, when the port closes: stop and the jobs share the state.
 *
 * With the wrong lines stop waits until ready_async has lowered a count. ready_async
 * never runs, because it needs the port lock, which stop holds.
 * With the right lines the last user frees the state. */
#include "symptom.h"

static void work(void *data)
{
    Job *job = data;

    usleep(20000);
    job->limit = job->state->limit;
}

#ifdef WRONG
static void submit(State *state)
{
    Job *job = new_job(state);

    if (job == NULL)
        return;
    job->state = state;
    state->jobs++;
    driver_async(state->port, NULL, work, job, driver_free);
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;

    state->jobs--;
    driver_free((Job *)thread_data);
    driver_output(state->port, "done", 4);
}

/* wrong: */
static void stop(ErlDrvData data)
{
    State *state = (State *)data;
    while (state->jobs > 0)
        usleep(1000);  /* for ready_async */
    driver_free(state);
}
/* wrong. */
#else
/* right: */
static void drop(State *state)
{
    if (atomic_fetch_sub(&state->users, 1) == 1)
        driver_free(state);
}

/* The free callback; ready_async calls it. */
static void done_with(void *data)
{
    Job *job = data;
    drop(job->state);
    driver_free(job);
}

static void stop(ErlDrvData data)
{
    drop((State *)data);
}
/* right. */

static void submit(State *state)
{
    Job *job = new_job(state);

    if (job == NULL)
        return;
    job->state = state;
    atomic_fetch_add(&state->users, 1);
    driver_async(state->port, NULL, work, job, done_with);
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    driver_output(((State *)data)->port, "done", 4);
    done_with((Job *)thread_data);
}
#endif

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    (void)buf, (void)len;
    submit((State *)data);
}

ENTRY(counted, .output = output, .ready_async = ready_async, .stop = stop)
