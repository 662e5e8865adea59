/* SPDX-License-Identifier: 0BSD
 *
 * values_drv: a driver that calls what it is told to call, and says what the call returned.
 *
 * What it is told is a script: names of functions of erl_driver.h, separated by commas, some with a number after `=`.
 * `output`, `control` and `call` do what their data says.  What the other callbacks do is said when the port is opened:
 * `values stop:driver_sizeq,driver_enq`.  Besides:
 *
 *     wait=1                   say that the script has come to gate 1, and wait until it is opened
 *     driver_async(script)     the script of the job
 *     thread(script) join      a thread of the driver's own, with its script; wait for its end
 *     result=-1 errno=9999     what `start` returns, and the errno that it leaves
 *     refuse                   `control` and `call` return -1
 *     drain                    empty the driver queue
 *     previous                 from here on, call for the port that was opened before this one
 *     created                  from here on, call for the port that driver_create_port has made
 *
 * Each callback says its name, each call its result: `stop driver_sizeq=-1`.  `twin.py` does the same on the model.
 *
 * It is compiled once for every variant.  VALUES is the driver's name, FLAGS its flags; BARE leaves callbacks out,
 * OUTPUTV has `outputv` in place of `output`, REFUSES has an `init` that fails; INIT is what it says in it; MARKER, MAJOR and MINOR say what it was
 * compiled for.
 */
#define _GNU_SOURCE
#include "../judge_log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRING_(x) #x
#define STRING(x) STRING_(x)
#define VALUES_INIT_(name) DRIVER_INIT(name)
#define VALUES_INIT(name) VALUES_INIT_(name)

#ifndef MAJOR
#define MARKER ERL_DRV_EXTENDED_MARKER
#define MAJOR ERL_DRV_EXTENDED_MAJOR_VERSION
#define MINOR ERL_DRV_EXTENDED_MINOR_VERSION
#endif

enum { SCRIPTS = 8, SCRIPT = 512, TEXT = 128 };

/* A port's state.  It outlives the port, to the end of the case: jobs and threads look at it. */
typedef struct State {
    ErlDrvPort port, target;
    ErlDrvTermData term, opener;
    char *scripts[SCRIPTS]; /* as they were given: `stop:driver_sizeq` */
    long result;            /* of `start`, and the errno that it leaves */
    int error;
    int refuses, ready, monitors;
    struct State *previous, *created;
    ErlDrvMonitor monitor;
    ErlDrvPDL pdl;
    ErlDrvTid thread;
} State;

/* A job, or a thread. */
typedef struct {
    State *state;
    const char *from;
    char script[SCRIPT];
} Work;

static State *newest;

static void run(State *state, const char *from, const char *script);
static void callback(State *state, const char *name);

/* What is said goes to the process that plays the case. */

static void send_text(const char *text, ErlDrvTermData kind, ErlDrvTermData term)
{
    ErlDrvTermData message[] = {ERL_DRV_ATOM,        driver_mk_atom("said"), ERL_DRV_BUF2BINARY, (ErlDrvTermData)text,
                                strlen(text),        kind,                   term,               ERL_DRV_TUPLE,
                                kind == 0 ? 2u : 3u};

    if (kind == 0) {
        message[5] = ERL_DRV_TUPLE;
        message[6] = 2;
        judge_send(message, 7);
    } else {
        judge_send(message, 9);
    }
}

static void say(const char *from, const char *call, const char *value)
{
    char text[2 * TEXT];

    snprintf(text, sizeof text, "%s%s%s%s%s", from, *call ? " " : "", call, *value ? "=" : "", value);
    send_text(text, 0, 0);
}

static void say_int(const char *from, const char *call, long value)
{
    char text[32];

    snprintf(text, sizeof text, "%ld", value);
    say(from, call, text);
}

static void say_pointer(const char *from, const char *call, const void *value)
{
    say(from, call, value == NULL ? "NULL" : "pointer");
}

static void say_term(const char *from, const char *call, ErlDrvTermData kind, ErlDrvTermData value)
{
    char text[TEXT];

    if (value == driver_mk_term_nil()) {
        say(from, call, "[]");
        return;
    }
    snprintf(text, sizeof text, "%s %s=", from, call);
    send_text(text, kind, value);
}

/* Jobs and threads. */

