/* api.c: the functions of erl_driver.h, for one driver.
 *
 * All but the calls on memory are requests.  Every one of the header has a line in calls.inc, which is
 * made from the header that the driver is compiled with.  What the model does not have is refused when
 * it is called, by name.
 *
 * stand_in.h says how a call becomes a request.
 */
#include "stand_in.h"

#include "calls.inc"

/* The calls on memory, of which no other thread notices anything.  They ask only whether they are to fail. */
HIDDEN void *driver_alloc(size_t size) { return dr_alloc(size, DRIVER_ALLOC, 0, CALLER); }
HIDDEN void *driver_realloc(void *p, size_t size) { return dr_realloc(p, size, DRIVER_ALLOC, CALLER); }
HIDDEN void driver_free(void *p) { dr_free(p, DRIVER_ALLOC, CALLER); }

HIDDEN const unsigned long driver_term_nil = 0;

/* Has the driver's thread-local variables made for the OS thread that calls. */
static __thread volatile int local;
HOST int dr_make_locals(void) { return local; }
