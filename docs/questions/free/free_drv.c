/* SPDX-License-Identifier: 0BSD
 *
 * free_drv: a free callback that releases the result of a job, too.
 *
 * A port is opened with "free_drv NAME" and holds the file NAME open. When the file is
 * open, the port sends "open" to its owner. If the file cannot be opened, the port ends
 * with the error as its reason.
 * port_control(Port, 1, []) returns the number of jobs and of descriptors that are not
 * released yet, as text.
 *
 * open() and close() may block, so jobs call both.
 * - `start` submits a job that opens the file. If the port is still open when the job
 *   comes back, `ready_async` stores the descriptor in the state. If the port was
 *   closed before, the emulator calls `release`, which closes the descriptor. With
 *   driver_free as the free callback, the descriptor would leak.
 * - `stop` submits a job that closes the file. The port is gone when that job ends, so
 *   the emulator always calls `release` for it.
 * - A driver needs both: the emulator does not call `release` for a job that it gives
 *   to `ready_async`.
 *
 * A scheduler calls the callbacks, and an async thread calls `open_job` and
 * `close_job`. `release` may be called on any thread.
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
    int fd;           /* -1 until `ready_async` stores it */
} State;

typedef struct {
    int fd;    /* the job's descriptor, which `release` closes; or -1 */
    int error; /* the reason if open() has failed */
    char name[];
} Job;

/* What is not released yet. `control` shows it to Erlang. The numbers are atomic, because
 * `release` and the jobs change them without a lock. */
static atomic_int jobs, descriptors;

static void close_file(int fd)
{
    if (fd != -1) {
        /* An error loses no data, because the file is only read. A second close() could close
         * a file of another thread. */
        (void)close(fd);
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

/* The free callback, the fifth argument of driver_async. `ready_async` calls it as well.
 * The emulator may call it after `stop`, without a lock. So it uses only the job. */
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
    job->fd = -1; /* so `release` does not close it again */
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
        driver_free(state); /* may be NULL */
        errno = ENOMEM;
        return ERL_DRV_ERROR_ERRNO;
    }
    state->port = port;
    state->key = driver_async_port_key(port);
    state->fd = -1;
    if (driver_async(port, &state->key, open_job, job, release) == -1) {
        release(job); /* not submitted, so free it here */
        driver_free(state);
        return ERL_DRV_ERROR_GENERAL;
    }
    return (ErlDrvData)state;
}

/* Does not wait for the job that opens the file. That job has no pointer to the state, and
 * `release` closes its descriptor. */
static void stop(ErlDrvData data)
{
    State *state = (State *)data;
    Job *job = state->fd == -1 ? NULL : new_job("");

    if (job != NULL) {
        job->fd = state->fd;
        if (driver_async(state->port, &state->key, close_job, job, release) == -1)
            release(job); /* not submitted: closes the file here, although that may block */
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
    job->fd = -1; /* the state owns the descriptor now */
    release(job);
    if (error != 0)
        driver_failure_posix(state->port, error); /* calls `stop`, which frees the state */
    else
        (void)driver_output(state->port, "open", 4); /* -1 if the port is closed */
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
