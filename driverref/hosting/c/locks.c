/* locks.c: read/write locks, semaphores, and C11's threads.h; linked.h has the words.
 *
 * `locks.py` serves the first two.  The locks, conditions and threads of threads.h are those of pthread.h
 * (`posix.c`): in glibc they are the same, too, and only the results have other numbers.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <threads.h>
#include <time.h>

#include "linked.h"

enum { FOR_EVER = -1, AT_ONCE = -2 }; /* in place of a time to wait until; as in locks.py */

static long ns_of(const struct timespec *t) { return t->tv_sec * 1000000000L + t->tv_nsec; }

/* Read/write locks. */

#define LOCK(m, write, until) ((int)ASK("pthread_rwlock_lock", m, write, until, 0))

HIDDEN int pthread_rwlock_init(pthread_rwlock_t *m, const pthread_rwlockattr_t *attributes)
{
    (void)attributes;
    W(m, sizeof *m);
    dr_real.memset(m, 0, sizeof *m);
    return (int)ASK("pthread_rwlock_init", m, 0, 0, 0);
}
HIDDEN int pthread_rwlock_destroy(pthread_rwlock_t *m) { return (int)ASK("pthread_rwlock_destroy", m, 0, 0, 0); }
HIDDEN int pthread_rwlock_rdlock(pthread_rwlock_t *m) { return LOCK(m, 0, FOR_EVER); }
HIDDEN int pthread_rwlock_tryrdlock(pthread_rwlock_t *m) { return LOCK(m, 0, AT_ONCE); }
HIDDEN int pthread_rwlock_timedrdlock(pthread_rwlock_t *m, const struct timespec *t)
{
    R(t, sizeof *t);
    return LOCK(m, 0, ns_of(t));
}
HIDDEN int pthread_rwlock_wrlock(pthread_rwlock_t *m) { return LOCK(m, 1, FOR_EVER); }
HIDDEN int pthread_rwlock_trywrlock(pthread_rwlock_t *m) { return LOCK(m, 1, AT_ONCE); }
HIDDEN int pthread_rwlock_timedwrlock(pthread_rwlock_t *m, const struct timespec *t)
{
    R(t, sizeof *t);
    return LOCK(m, 1, ns_of(t));
}
HIDDEN int pthread_rwlock_unlock(pthread_rwlock_t *m) { return (int)ASK("pthread_rwlock_unlock", m, 0, 0, 0); }

/* Semaphores.  What goes wrong is below 0 and an errno. */

static int done(long got)
{
    if (got >= 0)
        return 0;
    errno = (int)-got;
    return -1;
}
HIDDEN int sem_init(sem_t *s, int shared, unsigned value)
{
    (void)shared;
    W(s, sizeof *s);
    dr_real.memset(s, 0, sizeof *s);
    return done(ASK("sem_init", s, value, 0, 0));
}
HIDDEN int sem_destroy(sem_t *s) { return done(ASK("sem_destroy", s, 0, 0, 0)); }
HIDDEN int sem_wait(sem_t *s) { return done(ASK("sem_wait", s, FOR_EVER, 0, 0)); }
HIDDEN int sem_trywait(sem_t *s) { return done(ASK("sem_wait", s, AT_ONCE, 0, 0)); }
HIDDEN int sem_timedwait(sem_t *s, const struct timespec *t)
{
    R(t, sizeof *t);
    return done(ASK("sem_wait", s, ns_of(t), 0, 0));
}
HIDDEN int sem_post(sem_t *s) { return done(ASK("sem_post", s, 0, 0, 0)); }
HIDDEN int sem_getvalue(sem_t *s, int *value)
{
    long got = ASK("sem_getvalue", s, 0, 0, 0);
    W(value, sizeof *value);
    *value = (int)got;
    return 0;
}

/* threads.h. */

