/* SPDX-License-Identifier: 0BSD
 *
 * key_drv: what a key is for, a resource of the port that its jobs use in turn.
 *
 * Each command is a piece of a stream, and a job adds it to the stream's Adler-32 checksum, which depends on the order.
 * The answer to a piece is its number and the checksum so far, 32 bits each.
 *
 *   All jobs of a port have one key, hence one thread: they begin in the order of the commands and never overlap.
 *   So the checksum needs no lock.  But no callback may read it either: a key keeps jobs apart from each other only,
 *   and each job carries its answer away in a block of its own.
 *   The checksum is counted, once for the port and once for each job, since jobs run on after `stop`.
 *   The answers may come in another order, if commands come from several schedulers: therefore the number.
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
    uint32_t a, b; /* for the jobs only, one at a time */
} Sum;

typedef struct {
    ErlDrvPort port;
    /* driver_async writes the queue's number to it, which chooses that queue again.  A variable that ports share would
     * put them all on one thread. */
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

/* The last one frees it, on whatever thread that is. */
static void leave(Sum *sum)
{
    if (atomic_fetch_sub(&sum->users, 1) == 1)
        driver_free(sum);
}

/* Called after `stop` too, under no lock: the job is all it may touch, and what the job holds a count of. */
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
        driver_free(state); /* NULL will do */
        driver_free(sum);
        errno = ENOMEM;
        return ERL_DRV_ERROR_ERRNO;
    }
    atomic_init(&sum->users, 1);
    sum->a = 1;
    sum->b = 0;
    state->port = port;
    state->key = driver_async_port_key(port); /* a cast of the port would spread badly: it is an aligned address */
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
        driver_failure_posix(state->port, ENOMEM); /* calls `stop`: the state is gone */
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
    put32(answer + 4, job->result); /* not from the checksum: the next job may be at it */
    release(job);
    (void)driver_output(state->port, answer, sizeof answer); /* -1 if the port is gone: nobody to tell */
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
