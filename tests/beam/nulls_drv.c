/* SPDX-License-Identifier: 0BSD
 *
 * nulls_drv: calls a function of erl_driver.h with NULL for one pointer, and says what it returned.
 *
 * The command of the port names the function and the parameter, `nulls_drv driver_enqv.ev`, and `control` makes the
 * call; all its other arguments are right.  The reply is the number that the function returned, `NULL` or `pointer` for
 * a pointer, or `done` where there is no result.  What a function does not survive ends the emulator.
 *
 * nulls.py compares this with the model.
 */
#include <stdio.h>
#include <string.h>

#include <erl_driver.h>

/* A NULL of which the compiler knows nothing. */
static void *volatile null;

static ErlDrvPort port;
static char text[64], answer[64];

static ErlDrvData start(ErlDrvPort started, char *command)
{
    port = started;
    set_port_control_flags(port, PORT_CONTROL_FLAG_BINARY);
    snprintf(text, sizeof text, "%s", strchr(command, ' ') + 1);
    return (ErlDrvData)port;
}

static void stop(ErlDrvData data)
{
    (void)data;
}

static void nothing(void *data)
{
    (void)data;
}

static void *nothing_either(void *data)
{
    return data;
}

static void process_exit(ErlDrvData data, ErlDrvMonitor *monitor)
{
    (void)data;
    (void)monitor;
}

#define NUMBER(name, call)                                                                                             \
    if (strcmp(text, name) == 0)                                                                                       \
        snprintf(answer, sizeof answer, "%ld", (long)(call))
#define POINTER(name, call)                                                                                            \
    if (strcmp(text, name) == 0)                                                                                       \
        snprintf(answer, sizeof answer, "%s", (call) == NULL ? "NULL" : "pointer")
#define DONE(name, call)                                                                                               \
    if (strcmp(text, name) == 0)                                                                                       \
    call, snprintf(answer, sizeof answer, "done")

static void asynchronous_and_output(ErlDrvBinary *binary, ErlIOVec *ev)
{
    ErlDrvTermData me = driver_caller(port), term[] = {ERL_DRV_NIL};
    unsigned int key = 0;

    NUMBER("driver_async.port", driver_async(null, &key, nothing, NULL, NULL));
    NUMBER("driver_async.key", driver_async(port, null, nothing, NULL, NULL));
    NUMBER("driver_async.async_invoke", driver_async(port, &key, null, NULL, NULL));
    NUMBER("driver_async.async_data", driver_async(port, &key, nothing, null, nothing));
    NUMBER("driver_async.async_free", driver_async(port, &key, nothing, NULL, null));
    NUMBER("driver_async_port_key.port", driver_async_port_key(null));
    NUMBER("driver_output.port", driver_output(null, "x", 1));
    NUMBER("driver_output.buf", driver_output(port, null, 0));
    NUMBER("driver_output2.port", driver_output2(null, "x", 1, "x", 1));
    NUMBER("driver_output2.hbuf", driver_output2(port, null, 0, "x", 1));
    NUMBER("driver_output2.buf", driver_output2(port, "x", 1, null, 0));
    NUMBER("driver_output_binary.port", driver_output_binary(null, "x", 1, binary, 0, 1));
    NUMBER("driver_output_binary.hbuf", driver_output_binary(port, null, 0, binary, 0, 1));
    NUMBER("driver_output_binary.bin", driver_output_binary(port, "x", 1, null, 0, 1));
    NUMBER("driver_outputv.port", driver_outputv(null, "x", 1, ev, 0));
    NUMBER("driver_outputv.hbuf", driver_outputv(port, null, 0, ev, 0));
    NUMBER("driver_outputv.ev", driver_outputv(port, "x", 1, null, 0));
    NUMBER("driver_output_term.port", driver_output_term(null, term, 1));
    NUMBER("driver_output_term.term", driver_output_term(port, null, 0));
    NUMBER("driver_send_term.port", driver_send_term(null, me, term, 1));
    NUMBER("driver_send_term.term", driver_send_term(port, me, null, 0));
    NUMBER("erl_drv_output_term.term", erl_drv_output_term(driver_mk_port(port), null, 0));
    NUMBER("erl_drv_send_term.term", erl_drv_send_term(driver_mk_port(port), me, null, 0));
    NUMBER("driver_mk_atom.string", driver_mk_atom(null));
}

