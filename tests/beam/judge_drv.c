/* SPDX-License-Identifier: 0BSD
 *
 * judge_drv: a driver that does what it is told and logs what happens to it.
 *
 * What it is told is a script, a row of instructions; `judge.py` lists them and does the same to the model.  `output`
 * and `control` do what their data says.  What the other callbacks do is said when the port is opened: `judge r:b0 z:n`
 * clears busy in `ready_async` and schedules a job in `stop`.
 *
 * It is compiled once for every variant.  JUDGE is the driver's name, FLAGS its flags; NO_READY_ASYNC, NO_FLUSH and
 * BARE leave callbacks out.
 */
#define _GNU_SOURCE
#include "judge_log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STRING_(x) #x
#define STRING(x) STRING_(x)
#define JUDGE_INIT_(name) DRIVER_INIT(name)
#define JUDGE_INIT(name) JUDGE_INIT_(name)

enum { SCRIPTS = 8, REPLY = 8 };

/* A port's state.  It outlives the port, to the end of the run: jobs look at it. */
typedef struct {
    ErlDrvPort port;
    ErlDrvTermData term, caller;
    char *scripts[SCRIPTS]; /* as they were given: `r:s1` */
    unsigned int key;
    int result; /* of `start` */
    int closed, kept; /* jobs that are done and have no free function; guarded by `guard` */
    atomic_int cancelled;
    ErlDrvMonitor monitor;
    ErlDrvPDL pdl;
    ErlDrvBinary *binary;
    int near, far; /* a pair of sockets: what the port selects, and what is written to */
} State;

typedef struct {
    State *state;
    int number, has_free;
    char script[64];
    char submitter[JUDGE_NAME_SIZE];
} Job;

typedef struct {
    unsigned char bytes[REPLY];
    int size;
} Reply;

static ErlDrvMutex *guard;

static void run(State *state, const char *script, Reply *reply);

/* What a callback is to do; `number` distinguishes the `ready_async` of the n-th job. */
static const char *script_for(const State *state, char callback, int number)
{
    const char *found = "";

    for (int i = 0; i < SCRIPTS && state->scripts[i] != NULL; i++) {
        const char *script = state->scripts[i], *colon = strchr(script, ':');

        if (script[0] != callback || colon == NULL)
            continue;
        if (colon == script + 1)
            found = colon + 1;
        else if (atoi(script + 1) == number)
            return colon + 1;
    }
    return found;
}

static void callback(State *state, const char *name, char letter)
{
    judge_enter();
    judge_event(name, 0);
    run(state, script_for(state, letter, 0), NULL);
    judge_leave();
}

/* The pair of sockets. */

static ErlDrvEvent event_of(int descriptor)
{
    return (ErlDrvEvent)(ErlDrvSInt)descriptor;
}

static void open_pair(State *state)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == -1 ||
        (ends[0] = judge_renumber(ends[0])) == -1) {
        judge_event("bad-script", 0);
        return;
    }
    state->near = ends[0];
    state->far = ends[1];
    judge_keep(state->far);
}

/* It fails if the near end is closed. */
static void write_byte(const State *state)
{
    if (write(state->far, "w", 1) == -1 && errno != EPIPE)
        judge_event("bad-script", 0);
}

/* How many bytes were read: 1 or 0. */
static int read_byte(const State *state)
{
    char byte;

    return read(state->near, &byte, 1) == 1;
}

/* Terms that crash some emulators. */

/* The number 0, in no tuple or list, so many times. */
static void send_bare(const State *state, long times)
{
    ErlDrvTermData term[] = {ERL_DRV_INT, 0};

    while (times-- > 0)
        erl_drv_send_term(state->term, state->caller, term, 2);
}

/* A map of 129 keys. */
static void send_big_map(const State *state)
{
    enum { KEYS = 129 };
    ErlDrvTermData term[KEYS * 4 + 2], *at = term;

    for (int key = 0; key < KEYS; key++) {
        *at++ = ERL_DRV_INT;
        *at++ = (ErlDrvTermData)key;
        *at++ = ERL_DRV_INT;
        *at++ = 0;
    }
    *at++ = ERL_DRV_MAP;
    *at++ = KEYS;
    erl_drv_send_term(state->term, state->caller, term, at - term);
}

