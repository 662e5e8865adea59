/* SPDX-License-Identifier: 0BSD
 *
 * copying_drv: each job has a copy of what it needs of the port's state.
 *
 * A port is opened with "copying_drv 3", where 3 is its factor. A command is one byte.
 * Its job works for 50 ms and multiplies the number by the factor of the port. The port
 * answers with the product, one byte.
 * `stop` frees the state at once, because no job has a pointer to it.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o copying_drv.so copying_drv.c
 *
 * copying_drv.erl loads it and says how it is used.
 */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <erl_driver.h>

typedef struct {
    ErlDrvPort port;
    int factor;
} State;

typedef struct {
    int factor;                /* a copy of the port's */
    int number;
} Job;

static void work(void *data)           /* called on an async thread */
{
    Job *job = data;
    usleep(50 * 1000);
    job->number *= job->factor;
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    State *state = driver_alloc(sizeof *state);
    if (state == NULL)
        return ERL_DRV_ERROR_GENERAL;
    state->port = port;
    state->factor = atoi(command + strlen("copying_drv"));
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
    job->factor = state->factor;
    job->number = len > 0 ? (unsigned char)buf[0] : 0;
    if (driver_async(state->port, NULL, work, job, driver_free) == -1)
        driver_free(job);
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    Job *job = (Job *)thread_data;
    char answer = (char)job->number;
    driver_output(state->port, &answer, 1);
    driver_free(job);
}

static void stop(ErlDrvData data)
{
    driver_free((State *)data);        /* no job has a pointer to it */
}

/* The table of callbacks, and the function that loading the file calls. */
static ErlDrvEntry entry = {
    .driver_name = "copying_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .ready_async = ready_async,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(copying_drv)
{
    return &entry;
}
