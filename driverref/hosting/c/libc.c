/* libc.c: the functions of the C library that allocate, use memory, wait or end the process.
 *
 * They are linked into the driver and hidden in it, so that the driver's calls come here, and those of
 * Python and of the libraries that the driver is linked with do not.
 *
 * Memory is checked as if the driver had used it itself.  What waits is a request.  A function that is
 * not here runs for real: it does not block for long, and the memory it uses is not checked.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "host.h"
#include "real.h"

#define HIDDEN __attribute__((visibility("hidden")))
#define R(p, size) dr_access((uintptr_t)(p), (size), READ, CALLER)
#define W(p, size) dr_access((uintptr_t)(p), (size), WRITE, CALLER)
#define TEXT(s) dr_string((s), SIZE_MAX, CALLER)
#define ASK(name, a, b, c, d) dr_ask(name, CALLER, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

extern const Real dr_real;
int dr_opened(int fd, uintptr_t pc);
int dr_close(int fd);

/* Allocation. */

HIDDEN void *malloc(size_t size) { return dr_alloc(size, MALLOC, 0, CALLER); }
HIDDEN void *calloc(size_t count, size_t size)
{
    size_t all;
    if (__builtin_mul_overflow(count, size, &all))
        return NULL;
    return dr_alloc(all, MALLOC, 1, CALLER);
}
HIDDEN void *realloc(void *p, size_t size) { return dr_realloc(p, size, MALLOC, CALLER); }
HIDDEN void free(void *p) { dr_free(p, MALLOC, CALLER); }
HIDDEN void *aligned_alloc(size_t align, size_t size) { return dr_alloc_aligned(align, size, MALLOC, CALLER); }
HIDDEN void *memalign(size_t align, size_t size) { return dr_alloc_aligned(align, size, MALLOC, CALLER); }
HIDDEN int posix_memalign(void **p, size_t align, size_t size)
{
    void *made = dr_alloc_aligned(align, size, MALLOC, CALLER);
    if (made == NULL)
        return ENOMEM;
    W(p, sizeof *p);
    *p = made;
    return 0;
}
HIDDEN char *strndup(const char *s, size_t most)
{
    size_t size = dr_string(s, most, CALLER);
    char *copy = dr_alloc(size + 1, MALLOC, 1, CALLER);
    return copy == NULL ? NULL : dr_real.memcpy(copy, s, size);
}
HIDDEN char *strdup(const char *s)
{
    size_t size = TEXT(s);
    char *copy = dr_alloc(size + 1, MALLOC, 1, CALLER);
    return copy == NULL ? NULL : dr_real.memcpy(copy, s, size);
}

/* C++'s new and delete, by the names that the compiler gives them. */
HIDDEN void *_Znwm(size_t size) { return dr_alloc(size, NEW, 0, CALLER); }
HIDDEN void *_Znam(size_t size) { return dr_alloc(size, NEW_ARRAY, 0, CALLER); }
HIDDEN void *_ZnwmRKSt9nothrow_t(size_t size, void *t) { (void)t; return dr_alloc(size, NEW, 0, CALLER); }
HIDDEN void *_ZnamRKSt9nothrow_t(size_t size, void *t) { (void)t; return dr_alloc(size, NEW_ARRAY, 0, CALLER); }
HIDDEN void *_ZnwmSt11align_val_t(size_t size, size_t align) { return dr_alloc_aligned(align, size, NEW, CALLER); }
HIDDEN void *_ZnamSt11align_val_t(size_t size, size_t align) { return dr_alloc_aligned(align, size, NEW_ARRAY, CALLER); }
HIDDEN void _ZdlPv(void *p) { dr_free(p, NEW, CALLER); }
HIDDEN void _ZdaPv(void *p) { dr_free(p, NEW_ARRAY, CALLER); }
HIDDEN void _ZdlPvm(void *p, size_t n) { (void)n; dr_free(p, NEW, CALLER); }
HIDDEN void _ZdaPvm(void *p, size_t n) { (void)n; dr_free(p, NEW_ARRAY, CALLER); }
HIDDEN void _ZdlPvSt11align_val_t(void *p, size_t a) { (void)a; dr_free(p, NEW, CALLER); }
HIDDEN void _ZdaPvSt11align_val_t(void *p, size_t a) { (void)a; dr_free(p, NEW_ARRAY, CALLER); }
HIDDEN void _ZdlPvmSt11align_val_t(void *p, size_t n, size_t a) { (void)n, (void)a; dr_free(p, NEW, CALLER); }
HIDDEN void _ZdaPvmSt11align_val_t(void *p, size_t n, size_t a) { (void)n, (void)a; dr_free(p, NEW_ARRAY, CALLER); }

