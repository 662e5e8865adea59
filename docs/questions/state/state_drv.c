/* SPDX-License-Identifier: 0BSD
 *
 * state_drv: where a port keeps its state, and what its jobs may see of it.
 *
 * Each port counts the commands it was sent, from the number in "state_drv 10" or from 0, and the driver counts those
 * of all its ports.  A job writes both as text; the port sends it to its owner.
 *
 *   The port's state is what `start` returns.  The port lock keeps its callbacks apart, and `stop` frees it.
 *   What the ports share is global.  With port locks it needs a lock of its own.
 *   A job has a block of its own, with a copy of what it needs: `stop` may free the state while the job runs.
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
    unsigned int key; /* driver_async writes to it: one for each port */
    unsigned long count;
} State;

typedef struct {
    unsigned long count, total;
    size_t length;
    char text[64];
} Job;

static ErlDrvMutex *total_lock;
static unsigned long total;

/* Once, when the driver is loaded.  Anything but 0 refuses the loading. */
static int init(void)
{
    total_lock = erl_drv_mutex_create("state_drv.total");
    return total_lock == NULL ? -1 : 0;
}

/* Once, when the last port is gone and the last job is done. */
static void finish(void)
{
    erl_drv_mutex_destroy(total_lock);
}

/* `command` is all of "state_drv 10".  When `start` fails there will be no `stop`, so nothing may be left behind. */
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

/* Jobs of this port may still be queued or running; none of them has a pointer to the state. */
static void stop(ErlDrvData data)
{
    driver_free(data);
}

/* On an async thread, under no lock: the job is all it may touch. */
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
        driver_failure_posix(state->port, ENOMEM); /* calls `stop`: the state is gone */
        return;
    }
    memset(job, 0, sizeof *job); /* driver_alloc does not */
    job->count = ++state->count;
    erl_drv_mutex_lock(total_lock);
    job->total = ++total;
    erl_drv_mutex_unlock(total_lock);

    /* If the port closes first, the emulator gives the job to driver_free and not to ready_async. */
    if (driver_async(state->port, &state->key, work, job, driver_free) == -1) {
        driver_free(job);
        driver_failure_atom(state->port, "driver_async");
    }
}

/* On a scheduler, under the port lock: the state is there, and the job is ours. */
static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    Job *job = (Job *)thread_data;

    (void)driver_output(state->port, job->text, job->length); /* -1 if the port is gone: nobody to tell */
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
