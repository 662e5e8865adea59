/* SPDX-License-Identifier: 0BSD
 *
 * first_drv: one request at a time, with a job, a time limit and a cancel.
 *
 * A command is one byte: the number of steps of its job. Each step takes 10 ms on an
 * async thread. The port answers "done", or "timeout" after 100 ms. While a request is
 * open, the answer to a further command is "busy".
 * port_control(Port, 0, []) cancels the request. It returns "cancelled", or "idle" if
 * no request is open.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o first_drv.so first_drv.c
 *
 * first_drv.erl loads it and says how it is used.
 */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include <erl_driver.h>

typedef struct {
    int left;                          /* steps of 10 ms */
    atomic_bool cancelled;             /* set by a callback, read by the job */
} Job;

typedef struct {
    ErlDrvPort port;
    Job *job;                          /* the job of the open request, or NULL */
} State;

static void work(void *data)           /* called on an async thread */
{
    Job *job = data;
    while (job->left > 0 && !atomic_load(&job->cancelled)) {
        usleep(10000);
        job->left--;
    }
}

static void give_up(State *state)      /* the request is not open any more */
{
    atomic_store(&state->job->cancelled, true);
    state->job = NULL;
    driver_cancel_timer(state->port);
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
    if (state->job != NULL) {
        driver_output(state->port, "busy", 4);
        return;
    }
    Job *job = driver_alloc(sizeof *job);
    if (job == NULL) {
        driver_failure_posix(state->port, ENOMEM);
        return;
    }
    job->left = len > 0 ? (unsigned char)buf[0] : 0;
    atomic_init(&job->cancelled, false);
    if (driver_async(state->port, NULL, work, job, driver_free) == -1) {
        driver_free(job);              /* not submitted, so free it here */
        return;
    }
    state->job = job;
    driver_set_timer(state->port, 100);
}

static ErlDrvSSizeT control(ErlDrvData data, unsigned int command, char *buf,
                            ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    State *state = (State *)data;
    (void)command, (void)buf, (void)len, (void)rlen;
    if (state->job == NULL) {
        memcpy(*rbuf, "idle", 4);
        return 4;
    }
    give_up(state);
    memcpy(*rbuf, "cancelled", 9);
    return 9;
}

static void timeout(ErlDrvData data)
{
    State *state = (State *)data;
    give_up(state);
    driver_output(state->port, "timeout", 7);
}

static void ready_async(ErlDrvData data, ErlDrvThreadData job)
{
    State *state = (State *)data;
    if ((Job *)job == state->job) {    /* otherwise it was answered before */
        state->job = NULL;
        driver_cancel_timer(state->port);
        driver_output(state->port, "done", 4);
    }
    driver_free((void *)job);
}

static void stop(ErlDrvData data)
{
    State *state = (State *)data;
    if (state->job != NULL)
        atomic_store(&state->job->cancelled, true);
    driver_free(state);                /* the free callback frees the job */
}

/* The table of callbacks, and the function that loading the file calls. */
static ErlDrvEntry entry = {
    .driver_name = "first_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .ready_async = ready_async,
    .timeout = timeout,
    .control = control,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(first_drv)
{
    return &entry;
}
