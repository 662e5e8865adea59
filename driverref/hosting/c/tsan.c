/* tsan.c: what the compiler inserts at each load and store of the driver, and in each loop.
 *
 * The driver is compiled with -fsanitize=thread.  The compiler then calls the functions of this file,
 * which it expects in the library of ThreadSanitizer; that library is not linked.
 *
 * A plain use of memory is checked here and is no request.  An atomic is one: other threads may run
 * before it, and Python keeps what it orders (`atomics.py`).  Then it is done here, undivided.
 */
#include "host.h"

#define PC CALLER
#define USES(size)                                                                             \
    HOST void __tsan_read##size(void *p) { dr_access((uintptr_t)p, size, READ, PC); }          \
    HOST void __tsan_write##size(void *p) { dr_access((uintptr_t)p, size, WRITE, PC); }        \
    HOST void __tsan_unaligned_read##size(void *p) { dr_access((uintptr_t)p, size, READ, PC); } \
    HOST void __tsan_unaligned_write##size(void *p) { dr_access((uintptr_t)p, size, WRITE, PC); } \
    HOST void __tsan_volatile_read##size(void *p) { dr_access((uintptr_t)p, size, READ, PC); } \
    HOST void __tsan_volatile_write##size(void *p) { dr_access((uintptr_t)p, size, WRITE, PC); } \
    HOST void __tsan_unaligned_volatile_read##size(void *p) { dr_access((uintptr_t)p, size, READ, PC); } \
    HOST void __tsan_unaligned_volatile_write##size(void *p) { dr_access((uintptr_t)p, size, WRITE, PC); } \
    HOST void __tsan_read_write##size(void *p) { dr_access((uintptr_t)p, size, WRITE, PC); }   \
    HOST void __tsan_unaligned_read_write##size(void *p) { dr_access((uintptr_t)p, size, WRITE, PC); }
USES(1)
USES(2)
USES(4)
USES(8)
USES(16)
HOST void __tsan_read_range(void *p, unsigned long size) { dr_access((uintptr_t)p, size, READ, PC); }
HOST void __tsan_write_range(void *p, unsigned long size) { dr_access((uintptr_t)p, size, WRITE, PC); }
HOST void __tsan_vptr_update(void **p, void *v) { (void)v; dr_access((uintptr_t)p, 8, WRITE, PC); }
HOST void __tsan_vptr_read(void **p) { dr_access((uintptr_t)p, 8, READ, PC); }
HOST void __tsan_init(void) {}
HOST void __tsan_func_entry(void *pc) { (void)pc; }
HOST void __tsan_func_exit(void) {}

/* Loops.  With -fsanitize-coverage=trace-pc the compiler calls this wherever a jump may lead to.  So an
 * endless loop ends in the same place each time.  One of atomics does not end here: each use is a step. */

uint32_t fuel; /* how many more of these calls the driver may make before its next request */

HOST void __sanitizer_cov_trace_pc(void)
{
    if (UNLIKELY(current != NULL && --fuel == 0)) {
        fault[0] = ENDLESS;
        tell(PC);
    }
}

/* Atomics.  The orders are the compiler's numbers: relaxed 0, consume, acquire, release, acq_rel, seq_cst. */

enum { LOAD, STORE, CHANGE };

/* Wait for the turn of an atomic use.  `expected` is what a compare and exchange compares with. */
static void atomic(uintptr_t addr, size_t size, int how, int order, int failed, const void *expected, uintptr_t pc)
{
    int shift = 2;
    uint64_t name;
    if (current == NULL)
        return;
    name = name_of(addr, &shift);
    if (name)
        dr_ask("an atomic", pc, (long)name, (long)(size | (size_t)shift << 8 | (size_t)how << 16),
               order, failed, (long)addr, (long)expected);
    if (look(current->thread, addr, size, (how == LOAD ? READ : WRITE) | ATOMIC, pc))
        tell(pc);
}

/* Whether a compare and exchange fails: then it is a load, and orders as one.  Python asks it, too. */
HOST int dr_differs(const void *p, const void *expected, size_t size)
{
    return __builtin_memcmp(p, expected, size) != 0;
}

#define CHANGES(bits, T, name, expression)                                                     \
    HOST T __tsan_atomic##bits##_##name(volatile T *p, T v, int order)                         \
    {                                                                                          \
        atomic((uintptr_t)p, sizeof *p, CHANGE, order, -1, NULL, PC);                                \
        T old = *p;                                                                            \
        *p = expression;                                                                       \
        return old;                                                                            \
    }
#define EXCHANGES(bits, T, name)                                                               \
    HOST int __tsan_atomic##bits##_##name(volatile T *p, T *expected, T v, int order, int failed) \
    {                                                                                          \
        atomic((uintptr_t)p, sizeof *p, CHANGE, order, failed, expected, PC);                            \
        if (dr_differs((const void *)p, expected, sizeof *p)) {                                   \
            *expected = *p;                                                                    \
            return 0;                                                                          \
        }                                                                                      \
        *p = v;                                                                                \
        return 1;                                                                              \
    }
#define ATOMICS(bits, T)                                                                       \
    HOST T __tsan_atomic##bits##_load(const volatile T *p, int order)                          \
    {                                                                                          \
        atomic((uintptr_t)p, sizeof *p, LOAD, order, -1, NULL, PC);                                  \
        return *p;                                                                             \
    }                                                                                          \
    HOST void __tsan_atomic##bits##_store(volatile T *p, T v, int order)                       \
    {                                                                                          \
        atomic((uintptr_t)p, sizeof *p, STORE, order, -1, NULL, PC);                                 \
        *p = v;                                                                                \
    }                                                                                          \
    CHANGES(bits, T, exchange, v)                                                              \
    CHANGES(bits, T, fetch_add, old + v)                                                       \
    CHANGES(bits, T, fetch_sub, old - v)                                                       \
    CHANGES(bits, T, fetch_and, old & v)                                                       \
    CHANGES(bits, T, fetch_or, old | v)                                                        \
    CHANGES(bits, T, fetch_xor, old ^ v)                                                       \
    CHANGES(bits, T, fetch_nand, ~(old & v))                                                   \
    EXCHANGES(bits, T, compare_exchange_strong)                                                \
    EXCHANGES(bits, T, compare_exchange_weak)                                                  \
    HOST T __tsan_atomic##bits##_compare_exchange_val(volatile T *p, T expected, T v, int order, int failed) \
    {                                                                                          \
        atomic((uintptr_t)p, sizeof *p, CHANGE, order, failed, &expected, PC);                            \
        T old = *p;                                                                            \
        if (old == expected)                                                                   \
            *p = v;                                                                            \
        return old;                                                                            \
    }
ATOMICS(8, uint8_t)
ATOMICS(16, uint16_t)
ATOMICS(32, uint32_t)
ATOMICS(64, uint64_t)
__extension__ typedef unsigned __int128 uint128;
ATOMICS(128, uint128)

HOST void __tsan_atomic_thread_fence(int order) { dr_ask("a fence", PC, order, 0, 0, 0, 0, 0); }
HOST void __tsan_atomic_signal_fence(int order) { (void)order; }