static int as_c11(long got)
{
    switch (got) {
    case 0: return thrd_success;
    case EBUSY: return thrd_busy;
    case ETIMEDOUT: return thrd_timedout;
    case EAGAIN: return thrd_nomem;
    default: return thrd_error;
    }
}
HIDDEN int mtx_init(mtx_t *m, int type)
{
    W(m, sizeof *m);
    dr_real.memset(m, 0, sizeof *m);
    ASK("pthread_mutex_init", m, type & mtx_recursive ? PTHREAD_MUTEX_RECURSIVE : PTHREAD_MUTEX_NORMAL, 0, 0);
    return thrd_success;
}
HIDDEN void mtx_destroy(mtx_t *m) { ASK("pthread_mutex_destroy", m, 0, 0, 0); }
HIDDEN int mtx_lock(mtx_t *m) { return as_c11(ASK("pthread_mutex_lock", m, 0, 0, 0)); }
HIDDEN int mtx_trylock(mtx_t *m) { return as_c11(ASK("pthread_mutex_trylock", m, 0, 0, 0)); }
HIDDEN int mtx_timedlock(mtx_t *m, const struct timespec *t)
{
    R(t, sizeof *t);
    return as_c11(ASK("pthread_mutex_timedlock", m, ns_of(t), 0, 0));
}
HIDDEN int mtx_unlock(mtx_t *m) { return as_c11(ASK("pthread_mutex_unlock", m, 0, 0, 0)); }
HIDDEN int cnd_init(cnd_t *c)
{
    W(c, sizeof *c);
    dr_real.memset(c, 0, sizeof *c);
    ASK("pthread_cond_init", c, 0, 0, 0);
    return thrd_success;
}
HIDDEN void cnd_destroy(cnd_t *c) { ASK("pthread_cond_destroy", c, 0, 0, 0); }
HIDDEN int cnd_wait(cnd_t *c, mtx_t *m) { return as_c11(ASK("pthread_cond_wait", c, m, FOR_EVER, 0)); }
HIDDEN int cnd_timedwait(cnd_t *c, mtx_t *m, const struct timespec *t)
{
    R(t, sizeof *t);
    return as_c11(ASK("pthread_cond_timedwait", c, m, ns_of(t), 0));
}
HIDDEN int cnd_signal(cnd_t *c) { return as_c11(ASK("pthread_cond_signal", c, 0, 0, 0)); }
HIDDEN int cnd_broadcast(cnd_t *c) { return as_c11(ASK("pthread_cond_broadcast", c, 0, 0, 0)); }
HIDDEN void call_once(once_flag *once, void (*f)(void)) { ASK("pthread_once", once, f, 0, 0); }
HIDDEN int thrd_create(thrd_t *tid, thrd_start_t f, void *argument)
{
    return as_c11(ASK("pthread_create", tid, 0, f, argument));
}
HIDDEN int thrd_join(thrd_t tid, int *result)
{
    void *value = NULL;
    int got = as_c11(ASK("pthread_join", tid, &value, 0, 0));
    if (result != NULL && got == thrd_success) {
        W(result, sizeof *result);
        *result = (int)(intptr_t)value;
    }
    return got;
}
HIDDEN int thrd_detach(thrd_t tid) { return as_c11(ASK("pthread_detach", tid, 0, 0, 0)); }
HIDDEN thrd_t thrd_current(void) { return (thrd_t)ASK("pthread_self", 0, 0, 0, 0); }
HIDDEN int thrd_equal(thrd_t a, thrd_t b) { return a == b; }
HIDDEN __attribute__((noreturn)) void thrd_exit(int value)
{
    for (;;)
        ASK("pthread_exit", value, 0, 0, 0);
}
HIDDEN int thrd_sleep(const struct timespec *t, struct timespec *left)
{
    (void)left;
    R(t, sizeof *t);
    return (int)ASK("nanosleep", ns_of(t), 0, 0, 0);
}
HIDDEN void thrd_yield(void) { ASK("sched_yield", 0, 0, 0, 0); }
HIDDEN int tss_create(tss_t *key, tss_dtor_t f)
{
    long number = ASK("pthread_key_create", f, 0, 0, 0);
    if (number < 0)
        return thrd_error;
    W(key, sizeof *key);
    *key = (tss_t)number;
    return thrd_success;
}
HIDDEN void tss_delete(tss_t key) { ASK("pthread_key_delete", key, 0, 0, 0); }
HIDDEN int tss_set(tss_t key, void *value) { return as_c11(ASK("pthread_setspecific", key, value, 0, 0)); }
HIDDEN void *tss_get(tss_t key) { return (void *)ASK("pthread_getspecific", key, 0, 0, 0); }
