/* flow_drv.c: one request, there and back.
 *
 * output() copies the request into a job, an async thread squares the number,
 * and ready_async() sends {Port, Tag, Square} to the process that asked.
 * The tag comes from the caller and goes back to it: replies may overtake.
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

/* One for each port; callbacks only, which the port's lock keeps apart. */
typedef struct {
    ErlDrvPort port;
    ErlDrvTermData port_term;
} State;

/* One for each request. It has all the thread needs, because stop() may free
 * the state while the job runs. */
typedef struct {
    ErlDrvTermData caller; /* kept, for nobody is calling in ready_async() */
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
    driver_free(data); /* jobs in flight go on, and end in driver_free() */
}

/* On an async thread, and no lock is held: touch the job and nothing else. */
static void square(void *data)
{
    Job *job = data;
    job->square = job->number * job->number;
}

/* <<Tag:64, Number:32>>; the bytes are the emulator's, and only for now. */
static void output(ErlDrvData data, char *bytes, ErlDrvSizeT length)
{
    State *state = (State *)data;
    Job *job;

    if (length != 12) {
        driver_failure_posix(state->port, EINVAL);
        return; /* stop() has run inside that call: the state is gone */
    }
    job = driver_alloc(sizeof *job);
    if (job == NULL) {
        driver_failure_posix(state->port, ENOMEM);
        return;
    }
    job->caller = driver_caller(state->port);
    job->tag = big_endian(bytes, 8);
    job->number = big_endian(bytes + 8, 4);
    /* The thread may have the job before this call returns, so everything is
     * in it by now. No key: tagged replies need no order. */
    if (driver_async(state->port, NULL, square, job, driver_free) == -1) {
        driver_free(job); /* not accepted, so still ours */
        driver_failure_posix(state->port, ENOMEM);
    }
}

/* Back on a scheduler, with the port's lock. */
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

    /* 0 if the caller has gone: then nobody misses the reply. */
    (void)erl_drv_send_term(state->port_term, job->caller, reply, COUNT(reply));
    driver_free(job); /* driver_async()'s free callback is not called as well */
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
