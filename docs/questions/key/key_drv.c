/* SPDX-License-Identifier: 0BSD
 *
 * key_drv: the jobs of a port use one resource in turn, because they have one key.
 *
 * A command is a piece of a stream. Its job adds the piece to the stream's Adler-32
 * checksum, which depends on the order of the pieces. The answer to a piece is its
 * number and the checksum so far, 32 bits each.
 *
 * - All jobs of a port have one key, so they run on one async thread. They begin in the
 *   order of the commands and never overlap. So the jobs use the checksum without a
 *   lock.
 * - A callback may run at the same time as a job, so callbacks must not read the
 *   checksum. Each job returns its answer in a block of its own.
 * - Jobs may run after `stop`, so a count of users keeps the checksum: one for the port
 *   and one for each job.
 * - If commands come from several schedulers, the answers may come in another order. So
 *   each answer has a number.
 *
 * A scheduler calls the callbacks, and an async thread calls `work`. `release` may be
 * called on any thread.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o key_drv.so key_drv.c
 *
 * key_drv.erl loads it and says how it is used.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include <erl_driver.h>

typedef struct {
    atomic_int users;
    uint32_t a, b; /* used by one job at a time, and by no callback */
} Sum;

typedef struct {
    ErlDrvPort port;
    /* driver_async writes the number of the queue to it, and this number chooses the same
     * queue again. If ports shared the variable, all of them would use one thread. */
    unsigned int key;
    uint32_t pieces;
    Sum *sum;
} State;

typedef struct {
    Sum *sum;
    uint32_t number, result;
    size_t length;
    unsigned char piece[];
} Job;

/* Lowers the count of users. The last user frees the checksum, on any thread. */
static void leave(Sum *sum)
{
    if (atomic_fetch_sub(&sum->users, 1) == 1)
        driver_free(sum);
}

/* The emulator may call it after `stop`, on a thread that holds no lock. So it uses only
 * the job and the checksum, in which the job is counted as a user. */
static void release(void *data)
{
    Job *job = data;

    leave(job->sum);
    driver_free(job);
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    State *state = driver_alloc(sizeof *state);
    Sum *sum = driver_alloc(sizeof *sum);

    (void)command;
    if (state == NULL || sum == NULL) {
        driver_free(state); /* may be NULL */
        driver_free(sum);
        errno = ENOMEM;
        return ERL_DRV_ERROR_ERRNO;
    }
    atomic_init(&sum->users, 1);
    sum->a = 1;
    sum->b = 0;
    state->port = port;
    state->key = driver_async_port_key(port); /* an address would spread badly over the threads */
    state->pieces = 0;
    state->sum = sum;
    return (ErlDrvData)state;
}

static void stop(ErlDrvData data)
{
    State *state = (State *)data;

    leave(state->sum);
    driver_free(state);
}

static void work(void *data)
{
    Job *job = data;
    Sum *sum = job->sum;

    for (size_t i = 0; i < job->length; i++) {
        sum->a = (sum->a + job->piece[i]) % 65521;
        sum->b = (sum->b + sum->a) % 65521;
    }
    job->result = sum->b << 16 | sum->a;
}

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    State *state = (State *)data;
    Job *job = driver_alloc(sizeof *job + len);

    if (job == NULL) {
        driver_failure_posix(state->port, ENOMEM); /* calls `stop`, which frees the state */
        return;
    }
    atomic_fetch_add(&state->sum->users, 1);
    job->sum = state->sum;
    job->number = ++state->pieces;
    job->result = 0;
    job->length = len;
    memcpy(job->piece, buf, len);
    if (driver_async(state->port, &state->key, work, job, release) == -1) {
        release(job);
        driver_failure_atom(state->port, "driver_async");
    }
}

static void put32(char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (char)(value >> (24 - 8 * i) & 0xff);
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    Job *job = (Job *)thread_data;
    char answer[8];

    put32(answer, job->number);
    put32(answer + 4, job->result); /* not the checksum: the next job may be changing it */
    release(job);
    (void)driver_output(state->port, answer, sizeof answer); /* -1 if the port is closed */
}

static ErlDrvEntry entry = {
    .driver_name = "key_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .ready_async = ready_async,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(key_drv)
{
    return &entry;
}
