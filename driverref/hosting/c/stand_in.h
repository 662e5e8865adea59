/* stand_in.h: a function that is a request, and so is done in Python.
 *
 * A request takes six words, whatever the function takes.  No header that declares it is included, so
 * the types do not clash.  That is not C's rule but that of the processors' calling conventions: x86-64
 * and aarch64 pass the first six integers and pointers in registers, and a function that takes fewer
 * leaves the others as they are.  A function that takes more, or a floating-point number, cannot be had
 * so; erl_driver.h has none.
 */
#ifndef STAND_IN_H
#define STAND_IN_H

#include "host.h"

#define CALL(name)                                                             \
    HIDDEN long name(long a, long b, long c, long d, long e, long f)           \
    {                                                                          \
        return dr_ask(#name, CALLER, a, b, c, d, e, f);                        \
    }

#endif
