/* SPDX-License-Identifier: 0BSD
 *
 * vectors_drv: says what vector `outputv` was given.
 *
 * `outputv` writes down the vector of its command, and `port_control/3` answers with that text:
 *
 *   VSIZE SIZE SUM  LENGTH:-  LENGTH:CLASS@OFFSET/ORIG_SIZE#REFC ...
 *
 * SUM is a check sum over the bytes of all elements, in order.  CLASS is 0 for the first binary of the vector, 1 for the
 * next other one, and so on; `-` is NULL.  OFFSET is where the element's bytes begin in those of the binary.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <erl_driver.h>

typedef struct {
    char text[1 << 16];
    size_t length;
} State;

static void say(State *state, const char *format, ...)
{
    va_list arguments;
    size_t room = sizeof state->text - state->length;
    int length;

    va_start(arguments, format);
    length = vsnprintf(state->text + state->length, room, format, arguments);
    va_end(arguments);
    if (length > 0 && (size_t)length < room)
        state->length += (size_t)length;
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    State *state = driver_alloc(sizeof *state);

    (void)command;
    if (state == NULL)
        return ERL_DRV_ERROR_GENERAL;
    state->length = 0;
    set_port_control_flags(port, PORT_CONTROL_FLAG_BINARY);
    return (ErlDrvData)state;
}

static void stop(ErlDrvData data)
{
    driver_free(data);
}

/* How many different binaries stand before the first element that has the one of element `index`. */
static int class_of(const ErlIOVec *ev, int index)
{
    int others = 0;

    for (int i = 0; ev->binv[i] != ev->binv[index]; i++) {
        int first = ev->binv[i] != NULL;

        for (int j = 0; j < i; j++)
            if (ev->binv[j] == ev->binv[i])
                first = 0;
        others += first;
    }
    return others;
}

static void outputv(ErlDrvData data, ErlIOVec *ev)
{
    State *state = (State *)data;
    unsigned int sum = 0;

    for (int i = 0; i < ev->vsize; i++)
        for (size_t j = 0; j < ev->iov[i].iov_len; j++)
            sum = sum * 31 + (unsigned char)((char *)ev->iov[i].iov_base)[j];
    state->length = 0;
    say(state, "%d %lu %u", ev->vsize, (unsigned long)ev->size, sum);
    for (int i = 0; i < ev->vsize; i++) {
        ErlDrvBinary *binary = ev->binv[i];

        say(state, " %lu:", (unsigned long)ev->iov[i].iov_len);
        if (binary == NULL)
            say(state, "-");
        else
            say(state, "%d@%ld/%ld#%ld", class_of(ev, i), (long)((char *)ev->iov[i].iov_base - binary->orig_bytes),
                (long)binary->orig_size, (long)driver_binary_get_refc(binary));
    }
}

static ErlDrvSSizeT control(ErlDrvData data, unsigned int command, char *buf, ErlDrvSizeT len, char **rbuf,
                            ErlDrvSizeT rlen)
{
    State *state = (State *)data;
    ErlDrvBinary *binary = driver_alloc_binary((ErlDrvSizeT)state->length);

    (void)command;
    (void)buf;
    (void)len;
    (void)rlen;
    if (binary == NULL)
        return -1;
    memcpy(binary->orig_bytes, state->text, state->length);
    *rbuf = (char *)binary;
    return (ErlDrvSSizeT)state->length;
}

static ErlDrvEntry entry = {
    .driver_name = "vectors_drv",
    .start = start,
    .stop = stop,
    .outputv = outputv,
    .control = control,
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(vectors_drv)
{
    return &entry;
}
