/* cancel_drv.c: jobs that a process can cancel.
 *
 * Command: <<Tag:64, Limit:32>>. The job counts the primes below Limit.
 * Control: port_control(Port, 1, <<Tag:64>>) cancels the request with this tag. It
 *     returns [1] if the request was still open, and [0] if it was not.
 * Answer: {Port, Tag, {ok, Count}} or {Port, Tag, cancelled}. The port sends exactly
 *     one for each request, to the process that sent the command.
 *
 * A job checks its flag before each number. control() sets the flag, sends the answer,
 * and removes the job from the list of open requests. When the job comes back,
 * ready_async() finds the flag set and sends nothing.
 *
 * Threads: a scheduler calls every callback of the port, under the port lock. An async
 *     thread calls count_primes(). let_go() may be called on any thread.
 *
 * Compile and run, in this folder:
 *
 *   INC=$(erl -noshell -eval 'io:put_chars(code:root_dir()), halt().')/usr/include
 *   cc -Wall -Wextra -Werror -std=c11 -O2 -fPIC -shared -I"$INC" -o cancel_drv.so cancel_drv.c
 *   erlc +warnings_as_errors cancel_drv.erl
 *   erl -noshell -s cancel_drv main -s init stop
 *
 * SPDX-License-Identifier: 0BSD
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <erl_driver.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

enum { CANCEL = 1 }; /* the operation of port_control/3 */

/* A job has two owners: the list of open requests, and the async job that
 * driver_async() has queued. Each owner calls let_go() when it no longer uses the
 * job. The second of these calls frees it. */
typedef struct Job {
    atomic_int owners;
    atomic_bool cancelled;
    struct Job *next; /* belongs to the list; the async thread must not read it */
    ErlDrvTermData caller;
    ErlDrvUInt64 tag;
    unsigned limit;
    ErlDrvUInt64 primes;
} Job;

typedef struct {
    ErlDrvPort port;
    ErlDrvTermData port_term;
    ErlDrvTermData ok;
    ErlDrvTermData cancelled;
    Job *jobs; /* the open requests: neither answered nor cancelled */
} State;

static ErlDrvUInt64 big_endian(const char *bytes, int count)
{
    ErlDrvUInt64 value = 0;
    for (int i = 0; i < count; i++)
        value = value << 8 | (unsigned char)bytes[i];
    return value;
}

static void let_go(void *data) /* called on any thread, also as the free callback */
{
    Job *job = data;
    if (atomic_fetch_sub(&job->owners, 1) == 1)
        driver_free(job);
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
    state->ok = driver_mk_atom("ok");
    state->cancelled = driver_mk_atom("cancelled");
    state->jobs = NULL;
    return (ErlDrvData)state;
}

/* Cancels every open job, because no process can get its result any more. So the
 * async threads are soon free again, and the driver can soon be unloaded. */
static void stop(ErlDrvData data)
{
    State *state = (State *)data;
    while (state->jobs != NULL) {
        Job *job = state->jobs;
        state->jobs = job->next;
        atomic_store(&job->cancelled, true);
        let_go(job);
    }
    driver_free(state);
}

static bool is_prime(unsigned number)
{
    for (unsigned i = 2; (ErlDrvUInt64)i * i <= number; i++)
        if (number % i == 0)
            return false;
    return number > 1;
}

/* An async thread calls it. A job that is cancelled before it begins stays in the
 * queue of its thread, and ends at its first check. */
static void count_primes(void *data)
{
    Job *job = data;
    for (unsigned i = 0; i < job->limit && !atomic_load(&job->cancelled); i++)
        job->primes += is_prime(i);
}

/* Command: <<Tag:64, Limit:32>>. */
static void output(ErlDrvData data, char *bytes, ErlDrvSizeT length)
{
    State *state = (State *)data;
    Job *job;

    if (length != 12) {
        driver_failure_posix(state->port, EINVAL);
        return; /* stop() has run inside that call, so the state is freed */
    }
    job = driver_alloc(sizeof *job);
    if (job == NULL) {
        driver_failure_posix(state->port, ENOMEM);
        return;
    }
    atomic_init(&job->owners, 2);
    atomic_init(&job->cancelled, false);
    job->caller = driver_caller(state->port);
    job->tag = big_endian(bytes, 8);
    job->limit = (unsigned)big_endian(bytes + 8, 4);
    job->primes = 0;
    job->next = state->jobs;
    state->jobs = job;
    if (driver_async(state->port, NULL, count_primes, job, let_go) == -1) {
        let_go(job); /* for the async job, which was not queued */
        driver_failure_posix(state->port, ENOMEM); /* calls stop(), which lets go for the list */
    }
}

static Job *find(const State *state, ErlDrvUInt64 tag)
{
    Job *job = state->jobs;
    while (job != NULL && job->tag != tag)
        job = job->next;
    return job;
}

/* Removes a job from the list after its answer was sent. */
static void forget(State *state, Job *job)
{
    Job **at = &state->jobs;
    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    let_go(job);
}

static ErlDrvSSizeT control(ErlDrvData data, unsigned int operation, char *bytes,
                            ErlDrvSizeT length, char **result, ErlDrvSizeT room)
{
    State *state = (State *)data;
    Job *job;
    char in_time = 0;

    if (operation != CANCEL || length != 8 || room < 1)
        return -1; /* badarg */
    job = find(state, big_endian(bytes, 8));
    if (job != NULL) {
        ErlDrvTermData reply[] = {
            ERL_DRV_PORT,   state->port_term,
            ERL_DRV_UINT64, (ErlDrvTermData)&job->tag,
            ERL_DRV_ATOM,   state->cancelled,
            ERL_DRV_TUPLE,  3,
        };
        atomic_store(&job->cancelled, true);
        /* 0 means that the caller has ended. The reply is dropped then. */
        (void)erl_drv_send_term(state->port_term, job->caller, reply, COUNT(reply));
        forget(state, job);
        in_time = 1;
    }
    (*result)[0] = in_time;
    return 1;
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    Job *job = (Job *)thread_data;

    /* Only callbacks set the flag, and the port lock serializes them. So no cancel
     * can come between this check and the answer. */
    if (!atomic_load(&job->cancelled)) {
        ErlDrvTermData reply[] = {
            ERL_DRV_PORT,   state->port_term,
            ERL_DRV_UINT64, (ErlDrvTermData)&job->tag,
            ERL_DRV_ATOM,   state->ok,
            ERL_DRV_UINT64, (ErlDrvTermData)&job->primes,
            ERL_DRV_TUPLE,  2,
            ERL_DRV_TUPLE,  3,
        };
        (void)erl_drv_send_term(state->port_term, job->caller, reply, COUNT(reply));
        forget(state, job);
    }
    let_go(job); /* for the async job, which has ended; frees a late result */
}

static ErlDrvEntry entry = {
    .driver_name = "cancel_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .control = control,
    .ready_async = ready_async,
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(cancel_drv)
{
    return &entry;
}
