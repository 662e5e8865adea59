/* libc.c: the functions of the C library that allocate or use memory; linked.h has the words.
 *
 * Memory is checked as if the driver had used it itself.  A function that is neither here nor in posix.c
 * nor in refused.c runs for real: it does not wait, and the memory it uses is not checked.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "linked.h"

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

/* Copy bytes; what is not written of them is not written in the copy. */
static void *move(void *to, const void *from, size_t size, uintptr_t pc)
{
    dr_access((uintptr_t)from, size, READ, pc);
    dr_access((uintptr_t)to, size, WRITE, pc);
    dr_copied((uintptr_t)to, (uintptr_t)from, size);
    return dr_real.memmove(to, from, size);
}

HIDDEN void *memcpy(void *to, const void *from, size_t size)
{
    return move(to, from, size, CALLER);
}
HIDDEN void *memmove(void *to, const void *from, size_t size)
{
    return move(to, from, size, CALLER);
}
HIDDEN void *mempcpy(void *to, const void *from, size_t size)
{
    return (char *)move(to, from, size, CALLER) + size;
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
