/* SPDX-License-Identifier: 0BSD
 *
 * bench_drv: what one asynchronous job costs by itself.
 *
 * A command schedules a job that does nothing; when it is done, the port sends its owner two bytes.  What is left to
 * measure is the emulator's own work: the command's way to `output`, the job's way to an async thread and back to a
 * scheduler, the reply's way to a mailbox.
 *
 * The job gets no data, so there is nothing that a port which closes early could leave behind or take away: a job that
 * is done after `stop` is simply forgotten.  The port's state lives from `start` to `stop`, and no job sees it.
 *
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -isystem "$ERL_ROOT/usr/include" -o bench_drv.so bench_drv.c
 *
 * ERL_ROOT is what `code:root_dir()` says; on macOS add `-undefined dynamic_lookup`.  In Erlang, from the same folder:
 *
 *   ok = erl_ddll:load_driver(".", "bench_drv"),
 *   Port = open_port({spawn_driver, "bench_drv"}, [binary]),
 *   true = port_command(Port, <<"x">>),
 *   receive {Port, {data, <<"ok">>}} -> ok end.
 */
#include <erl_driver.h>

typedef struct {
    ErlDrvPort port;
} State;

static ErlDrvData start(ErlDrvPort port, char *command)
{
    State *state = driver_alloc(sizeof *state);

    (void)command;
    if (state == NULL)
        return ERL_DRV_ERROR_GENERAL;
    state->port = port;
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
    /* The failure calls `stop` before it returns: after it the state is gone. */
    if (driver_async(state->port, NULL, nothing, NULL, NULL) < 0)
        driver_failure_atom(state->port, "driver_async");
}

/* Back on a scheduler, under the driver's lock; not called once the port is closed. */
static void ready_async(ErlDrvData data, ErlDrvThreadData job)
{
    State *state = (State *)data;

    (void)job;
    driver_output(state->port, "ok", 2);
}

static ErlDrvEntry entry = {
    .driver_name = "bench_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .ready_async = ready_async,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
};

DRIVER_INIT(bench_drv)
{
    return &entry;
}
