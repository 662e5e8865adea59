/* posix.c: the functions of the C library that wait, open files or end the process; linked.h has the words.
 *
 * What waits is a request: `waiting.py` and `sockets.py` serve it.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "linked.h"

/* Time is the simulation's. */

HIDDEN int usleep(useconds_t us) { return (int)ASK("usleep", us * 1000L, 0, 0, 0); }
HIDDEN unsigned sleep(unsigned s) { return (unsigned)ASK("sleep", s * 1000000000L, 0, 0, 0); }
HIDDEN int nanosleep(const struct timespec *t, struct timespec *left)
{
    (void)left;
    R(t, sizeof *t);
    return (int)ASK("nanosleep", t->tv_sec * 1000000000L + t->tv_nsec, 0, 0, 0);
}
HIDDEN int clock_nanosleep(clockid_t id, int flags, const struct timespec *t, struct timespec *left)
{
    (void)id, (void)left;
    R(t, sizeof *t);
    return (int)ASK("clock_nanosleep", t->tv_sec * 1000000000L + t->tv_nsec, flags, 0, 0);
}
HIDDEN int sched_yield(void) { return (int)ASK("sched_yield", 0, 0, 0, 0); }
HIDDEN int clock_gettime(clockid_t id, struct timespec *t)
{
    long ns = ASK("clock_gettime", id, 0, 0, 0);
    W(t, sizeof *t);
    t->tv_sec = ns / 1000000000, t->tv_nsec = ns % 1000000000;
    return 0;
}
HIDDEN int gettimeofday(struct timeval *t, void *zone)
{
    long ns = ASK("clock_gettime", CLOCK_REALTIME, 0, 0, 0);
    (void)zone;
    W(t, sizeof *t);
    t->tv_sec = ns / 1000000000, t->tv_usec = ns % 1000000000 / 1000;
    return 0;
}
HIDDEN time_t time(time_t *t)
{
    time_t s = ASK("clock_gettime", CLOCK_REALTIME, 0, 0, 0) / 1000000000;
    if (t != NULL) {
        W(t, sizeof *t);
        *t = s;
    }
    return s;
}

/* Threads and locks, by the address of the lock: it may be a variable that nothing has created. */

HIDDEN int pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attributes)
{
    int type = PTHREAD_MUTEX_DEFAULT;
    if (attributes != NULL)
        pthread_mutexattr_gettype(attributes, &type);
    W(m, sizeof *m);
    dr_real.memset(m, 0, sizeof *m);
    return (int)ASK("pthread_mutex_init", m, type, 0, 0);
}
HIDDEN int pthread_mutex_destroy(pthread_mutex_t *m) { return (int)ASK("pthread_mutex_destroy", m, 0, 0, 0); }
HIDDEN int pthread_mutex_lock(pthread_mutex_t *m) { return (int)ASK("pthread_mutex_lock", m, 0, 0, 0); }
HIDDEN int pthread_mutex_trylock(pthread_mutex_t *m) { return (int)ASK("pthread_mutex_trylock", m, 0, 0, 0); }
HIDDEN int pthread_mutex_timedlock(pthread_mutex_t *m, const struct timespec *t)
{
    R(t, sizeof *t);
    return (int)ASK("pthread_mutex_timedlock", m, t->tv_sec * 1000000000L + t->tv_nsec, 0, 0);
}
HIDDEN int pthread_mutex_unlock(pthread_mutex_t *m) { return (int)ASK("pthread_mutex_unlock", m, 0, 0, 0); }
HIDDEN int pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *attributes)
{
    (void)attributes;
    W(c, sizeof *c);
    dr_real.memset(c, 0, sizeof *c);
    return (int)ASK("pthread_cond_init", c, 0, 0, 0);
}
HIDDEN int pthread_cond_destroy(pthread_cond_t *c) { return (int)ASK("pthread_cond_destroy", c, 0, 0, 0); }
HIDDEN int pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
    return (int)ASK("pthread_cond_wait", c, m, -1, 0);
}
HIDDEN int pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *t)
{
    R(t, sizeof *t);
    return (int)ASK("pthread_cond_timedwait", c, m, t->tv_sec * 1000000000L + t->tv_nsec, 0);
}
HIDDEN int pthread_cond_signal(pthread_cond_t *c) { return (int)ASK("pthread_cond_signal", c, 0, 0, 0); }
HIDDEN int pthread_cond_broadcast(pthread_cond_t *c) { return (int)ASK("pthread_cond_broadcast", c, 0, 0, 0); }
HIDDEN int pthread_create(pthread_t *tid, const pthread_attr_t *attributes, void *(*f)(void *), void *argument)
{
    int detached = PTHREAD_CREATE_JOINABLE;
    if (attributes != NULL)
        pthread_attr_getdetachstate(attributes, &detached);
    return (int)ASK("pthread_create", tid, detached == PTHREAD_CREATE_DETACHED, f, argument);
}
HIDDEN int pthread_join(pthread_t tid, void **value) { return (int)ASK("pthread_join", tid, value, 0, 0); }
HIDDEN int pthread_detach(pthread_t tid) { return (int)ASK("pthread_detach", tid, 0, 0, 0); }
HIDDEN pthread_t pthread_self(void) { return (pthread_t)ASK("pthread_self", 0, 0, 0, 0); }
HIDDEN int pthread_equal(pthread_t a, pthread_t b) { return a == b; }
HIDDEN __attribute__((noreturn)) void pthread_exit(void *value)
{
    for (;;)
        ASK("pthread_exit", value, 0, 0, 0);
}
HIDDEN int pthread_once(pthread_once_t *once, void (*f)(void)) { return (int)ASK("pthread_once", once, f, 0, 0); }
HIDDEN int pthread_key_create(pthread_key_t *key, void (*f)(void *))
{
    long number = ASK("pthread_key_create", f, 0, 0, 0);
    if (number < 0)
        return ENOMEM;
    W(key, sizeof *key);
    *key = (pthread_key_t)number;
    return 0;
}
HIDDEN int pthread_key_delete(pthread_key_t key) { return (int)ASK("pthread_key_delete", key, 0, 0, 0); }
HIDDEN int pthread_setspecific(pthread_key_t key, const void *value)
{
    return (int)ASK("pthread_setspecific", key, value, 0, 0);
}
HIDDEN void *pthread_getspecific(pthread_key_t key) { return (void *)ASK("pthread_getspecific", key, 0, 0, 0); }

