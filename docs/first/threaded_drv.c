/* SPDX-License-Identifier: 0BSD
 *
 * threaded_drv: a job does the work on an async thread.
 *
 * A command is any text. The port answers "done".
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o threaded_drv.so threaded_drv.c
 *
 * step.erl plays it. In the same folder:
 *
 *   erlc +warnings_as_errors step.erl
 *   erl -noshell -s step main threaded_drv -s erlang halt
 *
 * It prints:
 *
 *   short:     done
 *   long:      done
 *   closed:    no answer
 *
 * It is a step of the page "Your first multithreaded driver". The last step is first_drv.c.
 */
#define _DEFAULT_SOURCE
#include <unistd.h>
#include <erl_driver.h>

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    return (ErlDrvData)port;
}

static void work(void *data)           /* called on an async thread */
{
    (void)data;
    usleep(50000);
}

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    (void)buf, (void)len;
    driver_async((ErlDrvPort)data, NULL, work, NULL, NULL);
}

static void ready_async(ErlDrvData data, ErlDrvThreadData job)
{                                      /* called on a scheduler */
    (void)job;
    driver_output((ErlDrvPort)data, "done", 4);
}

/* The table of callbacks, and the function that loading the file calls. */
static ErlDrvEntry entry = {
    .driver_name = "threaded_drv",
    .start = start,
    .output = output,
    .ready_async = ready_async,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(threaded_drv)
{
    return &entry;
}
