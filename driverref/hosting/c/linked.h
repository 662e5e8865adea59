/* linked.h: the words of the files that are linked into each driver.
 *
 * Their functions are hidden in the driver, so that the driver's calls come here, and those of Python and
 * of the libraries that the driver is linked with do not.
 */
#ifndef LINKED_H
#define LINKED_H

#include "host.h"
#include "real.h"

#define R(p, size) dr_access((uintptr_t)(p), (size), READ, CALLER)
#define W(p, size) dr_access((uintptr_t)(p), (size), WRITE, CALLER)
#define TEXT(s) dr_string((s), SIZE_MAX, CALLER)
#define ASK(name, a, b, c, d) dr_ask(name, CALLER, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

extern const Real dr_real;
int dr_opened(int fd, uintptr_t pc);
int dr_close(int fd);

#endif