static Work *new_work(State *state, const char *from, const char *script, size_t size)
{
    Work *work = judge_alloc(sizeof *work);

    if (work == NULL || size >= sizeof work->script)
        return NULL;
    work->state = state;
    work->from = from;
    memcpy(work->script, script, size);
    return work;
}

static void invoke(void *data)
{
    Work *work = data;

    run(work->state, work->from, work->script);
}

static void async_free(void *data)
{
    callback(((Work *)data)->state, "async_free");
    judge_expect(-1, 0);
}

static void *thread(void *data)
{
    Work *work = data;

    run(work->state, work->from, work->script);
    judge_expect(-1, 0);
    return data;
}

static long submit(State *state, const char *script, size_t size)
{
    Work *work = new_work(state, "job", script, size);
    long id;

    judge_expect(1, 0);
    id = driver_async(state->target, NULL, invoke, work, async_free);
    if (id == -1)
        judge_expect(-1, 0);
    return id;
}

static int start_thread(State *state, const char *script, size_t size)
{
    judge_expect(1, 0);
    return erl_drv_thread_create("values", &state->thread, thread, new_work(state, "thread", script, size), NULL);
}

/* The calls.  Each is made only if it is the one that is asked for. */

#define IS(name) (strcmp(call, #name) == 0)
#define INT(name, value) \
    if (IS(name))        \
        return say_int(from, call, (long)(value))
#define POINTER(name, value) \
    if (IS(name))            \
        return say_pointer(from, call, value)
#define TERM(name, kind, value) \
    if (IS(name))               \
        return say_term(from, call, kind, value)
#define VOID(name, value)                  \
    if (IS(name)) {                        \
        value;                             \
        return say(from, call, "returned"); \
    }

static void output_or_queue(State *state, const char *from, const char *call, long n)
{
    ErlDrvPort port = state->target;
    ErlDrvTermData term[] = {ERL_DRV_ATOM, driver_mk_atom("sent"), ERL_DRV_ATOM, driver_mk_atom((char *)call),
                             ERL_DRV_TUPLE, 2};
    ErlDrvBinary *bin = driver_alloc_binary(1);
    char bytes[] = "abc", buf[4];
    SysIOVec iov[] = {{bytes, 2}};
    ErlDrvBinary *binv[] = {NULL};
    SysIOVec bin_iov[] = {{bin->orig_bytes, 1}};
    ErlIOVec counted = {.vsize = 1, .size = 1, .iov = bin_iov, .binv = &bin};
    ErlIOVec ev = {.vsize = 1, .size = 2, .iov = iov, .binv = binv}, queued;
    int pieces = -7;

    bin->orig_bytes[0] = 'b';
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    INT(driver_output, driver_output(port, bytes, 1));
    INT(driver_output2, driver_output2(port, bytes, 1, bytes, 1));
    INT(driver_output_binary, driver_output_binary(port, bytes, 1, bin, 0, 1));
    INT(driver_outputv, driver_outputv(port, bytes, 1, &ev, 0));
    INT(driver_output_term, driver_output_term(port, term, 6));
    INT(driver_send_term, driver_send_term(port, state->opener, term, 6));
    INT(erl_drv_output_term, erl_drv_output_term(state->term, term, 6));
    INT(erl_drv_send_term, erl_drv_send_term(state->term, state->opener, term, 6));
    INT(driver_enq, driver_enq(port, bytes, 1));
    INT(driver_pushq, driver_pushq(port, bytes, 1));
    INT(driver_enq_bin, driver_enq_bin(port, bin, 0, 1));
    INT(driver_pushq_bin, driver_pushq_bin(port, bin, 0, 1));
    INT(driver_enqv, driver_enqv(port, &ev, 0));
    INT(driver_pushqv, driver_pushqv(port, &ev, 0));
    INT(driver_pushqv_of_a_binary, driver_pushqv(port, &counted, 0));
    INT(driver_deq, (ErlDrvSSizeT)driver_deq(port, (ErlDrvSizeT)n));
    INT(driver_sizeq, (ErlDrvSSizeT)driver_sizeq(port));
    INT(driver_vec_to_buf, driver_vec_to_buf(&ev, buf, 4));
    INT(driver_vec_to_buf_1, driver_vec_to_buf(&ev, buf, 1));
    if (IS(driver_peekq)) {
        SysIOVec *peeked = driver_peekq(port, &pieces);

        say_pointer(from, call, peeked);
        say_int(from, "vlen", pieces);
        return;
    }
    INT(driver_peekqv, (ErlDrvSSizeT)driver_peekqv(port, &queued));
    say(from, call, "no such call");
}