/* Sockets and pipes are the simulation's.  Their numbers are far above those of files. */

enum { FIRST_SOCKET = 1 << 20 }; /* as in sockets.py */

/* The result of a request: a number from 0, or an errno below it. */
static long result(long got)
{
    if (got >= 0)
        return got;
    errno = (int)-got;
    return -1;
}
HIDDEN int socketpair(int domain, int type, int protocol, int fd[2])
{
    return (int)result(ASK("socketpair", domain, type, protocol, fd));
}
HIDDEN int pipe(int fd[2]) { return (int)result(ASK("pipe", 0, 0, 0, fd)); }
HIDDEN int pipe2(int fd[2], int flags) { return (int)result(ASK("pipe", 0, flags, 0, fd)); }
HIDDEN ssize_t recv(int fd, void *to, size_t size, int flags) { return result(ASK("recv", fd, to, size, flags)); }
HIDDEN ssize_t send(int fd, const void *from, size_t size, int flags)
{
    return result(ASK("send", fd, from, size, flags));
}
HIDDEN int shutdown(int fd, int how) { return (int)result(ASK("shutdown", fd, how, 0, 0)); }
HIDDEN int poll(struct pollfd *fds, nfds_t count, int ms) { return (int)result(ASK("poll", fds, count, ms, 0)); }
HIDDEN int fcntl(int fd, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    long argument = va_arg(arguments, long);
    va_end(arguments);
    if (fd >= FIRST_SOCKET)
        return (int)result(ASK("fcntl", fd, command, argument, 0));
    return dr_real.fcntl(fd, command, argument);
}

/* Files are the machine's own; a run closes what it has left open. */

HIDDEN int open(const char *name, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    int mode = va_arg(arguments, int);
    va_end(arguments);
    TEXT(name);
    return dr_opened(dr_real.open(name, flags, mode), CALLER);
}
HIDDEN int open64(const char *name, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    int mode = va_arg(arguments, int);
    va_end(arguments);
    TEXT(name);
    return dr_opened(dr_real.open(name, flags, mode), CALLER);
}
HIDDEN int openat(int folder, const char *name, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    int mode = va_arg(arguments, int);
    va_end(arguments);
    TEXT(name);
    return dr_opened(dr_real.openat(folder, name, flags, mode), CALLER);
}
HIDDEN int dup(int fd) { return dr_opened(dr_real.dup(fd), CALLER); }
HIDDEN int close(int fd) { return fd >= FIRST_SOCKET ? (int)result(ASK("close", fd, 0, 0, 0)) : dr_close(fd); }
HIDDEN ssize_t read(int fd, void *to, size_t size)
{
    if (fd >= FIRST_SOCKET)
        return result(ASK("recv", fd, to, size, 0));
    ssize_t got = dr_real.read(fd, to, size);
    if (got > 0)
        W(to, (size_t)got);
    return got;
}
HIDDEN ssize_t write(int fd, const void *from, size_t size)
{
    if (fd >= FIRST_SOCKET)
        return result(ASK("send", fd, from, size, 0));
    R(from, size);
    return dr_real.write(fd, from, size);
}
HIDDEN ssize_t pread(int fd, void *to, size_t size, off_t at)
{
    ssize_t got = dr_real.pread(fd, to, size, at);
    if (got > 0)
        W(to, (size_t)got);
    return got;
}
HIDDEN ssize_t pwrite(int fd, const void *from, size_t size, off_t at)
{
    R(from, size);
    return dr_real.pwrite(fd, from, size, at);
}

/* What ends the process. */

#define ENDS(name, parameters, a, b, c)                                  \
    HIDDEN __attribute__((noreturn)) void name parameters                \
    {                                                                    \
        for (;;)                                                         \
            ASK(#name, a, b, c, 0);                                      \
    }
ENDS(abort, (void), 0, 0, 0)
ENDS(exit, (int status), status, 0, 0)
ENDS(_exit, (int status), status, 0, 0)
ENDS(_Exit, (int status), status, 0, 0)
ENDS(__assert_fail, (const char *what, const char *file, unsigned line, const char *function), what, line + (file != NULL) * 0, function)

/* A driver's destructors would run when Python ends, on what the last run has left: they do not. */
HIDDEN int __cxa_atexit(void (*f)(void *), void *argument, void *object)
{
    (void)f, (void)argument, (void)object;
    return 0;
}
HIDDEN int atexit(void (*f)(void)) { (void)f; return 0; }
