/* SPDX-License-Identifier: 0BSD
 *
 * memory_drv: who owns which block, from the command to the answer.
 *
 * The driver answers each command with its text in capitals.
 *
 *   `output` is lent a buffer, so it copies: into the job's own block.
 *   The thread allocates the result, a binary: driver_alloc and driver_alloc_binary may be called on any thread.
 *   Then exactly one of `ready_async` and `release` gets the job.  Both end in `release`, which gives back the result
 *   as well as the job; `stop` frees nothing that a job has.
 *   Each allocation may give NULL, and what it gives is not cleared.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o memory_drv.so memory_drv.c
 *
 * memory_drv.erl loads it and says how it is used.
 */
#include <errno.h>
#include <string.h>

#include <erl_driver.h>

typedef struct {
    ErlDrvPort port;
    unsigned int key;
} State;

typedef struct {
    ErlDrvBinary *result; /* NULL until the thread has made it, and if it could not */
    size_t length;
    char text[];
} Job;

/* A block of zeros, or NULL.  What a block held before is still in it, and another time it may hold zeros by chance. */
static void *alloc_cleared(size_t size)
{
    void *block = driver_alloc(size);

    return block == NULL ? NULL : memset(block, 0, size);
}

/* The emulator may call it after `stop`, under no lock: the job is all it may touch. */
static void release(void *data)
{
    Job *job = data;

    if (job->result != NULL)
        driver_free_binary(job->result); /* one count less; the last one frees it */
    driver_free(job);
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    State *state = alloc_cleared(sizeof *state);

    (void)command;
    if (state == NULL) {
        errno = ENOMEM;
        return ERL_DRV_ERROR_ERRNO;
    }
    state->port = port;
    state->key = driver_async_port_key(port);
    return (ErlDrvData)state;
}

static void stop(ErlDrvData data)
{
    driver_free(data);
}

/* On an async thread, under no lock.  A failure is left in the job for `ready_async`, since nobody can be told here. */
static void work(void *data)
{
    Job *job = data;
    ErlDrvBinary *result = driver_alloc_binary(job->length);

    if (result == NULL)
        return;
    for (size_t i = 0; i < job->length; i++) {
        char c = job->text[i];

        result->orig_bytes[i] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    job->result = result; /* its one count is the job's */
}

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    State *state = (State *)data;
    Job *job = driver_alloc(sizeof *job + len);

    if (job == NULL) {
        driver_failure_posix(state->port, ENOMEM); /* calls `stop`: the state is gone */
        return;
    }
    job->result = NULL;
    job->length = len;
    memcpy(job->text, buf, len);

    /* Unless it returns -1, the job is the thread's from here on, which may have begun already. */
    if (driver_async(state->port, &state->key, work, job, release) == -1) {
        release(job);
        driver_failure_atom(state->port, "driver_async");
    }
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    Job *job = (Job *)thread_data;

    if (job->result == NULL) {
        release(job);
        driver_failure_posix(state->port, ENOMEM);
        return;
    }
    /* A large binary is not copied: the receiver gets a count of its own, and from then on nobody may write to it.
     * -1 if the port is gone: nobody to tell. */
    (void)driver_output_binary(state->port, NULL, 0, job->result, 0, job->length);
    release(job);
}

static ErlDrvEntry entry = {
    .driver_name = "memory_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .ready_async = ready_async,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(memory_drv)
{
    return &entry;
}