static void lock_or_thread(State *state, const char *from, const char *call, long n)
{
    ErlDrvMutex *mutex = erl_drv_mutex_create(NULL);
    ErlDrvRWLock *rwlock = erl_drv_rwlock_create("values");
    ErlDrvCond *cond = erl_drv_cond_create("values");
    ErlDrvTid self = erl_drv_thread_self();
    ErlDrvTSDKey key;
    void *returned;

    INT(erl_drv_mutex_trylock, erl_drv_mutex_trylock(mutex));
    if (IS(erl_drv_mutex_trylock_held)) {
        erl_drv_mutex_lock(mutex);
        return say_int(from, call, erl_drv_mutex_trylock(mutex));
    }
    if (IS(erl_drv_mutex_name))
        return say(from, call, erl_drv_mutex_name(mutex));
    if (IS(erl_drv_rwlock_name))
        return say(from, call, erl_drv_rwlock_name(rwlock));
    if (IS(erl_drv_cond_name))
        return say(from, call, erl_drv_cond_name(cond));
    POINTER(erl_drv_mutex_name_of_null, erl_drv_mutex_name(NULL));
    VOID(erl_drv_cond_signal, erl_drv_cond_signal(cond));
    VOID(erl_drv_cond_broadcast, erl_drv_cond_broadcast(cond));
    INT(erl_drv_rwlock_tryrlock, erl_drv_rwlock_tryrlock(rwlock));
    INT(erl_drv_rwlock_tryrwlock, erl_drv_rwlock_tryrwlock(rwlock));
    if (IS(erl_drv_rwlock_tryrlock_read)) {
        erl_drv_rwlock_rlock(rwlock);
        return say_int(from, call, erl_drv_rwlock_tryrlock(rwlock));
    }
    if (IS(erl_drv_rwlock_tryrwlock_read)) {
        erl_drv_rwlock_rlock(rwlock);
        return say_int(from, call, erl_drv_rwlock_tryrwlock(rwlock));
    }
    if (IS(erl_drv_rwlock_tryrlock_written)) {
        erl_drv_rwlock_rwlock(rwlock);
        return say_int(from, call, erl_drv_rwlock_tryrlock(rwlock));
    }
    INT(erl_drv_equal_tids, !!erl_drv_equal_tids(self, erl_drv_thread_self()));
    INT(erl_drv_equal_tids_other, !!erl_drv_equal_tids(self, state->thread));
    if (IS(erl_drv_thread_name))
        return say(from, call, erl_drv_thread_name(state->thread));
    INT(erl_drv_thread_join, erl_drv_thread_join(state->thread, &returned));
    INT(erl_drv_tsd_key_create, erl_drv_tsd_key_create("values", &key));
    if (IS(erl_drv_tsd_get)) {
        erl_drv_tsd_key_create("values", &key);
        say_pointer(from, call, erl_drv_tsd_get(key));
        erl_drv_tsd_set(key, state);
        return say_pointer(from, call, erl_drv_tsd_get(key));
    }
    output_or_queue(state, from, call, n);
}

static void memory(State *state, const char *from, const char *call, long n)
{
    ErlDrvBinary *bin = driver_alloc_binary(3);

    POINTER(driver_alloc, driver_alloc((ErlDrvSizeT)n));
    POINTER(driver_realloc, driver_realloc(driver_alloc(1), (ErlDrvSizeT)n));
    POINTER(driver_realloc_of_null, driver_realloc(NULL, (ErlDrvSizeT)n));
    VOID(driver_free_of_null, driver_free(NULL));
    if (IS(driver_alloc_binary))
        return say_int(from, call, (long)driver_alloc_binary((ErlDrvSizeT)n)->orig_size);
    if (IS(driver_realloc_binary))
        return say_int(from, call, (long)driver_realloc_binary(bin, (ErlDrvSizeT)n)->orig_size);
    INT(driver_binary_get_refc, driver_binary_get_refc(bin));
    INT(driver_binary_inc_refc, driver_binary_inc_refc(bin));
    if (IS(driver_binary_dec_refc)) {
        driver_binary_inc_refc(bin);
        return say_int(from, call, driver_binary_dec_refc(bin));
    }
    VOID(driver_free_binary_of_null, driver_free_binary(NULL));
    lock_or_thread(state, from, call, n);
}

