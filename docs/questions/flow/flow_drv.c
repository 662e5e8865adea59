/* flow_drv.c: a request, its job, and the reply.
 *
 * Command: <<Tag:64, Number:32>>, big-endian.
 * Answer: {Port, Tag, Square}. The port sends it to the process that sent the command.
 *
 * output() copies the request into a job, square() computes the square, and
 * ready_async() sends the reply. The replies may come in another order than the
 * commands, so each has the tag of its command.
 *
 * Threads: a scheduler calls every callback of the port, under the port lock. An async
 *     thread calls square().
 *
 * Compile and run, in this folder:
 *
 *   INC=$(erl -noshell -eval 'io:put_chars(code:root_dir()), halt().')/usr/include
 *   cc -Wall -Wextra -Werror -std=c11 -O2 -fPIC -shared -I"$INC" -o flow_drv.so flow_drv.c
 *   erlc +warnings_as_errors flow_drv.erl
 *   erl -noshell -s flow_drv main -s init stop
 *
 * SPDX-License-Identifier: 0BSD
 */
#include <errno.h>
#include <erl_driver.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* One for each port. Only callbacks use it, and the port lock serializes them. */
typedef struct {
    ErlDrvPort port;
    ErlDrvTermData port_term;
} State;

/* One for each request. It has everything that the job needs, because stop() may
 * free the state while the job runs. */
typedef struct {
    ErlDrvTermData caller; /* kept here, because ready_async() has no caller */
    ErlDrvUInt64 tag;
    ErlDrvUInt64 number;
    ErlDrvUInt64 square;
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
    return (ErlDrvData)state;
}

static void stop(ErlDrvData data)
{
    driver_free(data); /* jobs that still run end in the free callback, driver_free() */
}

/* An async thread calls it and holds no lock. So it uses the job and nothing else. */
static void square(void *data)
{
    Job *job = data;
    job->square = job->number * job->number;
}

/* Command: <<Tag:64, Number:32>>. The emulator owns the bytes, and they are valid only
 * until output() returns. */
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
    job->caller = driver_caller(state->port);
    job->tag = big_endian(bytes, 8);
    job->number = big_endian(bytes + 8, 4);
    /* The job is complete before this call, because it may begin before the call
     * returns. There is no key, because replies with tags need no order. */
    if (driver_async(state->port, NULL, square, job, driver_free) == -1) {
        driver_free(job); /* not submitted, so free it here */
        driver_failure_posix(state->port, ENOMEM);
    }
}

/* A scheduler calls it under the port lock. */
static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    Job *job = (Job *)thread_data;
    ErlDrvTermData reply[] = {
        ERL_DRV_PORT,   state->port_term,
        ERL_DRV_UINT64, (ErlDrvTermData)&job->tag,
        ERL_DRV_UINT64, (ErlDrvTermData)&job->square,
        ERL_DRV_TUPLE,  3,
    };

    /* 0 means that the caller has ended. The reply is dropped then. */
    (void)erl_drv_send_term(state->port_term, job->caller, reply, COUNT(reply));
    driver_free(job); /* driver_async()'s free callback is not called for this job */
}

static ErlDrvEntry entry = {
    .driver_name = "flow_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .ready_async = ready_async,
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(flow_drv)
{
    return &entry;
}
