/* SPDX-License-Identifier: 0BSD
 *
 * blocking_drv: a callback that works for 50 ms and blocks its scheduler for that time.
 *
 * A command is any text. The port answers "done".
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o blocking_drv.so blocking_drv.c
 *
 * step.erl plays it. In the same folder:
 *
 *   erlc +warnings_as_errors step.erl
 *   erl -noshell -s step main blocking_drv -s erlang halt
 *
 * It prints:
 *
 *   short:     done
 *   long:      done
 *   closed:    done
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

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    (void)buf, (void)len;
    usleep(50000);                     /* stands for real work */
    driver_output((ErlDrvPort)data, "done", 4);
}

/* The table of callbacks, and the function that loading the file calls. */
static ErlDrvEntry entry = {
    .driver_name = "blocking_drv",
    .start = start,
    .output = output,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(blocking_drv)
{
    return &entry;
}