static void system_call(State *state, const char *from, const char *call, long n)
{
    ErlDrvPort port = state->target;
    ErlDrvSysInfo info;
    ErlDrvNowData now;
    char text[TEXT];
    size_t size = sizeof text;

    if (IS(driver_system_info)) {
        driver_system_info(&info, sizeof info);
        snprintf(text, sizeof text, "%d.%d, %d async threads, %d schedulers", info.driver_major_version,
                 info.driver_minor_version, info.async_threads, info.scheduler_threads);
        return say(from, call, text);
    }
    if (IS(erl_drv_monotonic_time))
        return say(from, call, erl_drv_monotonic_time(ERL_DRV_NSEC) == ERL_DRV_TIME_ERROR ? "ERL_DRV_TIME_ERROR" : "time");
    if (IS(erl_drv_time_offset))
        return say(from, call, erl_drv_time_offset(ERL_DRV_NSEC) == ERL_DRV_TIME_ERROR ? "ERL_DRV_TIME_ERROR" : "time");
    INT(erl_drv_convert_time_unit, erl_drv_convert_time_unit(1999, ERL_DRV_MSEC, ERL_DRV_SEC));
    INT(driver_lock_driver, driver_lock_driver(port));
    INT(get_port_flags, get_port_flags(port));
    INT(driver_get_now, driver_get_now(&now));
    INT(erl_drv_consume_timeslice, erl_drv_consume_timeslice(port, 1));
    if (IS(erl_errno_id))
        return say(from, call, erl_errno_id((int)n));
    INT(erl_drv_putenv, erl_drv_putenv("VALUES", "5"));
    INT(erl_drv_getenv, erl_drv_getenv("VALUES_UNSET", text, &size));
    VOID(erl_drv_set_os_pid, erl_drv_set_os_pid(port, 7));
    VOID(erl_drv_init_ack, erl_drv_init_ack(port, (ErlDrvData)(n ? (void *)n : state)));
    memory(state, from, call, n);
}

/* A port whose driver data is a state of its own, without scripts. */
static void create_port(State *state, const char *from, const char *call)
{
    State *made = judge_alloc(sizeof *made);
    ErlDrvTermData opened[] = {ERL_DRV_ATOM, driver_mk_atom("opened"), ERL_DRV_PORT, 0, ERL_DRV_TUPLE, 2};

    made->port = made->target = driver_create_port(state->target, state->opener, "values created", (ErlDrvData)made);
    if (made->port == (ErlDrvPort)-1)
        return say(from, call, "-1");
    judge_expect(0, 1);
    opened[3] = made->term = driver_mk_port(made->port);
    made->opener = state->opener;
    state->created = made;
    judge_send(opened, sizeof opened / sizeof *opened);
    say(from, call, "port");
}

