/* SPDX-License-Identifier: 0BSD
 *
 * steps_drv: a job that can be cancelled.
 *
 * A command is one byte: the number of steps of its job. Each step takes 10 ms on an
 * async thread. The port answers "done" when the job is back.
 * port_control(Port, 1, []) cancels the job. It returns "cancelled", and no answer
 * follows; or it returns "too late". The caller sends the next command when the last
 * one was answered or cancelled.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o steps_drv.so steps_drv.c
 *
 * steps_drv.erl loads it and says how it is used.
 */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>
#include <erl_driver.h>

typedef struct {
    int steps;
    atomic_bool cancelled;
} Job;

typedef struct {
    ErlDrvPort port;
    Job *job;                          /* the job of the open request, or NULL */
} State;

static void work(void *data)           /* called on an async thread */
{
    Job *job = data;
    while (job->steps > 0 && !atomic_load(&job->cancelled)) {
        usleep(10 * 1000);
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
    atomic_init(&job->cancelled, 0);
    state->job = job;
    set_busy_port(state->port, 1);     /* one command at a time */
    if (driver_async(state->port, NULL, work, job, driver_free) == -1) {
        state->job = NULL;             /* not submitted, so free it here */
        driver_free(job);
        driver_failure_posix(state->port, ENOMEM);
    }
}

static ErlDrvSSizeT control(ErlDrvData data, unsigned int command, char *buf,
                            ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    State *state = (State *)data;
    (void)command, (void)buf, (void)len, (void)rlen;
    if (state->job == NULL) {
        memcpy(*rbuf, "too late", 8);
        return 8;
    }
    atomic_store(&state->job->cancelled, 1);
    state->job = NULL;
    set_busy_port(state->port, 0);
    memcpy(*rbuf, "cancelled", 9);
    return 9;
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    Job *job = (Job *)thread_data;
    if (!atomic_load(&job->cancelled)) {
        state->job = NULL;             /* a later cancel is too late */
        set_busy_port(state->port, 0);
        driver_output(state->port, "done", 4);
    }
    driver_free(job);
}

static void stop(ErlDrvData data)
{
    State *state = (State *)data;
    if (state->job != NULL)
        atomic_store(&state->job->cancelled, 1);
    driver_free(state);
}
/* The table of callbacks, and the function that loading the file calls. */
static ErlDrvEntry entry = {
    .driver_name = "steps_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .control = control,
    .ready_async = ready_async,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(steps_drv)
{
    return &entry;
}
