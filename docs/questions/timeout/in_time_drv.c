/* SPDX-License-Identifier: 0BSD
 *
 * in_time_drv: answers each command within 200 ms, and stops a job that is late.
 *
 * A command is one byte: the number of steps of its job. Each step takes 30 ms on an
 * async thread. The port answers "done", or "timeout" after 200 ms. The caller sends
 * the next command after the answer.
 *
 * When the time is over, `timeout` sets a flag in the job. The job reads the flag
 * before each step and ends, so the async thread is free again.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o in_time_drv.so in_time_drv.c
 *
 * in_time_drv.erl loads it and says how it is used.
 */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>
#include <erl_driver.h>

typedef struct {
    int steps;
    atomic_bool given_up;              /* the answer was sent, or the port is closed */
} Job;

typedef struct {
    ErlDrvPort port;
    Job *job;                          /* the job of the open request, or NULL */
} State;

static void work(void *data)           /* called on an async thread */
{
    Job *job = data;
    while (job->steps > 0 && !atomic_load(&job->given_up)) {
        usleep(30 * 1000);
        job->steps--;
    }
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    State *state = driver_alloc(sizeof *state);
    (void)command;
    if (state == NULL)
        return ERL_DRV_ERROR_GENERAL;
    state->port = port;
    state->job = NULL;
    return (ErlDrvData)state;
}

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    State *state = (State *)data;
    Job *job = driver_alloc(sizeof *job);
    if (job == NULL) {
        driver_failure_posix(state->port, ENOMEM);
        return;
    }
    job->steps = len > 0 ? (unsigned char)buf[0] : 0;
    atomic_init(&job->given_up, 0);
    state->job = job;
    set_busy_port(state->port, 1);     /* one command at a time */
    driver_set_timer(state->port, 200);
    if (driver_async(state->port, NULL, work, job, driver_free) == -1) {
        state->job = NULL;             /* not submitted, so free it here */
        driver_free(job);
        driver_failure_posix(state->port, ENOMEM);
    }
}

static void timeout(ErlDrvData data)
{
    State *state = (State *)data;
    atomic_store(&state->job->given_up, 1);
    state->job = NULL;
    set_busy_port(state->port, 0);
    driver_output(state->port, "timeout", 7);
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    Job *job = (Job *)thread_data;
    if (!atomic_load(&job->given_up)) {
        state->job = NULL;
        set_busy_port(state->port, 0);
        driver_cancel_timer(state->port);
        driver_output(state->port, "done", 4);
    }
    driver_free(job);                  /* frees a late job too */
}

static void stop(ErlDrvData data)
{
    State *state = (State *)data;
    if (state->job != NULL)
        atomic_store(&state->job->given_up, 1);
    driver_free(state);
}
/* The table of callbacks, and the function that loading the file calls. */
static ErlDrvEntry entry = {
    .driver_name = "in_time_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .timeout = timeout,
    .ready_async = ready_async,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(in_time_drv)
{
    return &entry;
}
