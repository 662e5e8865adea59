/* SPDX-License-Identifier: 0BSD
 *
 * spool_drv: a closed port writes the rest of its output before it ends.
 *
 * The bytes of a command go into the driver queue. Every 20 ms the driver writes one
 * byte, which means here that it takes the byte from the queue.
 * port_control(Port, 0, []) returns the number of bytes that are left, up to 255.
 * port_control(Port, 1, []) drops these bytes first.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o spool_drv.so spool_drv.c
 *
 * spool_drv.erl loads it and says how it is used.
 */
#include <erl_driver.h>

enum { LEFT, DROP };

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    return (ErlDrvData)port;
}

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    ErlDrvPort port = (ErlDrvPort)data;
    int empty = driver_sizeq(port) == 0;
    driver_enq(port, buf, len);
    if (empty)                             /* else the timer is set */
        driver_set_timer(port, 20);
}

static void timeout(ErlDrvData data)
{
    ErlDrvPort port = (ErlDrvPort)data;
    driver_deq(port, 1);                   /* one byte is written */
    if (driver_sizeq(port) > 0)
        driver_set_timer(port, 20);
}

static ErlDrvSSizeT control(ErlDrvData data, unsigned int command,
                            char *buf, ErlDrvSizeT len,
                            char **answer, ErlDrvSizeT size)
{
    ErlDrvPort port = (ErlDrvPort)data;
    (void)buf, (void)len, (void)size;      /* there is room for 64 bytes */
    if (command == DROP)
        driver_deq(port, driver_sizeq(port));
    ErlDrvSizeT left = driver_sizeq(port);
    **answer = (char)(left < 255 ? left : 255);
    return 1;
}

static void flush(ErlDrvData data)         /* the port is closed, with bytes queued */
{
    (void)data;                            /* the timer empties the queue */
}

static void stop(ErlDrvData data)
{
    (void)data;
}

/* The table of callbacks, and the function that loading the file calls. */
static ErlDrvEntry entry = {
    .driver_name = "spool_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .control = control,
    .timeout = timeout,
    .flush = flush,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(spool_drv)
{
    return &entry;
}
