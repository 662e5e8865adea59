/* SPDX-License-Identifier: 0BSD
 *
 * The code that the drivers of the page "My driver crashes, leaks, hangs ..." have in common.
 *
 * Each C file is one driver. With -DWRONG it is compiled with the wrong lines of the page, and
 * without -DWRONG with the right lines.
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
    int jobs;         /* jobs that are not back */
    int current;      /* the number of the open request */
    atomic_int users; /* how many owners this block has */
    char room[4000];  /* makes the block large: a freed large block is soon reused */
} State;

typedef struct {
    int limit;
    int number; /* of the request */
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

/* Returns a new job of a port. Without memory it makes the port fail and returns NULL. */
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
