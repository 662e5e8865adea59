/* SPDX-License-Identifier: 0BSD
 *
 * reaching_drv: a job that reads the state of the port, which is a mistake.
 *
 * `stop` frees the state, and the job may run after `stop`. A command is any text, and
 * the port answers "done".
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o reaching_drv.so reaching_drv.c
 *
 * It is a step of the page "Make your driver survive". The last step is first_drv.c.
 */
#define _DEFAULT_SOURCE
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>
#include <erl_driver.h>

typedef struct {
    ErlDrvPort port;
    atomic_bool cancelled;
} Shared;

static void work(void *data)
{
    Shared *shared = data;
    for (int step = 0; step < 3; step++) {
        if (atomic_load(&shared->cancelled))
            break;                     /* wrong: stop may have freed the state */
        usleep(10000);
    }
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    Shared *shared = driver_alloc(sizeof *shared);
    (void)command;
    shared->port = port;
    atomic_init(&shared->cancelled, false);
    return (ErlDrvData)shared;
}

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    Shared *shared = (Shared *)data;
    (void)buf, (void)len;
    driver_async(shared->port, NULL, work, shared, NULL);
}

static void ready_async(ErlDrvData data, ErlDrvThreadData job)
{
    (void)job;
    driver_output(((Shared *)data)->port, "done", 4);
}

static void stop(ErlDrvData data)
{
    Shared *shared = (Shared *)data;
    atomic_store(&shared->cancelled, true);
    driver_free(shared);
}

/* The table of callbacks, and the function that loading the file calls. */
static ErlDrvEntry entry = {
    .driver_name = "reaching_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .ready_async = ready_async,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(reaching_drv)
{
    return &entry;
}
