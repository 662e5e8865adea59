/* files.c: the C library's own functions, and which files the driver has open.
 *
 * Files are the machine's own.  A descriptor that is open when a run ends is a leak, and is closed
 * before the next run.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "host.h"
#include "real.h"

#define FUNCTION_OF(type, name, parameters) .name = name,
HOST const Real dr_real = {REAL_FUNCTIONS(FUNCTION_OF)};

typedef struct {
    long fd;
    uintptr_t site;
    long thread;
} Opened;

static Opened *opened;
static long open_count, open_room;

/* Note a descriptor that the driver has opened; it is returned. */
HOST int dr_opened(int fd, uintptr_t pc)
{
    if (fd < 0 || current == NULL)
        return fd;
    if (open_count == open_room) {
        open_room = open_room ? 2 * open_room : 16;
        opened = realloc(opened, (size_t)open_room * sizeof *opened);
    }
    opened[open_count++] = (Opened){fd, pc, current->thread->number};
    return fd;
}

/* Close a descriptor.  One that the driver has not opened is not closed: Python may have it open. */
HOST int dr_close(int fd)
{
    for (long i = 0; i < open_count; i++)
        if (opened[i].fd == fd) {
            memmove(opened + i, opened + i + 1, (size_t)(--open_count - i) * sizeof *opened);
            return close(fd);
        }
    errno = EBADF;
    return -1;
}

/* For Python: the n-th descriptor that is open, its thread and the line that opened it. */
HOST long dr_open_file(long n, long out[2])
{
    if (n >= open_count)
        return -1;
    out[0] = opened[n].thread, out[1] = (long)opened[n].site;
    return opened[n].fd;
}

void reset_files(void)
{
    while (open_count)
        close((int)opened[--open_count].fd);
}