static void port_call(State *state, const char *from, const char *call, long n)
{
    ErlDrvPort port = state->target;
    unsigned long left = 77;
    ErlDrvSizeT low = 0, high = 0;
    char text[TEXT];

    if (IS(driver_create_port))
        return create_port(state, from, call);
    INT(driver_set_timer, driver_set_timer(port, (unsigned long)n));
    INT(driver_cancel_timer, driver_cancel_timer(port));
    if (IS(driver_read_timer)) {
        say_int(from, call, driver_read_timer(port, &left));
        return say(from, "time_left", left == 0 ? "0" : left == 77 ? "unwritten" : "some");
    }
    VOID(set_busy_port, set_busy_port(port, (int)n));
    if (IS(erl_drv_busy_msgq_limits)) {
        erl_drv_busy_msgq_limits(port, &low, &high);
        snprintf(text, sizeof text, "%ld to %ld", low == ERL_DRV_BUSY_MSGQ_DISABLED ? -1L : (long)low,
                 high == ERL_DRV_BUSY_MSGQ_DISABLED ? -1L : (long)high);
        return say(from, call, text);
    }
    VOID(set_port_control_flags, set_port_control_flags(port, (int)n));
    INT(driver_failure_atom, driver_failure_atom(port, "failed"));
    INT(driver_failure_posix, driver_failure_posix(port, (int)n));
    INT(driver_failure_eof, driver_failure_eof(port));
    INT(driver_failure, driver_failure(port, (int)n));
    INT(driver_exit, driver_exit(port, (int)n));
    TERM(driver_mk_port, ERL_DRV_PORT, driver_mk_port(port));
    TERM(driver_connected, ERL_DRV_PID, driver_connected(port));
    TERM(driver_caller, ERL_DRV_PID, driver_caller(port));
    if (IS(driver_monitor_process)) {
        int result = driver_monitor_process(port, state->opener, &state->monitor);

        state->monitors = result == 0;
        return say_int(from, call, result);
    }
    if (strstr(call, "monitor") != NULL && strstr(call, "driver_") == call && !state->monitors)
        return say(from, call, "no monitor");
    INT(driver_demonitor_process, driver_demonitor_process(port, &state->monitor));
    TERM(driver_get_monitored_process, ERL_DRV_PID, driver_get_monitored_process(port, &state->monitor));
    INT(driver_compare_monitors, driver_compare_monitors(&state->monitor, &state->monitor));
    POINTER(driver_pdl_create, state->pdl = driver_pdl_create(port));
    if (strncmp(call, "driver_pdl", strlen("driver_pdl")) == 0 && state->pdl == NULL)
        return say(from, call, "no lock");
    INT(driver_pdl_get_refc, driver_pdl_get_refc(state->pdl));
    INT(driver_pdl_inc_refc, driver_pdl_inc_refc(state->pdl));
    INT(driver_pdl_dec_refc, driver_pdl_dec_refc(state->pdl));
    VOID(driver_pdl_lock, driver_pdl_lock(state->pdl));
    VOID(driver_pdl_unlock, driver_pdl_unlock(state->pdl));
    if (IS(driver_async_port_key))
        return say(from, call, driver_async_port_key(port) == 0 ? "0" : "the port's number");
    system_call(state, from, call, n);
}

/* Scripts. */

static void do_one(State *state, const char *from, const char *text, size_t size)
{
    size_t length = strcspn(text, "=(");
    const char *inner = text + length + 1;
    size_t inner_size = size > length + 1 ? size - length - 2 : 0;
    char call[64] = "";
    long n = text[length] == '=' && length < size ? strtol(inner, NULL, 10) : 0;

    if (length > size)
        length = size;
    snprintf(call, sizeof call, "%.*s", (int)length, text);
    if (IS(wait)) {
        judge_tell((int)n);
        judge_wait((int)n);
    } else if (IS(result)) {
        state->result = n;
    } else if (IS(errno)) {
        state->error = (int)n;
    } else if (IS(refuse)) {
        state->refuses = 1;
    } else if (IS(drain)) {
        driver_deq(state->port, driver_sizeq(state->port));
    } else if (IS(previous)) {
        state->target = state->previous->port;
    } else if (IS(created)) {
        if (state->created != NULL)
            state->target = state->created->port;
    } else if (IS(driver_async)) {
        long id = submit(state, inner, inner_size);

        say(from, call, id == -1 ? "-1" : id == 0 ? "0" : "id");
    } else if (IS(thread)) {
        say_int(from, "erl_drv_thread_create", start_thread(state, inner, inner_size));
    } else {
        port_call(state, from, call, n);
    }
}

static void run(State *state, const char *from, const char *script)
{
    while (*script != '\0') {
        size_t size = 0;
        int depth = 0;

        while (script[size] != '\0' && (script[size] != ',' || depth > 0)) {
            depth += (script[size] == '(') - (script[size] == ')');
            size++;
        }
        do_one(state, from, script, size);
        script += size + (script[size] == ',');
    }
}

/* Callbacks. */

static void callback(State *state, const char *name)
{
    size_t size = strlen(name);

    judge_enter();
    say(name, "", "");
    for (int i = 0; i < SCRIPTS && state->scripts[i] != NULL; i++)
        if (strncmp(state->scripts[i], name, size) == 0 && state->scripts[i][size] == ':')
            run(state, name, state->scripts[i] + size + 1);
    judge_leave();
}

#ifndef INIT
#define INIT "init"
#endif

static int init(void)
{
    say(INIT, "", "");
#ifdef REFUSES
    return -1;
#else
    return 0;
#endif
}