static void the_queue(ErlDrvBinary *binary, ErlIOVec *ev)
{
    ErlIOVec filled;
    int length;
    char buf[8];

    NUMBER("driver_enq.port", driver_enq(null, "x", 1));
    NUMBER("driver_enq.buf", driver_enq(port, null, 0));
    NUMBER("driver_pushq.port", driver_pushq(null, "x", 1));
    NUMBER("driver_pushq.buf", driver_pushq(port, null, 0));
    NUMBER("driver_enq_bin.port", driver_enq_bin(null, binary, 0, 1));
    NUMBER("driver_enq_bin.bin", driver_enq_bin(port, null, 0, 1));
    NUMBER("driver_pushq_bin.port", driver_pushq_bin(null, binary, 0, 1));
    NUMBER("driver_pushq_bin.bin", driver_pushq_bin(port, null, 0, 1));
    NUMBER("driver_enqv.port", driver_enqv(null, ev, 0));
    NUMBER("driver_enqv.ev", driver_enqv(port, null, 0));
    NUMBER("driver_pushqv.port", driver_pushqv(null, ev, 0));
    NUMBER("driver_pushqv.ev", driver_pushqv(port, null, 0));
    NUMBER("driver_deq.port", driver_deq(null, 0));
    NUMBER("driver_sizeq.port", driver_sizeq(null));
    POINTER("driver_peekq.port", driver_peekq(null, &length));
    NUMBER("driver_peekqv.port", driver_peekqv(null, &filled));
    NUMBER("driver_vec_to_buf.ev", driver_vec_to_buf(null, buf, 1));
    NUMBER("driver_vec_to_buf.buf", driver_vec_to_buf(ev, null, 0));
}

static void the_port(void)
{
    ErlDrvTermData me = driver_caller(port);
    ErlDrvMonitor monitor;
    ErlDrvSizeT limit = 0;
    unsigned long left;

    memset(&monitor, 0, sizeof monitor);
    NUMBER("driver_select.port", driver_select(null, (ErlDrvEvent)(long)0, ERL_DRV_READ, 0));
    NUMBER("driver_set_timer.port", driver_set_timer(null, 1));
    NUMBER("driver_cancel_timer.port", driver_cancel_timer(null));
    NUMBER("driver_read_timer.port", driver_read_timer(null, &left));
    NUMBER("driver_read_timer.time_left", driver_read_timer(port, null));
    DONE("set_busy_port.port", set_busy_port(null, 0));
    DONE("erl_drv_busy_msgq_limits.port", erl_drv_busy_msgq_limits(null, &limit, &limit));
    DONE("erl_drv_busy_msgq_limits.low", erl_drv_busy_msgq_limits(port, null, &limit));
    DONE("erl_drv_busy_msgq_limits.high", erl_drv_busy_msgq_limits(port, &limit, null));
    DONE("set_port_control_flags.port", set_port_control_flags(null, 0));
    DONE("erl_drv_init_ack.port", erl_drv_init_ack(null, NULL));
    NUMBER("driver_failure_atom.port", driver_failure_atom(null, "x"));
    NUMBER("driver_failure_atom.string", driver_failure_atom(port, null));
    NUMBER("driver_failure_posix.port", driver_failure_posix(null, 1));
    NUMBER("driver_failure_eof.port", driver_failure_eof(null));
    NUMBER("driver_failure.port", driver_failure(null, 1));
    NUMBER("driver_exit.port", driver_exit(null, 1));
    NUMBER("driver_lock_driver.port", driver_lock_driver(null));
    NUMBER("get_port_flags.port", get_port_flags(null));
    DONE("erl_drv_set_os_pid.port", erl_drv_set_os_pid(null, 1));
    NUMBER("erl_drv_consume_timeslice.port", erl_drv_consume_timeslice(null, 1));
    POINTER("driver_create_port.creator_port", driver_create_port(null, me, "x", NULL));
    POINTER("driver_create_port.name", driver_create_port(port, me, null, NULL));
    NUMBER("driver_mk_port.port", driver_mk_port(null));
    NUMBER("driver_connected.port", driver_connected(null));
    NUMBER("driver_caller.port", driver_caller(null));
    NUMBER("driver_monitor_process.port", driver_monitor_process(null, me, &monitor));
    NUMBER("driver_demonitor_process.port", driver_demonitor_process(null, &monitor));
    NUMBER("driver_demonitor_process.monitor", driver_demonitor_process(port, null));
    NUMBER("driver_get_monitored_process.port", driver_get_monitored_process(null, &monitor));
    NUMBER("driver_get_monitored_process.monitor", driver_get_monitored_process(port, null));
    NUMBER("driver_compare_monitors.monitor1", driver_compare_monitors(null, &monitor));
    NUMBER("driver_compare_monitors.monitor2", driver_compare_monitors(&monitor, null));
}

