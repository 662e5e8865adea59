/* drain_drv.c: a port that ends only when its jobs are back.
 *
 * Each command is appended to a file by an async thread. Closing a port does
 * not wait for its jobs, unless something is left in the driver queue: then
 * the emulator calls flush() instead of stop(), and stop() follows when the
 * queue is empty. So there is one byte in the queue for each job, and what was
 * accepted is written before {Port, closed}, also if the owner was killed.
 *
 * Compile and run, in this folder:
 *
 *   INC=$(erl -noshell -eval 'io:put_chars(code:root_dir()), halt().')/usr/include
 *   cc -Wall -Wextra -Werror -std=c11 -O2 -fPIC -shared -I"$INC" -o drain_drv.so drain_drv.c
 *   erlc +warnings_as_errors drain_drv.erl
 *   erl -noshell -s drain_drv main -s init stop
 *
 * SPDX-License-Identifier: 0BSD
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>
#include <erl_driver.h>

/* The port's and its jobs'; the last one closes it. It cannot be the port's
 * alone: exit(Port, kill) and driver_failure_posix() do not wait for the queue. */
typedef struct {
    atomic_int owners;
    int fd;
    int error; /* the jobs', which have one key and so one thread */
} File;

typedef struct {
    ErlDrvPort port;
    File *file;
} State;

typedef struct {
    File *file;
    int error;
    size_t length;
    char bytes[];
} Job;

static void let_go(File *file) /* on any thread */
{
    if (atomic_fetch_sub(&file->owners, 1) == 1) {
        (void)close(file->fd); /* all writes have been checked */
        driver_free(file);
    }
}

static void free_job(void *data)
{
    Job *job = data;
    let_go(job->file);
    driver_free(job);
}

/* open_port({spawn_driver, "drain_drv FILE"}, []). To open may take long
 * on a remote disk; slow_drv.c shows how to leave it to a job. */
static ErlDrvData start(ErlDrvPort port, char *command)
{
    const char *space = strchr(command, ' ');
    int error = ENOMEM;
    State *state;
    File *file;

    if (space == NULL)
        return ERL_DRV_ERROR_BADARG;
    state = driver_alloc(sizeof *state);
    file = driver_alloc(sizeof *file);
    if (state != NULL && file != NULL) {
        file->fd = open(space + 1, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
        if (file->fd != -1) {
            atomic_init(&file->owners, 1);
            file->error = 0;
            state->port = port;
            state->file = file;
            return (ErlDrvData)state;
        }
        error = errno;
    }
    if (state != NULL)
        driver_free(state);
    if (file != NULL)
        driver_free(file);
    errno = error;
    return ERL_DRV_ERROR_ERRNO;
}

/* The port is closing, and jobs are under way. A job that can be cancelled
 * would be told now; these are to be done, so all there is to do is wait. */
static void flush(ErlDrvData data)
{
    (void)data;
}

static void stop(ErlDrvData data)
{
    State *state = (State *)data;
    let_go(state->file);
    driver_free(state);
}

static void append(void *data) /* on an async thread */
{
    Job *job = data;
    size_t done = 0;

    while (done < job->length && job->file->error == 0) {
        ssize_t count = write(job->file->fd, job->bytes + done, job->length - done);
        if (count >= 0)
            done += (size_t)count;
        else if (errno != EINTR)
            job->file->error = errno; /* what is behind must not be written */
    }
    job->error = job->file->error;
}

static void output(ErlDrvData data, char *bytes, ErlDrvSizeT length)
{
    State *state = (State *)data;
    unsigned int key = driver_async_port_key(state->port); /* keeps the order */
    char token = 0;
    Job *job = driver_alloc(sizeof *job + length);

    if (job == NULL) {
        driver_failure_posix(state->port, ENOMEM);
        return; /* stop() has run inside that call: the state is gone */
    }
    atomic_fetch_add(&state->file->owners, 1);
    job->file = state->file;
    job->error = 0;
    job->length = length;
    memcpy(job->bytes, bytes, length);
    if (driver_enq(state->port, &token, 1) == -1 ||
        driver_async(state->port, &key, append, job, free_job) == -1) {
        free_job(job);
        driver_failure_posix(state->port, ENOMEM);
    }
}

/* Also for a port that is closing; only after exit(Port, kill) or a failure
 * do jobs end in free_job() instead. */
static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    Job *job = (Job *)thread_data;
    int error = job->error;

    free_job(job);
    if (error != 0)
        driver_failure_posix(state->port, error); /* with stop(), whatever is queued */
    else
        (void)driver_deq(state->port, 1); /* if that was the last, stop() comes next */
}

static ErlDrvEntry entry = {
    .driver_name = "drain_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .ready_async = ready_async,
    .flush = flush,
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(drain_drv)
{
    return &entry;
}