static void finish(void)
{
    say("finish", "", "");
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    State *state = judge_alloc(sizeof *state);
    char *rest = judge_alloc(strlen(command) + 1), *at = NULL, *word;
    ErlDrvTermData opened[] = {ERL_DRV_ATOM, driver_mk_atom("opened"), ERL_DRV_PORT, driver_mk_port(port), ERL_DRV_TUPLE, 2};
    int scripts = 0;

    if (state == NULL || rest == NULL)
        return ERL_DRV_ERROR_GENERAL;
    state->port = state->target = port;
    state->term = driver_mk_port(port);
    state->opener = driver_caller(port);
    state->error = ENOENT;
    state->previous = newest;
    newest = state;
    strcpy(rest, command);
    for (word = strtok_r(rest, " ", &at); word != NULL && scripts < SCRIPTS - 1; word = strtok_r(NULL, " ", &at))
        if (strchr(word, ':') != NULL)
            state->scripts[scripts++] = word;
    judge_expect(0, 1);
    judge_send(opened, sizeof opened / sizeof *opened);
    callback(state, "start");
    if (state->result != 0)
        judge_expect(0, -1);
    errno = state->error;
    return state->result == 0 ? (ErlDrvData)state : (ErlDrvData)state->result;
}

static void stop(ErlDrvData data)
{
    callback((State *)data, "stop");
    judge_expect(0, -1);
}

#ifndef BARE
static void told(State *state, const char *name, const char *data, size_t size)
{
    char script[SCRIPT];

    judge_enter();
    say(name, "", "");
    snprintf(script, sizeof script, "%.*s", (int)size, data);
    run(state, name, script);
    judge_leave();
}

#ifdef OUTPUTV
static void outputv(ErlDrvData data, ErlIOVec *ev)
{
    char script[SCRIPT];
    ErlDrvSizeT size = driver_vec_to_buf(ev, script, sizeof script);

    told((State *)data, "outputv", script, size);
}
#else
static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    told((State *)data, "output", buf, len);
}
#endif

static ErlDrvSSizeT control(ErlDrvData data, unsigned int operation, char *buf, ErlDrvSizeT len, char **rbuf,
                            ErlDrvSizeT rlen)
{
    (void)operation;
    (void)rlen;
    told((State *)data, "control", buf, len);
    if (((State *)data)->refuses)
        return -1;
    memcpy(*rbuf, "ok", 2);
    return 2;
}

/* The term is a binary, its reply the atom `ok`, both in the external term format. */
static ErlDrvSSizeT call(ErlDrvData data, unsigned int operation, char *buf, ErlDrvSizeT len, char **rbuf,
                         ErlDrvSizeT rlen, unsigned int *flags)
{
    static const char ok[] = {(char)131, 100, 0, 2, 'o', 'k'};

    (void)operation;
    (void)rlen;
    (void)flags;
    told((State *)data, "call", buf + 6, len - 6);
    if (((State *)data)->refuses)
        return -1;
    memcpy(*rbuf, ok, sizeof ok);
    return sizeof ok;
}

static void timeout(ErlDrvData data)
{
    callback((State *)data, "timeout");
}

static void flush(ErlDrvData data)
{
    callback((State *)data, "flush");
}

static void ready_async(ErlDrvData data, ErlDrvThreadData job)
{
    State *state = (State *)data;

    (void)job;
    if (state->ready++ == 0) /* a job of its script would come back here for ever */
        callback(state, "ready_async");
    judge_expect(-1, 0);
}

static void process_exit(ErlDrvData data, ErlDrvMonitor *monitor)
{
    (void)monitor;
    callback((State *)data, "process_exit");
}
#endif

static ErlDrvEntry entry = {
    .init = init,
    .start = start,
    .stop = stop,
#ifndef BARE
#ifdef OUTPUTV
    .outputv = outputv,
#else
    .output = output,
#endif
    .control = control,
    .call = call,
    .timeout = timeout,
    .flush = flush,
    .ready_async = ready_async,
    .process_exit = process_exit,
#endif
    .finish = finish,
    .driver_name = STRING(VALUES),
    .extended_marker = (int)MARKER,
    .major_version = MAJOR,
    .minor_version = MINOR,
    .driver_flags = FLAGS,
};

VALUES_INIT(VALUES)
{
    return &entry;
}