static void memory(void)
{
    void *block = driver_alloc(8);

    POINTER("driver_realloc.ptr", driver_realloc(null, 1));
    DONE("driver_free.ptr", driver_free(null));
    POINTER("memset.ptr", memset(null, 0, 1));
    POINTER("driver_realloc_binary.bin", driver_realloc_binary(null, 1));
    DONE("driver_free_binary.bin", driver_free_binary(null));
    NUMBER("driver_binary_get_refc.bin", driver_binary_get_refc(null));
    NUMBER("driver_binary_inc_refc.bin", driver_binary_inc_refc(null));
    NUMBER("driver_binary_dec_refc.bin", driver_binary_dec_refc(null));
    driver_free(block);
}

static void locks(void)
{
    ErlDrvMutex *mutex = erl_drv_mutex_create("m");
    ErlDrvCond *cond = erl_drv_cond_create("c");

    POINTER("erl_drv_mutex_create.name", erl_drv_mutex_create(null));
    DONE("erl_drv_mutex_destroy.mtx", erl_drv_mutex_destroy(null));
    POINTER("erl_drv_mutex_name.mtx", erl_drv_mutex_name(null));
    DONE("erl_drv_mutex_lock.mtx", erl_drv_mutex_lock(null));
    NUMBER("erl_drv_mutex_trylock.mtx", erl_drv_mutex_trylock(null));
    DONE("erl_drv_mutex_unlock.mtx", erl_drv_mutex_unlock(null));
    POINTER("erl_drv_cond_create.name", erl_drv_cond_create(null));
    DONE("erl_drv_cond_destroy.cnd", erl_drv_cond_destroy(null));
    POINTER("erl_drv_cond_name.cnd", erl_drv_cond_name(null));
    DONE("erl_drv_cond_signal.cnd", erl_drv_cond_signal(null));
    DONE("erl_drv_cond_broadcast.cnd", erl_drv_cond_broadcast(null));
    erl_drv_mutex_lock(mutex);
    DONE("erl_drv_cond_wait.cnd", erl_drv_cond_wait(null, mutex));
    DONE("erl_drv_cond_wait.mtx", erl_drv_cond_wait(cond, null));
    erl_drv_mutex_unlock(mutex);
    POINTER("erl_drv_rwlock_create.name", erl_drv_rwlock_create(null));
    DONE("erl_drv_rwlock_destroy.rwlck", erl_drv_rwlock_destroy(null));
    POINTER("erl_drv_rwlock_name.rwlck", erl_drv_rwlock_name(null));
    DONE("erl_drv_rwlock_rlock.rwlck", erl_drv_rwlock_rlock(null));
    NUMBER("erl_drv_rwlock_tryrlock.rwlck", erl_drv_rwlock_tryrlock(null));
    DONE("erl_drv_rwlock_runlock.rwlck", erl_drv_rwlock_runlock(null));
    DONE("erl_drv_rwlock_rwlock.rwlck", erl_drv_rwlock_rwlock(null));
    NUMBER("erl_drv_rwlock_tryrwlock.rwlck", erl_drv_rwlock_tryrwlock(null));
    DONE("erl_drv_rwlock_rwunlock.rwlck", erl_drv_rwlock_rwunlock(null));
    POINTER("driver_pdl_create.port", driver_pdl_create(null));
    DONE("driver_pdl_lock.pdl", driver_pdl_lock(null));
    DONE("driver_pdl_unlock.pdl", driver_pdl_unlock(null));
    NUMBER("driver_pdl_get_refc.pdl", driver_pdl_get_refc(null));
    NUMBER("driver_pdl_inc_refc.pdl", driver_pdl_inc_refc(null));
    NUMBER("driver_pdl_dec_refc.pdl", driver_pdl_dec_refc(null));
    erl_drv_cond_destroy(cond);
    erl_drv_mutex_destroy(mutex);
}