/* Jobs. */

static void body(Job *job)
{
    State *state = job->state;

    for (const char *s = job->script; *s != '\0'; s++) {
        int n = s[1] - '0', place;
        ErlDrvTermData term[] = {ERL_DRV_INT, (ErlDrvTermData)job->number, ERL_DRV_TUPLE, 1};

        switch (*s) {
        case 'w':
            judge_wait(n);
            s++;
            break;
        case 'g':
            judge_give(n);
            s++;
            break;
        case 's':
            judge_tell(n);
            s++;
            break;
        case 'i':
            if (atomic_load(&state->cancelled))
                return;
            break;
        case 'm':
            place = judge_event("erl_drv_send_term", 0);
            if (erl_drv_send_term(state->term, state->caller, term, 4) == -1)
                judge_void(place);
            break;
        case 'M':
            place = judge_event("erl_drv_output_term", 0);
            if (erl_drv_output_term(state->term, term, 4) == -1)
                judge_void(place);
            break;
        case 'H':
            send_big_map(state);
            break;
        case 'W':
            write_byte(state);
            break;
        default:
            judge_event("bad-script", 0);
        }
    }
}

/* A job that comes back must do so on the scheduler that submitted it. */
static void check_thread(const Job *job)
{
    char name[JUDGE_NAME_SIZE];

    judge_thread(name);
    if (strcmp(name, job->submitter) != 0)
        judge_event("wrong-thread", job->number);
}

static void invoke(void *data)
{
    Job *job = data;
    State *state = job->state;
    char name[JUDGE_NAME_SIZE];
    int gone;

    judge_event("async_invoke", job->number);
    judge_thread(name);
    if (strstr(name, "async") == NULL)
        judge_event("wrong-thread", job->number);
    body(job);
    judge_event("async_return", job->number);
    if (job->has_free)
        return;
    erl_drv_mutex_lock(guard);
#ifdef NO_READY_ASYNC
    gone = 1;
#else
    gone = state->closed;
#endif
    state->kept += !gone;
    erl_drv_mutex_unlock(guard);
    if (gone)
        judge_expect(-1, 0);
}

static void async_free(void *data)
{
    Job *job = data;

    judge_enter();
    judge_event("async_free", job->number);
    check_thread(job);
    run(job->state, script_for(job->state, 'a', 0), NULL);
    judge_expect(-1, 0);
    judge_leave();
}

/* Not async_free: a job may be submitted without one. */
static void submit(State *state, unsigned int *key, int has_free, const char *script, size_t size)
{
    Job *job = judge_alloc(sizeof *job);

    if (job == NULL || size >= sizeof job->script) {
        judge_event("bad-script", 0);
        return;
    }
    job->state = state;
    job->has_free = has_free;
    memcpy(job->script, script, size);
    judge_thread(job->submitter);
    judge_async(state->port, key, invoke, job, has_free ? async_free : NULL, &job->number);
}

/* Scripts. */

static void answer(Reply *reply, int byte)
{
    if (reply != NULL && reply->size < REPLY)
        reply->bytes[reply->size++] = (unsigned char)byte;
}

/* Log a call and make it; a call that fails has not happened. */
#define CALL(name, call)                 \
    do {                                 \
        int place = judge_event(name, 0); \
        if ((call) == -1)                \
            judge_void(place);           \
    } while (0)