/* Bytes. */

HIDDEN void *memcpy(void *to, const void *from, size_t size)
{
    R(from, size);
    W(to, size);
    return dr_real.memmove(to, from, size);
}
HIDDEN void *memmove(void *to, const void *from, size_t size)
{
    R(from, size);
    W(to, size);
    return dr_real.memmove(to, from, size);
}
HIDDEN void *mempcpy(void *to, const void *from, size_t size)
{
    R(from, size);
    W(to, size);
    return (char *)dr_real.memmove(to, from, size) + size;
}
HIDDEN void *memset(void *to, int c, size_t size)
{
    W(to, size);
    return dr_real.memset(to, c, size);
}
HIDDEN int memcmp(const void *a, const void *b, size_t size)
{
    R(a, size);
    R(b, size);
    return dr_real.memcmp(a, b, size);
}
HIDDEN void *memchr(const void *s, int c, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        R((const char *)s + i, 1);
        if (((const unsigned char *)s)[i] == (unsigned char)c)
            return (char *)s + i;
    }
    return NULL;
}

/* Text. */

HIDDEN size_t strlen(const char *s) { return TEXT(s); }
HIDDEN size_t strnlen(const char *s, size_t most) { return dr_string(s, most, CALLER); }
HIDDEN char *strcpy(char *to, const char *from)
{
    W(to, TEXT(from) + 1);
    return dr_real.strcpy(to, from);
}
HIDDEN char *strncpy(char *to, const char *from, size_t size)
{
    dr_string(from, size, CALLER);
    W(to, size);
    return dr_real.strncpy(to, from, size);
}
HIDDEN char *stpcpy(char *to, const char *from)
{
    size_t size = TEXT(from);
    W(to, size + 1);
    return dr_real.strcpy(to, from) + size;
}
HIDDEN char *strcat(char *to, const char *from)
{
    size_t at = TEXT(to);
    W(to + at, TEXT(from) + 1);
    return dr_real.strcat(to, from);
}
HIDDEN int strcmp(const char *a, const char *b)
{
    TEXT(a), TEXT(b);
    return dr_real.strcmp(a, b);
}
HIDDEN int strncmp(const char *a, const char *b, size_t most)
{
    dr_string(a, most, CALLER), dr_string(b, most, CALLER);
    return dr_real.strncmp(a, b, most);
}
HIDDEN int strcasecmp(const char *a, const char *b)
{
    TEXT(a), TEXT(b);
    return dr_real.strcasecmp(a, b);
}
HIDDEN int strncasecmp(const char *a, const char *b, size_t most)
{
    dr_string(a, most, CALLER), dr_string(b, most, CALLER);
    return dr_real.strncasecmp(a, b, most);
}
HIDDEN char *strchr(const char *s, int c)
{
    for (;; s++) {
        R(s, 1);
        if (*s == (char)c)
            return (char *)s;
        if (*s == 0)
            return NULL;
    }
}
HIDDEN char *strrchr(const char *s, int c)
{
    const char *found = NULL;
    for (;; s++) {
        R(s, 1);
        if (*s == (char)c)
            found = s;
        if (*s == 0)
            return (char *)found;
    }
}
static int print(char *to, size_t size, const char *format, va_list arguments, uintptr_t pc)
{
    int length = dr_real.vsnprintf(to, size, format, arguments);
    if (size && length >= 0)
        dr_access((uintptr_t)to, (size_t)length < size ? (size_t)length + 1 : size, WRITE, pc);
    return length;
}
HIDDEN int vsnprintf(char *to, size_t size, const char *format, va_list arguments)
{
    return print(to, size, format, arguments, CALLER);
}
HIDDEN int snprintf(char *to, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = print(to, size, format, arguments, CALLER);
    va_end(arguments);
    return length;
}
HIDDEN int sprintf(char *to, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = dr_real.vsnprintf(NULL, 0, format, again); /* so long, that it is checked first */
    va_end(again);
    if (length >= 0) {
        W(to, (size_t)length + 1);
        dr_real.vsnprintf(to, (size_t)length + 1, format, arguments);
    }
    va_end(arguments);
    return length;
}

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
HIDDEN int close(int fd) { return dr_close(fd); }
HIDDEN ssize_t read(int fd, void *to, size_t size)
{
    ssize_t got = dr_real.read(fd, to, size);
    if (got > 0)
        W(to, (size_t)got);
    return got;
}
HIDDEN ssize_t write(int fd, const void *from, size_t size)
{
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