static void the_system(void)
{
    char value[8];
    size_t size = sizeof value;

    erl_drv_putenv("NULLS", "x");
    NUMBER("erl_drv_putenv.key", erl_drv_putenv(null, "x"));
    NUMBER("erl_drv_putenv.value", erl_drv_putenv("NULLS", null));
    NUMBER("erl_drv_getenv.key", erl_drv_getenv(null, value, &size));
    NUMBER("erl_drv_getenv.value", erl_drv_getenv("NULLS", null, &size));
    NUMBER("erl_drv_getenv.value_size", erl_drv_getenv("NULLS", value, null));
}

static void own_threads(void)
{
    ErlDrvTid self = erl_drv_thread_self(), tid;
    ErlDrvThreadOpts *opts = erl_drv_thread_opts_create("o");
    ErlDrvTSDKey key, other;

    erl_drv_tsd_key_create("k", &key);
    POINTER("erl_drv_thread_opts_create.name", erl_drv_thread_opts_create(null));
    DONE("erl_drv_thread_opts_destroy.opts", erl_drv_thread_opts_destroy(null));
    NUMBER("erl_drv_thread_create.name", erl_drv_thread_create(null, &tid, nothing_either, NULL, opts));
    NUMBER("erl_drv_thread_create.tid", erl_drv_thread_create("t", null, nothing_either, NULL, opts));
    NUMBER("erl_drv_thread_create.func", erl_drv_thread_create("t", &tid, null, NULL, opts));
    NUMBER("erl_drv_thread_create.arg", erl_drv_thread_create("t", &tid, nothing_either, null, opts));
    NUMBER("erl_drv_thread_create.opts", erl_drv_thread_create("t", &tid, nothing_either, NULL, null));
    NUMBER("erl_drv_thread_join.tid", erl_drv_thread_join(null, NULL));
    NUMBER("erl_drv_thread_join.exit_value", erl_drv_thread_join(self, null));
    NUMBER("erl_drv_equal_tids.tid1", erl_drv_equal_tids(null, self));
    NUMBER("erl_drv_equal_tids.tid2", erl_drv_equal_tids(self, null));
    POINTER("erl_drv_thread_name.tid", erl_drv_thread_name(null));
    NUMBER("erl_drv_tsd_key_create.name", erl_drv_tsd_key_create(null, &other));
    NUMBER("erl_drv_tsd_key_create.key", erl_drv_tsd_key_create("l", null));
    DONE("erl_drv_tsd_set.data", erl_drv_tsd_set(key, null));
    erl_drv_tsd_key_destroy(key);
    erl_drv_thread_opts_destroy(opts);
}

static ErlDrvSSizeT control(ErlDrvData data, unsigned int command, char *buf, ErlDrvSizeT len, char **rbuf,
                            ErlDrvSizeT rlen)
{
    ErlDrvBinary *binary = driver_alloc_binary(8);
    SysIOVec iov = {binary->orig_bytes, 8};
    ErlIOVec ev = {1, 8, &iov, &binary};
    size_t length;

    (void)data;
    (void)command;
    (void)buf;
    (void)len;
    (void)rlen;
    memset(binary->orig_bytes, 'x', 8);
    asynchronous_and_output(binary, &ev);
    the_queue(binary, &ev);
    the_port();
    memory();
    locks();
    the_system();
    own_threads();
    driver_free_binary(binary);
    length = strlen(answer);
    *rbuf = (char *)driver_alloc_binary((ErlDrvSizeT)length);
    memcpy(((ErlDrvBinary *)*rbuf)->orig_bytes, answer, length);
    return (ErlDrvSSizeT)length;
}

static ErlDrvEntry entry = {
    .driver_name = "nulls_drv",
    .start = start,
    .stop = stop,
    .control = control,
    .process_exit = process_exit,
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(nulls_drv)
{
    return &entry;
}
