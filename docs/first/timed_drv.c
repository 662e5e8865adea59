/* SPDX-License-Identifier: 0BSD
 *
 * timed_drv: an answer after 100 ms at the latest.
 *
 * A command is one byte: the number of steps of its job. Each step takes 10 ms on an
 * async thread. The port answers "done", or "timeout" after 100 ms. While a request is
 * open, the answer to a further command is "busy".
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o timed_drv.so timed_drv.c
 *
 * step.erl plays it. In the same folder:
 *
 *   erlc +warnings_as_errors step.erl
 *   erl -noshell -s step main timed_drv -s erlang halt
 *
 * It prints:
 *
 *   short:     done
 *   long:      timeout
 *   closed:    no answer
 *
 * It is a step of the page "Make your driver survive". The last step is first_drv.c.
 */
#define _DEFAULT_SOURCE
#include <unistd.h>
#include <erl_driver.h>

typedef struct {
    int left;                          /* steps of 10 ms */
} Job;

static void work(void *data)
{
    Job *job = data;
    while (job->left > 0) {
        usleep(10000);
        job->left--;
    }
}

typedef struct {
    ErlDrvPort port;
    Job *job;                          /* the job of the open request, or NULL */
} State;

static ErlDrvData start(ErlDrvPort port, char *command)
{
    State *state = driver_alloc(sizeof *state);
    (void)command;
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
    job->left = len > 0 ? (unsigned char)buf[0] : 0;
    if (driver_async(state->port, NULL, work, job, driver_free) == -1) {
        driver_free(job);
        return;
    }
    state->job = job;
    driver_set_timer(state->port, 100);
}

static void timeout(ErlDrvData data)
{
    State *state = (State *)data;
    state->job = NULL;                 /* the request is not open any more */
    driver_output(state->port, "timeout", 7);
}

static void ready_async(ErlDrvData data, ErlDrvThreadData job)
{
    State *state = (State *)data;
    if ((Job *)job == state->job) {
        state->job = NULL;
        driver_cancel_timer(state->port);
        driver_output(state->port, "done", 4);
    }
    driver_free((void *)job);
}

static void stop(ErlDrvData data)
{
    driver_free((void *)data);
}

/* The table of callbacks, and the function that loading the file calls. */
static ErlDrvEntry entry = {
    .driver_name = "timed_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .ready_async = ready_async,
    .timeout = timeout,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(timed_drv)
{
    return &entry;
}