static void run(State *state, const char *script, Reply *reply)
{
    static char data[64];
    ErlDrvTermData term[] = {ERL_DRV_INT, 0, ERL_DRV_TUPLE, 1};
    ErlDrvPort port = state->port;

    while (*script != '\0') {
        char instruction = *script++, *end;
        long n = strtol(script, &end, 10);
        unsigned int key = (unsigned int)n;
        const char *job = "";
        size_t size = 0;
        unsigned long left = 0;
        ErlDrvSizeT low, high;

        script = end;
        if (*script == '(') {
            job = script + 1;
            size = strcspn(job, ")");
            script = job + size + (job[size] == ')');
        }
        switch (instruction) {
        case 'n':
            submit(state, NULL, 1, job, size);
            break;
        case 'N':
            submit(state, NULL, 0, job, size);
            break;
        case 'k':
            submit(state, &key, 1, job, size);
            break;
        case 'v':
            submit(state, &state->key, 1, job, size);
            break;
        case 'V':
            state->key = key;
            break;
        case '=':
            answer(reply, (int)state->key);
            break;
        case 'w':
            judge_wait((int)n);
            break;
        case 'g':
            judge_give((int)n);
            break;
        case 's':
            judge_tell((int)n);
            break;
        case 'i':
            atomic_store(&state->cancelled, 1);
            break;
        case 't':
            CALL("driver_set_timer", driver_set_timer(port, (unsigned long)n));
            break;
        case 'c':
            CALL("driver_cancel_timer", driver_cancel_timer(port));
            break;
        case 'T':
            driver_read_timer(port, &left);
            answer(reply, left > 0);
            break;
        case 'q':
            CALL("driver_enq", driver_enq(port, data, (ErlDrvSizeT)n));
            break;
        case 'd':
            CALL("driver_deq", (int)(ErlDrvSSizeT)driver_deq(port, (ErlDrvSizeT)n));
            break;
        case 'z':
            answer(reply, (int)driver_sizeq(port));
            break;
        case 'b':
            judge_event("set_busy_port", 0);
            set_busy_port(port, (int)n);
            break;
        case 'l':
            low = high = (ErlDrvSizeT)n;
            erl_drv_busy_msgq_limits(port, &low, &high);
            break;
        case 'f':
            CALL("driver_failure_atom", driver_failure_atom(port, "judged"));
            break;
        case 'y':
            CALL("driver_failure_posix", driver_failure_posix(port, ENOENT));
            break;
        case 'F':
            CALL("driver_failure", driver_failure(port, -1));
            break;
        case 'e':
            CALL("driver_failure_eof", driver_failure_eof(port));
            break;
        case 'x':
            CALL("driver_exit", driver_exit(port, 0));
            break;
        case 'o':
            CALL("driver_output", driver_output(port, "o", 1));
            break;
        case 'M':
            CALL("erl_drv_output_term", erl_drv_output_term(state->term, term, 4));
            break;
        case 'm':
            CALL("erl_drv_send_term", erl_drv_send_term(state->term, state->caller, term, 4));
            break;
        case 'u':
            send_bare(state, n);
            break;
        case 'H':
            send_big_map(state);
            break;
        case 'p':
            answer(reply, driver_monitor_process(port, state->caller, &state->monitor) & 0xff);
            break;
        case 'P':
            answer(reply, driver_demonitor_process(port, &state->monitor));
            break;
        case 'R':
            state->result = (int)n;
            break;
        case 'L':
            state->pdl = driver_pdl_create(port);
            break;
        case 'C':
            answer(reply, (int)driver_pdl_get_refc(state->pdl));
            break;
        case 'B':
            state->binary = driver_alloc_binary(1);
            if (state->binary == NULL)
                return;
            state->binary->orig_bytes[0] = 0;
            break;
        case 'I':
            driver_binary_inc_refc(state->binary);
            break;
        case 'Q':
            CALL("driver_enq_bin", driver_enq_bin(port, state->binary, 0, 1));
            break;
        case 'A':
            driver_free_binary(state->binary);
            break;
        case 'r':
            answer(reply, (int)driver_binary_get_refc(state->binary));
            break;
        case 'Y':
            answer(reply, (int)(driver_async_port_key(port) % 100));
            break;
        case 'O':
            open_pair(state);
            break;
        case 'S':
            CALL("driver_select", driver_select(port, event_of(state->near), (int)n, 1));
            break;
        case 'D':
            CALL("driver_select", driver_select(port, event_of(state->near), (int)n, 0));
            break;
        case 'W':
            write_byte(state);
            break;
        case 'G':
            answer(reply, read_byte(state));
            break;
        case 'X':
            shutdown(state->far, SHUT_WR);
            break;
        case 'K':
            close(state->near);
            break;
        case ' ':
            break;
        default:
            judge_event("bad-script", 0);
        }
    }
}

/* Callbacks. */

static int init(void)
{
    guard = erl_drv_mutex_create("judge");
    judge_event("init", 0);
    return guard == NULL ? -1 : 0;
}

