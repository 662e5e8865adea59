/* host.h: the words that the files of the runtime share.
 *
 * The runtime is one shared library for all hosted drivers of a process.  It calls no Python: it runs
 * the driver's code and returns to Python when that code asks for something.  In reading order:
 *
 *   stacks.c   the driver's code runs on stacks of its own; a call of the API is a request
 *   arena.c    the memory that it runs in: heaps and stacks, in regions
 *   blocks.c   what malloc and driver_alloc give, and where it was allocated and freed
 *   shadow.c   what is known of each byte: alive, written, and which thread used it last
 *   modules.c  the driver's global and thread-local variables, put back before each run
 *   tsan.c     what the compiler inserts at each load and store
 *   signals.c  what ends a real emulator: SIGSEGV, SIGFPE, abort
 *   real.h     the C library's own functions, for the checked ones in libc.c
 *
 * Five more files are linked into each driver, because their names must be the driver's alone:
 *
 *   api.c      the functions of erl_driver.h
 *   libc.c     the functions of the C library that allocate or use memory
 *   posix.c    those that wait, open files or end the process
 *   locks.c    read/write locks, semaphores, and C11's threads.h
 *   refused.c  those that the host does not have
 *
 * One OS thread runs all of this, so nothing here takes a lock.
 */
#ifndef HOST_H
#define HOST_H

#include <stddef.h>
#include <stdint.h>

#define HOST __attribute__((visibility("default")))
/* For what is linked into a driver.  It is weak: the driver may have a function of the same name itself,
 * and so may the stand-ins that are Python's. */
#define HIDDEN __attribute__((visibility("hidden"), weak))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Where the driver's code goes on after the call: the address of a line of the driver. */
#define CALLER ((uintptr_t)__builtin_return_address(0))

/* How memory is used.  WHOLE is a read that hands the bytes on to Erlang or to a socket: each has to be
 * written, while of another read a part may be padding. */
enum { READ = 0, WRITE = 1, ATOMIC = 2, FREE = 4, WHOLE = 8 };

/* What a byte holds that was allocated and not written. */
enum { FILL = 0xa5 };

/* Which call a block came from; that decides which call frees it. */
enum { DRIVER_ALLOC = 1, MALLOC, NEW, NEW_ARRAY, BINARY, LENT, FILLER };

/* What a fault is; faults.py has the words for each. */
enum {
    RACE = 1,
    FREED,
    UNWRITTEN,
    OUTSIDE,
    NULL_POINTER,
    DOUBLE_FREE,
    INVALID_FREE,
    ENDLESS,
};

/* arena.c */

enum { REGION_BITS = 20 };
#define REGION ((size_t)1 << REGION_BITS)

typedef struct {
    uint64_t name;  /* the first byte's name; the names of two regions never overlap */
    uint32_t used;  /* bytes, for a heap */
    uint32_t next;  /* the next region of the same heap, or 0 */
    uint32_t head;  /* the first of the regions that were taken together */
    uint8_t stack;  /* whether it is a stack */
} Region;

typedef struct {
    uint64_t owner;         /* what the names of its regions begin with */
    uint32_t taken;         /* how many regions it has had: they are numbered */
    uint32_t first, last;   /* its regions; 0 if it has none */
    int kept;               /* whether its regions survive the run */
    char *next, *end;
} Heap;

typedef struct {
    uint32_t segment;  /* in which segment the bytes below were used */
    uint8_t shift;     /* log2 of the bytes that count as one in a footprint; 0: four bytes */
    uint8_t read, written;
    uint8_t unused;
    uint32_t run;      /* of which run `first` is */
    uint32_t first;    /* the last uses by each thread: a list in shadow.c, 0 is its end */
} Granule;             /* what is known of eight bytes */

extern char *arena;
extern size_t arena_size;
extern Region *regions;
extern uint8_t *states;
extern Granule *granules;
extern uint32_t run;
extern uint32_t heap_regions;

uint32_t take_regions(size_t count, int kept);
void reset_arena(void);

/* blocks.c */

typedef struct {
    size_t size;
    size_t full;           /* with the bytes up to the next block's header */
    uintptr_t born, ended; /* the lines of the driver that allocated and freed it */
    uint32_t kind;
    uint32_t alive;
    uintptr_t unused;      /* makes it a multiple of 16 */
} Block;                   /* stands before the bytes */

Block *block_near(uintptr_t addr);
Block *block_of(void *p);
void clear_heap(Heap *heap);

/* shadow.c */

enum { NONE, NEW_BYTE, WRITTEN, FREED_BYTE, RED, HEAD };

struct Thread;
extern uint32_t segment;
extern uint32_t fuel;
extern long fault[8];

int look(struct Thread *me, uintptr_t addr, size_t size, int how, uintptr_t pc);
int look_at_free(struct Thread *me, void *p, size_t size, uintptr_t pc);
HOST void dr_copied(uintptr_t to, uintptr_t from, size_t size);
void touch(struct Thread *me, uintptr_t addr, size_t size, int how);
uint64_t name_of(uintptr_t addr, int *shift);
void reset_shadow(void);

/* modules.c */

Granule *module_granule(uintptr_t addr, uint64_t *name, uintptr_t *end);
int in_a_module(uintptr_t pc);
int is_global(uintptr_t addr);
void change_thread_locals(uint32_t thread);
void reset_modules(void);
extern int thread_locals;
extern Heap *loading;

/* stacks.c */

/* What Python and a call of the driver tell each other: numbers in an array that both see. */
enum { WHAT, SITE, ARGUMENT, RESULT = ARGUMENT + 7, TICK, ERRNO, FUNCTION, BOX };

typedef struct Call {
    long box[BOX];
    void *sp;
    char *low, *high;
    struct Thread *thread;
} Call;

typedef struct Thread {
    uint32_t number;
    uint32_t tick;
    uint32_t clocks;  /* how many entries `clock` has */
    uint32_t *clock;  /* by thread, the last tick that this one has heard of */
    Heap heap;
    Call **calls;     /* by depth: a callback may be called from within another */
    uint32_t depth;
} Thread;

extern Call *current;     /* the call whose code runs; NULL: Python does */
extern Thread **threads;  /* by number */
extern uint32_t thread_count;

/* Where the driver's code is: another process reads it when this one has ended (`apart.py`). */
typedef struct {
    long running;   /* whether it is the driver's code that runs, and not Python */
    long function;  /* the one that Python has called last */
    long site;      /* the line of its last request; 0 if it has made none, or has returned */
} Note;

HOST long dr_ask(const char *what, uintptr_t pc, long a, long b, long c, long d, long e, long f);
__attribute__((noreturn)) void tell(uintptr_t pc);

/* signals.c */

void watch_signals(void);

/* For what is linked into the driver. */

HOST void dr_access(uintptr_t addr, size_t size, int how, uintptr_t pc);
HOST size_t dr_string(const char *text, size_t most, uintptr_t pc);
HOST void *dr_alloc(size_t size, uint32_t kind, int cleared, uintptr_t pc);
HOST void *dr_alloc_aligned(size_t align, size_t size, uint32_t kind, uintptr_t pc);
HOST void *dr_realloc(void *p, size_t size, uint32_t kind, uintptr_t pc);
HOST void dr_free(void *p, uint32_t kind, uintptr_t pc);
HOST int dr_calling(void);

#endif
