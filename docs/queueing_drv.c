/* SPDX-License-Identifier: 0BSD
 *
 * queueing_drv: a closed port waits for its jobs. The driver queue has one byte for
 * each job.
 *
 * A port is opened with "queueing_drv 3", where 3 is its factor. A command is one byte.
 * Its job works for 50 ms and multiplies the number by the factor of the port. The port
 * answers with the product, one byte.
 * After a kill or a failure the port does not wait. So the state also counts its users:
 * the port and each job. The last user frees it.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o queueing_drv.so queueing_drv.c
 *
 * queueing_drv.erl loads it and says how it is used.
 */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <erl_driver.h>

typedef struct {
    ErlDrvPort port;
    int factor;
    atomic_int users;          /* of this block: the port, and each job */
} State;

typedef struct {
    State *state;
    int number;
} Job;

static void drop(State *state)         /* one user less */
{
    if (atomic_fetch_sub(&state->users, 1) == 1)
        driver_free(state);            /* it was the last user */
}

static void work(void *data)           /* called on an async thread */
{
    Job *job = data;
    usleep(50 * 1000);
    job->number *= job->state->factor;
}

static void release(void *data)        /* the free callback */
{
    Job *job = data;
    drop(job->state);
    driver_free(job);
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    State *state = driver_alloc(sizeof *state);
    if (state == NULL)
        return ERL_DRV_ERROR_GENERAL;
    state->port = port;
    state->factor = atoi(command + strlen("queueing_drv"));
    atomic_init(&state->users, 1);     /* for the port */
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
    job->state = state;
    job->number = len > 0 ? (unsigned char)buf[0] : 0;
    atomic_fetch_add(&state->users, 1);        /* for the job */
    driver_enq(state->port, "", 1);            /* the port waits for it */
    if (driver_async(state->port, NULL, work, job, release) == -1) {
        driver_deq(state->port, 1);
        release(job);
    }
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    Job *job = (Job *)thread_data;
    char answer = (char)job->number;
    driver_output(state->port, &answer, 1);
    release(job);
    driver_deq(state->port, 1);
}

static void stop(ErlDrvData data)
{
    drop((State *)data);               /* for the port */
}

/* The table of callbacks, and the function that loading the file calls. */
static ErlDrvEntry entry = {
    .driver_name = "queueing_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .ready_async = ready_async,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(queueing_drv)
{
    return &entry;
}
