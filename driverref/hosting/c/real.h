/* real.h: the C library's own functions, for the checked ones in libc.c.
 *
 * libc.c is linked into the driver and defines `strlen`, `memcpy` and others for it.  In there those
 * names are its own, so it calls the real ones through this table, which the runtime fills in.
 */
#ifndef REAL_H
#define REAL_H

#include <stdarg.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#define REAL_FUNCTIONS(X)                                        \
    X(void *, memcpy, (void *, const void *, size_t))            \
    X(void *, memmove, (void *, const void *, size_t))           \
    X(void *, memset, (void *, int, size_t))                     \
    X(int, memcmp, (const void *, const void *, size_t))         \
    X(char *, strcpy, (char *, const char *))                    \
    X(char *, strcat, (char *, const char *))                    \
    X(char *, strncpy, (char *, const char *, size_t))           \
    X(int, strcmp, (const char *, const char *))                 \
    X(int, strncmp, (const char *, const char *, size_t))        \
    X(int, strcasecmp, (const char *, const char *))             \
    X(int, strncasecmp, (const char *, const char *, size_t))    \
    X(int, vsnprintf, (char *, size_t, const char *, va_list))   \
    X(int, open, (const char *, int, ...))                       \
    X(int, openat, (int, const char *, int, ...))                \
    X(int, close, (int))                                         \
    X(ssize_t, read, (int, void *, size_t))                      \
    X(ssize_t, write, (int, const void *, size_t))               \
    X(ssize_t, pread, (int, void *, size_t, off_t))              \
    X(ssize_t, pwrite, (int, const void *, size_t, off_t))       \
    X(int, dup, (int))                                           \
    X(int, fcntl, (int, int, ...))

#define MEMBER(type, name, parameters) type (*name) parameters;
typedef struct {
    REAL_FUNCTIONS(MEMBER)
} Real;

#endif
