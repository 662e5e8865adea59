/* SPDX-License-Identifier: 0BSD
 *
 * What the drivers of the page "My driver crashes, leaks, hangs ..." share.
 *
 * Each file is one driver: with -DWRONG it is compiled with the wrong lines of the page, without it with the right ones.
 */
#define _DEFAULT_SOURCE
#include <erl_driver.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    ErlDrvPort port;
    int limit;
    int jobs;         /* not yet back in ready_async */
    int current;      /* the number of the request that is served now */
    atomic_int users; /* of this block */
    char room[4000];  /* a large block is soon given to another use when it has been freed */
} State;

typedef struct {
    int limit;
    int number; /* of the request that it serves */
    int fd;
    size_t length;
    char text[64];
    State *state;
} Job;

static inline ErlDrvData start(ErlDrvPort port, char *command)
{
    State *state = driver_alloc(sizeof *state);

    (void)command;
    if (state == NULL)
        return ERL_DRV_ERROR_GENERAL;
    memset(state, 0, sizeof *state);
    state->port = port;
    state->limit = 1000;
    state->current = 1;
    atomic_init(&state->users, 1);
    return (ErlDrvData)state;
}

/* A new job of a port.  Without memory it is NULL, and the port has failed. */
static inline Job *new_job(State *state)
{
    Job *job = driver_alloc(sizeof *job);

    if (job != NULL)
        memset(job, 0, sizeof *job);
    else
        driver_failure_posix(state->port, ENOMEM);
    return job;
}

#define ENTRY(name, ...)                                 \
    static ErlDrvEntry entry = {                         \
        .driver_name = #name,                            \
        .start = start,                                  \
        .extended_marker = ERL_DRV_EXTENDED_MARKER,      \
        .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION, \
        .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION, \
        __VA_ARGS__};                                    \
    DRIVER_INIT(name)                                    \
    {                                                    \
        return &entry;                                   \
    }
