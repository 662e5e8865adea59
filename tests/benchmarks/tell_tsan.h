/* Included before a driver that is compiled for ThreadSanitizer: tells it what the emulator orders.
 *
 * The emulator is not compiled for ThreadSanitizer and has locks and queues of its own, so the tool does not see that
 * a job begins after driver_async() and ends before ready_async(), nor that callbacks of a port have its lock.
 * Without this it reports a race in every driver that has a job.
 */
#include <erl_driver.h>
#include <stdint.h>
#include <stdlib.h>

void __tsan_acquire(void *);
void __tsan_release(void *);

/* A port's lock, by the data of its callbacks; one for all if the driver has no locking by port. */
static ErlDrvEntry told_entry, *their_entry;
static char told_locks[4096], told_loaded;

static char *told_lock(ErlDrvData data)
{
    int by_port = their_entry->driver_flags & ERL_DRV_FLAG_USE_PORT_LOCKING;
    return &told_locks[by_port ? ((uintptr_t)data >> 4) % sizeof told_locks : 0];
}

#define TOLD(data, call) (__tsan_acquire(told_lock(data)), call, __tsan_release(told_lock(data)))

/* What driver_async() is given goes in an envelope, which ready_async() and the free function open. */
typedef struct {
    void (*invoke)(void *);
    void (*free)(void *);
    void *data;
} Told;

static void told_invoke(void *envelope)
{
    Told *told = envelope;
    __tsan_acquire(told);
    told->invoke(told->data);
    __tsan_release(told);
}

static void *told_open(void *envelope)
{
    void *data = ((Told *)envelope)->data;
    __tsan_acquire(envelope);
    free(envelope);
    return data;
}

static void told_free(void *envelope)
{
    void (*function)(void *) = ((Told *)envelope)->free;
    function(told_open(envelope));
}

static long told_async(ErlDrvPort port, unsigned *key, void (*invoke)(void *), void *data, void (*free)(void *))
{
    Told *told = malloc(sizeof *told);
    *told = (Told){invoke, free, data};
    __tsan_release(told);
    return driver_async(port, key, invoke == NULL ? NULL : told_invoke, told, free == NULL ? NULL : told_free);
}

static void told_mutex_lock(ErlDrvMutex *mutex)
{
    erl_drv_mutex_lock(mutex);
    __tsan_acquire(mutex);
}

static void told_mutex_unlock(ErlDrvMutex *mutex)
{
    __tsan_release(mutex);
    erl_drv_mutex_unlock(mutex);
}

static int told_init(void)
{
    int failed = their_entry->init == NULL ? 0 : their_entry->init();
    __tsan_release(&told_loaded);
    return failed;
}

static ErlDrvData told_start(ErlDrvPort port, char *command)
{
    ErlDrvData data;
    __tsan_acquire(&told_loaded);
    data = their_entry->start(port, command);
    __tsan_release(told_lock(data));
    return data;
}

static void told_stop(ErlDrvData data)
{
    TOLD(data, their_entry->stop(data));
    __tsan_release(&told_loaded);
}

static void told_finish(void)
{
    __tsan_acquire(&told_loaded);
    their_entry->finish();
}

static void told_output(ErlDrvData data, char *bytes, ErlDrvSizeT length)
{
    TOLD(data, their_entry->output(data, bytes, length));
}

static void told_outputv(ErlDrvData data, ErlIOVec *ev)
{
    TOLD(data, their_entry->outputv(data, ev));
}

static ErlDrvSSizeT told_control(
    ErlDrvData data, unsigned command, char *bytes, ErlDrvSizeT length, char **rbuf, ErlDrvSizeT rlen)
{
    ErlDrvSSizeT size;
    TOLD(data, size = their_entry->control(data, command, bytes, length, rbuf, rlen));
    return size;
}

static ErlDrvSSizeT told_call(ErlDrvData data, unsigned command, char *bytes, ErlDrvSizeT length, char **rbuf,
    ErlDrvSizeT rlen, unsigned *flags)
{
    ErlDrvSSizeT size;
    TOLD(data, size = their_entry->call(data, command, bytes, length, rbuf, rlen, flags));
    return size;
}

static void told_ready_async(ErlDrvData data, ErlDrvThreadData envelope)
{
    TOLD(data, their_entry->ready_async(data, told_open(envelope)));
}

static void told_timeout(ErlDrvData data)
{
    TOLD(data, their_entry->timeout(data));
}

static void told_flush(ErlDrvData data)
{
    TOLD(data, their_entry->flush(data));
}

#define TELL(callback) told_entry.callback = entry->callback == NULL ? NULL : told_##callback

static ErlDrvEntry *told(ErlDrvEntry *entry)
{
    their_entry = entry;
    told_entry = *entry;
    TELL(stop), TELL(finish), TELL(output), TELL(outputv), TELL(control), TELL(call), TELL(ready_async);
    TELL(timeout), TELL(flush);
    told_entry.init = told_init;
    told_entry.start = told_start;
    return &told_entry;
}

#define driver_async told_async
#define erl_drv_mutex_lock told_mutex_lock
#define erl_drv_mutex_unlock told_mutex_unlock
#undef DRIVER_INIT
#define DRIVER_INIT(name)                                                                                              \
    static ErlDrvEntry *driver_entry(void);                                                                            \
    ERL_DRIVER_EXPORT ErlDrvEntry *ERLANG_DRIVER_NAME(name)(void);                                                     \
    ERL_DRIVER_EXPORT ErlDrvEntry *ERLANG_DRIVER_NAME(name)(void) { return told(driver_entry()); }                     \
    static ErlDrvEntry *driver_entry(void)
