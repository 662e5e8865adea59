/* busy_drv.c: a port that makes its senders wait while it has too many jobs.
 *
 * Command: <<Tag:64, Milliseconds:16>>. The job works for this time.
 * Answer: {Port, Tag, done}. The port sends it to the process that sent the command.
 *
 * When HIGH jobs are under way, the driver calls set_busy_port(). The emulator then
 * suspends a process that sends a command. When only LOW jobs are left, the driver ends
 * that. The two marks differ, so the state does not change with every job.
 *
 * Threads: a scheduler calls every callback of the port, under the port lock. An async
 *     thread calls work().
 *
 * Compile and run, in this folder:
 *
 *   INC=$(erl -noshell -eval 'io:put_chars(code:root_dir()), halt().')/usr/include
 *   cc -Wall -Wextra -Werror -std=c11 -O2 -fPIC -shared -I"$INC" -o busy_drv.so busy_drv.c
 *   erlc +warnings_as_errors busy_drv.erl
 *   erl -noshell -s busy_drv main -s init stop
 *
 * SPDX-License-Identifier: 0BSD
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <time.h>
#include <erl_driver.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

enum { HIGH = 4, LOW = 1 }; /* jobs under way */

/* Only callbacks use it. The port lock serializes them, so the count has no lock of
 * its own. A job must not use it: an async thread does not hold the port lock, and
 * stop() may have freed the state. */
typedef struct {
    ErlDrvPort port;
    ErlDrvTermData port_term;
    ErlDrvTermData done;
    int under_way; /* jobs that are not back */
    int busy;
} State;

typedef struct {
    ErlDrvTermData caller;
    ErlDrvUInt64 tag;
    unsigned milliseconds;
} Job;

static ErlDrvUInt64 big_endian(const char *bytes, int count)
{
    ErlDrvUInt64 value = 0;
    for (int i = 0; i < count; i++)
        value = value << 8 | (unsigned char)bytes[i];
    return value;
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
    state->done = driver_mk_atom("done");
    state->under_way = 0;
    state->busy = 0;
    return (ErlDrvData)state;
}

/* Closing the port resumes the suspended processes. Their port_command() fails with
 * badarg. */
static void stop(ErlDrvData data)
{
    driver_free(data);
}

/* Counts the jobs. It calls set_busy_port() only when the state changes. */
static void count(State *state, int change)
{
    state->under_way += change;
    if (!state->busy && state->under_way >= HIGH)
        set_busy_port(state->port, state->busy = 1);
    else if (state->busy && state->under_way <= LOW)
        set_busy_port(state->port, state->busy = 0);
}

static void work(void *data) /* called on an async thread */
{
    const Job *job = data;
    struct timespec left = {
        .tv_sec = job->milliseconds / 1000,
        .tv_nsec = job->milliseconds % 1000 * 1000000L,
    };
    while (nanosleep(&left, &left) == -1 && errno == EINTR)
        continue;
}

/* Command: <<Tag:64, Milliseconds:16>>. */
static void output(ErlDrvData data, char *bytes, ErlDrvSizeT length)
{
    State *state = (State *)data;
    Job *job;

    if (length != 10) {
        driver_failure_posix(state->port, EINVAL);
        return; /* stop() has run inside that call, so the state is freed */
    }
    job = driver_alloc(sizeof *job);
    if (job == NULL) {
        driver_failure_posix(state->port, ENOMEM);
        return;
    }
    job->caller = driver_caller(state->port);
    job->tag = big_endian(bytes, 8);
    job->milliseconds = (unsigned)big_endian(bytes + 8, 2);
    if (driver_async(state->port, NULL, work, job, driver_free) == -1) {
        driver_free(job);
        driver_failure_posix(state->port, ENOMEM);
        return;
    }
    count(state, +1); /* for each job that was submitted */
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    Job *job = (Job *)thread_data;
    ErlDrvTermData reply[] = {
        ERL_DRV_PORT,   state->port_term,
        ERL_DRV_UINT64, (ErlDrvTermData)&job->tag,
        ERL_DRV_ATOM,   state->done,
        ERL_DRV_TUPLE,  3,
    };

    /* 0 means that the caller has ended. The reply is dropped then. */
    (void)erl_drv_send_term(state->port_term, job->caller, reply, COUNT(reply));
    driver_free(job);
    count(state, -1); /* for each job that is back, also if the reply was dropped */
}

static ErlDrvEntry entry = {
    .driver_name = "busy_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .ready_async = ready_async,
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(busy_drv)
{
    return &entry;
}
