/* run.c: a run begins. */
#include <string.h>

#include "host.h"

void reset_files(void);

/* Forget the run before: no memory, no file, no call is left of it. */
HOST void dr_begin(void)
{
    current = NULL;
    for (uint32_t t = 0; t < thread_count; t++)
        if (threads[t] != NULL)
            memset(threads[t]->clock, 0, threads[t]->clocks * sizeof(uint32_t));
    reset_files();
    reset_shadow();
    reset_arena();
    reset_modules();
    watch_signals();
}
