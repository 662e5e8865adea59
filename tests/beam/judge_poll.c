/* SPDX-License-Identifier: 0BSD
 *
 * judge_poll: a library that is loaded into the emulator before the C library, and holds up its poll thread.
 *
 * The kernel reports that a descriptor is ready, and the emulator's poll thread then looks which port selects it.  In
 * between a driver may read what is there, or select the descriptor anew.  The gap is so short that this would be seen
 * once in thousands of runs.  Nothing but time is changed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <time.h>

typedef int EpollWait(int, struct epoll_event *, int, int);

int epoll_wait(int poll, struct epoll_event *events, int room, int timeout)
{
    static const long naps[] = {0, 20000, 200000, 1500000};
    static atomic_uint calls;
    EpollWait *original;
    int ready;

    *(void **)&original = dlsym(RTLD_NEXT, "epoll_wait");
    ready = original(poll, events, room, timeout);
    if (ready > 0) {
        unsigned number = atomic_fetch_add(&calls, 1) * 2654435761U;
        struct timespec nap = {.tv_nsec = naps[number >> 30]};

        if (nap.tv_nsec > 0)
            nanosleep(&nap, NULL);
    }
    return ready;
}
