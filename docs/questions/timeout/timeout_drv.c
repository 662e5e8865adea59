/* timeout_drv.c: each request is answered within its own time limit.
 *
 * Command: <<Tag:64, Work:16, Limit:32>>. Work is how many milliseconds the job sleeps.
 *     Limit is how many milliseconds the caller waits.
 * Answer: {Port, Tag, done} or {Port, Tag, timeout}, or {Port, Tag, busy} if the port
 *     has too many jobs. The port sends it to the process that sent the command.
 *
 * A port has one timer. The driver sets it for the earliest deadline and keeps the
 * deadlines in a heap. Each open request has a slot in the state. The slot's generation
 * is raised when the request is answered. A job has a copy of the generation that its
 * slot had when the job was submitted. If the two differ when the job comes back, its
 * result is late, and ready_async() drops it.
 *
 * A timeout does not end the job. The async thread is free again when the job ends.
 * socket_drv.c shows a job with a time limit of its own.
 *
 * Threads: a scheduler calls every callback of the port, under the port lock. An async
 *     thread calls work().
 *
 * Compile and run, in this folder:
 *
 *   INC=$(erl -noshell -eval 'io:put_chars(code:root_dir()), halt().')/usr/include
 *   cc -Wall -Wextra -Werror -std=c11 -O2 -fPIC -shared -I"$INC" -o timeout_drv.so timeout_drv.c
 *   erlc +warnings_as_errors timeout_drv.erl
 *   erl -noshell -s timeout_drv main -s init stop
 *
 * SPDX-License-Identifier: 0BSD
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <time.h>
#include <erl_driver.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

enum { SLOTS = 64, JOBS = 128 }; /* open requests; jobs that are not back, also late ones */

typedef struct {
    ErlDrvUInt64 generation; /* raised by 1 with each answer */
    ErlDrvTime due;          /* microseconds */
    ErlDrvTermData caller;
    ErlDrvUInt64 tag;
    int at; /* the index of this slot in State.order */
} Slot;

/* Only callbacks use it. The port lock serializes them, so the state has no lock of its own. */
typedef struct {
    ErlDrvPort port;
    ErlDrvTermData port_term, done, timeout, busy;
    Slot slots[SLOTS];
    int order[SLOTS]; /* slot numbers: a heap of the open slots, then the free slots */
    int open; /* requests without an answer: the size of the heap */
    int jobs; /* jobs that are not back */
} State;

typedef struct {
    int slot;
    ErlDrvUInt64 generation;
    unsigned milliseconds;
} Job;

static ErlDrvUInt64 big_endian(const char *bytes, int count)
{
    ErlDrvUInt64 value = 0;
    for (int i = 0; i < count; i++)
        value = value << 8 | (unsigned char)bytes[i];
    return value;
}

static void put(State *state, int at, int slot)
{
    state->order[at] = slot;
    state->slots[slot].at = at;
}

static ErlDrvTime due(const State *state, int at)
{
    return state->slots[state->order[at]].due;
}

static void swap(State *state, int one, int other)
{
    int slot = state->order[one];
    put(state, one, state->order[other]);
    put(state, other, slot);
}

/* Restores the order of the heap after the entry at this index has changed. */
static void settle(State *state, int at)
{
    while (at > 0 && due(state, at) < due(state, (at - 1) / 2)) {
        swap(state, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
    for (;;) {
        int least = at;
        for (int child = 2 * at + 1; child <= 2 * at + 2 && child < state->open; child++)
            if (due(state, child) < due(state, least))
                least = child;
        if (least == at)
            return;
        swap(state, at, least);
        at = least;
    }
}

/* Sets the timer for the earliest deadline. A new setting replaces the old one. */
static void arm(State *state)
{
    if (state->open == 0) {
        (void)driver_cancel_timer(state->port); /* timer calls cannot fail in a callback */
    } else {
        ErlDrvTime left = due(state, 0) - erl_drv_monotonic_time(ERL_DRV_USEC);
        (void)driver_set_timer(state->port, left > 0 ? (unsigned long)((left + 999) / 1000) : 0);
    }
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

/* Sends the only answer of an open request and frees its slot. */
static void answer(State *state, Slot *slot, ErlDrvTermData atom)
{
    int at = slot->at;
    reply(state, slot->caller, slot->tag, atom);
    slot->generation++;
    swap(state, at, --state->open);
    if (at < state->open)
        settle(state, at);
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
    state->timeout = driver_mk_atom("timeout");
    state->busy = driver_mk_atom("busy");
    state->open = state->jobs = 0;
    for (int i = 0; i < SLOTS; i++) {
        state->slots[i].generation = 0;
        put(state, i, i);
    }
    return (ErlDrvData)state;
}

static void stop(ErlDrvData data)
{
    driver_free(data); /* the emulator has cancelled the timer before this call */
}

/* An async thread calls it. The sleep stands for work that cannot be interrupted. */
static void work(void *data)
{
    const Job *job = data;
    struct timespec left = {
        .tv_sec = job->milliseconds / 1000,
        .tv_nsec = job->milliseconds % 1000 * 1000000L,
    };
    while (nanosleep(&left, &left) == -1 && errno == EINTR)
        continue;
}

/* Command: <<Tag:64, Work:16, Limit:32>>, big-endian. */
static void output(ErlDrvData data, char *bytes, ErlDrvSizeT length)
{
    State *state = (State *)data;
    Slot *slot;
    Job *job;

    if (length != 14) {
        driver_failure_posix(state->port, EINVAL);
        return; /* stop() has run inside that call, so the state is freed */
    }
    if (state->open == SLOTS || state->jobs == JOBS) { /* JOBS bounds the number of late jobs */
        reply(state, driver_caller(state->port), big_endian(bytes, 8), state->busy);
        return;
    }
    job = driver_alloc(sizeof *job);
    if (job == NULL) {
        driver_failure_posix(state->port, ENOMEM);
        return;
    }
    slot = &state->slots[state->order[state->open]];
    slot->caller = driver_caller(state->port);
    slot->tag = big_endian(bytes, 8);
    slot->due = erl_drv_monotonic_time(ERL_DRV_USEC) + 1000 * (ErlDrvTime)big_endian(bytes + 10, 4);
    job->slot = state->order[state->open];
    job->generation = slot->generation;
    job->milliseconds = (unsigned)big_endian(bytes + 8, 2);
    if (driver_async(state->port, NULL, work, job, driver_free) == -1) {
        driver_free(job);
        driver_failure_posix(state->port, ENOMEM);
        return;
    }
    state->jobs++;
    state->open++;
    settle(state, state->open - 1);
    arm(state);
}

static void timeout(ErlDrvData data)
{
    State *state = (State *)data;
    ErlDrvTime now = erl_drv_monotonic_time(ERL_DRV_USEC);

    while (state->open > 0 && due(state, 0) <= now)
        answer(state, &state->slots[state->order[0]], state->timeout);
    arm(state);
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    Job *job = (Job *)thread_data;
    Slot *slot = &state->slots[job->slot];

    state->jobs--;
    if (job->generation == slot->generation) { /* otherwise timeout() has answered */
        answer(state, slot, state->done);
        arm(state);
    }
    driver_free(job);
}

static ErlDrvEntry entry = {
    .driver_name = "timeout_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .timeout = timeout,
    .ready_async = ready_async,
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(timeout_drv)
{
    return &entry;
}
