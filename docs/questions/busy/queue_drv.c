/* queue_drv.c: a command queue in the driver, with one job at a time.
 *
 * Command: <<Tag:64, Milliseconds:16>>. The job works for this time.
 * Answer: {Port, Tag, done}, or {Port, Tag, full} at once if LIMIT requests are open.
 *     The port sends it to the process that sent the command.
 *
 * The requests wait in a list of the port. ready_async() submits the next job when the
 * last one is back. So the answers come in the order of the commands, a port uses one
 * async thread at most, and stop() can drop the requests that have not begun.
 *
 * Threads: a scheduler calls every callback of the port, under the port lock. An async
 *     thread calls work().
 *
 * Compile and run, in this folder:
 *
 *   INC=$(erl -noshell -eval 'io:put_chars(code:root_dir()), halt().')/usr/include
 *   cc -Wall -Wextra -Werror -std=c11 -O2 -fPIC -shared -I"$INC" -o queue_drv.so queue_drv.c
 *   erlc +warnings_as_errors queue_drv.erl
 *   erl -noshell -s queue_drv main -s init stop
 *
 * SPDX-License-Identifier: 0BSD
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <time.h>
#include <erl_driver.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

enum { LIMIT = 8 }; /* open requests */

typedef struct Request {
    struct Request *next;
    ErlDrvTermData caller;
    ErlDrvUInt64 tag;
    unsigned milliseconds;
} Request;

/* Only callbacks use it. The port lock serializes them, so the list has no lock of
 * its own. */
typedef struct {
    ErlDrvPort port;
    ErlDrvTermData port_term;
    ErlDrvTermData done;
    ErlDrvTermData full;
    Request *first; /* the requests that wait, oldest first */
    Request **last;
    int open; /* the requests that wait, and the request of the job under way */
} State;

static ErlDrvUInt64 big_endian(const char *bytes, int count)
{
    ErlDrvUInt64 value = 0;
    for (int i = 0; i < count; i++)
        value = value << 8 | (unsigned char)bytes[i];
    return value;
}

static void reply(State *state, ErlDrvTermData to, ErlDrvUInt64 tag, ErlDrvTermData atom)
{
    ErlDrvTermData term[] = {
        ERL_DRV_PORT,   state->port_term,
        ERL_DRV_UINT64, (ErlDrvTermData)&tag,
        ERL_DRV_ATOM,   atom,
        ERL_DRV_TUPLE,  3,
    };
    /* 0 means that the caller has ended. The reply is dropped then. */
    (void)erl_drv_send_term(state->port_term, to, term, COUNT(term));
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
    state->full = driver_mk_atom("full");
    state->first = NULL;
    state->last = &state->first;
    state->open = 0;
    return (ErlDrvData)state;
}

/* Frees the requests that wait. The request of the job under way is not in the
 * list: the free callback of driver_async() frees it. */
static void stop(ErlDrvData data)
{
    State *state = (State *)data;
    while (state->first != NULL) {
        Request *request = state->first;
        state->first = request->next;
        driver_free(request);
    }
    driver_free(state);
}

static void work(void *data) /* called on an async thread; it must not use next */
{
    const Request *request = data;
    struct timespec left = {
        .tv_sec = request->milliseconds / 1000,
        .tv_nsec = request->milliseconds % 1000 * 1000000L,
    };
    while (nanosleep(&left, &left) == -1 && errno == EINTR)
        continue;
}

/* Takes the oldest request from the list and submits its job. If that fails, the
 * port ends and the state is freed. So the caller must not use the state afterwards. */
static void submit_next(State *state)
{
    Request *request = state->first;
    state->first = request->next;
    if (state->first == NULL)
        state->last = &state->first;
    if (driver_async(state->port, NULL, work, request, driver_free) == -1) {
        driver_free(request);
        driver_failure_posix(state->port, ENOMEM);
    }
}

/* Command: <<Tag:64, Milliseconds:16>>. */
static void output(ErlDrvData data, char *bytes, ErlDrvSizeT length)
{
    State *state = (State *)data;
    ErlDrvTermData caller = driver_caller(state->port);
    Request *request;

    if (length != 10) {
        driver_failure_posix(state->port, EINVAL);
        return; /* stop() has run inside that call, so the state is freed */
    }
    if (state->open == LIMIT) {
        reply(state, caller, big_endian(bytes, 8), state->full);
        return;
    }
    request = driver_alloc(sizeof *request);
    if (request == NULL) {
        driver_failure_posix(state->port, ENOMEM);
        return;
    }
    request->next = NULL;
    request->caller = caller;
    request->tag = big_endian(bytes, 8);
    request->milliseconds = (unsigned)big_endian(bytes + 8, 2);
    *state->last = request;
    state->last = &request->next;
    if (++state->open == 1) /* no job is under way */
        submit_next(state);
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    Request *request = (Request *)thread_data;

    reply(state, request->caller, request->tag, state->done);
    driver_free(request);
    if (--state->open > 0)
        submit_next(state);
}

static ErlDrvEntry entry = {
    .driver_name = "queue_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .ready_async = ready_async,
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(queue_drv)
{
    return &entry;
}