static void finish(void)
{
    judge_event("finish", 0);
    erl_drv_mutex_destroy(guard);
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    State *state = judge_alloc(sizeof *state);
    char *rest = judge_alloc(strlen(command) + 1), *at = NULL, *word;
    int scripts = 0;

    if (state == NULL || rest == NULL)
        return ERL_DRV_ERROR_GENERAL;
    judge_enter();
    judge_expect(0, 1);
    judge_event("start", 0);
    state->port = port;
    state->term = driver_mk_port(port);
    state->caller = driver_caller(port);
    strcpy(rest, command);
    for (word = strtok_r(rest, " ", &at); word != NULL && scripts < SCRIPTS; word = strtok_r(NULL, " ", &at))
        if (strchr(word, ':') != NULL)
            state->scripts[scripts++] = word;
    run(state, script_for(state, 's', 0), NULL);
    if (state->result != 0)
        judge_expect(0, -1);
    judge_leave();
    errno = ENOENT;
    return state->result == 0 ? (ErlDrvData)state : (ErlDrvData)(long)state->result;
}

static void stop(ErlDrvData data)
{
    State *state = (State *)data;
    int kept;

    judge_enter();
    judge_event("stop", 0);
    run(state, script_for(state, 'z', 0), NULL);
    erl_drv_mutex_lock(guard);
    state->closed = 1;
    kept = state->kept;
    erl_drv_mutex_unlock(guard);
    judge_expect(-kept, -1);
    judge_leave();
}

#ifndef BARE
static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    State *state = (State *)data;
    char script[256];

    judge_enter();
    judge_event("output", 0);
    state->caller = driver_caller(state->port);
    snprintf(script, sizeof script, "%.*s", (int)len, buf);
    run(state, script, NULL);
    judge_leave();
}

static ErlDrvSSizeT control(ErlDrvData data, unsigned int operation, char *buf, ErlDrvSizeT len, char **rbuf,
                            ErlDrvSizeT rlen)
{
    State *state = (State *)data;
    Reply reply = {.size = 0};
    char script[64];

    (void)operation;
    (void)rlen;
    judge_enter();
    judge_event("control", 0);
    state->caller = driver_caller(state->port);
    snprintf(script, sizeof script, "%.*s", (int)len, buf);
    run(state, script, &reply);
    memcpy(*rbuf, reply.bytes, (size_t)reply.size);
    judge_leave();
    return reply.size;
}

static void timeout(ErlDrvData data)
{
    callback((State *)data, "timeout", 't');
}

static void process_exit(ErlDrvData data, ErlDrvMonitor *monitor)
{
    (void)monitor;
    callback((State *)data, "process_exit", 'p');
}
#endif

static void ready_input(ErlDrvData data, ErlDrvEvent event)
{
    (void)event;
    callback((State *)data, "ready_input", 'i');
}

static void ready_output(ErlDrvData data, ErlDrvEvent event)
{
    (void)event;
    callback((State *)data, "ready_output", 'o');
}

static void stop_select(ErlDrvEvent event, void *reserved)
{
    (void)reserved;
    judge_enter();
    judge_event("stop_select", 0);
    close((int)(ErlDrvSInt)event);
    judge_leave();
}

#ifndef NO_READY_ASYNC
static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    Job *job = (Job *)thread_data;

    judge_enter();
    judge_event("ready_async", job->number);
    check_thread(job);
    if (!job->has_free) {
        erl_drv_mutex_lock(guard);
        state->kept--;
        erl_drv_mutex_unlock(guard);
    }
    run(state, script_for(state, 'r', job->number), NULL);
    judge_expect(-1, 0);
    judge_leave();
}
#endif

#ifndef NO_FLUSH
static void flush(ErlDrvData data)
{
    callback((State *)data, "flush", 'f');
}
#endif

static ErlDrvEntry entry = {
    .init = init,
    .start = start,
    .stop = stop,
#ifndef BARE
    .output = output,
    .control = control,
    .timeout = timeout,
    .process_exit = process_exit,
#endif
#ifndef NO_READY_ASYNC
    .ready_async = ready_async,
#endif
#ifndef NO_FLUSH
    .flush = flush,
#endif
    .ready_input = ready_input,
    .ready_output = ready_output,
    .stop_select = stop_select,
    .finish = finish,
    .driver_name = STRING(JUDGE),
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = FLAGS,
};

JUDGE_INIT(JUDGE)
{
    return &entry;
}
