/* SPDX-License-Identifier: 0BSD
 *
 * memory_drv: which code owns which block, from the command to the answer.
 *
 * The driver answers each command with its text in capitals.
 *
 * - The emulator lends `output` a buffer. `output` copies the text into a block of the
 *   job.
 * - The job allocates a binary for the result. driver_alloc and driver_alloc_binary may
 *   be called on any thread.
 * - The emulator calls either `ready_async` or `release` with the job, and never both.
 *   `ready_async` calls `release` itself. `release` frees the result and the job.
 *   `stop` frees nothing that belongs to a job.
 * - Each allocation may return NULL, and a new block is not cleared.
 *
 * A scheduler calls the callbacks, and an async thread calls `work`. `release` may be
 * called on any thread.
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
    ErlDrvBinary *result; /* NULL until `work` has made it, and if there was no memory */
    size_t length;
    char text[];
} Job;

/* Returns a block of zeros, or NULL. A block of driver_alloc has the bytes of its last use, which
 * may be zeros by chance. */
static void *alloc_cleared(size_t size)
{
    void *block = driver_alloc(size);

    return block == NULL ? NULL : memset(block, 0, size);
}

/* The emulator may call it after `stop`, without a lock. So it uses the job and nothing else. */
static void release(void *data)
{
    Job *job = data;

    if (job->result != NULL)
        driver_free_binary(job->result); /* one count less; at 0 the binary is freed */
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

/* An async thread calls it and holds no lock. It cannot make the port fail on this thread. So it
 * leaves `result` at NULL, and `ready_async` makes the port fail. */
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
    job->result = result; /* the job owns the count of 1 */
}

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    State *state = (State *)data;
    Job *job = driver_alloc(sizeof *job + len);

    if (job == NULL) {
        driver_failure_posix(state->port, ENOMEM); /* calls `stop`, which frees the state */
        return;
    }
    job->result = NULL;
    job->length = len;
    memcpy(job->text, buf, len);

    /* The job may begin before driver_async returns. Unless it returns -1, this function must not
     * use the job any more. */
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
    /* A large binary is not copied. The receiver has a count of its own, so the driver must not
     * write to the binary any more. The call returns -1 if the port is closed. */
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
