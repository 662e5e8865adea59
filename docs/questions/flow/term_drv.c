/* term_drv.c: a job that sends messages from its async thread.
 *
 * Command: <<Tag:64, Limit:24>>. The job counts the primes below Limit.
 * Messages: the job sends {Port, Tag, {progress, Percent}} ten times, and ready_async()
 *     sends {Port, Tag, {done, Primes}} after them. They go to the process that sent
 *     the command.
 *
 * erl_drv_send_term() may be called on any thread. Its result says whether the port and
 * the receiver still exist. If not, the job ends early.
 *
 * Threads: a scheduler calls every callback of the port, under the port lock. An async
 *     thread calls count_primes().
 *
 * Compile and run, in this folder:
 *
 *   INC=$(erl -noshell -eval 'io:put_chars(code:root_dir()), halt().')/usr/include
 *   cc -Wall -Wextra -Werror -std=c11 -O2 -fPIC -shared -I"$INC" -o term_drv.so term_drv.c
 *   erlc +warnings_as_errors term_drv.erl
 *   erl -noshell -s term_drv main -s init stop
 *
 * SPDX-License-Identifier: 0BSD
 */
#include <errno.h>
#include <stdbool.h>
#include <erl_driver.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

typedef struct {
    ErlDrvPort port;
    ErlDrvTermData port_term, progress, done;
} State;

/* It has the terms that the async thread needs. Callbacks make them, because
 * driver_mk_port(), driver_mk_atom() and driver_caller() may be called only there. */
typedef struct {
    ErlDrvTermData port_term, progress, caller;
    ErlDrvUInt64 tag;
    unsigned limit;
    ErlDrvUInt64 primes;
} Job;

static ErlDrvUInt64 big_endian(const char *bytes, int count)
{
    ErlDrvUInt64 value = 0;
    for (int i = 0; i < count; i++)
        value = value << 8 | (unsigned char)bytes[i];
    return value;
}

/* Sends {Port, Tag, {Atom, Number}}. Returns false if the port or the receiver no
 * longer exists. */
static bool send(const Job *job, ErlDrvTermData atom, ErlDrvUInt64 number)
{
    ErlDrvTermData term[] = {
        ERL_DRV_PORT,   job->port_term,
        ERL_DRV_UINT64, (ErlDrvTermData)&job->tag,
        ERL_DRV_ATOM,   atom,
        ERL_DRV_UINT64, (ErlDrvTermData)&number,
        ERL_DRV_TUPLE,  2,
        ERL_DRV_TUPLE,  3,
    };
    return erl_drv_send_term(job->port_term, job->caller, term, COUNT(term)) == 1;
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    State *state = driver_alloc(sizeof *state);
    (void)command;
    if (state == NULL) {
        errno = ENOMEM;
        return ERL_DRV_ERROR_ERRNO;
    }
    state->port = port;
    state->port_term = driver_mk_port(port);
    state->progress = driver_mk_atom("progress");
    state->done = driver_mk_atom("done");
    return (ErlDrvData)state;
}

static void stop(ErlDrvData data)
{
    driver_free(data); /* a job ends when its next send() returns false */
}

static bool is_prime(unsigned number)
{
    for (unsigned i = 2; (ErlDrvUInt64)i * i <= number; i++)
        if (number % i == 0)
            return false;
    return number > 1;
}

static void count_primes(void *data) /* called on an async thread */
{
    Job *job = data;
    unsigned number = 0;

    for (unsigned part = 1; part <= 10; part++) {
        unsigned end = job->limit * part / 10;
        for (; number < end; number++)
            job->primes += is_prime(number);
        if (!send(job, job->progress, part * 10))
            return; /* no process needs the result */
    }
}

/* Command: <<Tag:64, Limit:24>>. The limit has 24 bits, because a job counts through a
 * tenth of it between two calls of send(). */
static void output(ErlDrvData data, char *bytes, ErlDrvSizeT length)
{
    State *state = (State *)data;
    Job *job;

    if (length != 11) {
        driver_failure_posix(state->port, EINVAL);
        return; /* stop() has run inside that call, so the state is freed */
    }
    job = driver_alloc(sizeof *job);
    if (job == NULL) {
        driver_failure_posix(state->port, ENOMEM);
        return;
    }
    job->port_term = state->port_term;
    job->progress = state->progress;
    job->caller = driver_caller(state->port);
    job->tag = big_endian(bytes, 8);
    job->limit = (unsigned)big_endian(bytes + 8, 3);
    job->primes = 0;
    if (driver_async(state->port, NULL, count_primes, job, driver_free) == -1) {
        driver_free(job);
        driver_failure_posix(state->port, ENOMEM);
    }
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    Job *job = (Job *)thread_data;

    (void)send(job, state->done, job->primes);
    driver_free(job);
}

static ErlDrvEntry entry = {
    .driver_name = "term_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .ready_async = ready_async,
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(term_drv)
{
    return &entry;
}
