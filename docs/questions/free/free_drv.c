/* SPDX-License-Identifier: 0BSD
 *
 * free_drv: a free callback that releases the result too.
 *
 * A port holds the file open whose name stands in "free_drv NAME".  Opening and closing may block, so jobs do both.
 *
 *   `start` submits a job that opens the file.  If it comes back, `ready_async` takes the descriptor over; if the port
 *   is closed first, `release` closes it.  With driver_free in its place every early close would lose a descriptor.
 *   `stop` submits a job that closes the file.  Its port is gone when it ends, so it always goes to `release`.
 *   A driver needs both: `release` is never called for a job that `ready_async` was given.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o free_drv.so free_drv.c
 *
 * free_drv.erl loads it and says how it is used.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <erl_driver.h>

enum { COUNTS = 1 }; /* the operation of `control` */

typedef struct {
    ErlDrvPort port;
    unsigned int key; /* spreads the ports over the threads */
    int fd;           /* -1 until `ready_async` has brought it */
} State;

typedef struct {
    int fd;    /* the result: whoever has the job has to close it */
    int error; /* or why there is none */
    char name[];
} Job;

/* What has not been released, for Erlang to see.  Atomic: `release` and the threads change it under no lock. */
static atomic_int jobs, descriptors;

static void close_file(int fd)
{
    if (fd != -1) {
        (void)close(fd); /* opened for reading: an error loses nothing, and a second try could hit another's file */
        atomic_fetch_sub(&descriptors, 1);
    }
}

static Job *new_job(const char *name)
{
    size_t size = strlen(name) + 1;
    Job *job = driver_alloc(sizeof *job + size);

    if (job != NULL) {
        job->fd = -1;
        job->error = 0;
        memcpy(job->name, name, size);
        atomic_fetch_add(&jobs, 1);
    }
    return job;
}

/* The fifth argument of driver_async, and what `ready_async` ends with.  The emulator calls it after `stop`, under no
 * lock and with nothing but the job. */
static void release(void *data)
{
    Job *job = data;

    close_file(job->fd);
    driver_free(job);
    atomic_fetch_sub(&jobs, 1);
}

static void open_job(void *data)
{
    Job *job = data;

    do
        job->fd = open(job->name, O_RDONLY | O_CLOEXEC);
    while (job->fd == -1 && errno == EINTR);
    if (job->fd == -1)
        job->error = errno;
    else
        atomic_fetch_add(&descriptors, 1);
}

static void close_job(void *data)
{
    Job *job = data;

    close_file(job->fd);
    job->fd = -1; /* `release` has nothing left to close */
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    char *name = strchr(command, ' ');
    State *state;
    Job *job;

    if (name == NULL || name[1] == '\0')
        return ERL_DRV_ERROR_BADARG;
    state = driver_alloc(sizeof *state);
    job = state == NULL ? NULL : new_job(name + 1);
    if (job == NULL) {
        driver_free(state); /* NULL will do */
        errno = ENOMEM;
        return ERL_DRV_ERROR_ERRNO;
    }
    state->port = port;
    state->key = driver_async_port_key(port);
    state->fd = -1;
    if (driver_async(port, &state->key, open_job, job, release) == -1) {
        release(job); /* still ours */
        driver_free(state);
        return ERL_DRV_ERROR_GENERAL;
    }
    return (ErlDrvData)state;
}

/* Does not wait for the opening: that job has no pointer to the state, and `release` sees to its result. */
static void stop(ErlDrvData data)
{
    State *state = (State *)data;
    Job *job = state->fd == -1 ? NULL : new_job("");

    if (job != NULL) {
        job->fd = state->fd;
        if (driver_async(state->port, &state->key, close_job, job, release) == -1)
            release(job); /* closes here, at worst slowly */
    } else {
        close_file(state->fd);
    }
    driver_free(state);
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    Job *job = (Job *)thread_data;
    int error = job->error;

    state->fd = job->fd;
    job->fd = -1; /* taken over */
    release(job);
    if (error != 0)
        driver_failure_posix(state->port, error); /* calls `stop`: the state is gone */
    else
        (void)driver_output(state->port, "open", 4); /* -1 if the port is gone: nobody to tell */
}

static ErlDrvSSizeT control(ErlDrvData data, unsigned int command, char *buf, ErlDrvSizeT len, char **rbuf,
                            ErlDrvSizeT rlen)
{
    int length;

    (void)data;
    (void)buf;
    if (command != COUNTS || len != 0)
        return -1;
    length = snprintf(*rbuf, rlen, "%d jobs, %d open", atomic_load(&jobs), atomic_load(&descriptors));
    return length < 0 || (ErlDrvSizeT)length >= rlen ? -1 : length;
}

static ErlDrvEntry entry = {
    .driver_name = "free_drv",
    .start = start,
    .stop = stop,
    .control = control,
    .ready_async = ready_async,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(free_drv)
{
    return &entry;
}
