/* every_call_drv.c: each function of erl_driver.h that the model has, called once and its result checked.
 *
 * port_control(Port, N, Data) runs test N.  The answer is "ok", or the condition that does not hold.
 */
#include <erl_driver.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    ErlDrvPort port;
    ErlDrvTermData id, owner;
    ErlDrvMonitor monitor;
    ErlDrvBinary *kept;
    ErlDrvMutex *mutex;
    ErlDrvCond *cond;
    ErlDrvTSDKey key;
    unsigned int async_key;
    int go;
    int timeouts, exits, results;
    char answer[200];
} State;

#define HOLDS(condition)                                                            \
    do {                                                                            \
        if (!(condition)) {                                                         \
            snprintf(s->answer, sizeof s->answer, "%d: %s", __LINE__, #condition);  \
            return;                                                                 \
        }                                                                           \
    } while (0)

static int initialised, gone;

static int init(void)
{
    initialised = 1;
    return 0;
}

static void finish(void) { initialised = 0; }

static ErlDrvData start(ErlDrvPort port, char *command)
{
    State *s = driver_alloc(sizeof *s);
    if (strcmp(command, "every_call gone") == 0) {
        driver_free(s);
        return gone ? ERL_DRV_ERROR_BADARG : ERL_DRV_ERROR_GENERAL;
    }
    if (strcmp(command, "every_call refuse") == 0) {
        driver_free(s);
        errno = ENOENT;
        return ERL_DRV_ERROR_ERRNO;
    }
    memset(s, 0, sizeof *s);
    s->port = port;
    s->id = driver_mk_port(port);
    s->owner = driver_connected(port);
    set_port_control_flags(port, PORT_CONTROL_FLAG_BINARY);
    return (ErlDrvData)s;
}

static void stop(ErlDrvData data)
{
    State *s = (State *)data;
    if (s->kept != NULL)
        driver_free_binary(s->kept);
    driver_free(s);
}

static void output_calls(State *s)
{
    ErlDrvBinary *bin = driver_alloc_binary(4);
    SysIOVec iov[2] = {{"ab", 2}, {bin->orig_bytes, 4}};
    ErlDrvBinary *binv[2] = {NULL, bin};
    ErlIOVec ev = {.vsize = 2, .size = 6, .iov = iov, .binv = binv};
    char room[8];
    HOLDS(bin->orig_size == 4);
    memcpy(bin->orig_bytes, "wxyz", 4);
    HOLDS(driver_output(s->port, "one", 3) == 0);
    HOLDS(driver_output2(s->port, "h", 1, "two", 3) == 0);
    HOLDS(driver_output_binary(s->port, NULL, 0, bin, 1, 2) == 0);
    HOLDS(driver_outputv(s->port, "h", 1, &ev, 1) == 0);
    HOLDS(iov[0].iov_len == 1 && iov[0].iov_base[0] == 'b' && ev.size == 6); /* skipping changes it */
    HOLDS(driver_vec_to_buf(&ev, room, 4) == 4);
    HOLDS(memcmp(room, "bwxy", 4) == 0);
    driver_free_binary(bin);
}

static void term_calls(State *s)
{
    double pi = 3.25;
    ErlDrvSInt64 small = -7;
    ErlDrvUInt64 large = 1ull << 63;
    ErlDrvBinary *bin = driver_alloc_binary(3);
    char external[] = {(char)131, 97, 5};
    memcpy(bin->orig_bytes, "bin", 3);
    ErlDrvTermData term[] = {
        ERL_DRV_ATOM, driver_mk_atom("all"),
        ERL_DRV_INT, (ErlDrvTermData)-3,
        ERL_DRV_UINT, 3,
        ERL_DRV_PORT, s->id,
        ERL_DRV_PID, s->owner,
        ERL_DRV_FLOAT, (ErlDrvTermData)&pi,
        ERL_DRV_INT64, (ErlDrvTermData)&small,
        ERL_DRV_UINT64, (ErlDrvTermData)&large,
        ERL_DRV_BINARY, (ErlDrvTermData)bin, 2, 1,
        ERL_DRV_BUF2BINARY, (ErlDrvTermData) "buf", 3,
        ERL_DRV_STRING, (ErlDrvTermData) "str", 3,
        ERL_DRV_NIL,
        ERL_DRV_STRING_CONS, (ErlDrvTermData) "cons", 4,
        ERL_DRV_INT, 1, ERL_DRV_INT, 2, ERL_DRV_NIL, ERL_DRV_LIST, 3,
        ERL_DRV_ATOM, driver_mk_atom("key"), ERL_DRV_INT, 9, ERL_DRV_MAP, 1,
        ERL_DRV_EXT2TERM, (ErlDrvTermData)external, sizeof external,
        ERL_DRV_TUPLE, 15,
    };
    int length = sizeof term / sizeof *term;
    HOLDS(driver_mk_atom("all") == term[1]);
    HOLDS(erl_drv_send_term(s->id, s->owner, term, length) == 1);
    HOLDS(erl_drv_output_term(s->id, term, 2) == 1);
    HOLDS(driver_output_term(s->port, term, 2) == 1);
    HOLDS(driver_send_term(s->port, s->owner, term, 2) == 1);
    driver_free_binary(bin);
}

static void queue_calls(State *s)
{
    ErlDrvBinary *bin = driver_alloc_binary(4);
    memcpy(bin->orig_bytes, "1234", 4);
    SysIOVec iov[1] = {{bin->orig_bytes, 4}};
    ErlIOVec ev = {.vsize = 1, .size = 4, .iov = iov, .binv = &bin}, peeked;
    int count = 0;
    HOLDS(driver_peekq(s->port, &count) == NULL && count == 0);
    HOLDS(driver_enq(s->port, "ab", 2) == 0);
    HOLDS(driver_pushq(s->port, "cd", 2) == 0);
    HOLDS(driver_enq_bin(s->port, bin, 1, 2) == 0);
    HOLDS(driver_pushq_bin(s->port, bin, 0, 1) == 0);
    HOLDS(driver_enqv(s->port, &ev, 2) == 0);
    HOLDS(iov[0].iov_base == bin->orig_bytes + 2 && iov[0].iov_len == 2);
    iov[0] = (SysIOVec){bin->orig_bytes, 4};
    HOLDS(driver_pushqv(s->port, &ev, 0) == 0);
    HOLDS(driver_sizeq(s->port) == 13);
    SysIOVec *all = driver_peekq(s->port, &count);
    HOLDS(count == 6 && all[0].iov_len == 4 && all[0].iov_base == bin->orig_bytes);
    HOLDS(driver_peekqv(s->port, &peeked) == 13 && peeked.vsize == 6 && peeked.binv[0] == bin && peeked.size == 13);
    HOLDS(memcmp(peeked.iov[1].iov_base, "1", 1) == 0 && memcmp(peeked.iov[2].iov_base, "cd", 2) == 0);
    HOLDS(peeked.binv[2] != NULL && peeked.iov[2].iov_base == peeked.binv[2]->orig_bytes);
    HOLDS(driver_deq(s->port, 14) == (ErlDrvSizeT)-1);
    HOLDS(driver_deq(s->port, 3) == 10);
    HOLDS(driver_deq(s->port, 10) == 0);
    HOLDS(driver_binary_get_refc(bin) == 1);
    driver_free_binary(bin);
}

static void binary_calls(State *s)
{
    ErlDrvBinary *bin = driver_alloc_binary(2);
    HOLDS(driver_binary_inc_refc(bin) == 2);
    HOLDS(driver_binary_dec_refc(bin) == 1);
    memcpy(bin->orig_bytes, "xy", 2);
    bin = driver_realloc_binary(bin, 3);
    HOLDS(bin->orig_size == 3 && bin->orig_bytes[1] == 'y');
    driver_free_binary(bin);
    bin = driver_realloc_binary(NULL, 3);
    driver_free_binary(bin);
    driver_free_binary(NULL);
    char *p = driver_realloc(NULL, 2);
    p[0] = 'p';
    p = driver_realloc(p, 100);
    HOLDS(p[0] == 'p');
    driver_free(p);
    driver_free(NULL);
}

static void port_calls(State *s)
{
    unsigned long left = 1;
    ErlDrvSizeT low = 5, high = ERL_DRV_BUSY_MSGQ_READ_ONLY;
    ErlDrvSysInfo info;
    HOLDS(driver_set_timer(s->port, 1000) == 0);
    HOLDS(driver_read_timer(s->port, &left) == 0 && left == 1000);
    HOLDS(driver_cancel_timer(s->port) == 0);
    HOLDS(driver_read_timer(s->port, &left) == 0 && left == 0);
    HOLDS(driver_set_timer(s->port, 1) == 0);
    set_busy_port(s->port, 1);
    set_busy_port(s->port, 0);
    erl_drv_busy_msgq_limits(s->port, &low, &high);
    HOLDS(low == 5 && high == 8192);
    low = high = ERL_DRV_BUSY_MSGQ_DISABLED;
    erl_drv_busy_msgq_limits(s->port, &low, &high);
    HOLDS(low == ERL_DRV_BUSY_MSGQ_DISABLED);
    erl_drv_busy_msgq_limits(s->port, NULL, NULL);
    HOLDS(driver_caller(s->port) == s->owner);
    driver_system_info(&info, sizeof info);
    HOLDS(info.async_threads == 1 && strcmp(info.otp_release, "25") == 0 && info.smp_support == 1);
    HOLDS(info.nif_major_version == 2 && info.nif_minor_version == 16 && info.dirty_scheduler_support == 1);
    for (size_t size = 32; size <= sizeof info; size++) { /* as OTP 25, 27 and 29 fill it */
        memset(&info, 0x55, sizeof info);
        driver_system_info(&info, size);
        HOLDS((info.async_threads != 0x55555555) == (size >= 40) && (info.nif_minor_version != 0x55555555) == (size >= 48));
        HOLDS((info.dirty_scheduler_support != 0x55555555) == (size >= 52));
    }
    HOLDS(erl_drv_monotonic_time(ERL_DRV_MSEC) >= 0);
    HOLDS(strcmp(erl_errno_id(ENOENT), "enoent") == 0 && erl_errno_id(ENOENT) == erl_errno_id(ENOENT));
    HOLDS(initialised);

    State *other = driver_alloc(sizeof *other);
    memset(other, 0, sizeof *other);
    ErlDrvPort made = other->port = driver_create_port(s->port, s->owner, "every_call made", (ErlDrvData)other);
    HOLDS(made != (ErlDrvPort)-1 && driver_connected(made) == s->owner);
    HOLDS(driver_mk_port(made) != s->id && get_port_flags(made) == 0);
    HOLDS(driver_exit(made, 0) == 0); /* whose `stop` frees its state */
    HOLDS(driver_create_port(made, s->owner, "", NULL) == (ErlDrvPort)-1);
}

static void monitor_calls(State *s)
{
    ErlDrvMonitor other;
    HOLDS(driver_monitor_process(s->port, s->owner, &s->monitor) == 0);
    HOLDS(driver_monitor_process(s->port, s->owner, &other) == 0);
    HOLDS(driver_get_monitored_process(s->port, &s->monitor) == s->owner);
    HOLDS(driver_compare_monitors(&s->monitor, &s->monitor) == 0);
    HOLDS(driver_compare_monitors(&s->monitor, &other) == -1);
    HOLDS(driver_demonitor_process(s->port, &other) == 0);
    HOLDS(driver_demonitor_process(s->port, &other) >= 0);
}

static void *own_thread(void *argument)
{
    State *s = argument;
    erl_drv_mutex_lock(s->mutex);
    erl_drv_tsd_set(s->key, s);
    s->go = erl_drv_tsd_get(s->key) == s;
    erl_drv_tsd_set(s->key, NULL);
    erl_drv_cond_signal(s->cond);
    erl_drv_mutex_unlock(s->mutex);
    erl_drv_thread_exit("left");
    return NULL;
}

static void thread_calls(State *s)
{
    ErlDrvThreadOpts *opts = erl_drv_thread_opts_create("opts");
    ErlDrvTid tid, me = erl_drv_thread_self();
    ErlDrvRWLock *lock = erl_drv_rwlock_create("rw");
    void *left = NULL;
    s->mutex = erl_drv_mutex_create("m"), s->cond = erl_drv_cond_create(NULL);
    HOLDS(erl_drv_tsd_key_create("key", &s->key) == 0);
    HOLDS(erl_drv_tsd_get(s->key) == NULL);
    HOLDS(strcmp(erl_drv_mutex_name(s->mutex), "m") == 0);
    HOLDS(strcmp(erl_drv_cond_name(s->cond), "unknown") == 0);
    HOLDS(strcmp(erl_drv_rwlock_name(lock), "rw") == 0 && erl_drv_mutex_name(NULL) == NULL);
    HOLDS(opts->suggested_stack_size == -1);
    opts->suggested_stack_size = 8;
    erl_drv_mutex_lock(s->mutex);
    HOLDS(erl_drv_mutex_trylock(s->mutex) == EBUSY);
    HOLDS(erl_drv_thread_create("own", &tid, own_thread, s, opts) == 0);
    while (!s->go)
        erl_drv_cond_wait(s->cond, s->mutex);
    erl_drv_cond_broadcast(s->cond);
    erl_drv_mutex_unlock(s->mutex);
    HOLDS(strcmp(erl_drv_thread_name(tid), "own") == 0);
    HOLDS(!erl_drv_equal_tids(tid, me) && erl_drv_equal_tids(me, erl_drv_thread_self()));
    HOLDS(erl_drv_thread_join(tid, &left) == 0 && strcmp(left, "left") == 0);
    HOLDS(erl_drv_thread_join(me, NULL) == EINVAL);
    erl_drv_rwlock_rlock(lock);
    HOLDS(erl_drv_rwlock_tryrwlock(lock) == EBUSY && erl_drv_rwlock_tryrlock(lock) == 0);
    erl_drv_rwlock_runlock(lock);
    erl_drv_rwlock_runlock(lock);
    erl_drv_rwlock_rwlock(lock);
    erl_drv_rwlock_rwunlock(lock);
    erl_drv_rwlock_destroy(lock);
    erl_drv_thread_opts_destroy(opts);
    erl_drv_tsd_key_destroy(s->key);
    erl_drv_cond_destroy(s->cond);
    erl_drv_mutex_destroy(s->mutex);
}

static void work(void *data) { ((State *)data)->results++; }

static void lock_calls(State *s)
{
    ErlDrvPDL pdl = driver_pdl_create(s->port);
    HOLDS(pdl != NULL && driver_pdl_create(s->port) == NULL);
    driver_pdl_lock(pdl);
    HOLDS(driver_pdl_get_refc(pdl) == 2);
    driver_pdl_unlock(pdl);
    HOLDS(driver_pdl_inc_refc(pdl) == 2 && driver_pdl_dec_refc(pdl) == 1);
    s->async_key = driver_async_port_key(s->port);
    HOLDS(s->async_key == 1);
    HOLDS(driver_async(s->port, &s->async_key, work, s, NULL) == 1 && s->async_key == 0);
}

/* How a port ends; the test says by its number which call. */
static void system_calls(State *s)
{
    ErlDrvNowData now = {0, 0, 0}, later = {0, 0, 0};
    char value[8] = "";
    size_t size = sizeof value;

    HOLDS(erl_drv_time_offset(ERL_DRV_SEC) > 0);
    HOLDS(erl_drv_convert_time_unit(-1999, ERL_DRV_MSEC, ERL_DRV_SEC) == -2);
    HOLDS(driver_get_now(&now) == 0 && driver_get_now(&later) == 0);
    HOLDS(later.secs == now.secs && later.microsecs == now.microsecs + 1);
    HOLDS(erl_drv_getenv("NAME", value, &size) == -1);
    HOLDS(erl_drv_putenv("NAME", "value") == 0);
    size = sizeof value;
    HOLDS(erl_drv_getenv("NAME", value, &size) == 0 && size == 5 && strcmp(value, "value") == 0);
    size = 5;
    HOLDS(erl_drv_getenv("NAME", value, &size) == 1);
    HOLDS(erl_drv_consume_timeslice(s->port, 99) == 0 && erl_drv_consume_timeslice(s->port, 1) == 1);
    HOLDS(get_port_flags(s->port) == PORT_FLAG_BINARY);
    HOLDS(driver_mk_term_nil() == driver_mk_term_nil());
    erl_drv_set_os_pid(s->port, 4242);
    erl_drv_init_ack(s->port, (ErlDrvData)s); /* without the flag it has no effect */
    HOLDS(driver_lock_driver(s->port) == 0);
}

static void end_calls(State *s, int which)
{
    ErlDrvPort port = s->port;
    switch (which) {
    case 0: driver_failure_eof(port); break;
    case 1: driver_failure_atom(port, "broken"); break;
    case 2: driver_failure_posix(port, ENOENT); break;
    case 3: driver_failure(port, -5); break;
    case 4: driver_exit(port, 0); break;
    case 6: driver_enq(port, "kept", 4); break;
    case 5: /* the port is gone, and the calls say so */
        driver_failure_eof(port);
        { ErlIOVec ev; gone = driver_peekqv(port, &ev) == (ErlDrvSizeT)-1 && driver_sizeq(port) == (ErlDrvSizeT)-1; }
        break;
    }
}

static ErlDrvSSizeT control(ErlDrvData data, unsigned int command, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    State *s = (State *)data;
    static void (*const tests[])(State *) = {output_calls, term_calls,   queue_calls, binary_calls,
                                             port_calls,   monitor_calls, thread_calls, lock_calls,
                                             system_calls};
    if (command >= 200)
        return -1;
    if (command >= 100) {
        end_calls(s, (int)command - 100);
        return 0;
    }
    strcpy(s->answer, "ok");
    tests[command](s);
    if (len == 0 && strlen(s->answer) <= rlen) { /* in the room that is lent */
        memcpy(*rbuf, s->answer, strlen(s->answer));
    } else if (buf[0] == 'b') { /* in a binary */
        ErlDrvBinary *bin = driver_alloc_binary(sizeof s->answer);
        strcpy(bin->orig_bytes, s->answer);
        *rbuf = (char *)bin;
    } else { /* in a block; the flags say that it is a binary, which is then made of it */
        *rbuf = NULL;
        return 0;
    }
    return (ErlDrvSSizeT)strlen(s->answer);
}

static void outputv(ErlDrvData data, ErlIOVec *ev)
{
    State *s = (State *)data;
    char text[100];
    int at = snprintf(text, sizeof text, "%d elements, %d bytes:", ev->vsize, (int)ev->size);
    for (int i = 0; i < ev->vsize; i++) {
        at += snprintf(text + at, sizeof text - at, i ? ", %d" : " %d", (int)ev->iov[i].iov_len);
        if (ev->binv[i] == NULL)
            at += snprintf(text + at, sizeof text - at, ev->iov[i].iov_base == NULL ? "-" : "?");
        else
            at += snprintf(text + at, sizeof text - at, "+%d", (int)(ev->iov[i].iov_base - ev->binv[i]->orig_bytes));
    }
    driver_output(s->port, text, at);
    for (int i = 0; i < ev->vsize; i++)
        if (ev->binv[i] != NULL && s->kept == NULL) {
            s->kept = ev->binv[i];
            driver_binary_inc_refc(s->kept);
        }
    driver_outputv(s->port, NULL, 0, ev, 0);
}

/* A term in the external format goes back as it came; an atom `keep` with a buffer of the driver's. */
static ErlDrvSSizeT call(ErlDrvData data, unsigned int command, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen, unsigned int *flags)
{
    static char own[256];
    (void)data;
    if (command == 0)
        return -1;
    if (command == 1 && len <= rlen) {
        memcpy(*rbuf, buf, len);
    } else if (command == 2) {
        memcpy(own, buf, len);
        *rbuf = own;
        *flags = DRIVER_CALL_KEEP_BUFFER;
    } else {
        *rbuf = driver_alloc(len);
        memcpy(*rbuf, buf, len);
    }
    return (ErlDrvSSizeT)len;
}

static void timeout(ErlDrvData data) { driver_output(((State *)data)->port, "timeout", 7); }
static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *s = (State *)data;
    (void)thread_data;
    driver_output(s->port, s->results == 1 ? "job" : "?", 3);
}
static void process_exit(ErlDrvData data, ErlDrvMonitor *monitor)
{
    State *s = (State *)data;
    if (driver_compare_monitors(monitor, &s->monitor) == 0)
        driver_output(s->port, "exit", 4);
}
static void flush(ErlDrvData data) { driver_deq(((State *)data)->port, driver_sizeq(((State *)data)->port)); }

static ErlDrvEntry entry = {
    .driver_name = "every_call",
    .init = init,
    .start = start,
    .stop = stop,
    .finish = finish,
    .control = control,
    .call = call,
    .outputv = outputv,
    .timeout = timeout,
    .ready_async = ready_async,
    .process_exit = process_exit,
    .flush = flush,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(every_call) { return &entry; }
