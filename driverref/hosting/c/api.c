/* api.c: the functions of erl_driver.h, for one driver.
 *
 * All but the calls on memory are requests.  Every one of the header has a line in calls.inc, which is
 * made from the header that the driver is compiled with.  What the model does not have is refused when
 * it is called, by name.
 *
 * A request takes six words, whatever the function takes.  The header is not included, so the types do
 * not clash.  That is not C's rule but that of the processors' calling conventions: x86-64 and aarch64
 * pass the first six integers and pointers in registers, and a function that takes fewer leaves the
 * others as they are.  No function of the header takes more, or a floating-point number.
 */
#include "host.h"

#define HIDDEN __attribute__((visibility("hidden")))

#define CALL(name)                                                             \
    HIDDEN long name(long a, long b, long c, long d, long e, long f)           \
    {                                                                          \
        return dr_ask(#name, CALLER, a, b, c, d, e, f);                        \
    }
#include "calls.inc"

/* The calls on memory, of which no other thread notices anything. */
HIDDEN void *driver_alloc(size_t size) { return dr_alloc(size, DRIVER_ALLOC, 0, CALLER); }
HIDDEN void *driver_realloc(void *p, size_t size) { return dr_realloc(p, size, DRIVER_ALLOC, CALLER); }
HIDDEN void driver_free(void *p) { dr_free(p, DRIVER_ALLOC, CALLER); }

HIDDEN const unsigned long driver_term_nil = 0;

/* Has the driver's thread-local variables made for the OS thread that calls. */
static __thread volatile int local;
HOST int dr_make_locals(void) { return local; }
