/* drain_drv.c: a port that closes only when its jobs are done.
 *
 * Open: open_port({spawn_driver, "drain_drv FILE"}, [])
 * Command: bytes, which a job appends to the file.
 * Answer: none. If a write fails, the port ends with the error as its reason.
 *
 * A port that is closed does not wait for its jobs, but it waits for its driver queue.
 * If the queue is not empty, the emulator calls flush(), and it calls stop() when the
 * queue is empty. So the driver keeps one byte in the queue for each job. Every
 * accepted command is written before {Port, closed}, also if the owner was killed.
 *
 * Threads: a scheduler calls every callback of the port, under the port lock. An async
 *     thread calls append(). All jobs of a port have one key, so they run one after the
 *     other, in the order of the commands. free_job() may be called on any thread.
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

/* The port and its jobs share the file, and the last owner closes it. The port
 * cannot be the only owner, because exit(Port, kill) and driver_failure_posix() do
 * not wait for the driver queue. */
typedef struct {
    atomic_int owners;
    int fd;
    int error; /* only jobs use it, and one key keeps them on one thread */
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

static void let_go(File *file) /* called on any thread */
{
    if (atomic_fetch_sub(&file->owners, 1) == 1) {
        (void)close(file->fd); /* append() has checked every write */
        driver_free(file);
    }
}

static void free_job(void *data)
{
    Job *job = data;
    let_go(job->file);
    driver_free(job);
}

/* The command is "drain_drv FILE". On a remote disk open() may take long;
 * slow_drv.c shows how to open a file in a job. */
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

/* The emulator calls it when the port is closed and the queue is not empty. A
 * driver that wants to cancel its jobs would do so here. These jobs are to be done,
 * so there is nothing to do. */
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

static void append(void *data) /* called on an async thread */
{
    Job *job = data;
    size_t done = 0;

    while (done < job->length && job->file->error == 0) {
        ssize_t count = write(job->file->fd, job->bytes + done, job->length - done);
        if (count >= 0)
            done += (size_t)count;
        else if (errno != EINTR)
            job->file->error = errno; /* later jobs of this file write nothing then */
    }
    job->error = job->file->error;
}

static void output(ErlDrvData data, char *bytes, ErlDrvSizeT length)
{
    State *state = (State *)data;
    unsigned int key = driver_async_port_key(state->port); /* keeps the jobs in order */
    char token = 0;
    Job *job = driver_alloc(sizeof *job + length);

    if (job == NULL) {
        driver_failure_posix(state->port, ENOMEM);
        return; /* stop() has run inside that call, so the state is freed */
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

/* The emulator calls it for a port that is closing, too. After exit(Port, kill) or
 * a failure of the port it calls free_job() in its place. */
static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    Job *job = (Job *)thread_data;
    int error = job->error;

    free_job(job);
    if (error != 0)
        driver_failure_posix(state->port, error); /* calls stop() although bytes are queued */
    else
        (void)driver_deq(state->port, 1); /* empty queue and closing port: stop() follows */
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
