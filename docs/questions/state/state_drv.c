/* SPDX-License-Identifier: 0BSD
 *
 * state_drv: the state of a port, and what its jobs may use of it.
 *
 * A port is opened with "state_drv" or "state_drv 10". It counts its commands, from 0
 * or from the given number. The driver counts the commands of all its ports. A job
 * writes both counts as text, and the port sends the text to its owner.
 *
 * - `start` returns the state of the port, and `stop` frees it. The port lock
 *   serializes the callbacks of the port, so the state has no lock of its own.
 * - A global variable is shared by all ports. With port locks it needs a lock of its
 *   own.
 * - A job has a block of its own with a copy of what it needs, because `stop` may free
 *   the state while the job runs.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o state_drv.so state_drv.c
 *
 * state_drv.erl loads it and says how it is used.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <erl_driver.h>

typedef struct {
    ErlDrvPort port;
    unsigned int key; /* driver_async writes to it, so each port has its own */
    unsigned long count;
} State;

typedef struct {
    unsigned long count, total;
    size_t length;
    char text[64];
} Job;

static ErlDrvMutex *total_lock;
static unsigned long total;

/* The emulator calls it once, when it loads the driver. If it does not return 0, the driver is not
 * loaded. */
static int init(void)
{
    total_lock = erl_drv_mutex_create("state_drv.total");
    return total_lock == NULL ? -1 : 0;
}

/* The emulator calls it once, when the last port is closed and the last job is done. */
static void finish(void)
{
    erl_drv_mutex_destroy(total_lock);
}

/* `command` is the whole text, "state_drv 10". If `start` fails, the emulator does not call
 * `stop`. So `start` itself frees what it has allocated. */
static ErlDrvData start(ErlDrvPort port, char *command)
{
    unsigned long first = 0;
    char *argument = strchr(command, ' ');
    State *state;

    if (argument != NULL) {
        char *end;

        if (!isdigit((unsigned char)argument[1]))
            return ERL_DRV_ERROR_BADARG;
        errno = 0;
        first = strtoul(argument + 1, &end, 10);
        if (*end != '\0')
            return ERL_DRV_ERROR_BADARG;
        if (errno != 0)
            return ERL_DRV_ERROR_ERRNO; /* open_port fails with erange */
    }
    state = driver_alloc(sizeof *state);
    if (state == NULL) {
        errno = ENOMEM;
        return ERL_DRV_ERROR_ERRNO;
    }
    state->port = port;
    state->key = driver_async_port_key(port);
    state->count = first;
    return (ErlDrvData)state;
}

/* Jobs of this port may still be queued or running. They have no pointer to the state. */
static void stop(ErlDrvData data)
{
    driver_free(data);
}

/* An async thread calls it and holds no lock. So it uses the job and nothing else. */
static void work(void *data)
{
    Job *job = data;
    int length = snprintf(job->text, sizeof job->text, "%lu of %lu", job->count, job->total);

    if (length > 0 && (size_t)length < sizeof job->text)
        job->length = (size_t)length;
}

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    State *state = (State *)data;
    Job *job = driver_alloc(sizeof *job);

    (void)buf;
    (void)len;
    if (job == NULL) {
        driver_failure_posix(state->port, ENOMEM); /* calls `stop`, which frees the state */
        return;
    }
    memset(job, 0, sizeof *job); /* driver_alloc does not clear the block */
    job->count = ++state->count;
    erl_drv_mutex_lock(total_lock);
    job->total = ++total;
    erl_drv_mutex_unlock(total_lock);

    /* If the port is closed before the job comes back, the emulator gives the job to driver_free
     * and not to ready_async. */
    if (driver_async(state->port, &state->key, work, job, driver_free) == -1) {
        driver_free(job);
        driver_failure_atom(state->port, "driver_async");
    }
}

/* A scheduler calls it under the port lock. The state exists, and the driver owns the job. */
static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    Job *job = (Job *)thread_data;

    (void)driver_output(state->port, job->text, job->length); /* -1 if the port is closed */
    driver_free(job);
}

static ErlDrvEntry entry = {
    .driver_name = "state_drv",
    .init = init,
    .finish = finish,
    .start = start,
    .stop = stop,
    .output = output,
    .ready_async = ready_async,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(state_drv)
{
    return &entry;
}
