/* SPDX-License-Identifier: 0BSD
 *
 * blast_drv: many jobs at once, which do nothing.
 *
 * The command line says how many: "blast_drv 10000".  A command schedules so many jobs; when the last of them has come
 * back to `ready_async`, the process that sent the command gets `{Port, done}`.
 *
 * The jobs get no data.  The port's state lives from `start` to `stop`, and no job sees it.
 *
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -isystem "$ERL_ROOT/usr/include" -o blast_drv.so blast_drv.c
 *
 * ERL_ROOT is what `code:root_dir()` says; on macOS add `-undefined dynamic_lookup`.  `blast.erl` drives it.
 */
#include <erl_driver.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    ErlDrvPort port;
    ErlDrvTermData caller;
    int jobs;
    int left;
} State;

static ErlDrvData start(ErlDrvPort port, char *command)
{
    State *state = driver_alloc(sizeof *state);
    char *argument = strchr(command, ' ');

    if (state == NULL)
        return ERL_DRV_ERROR_GENERAL;
    state->port = port;
    state->jobs = argument == NULL ? 1 : atoi(argument);
    state->left = 0;
    return (ErlDrvData)state;
}

static void stop(ErlDrvData data)
{
    driver_free(data);
}

/* On an async thread, under no lock. */
static void nothing(void *data)
{
    (void)data;
}

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    State *state = (State *)data;

    (void)buf;
    (void)len;
    state->caller = driver_caller(state->port);
    state->left = state->jobs;
    for (int i = 0; i < state->jobs; i++) {
        /* The failure calls `stop` before it returns: after it the state is gone. */
        if (driver_async(state->port, NULL, nothing, NULL, NULL) < 0) {
            driver_failure_atom(state->port, "driver_async");
            return;
        }
    }
}

/* Back on a scheduler, under the port's lock; not called once the port is closed. */
static void ready_async(ErlDrvData data, ErlDrvThreadData job)
{
    State *state = (State *)data;

    (void)job;
    if (--state->left == 0) {
        ErlDrvTermData port = driver_mk_port(state->port);
        ErlDrvTermData done[] = {ERL_DRV_PORT, port, ERL_DRV_ATOM, driver_mk_atom("done"), ERL_DRV_TUPLE, 2};

        erl_drv_send_term(port, state->caller, done, sizeof done / sizeof done[0]);
    }
}

static ErlDrvEntry entry = {
    .driver_name = "blast_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .ready_async = ready_async,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(blast_drv)
{
    return &entry;
}
