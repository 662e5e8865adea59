/* SPDX-License-Identifier: 0BSD
 *
 * counter_drv: the smallest driver that keeps a state for each port.
 *
 * Each port counts its commands, and answers every command with the count.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o counter_drv.so counter_drv.c
 *
 * counter_drv.erl loads it and says how it is used.
 */
#include <errno.h>
#include <stdio.h>
#include <erl_driver.h>

typedef struct {
    ErlDrvPort port;
    int count;
} State;

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    State *state = driver_alloc(sizeof *state);
    if (state == NULL) {
        errno = ENOMEM;
        return ERL_DRV_ERROR_ERRNO;    /* open_port fails with enomem */
    }
    state->port = port;
    state->count = 0;
    return (ErlDrvData)state;          /* every callback of this port gets it */
}

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    (void)buf, (void)len;
    State *state = (State *)data;
    state->count += 1;
    char text[16];
    int length = snprintf(text, sizeof text, "%d", state->count);
    driver_output(state->port, text, length);
}

static void stop(ErlDrvData data)
{
    driver_free((State *)data);        /* no callback of this port follows */
}

/* The table of callbacks, and the function that loading the file calls. */
static ErlDrvEntry entry = {
    .driver_name = "counter_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(counter_drv)
{
    return &entry;
}
