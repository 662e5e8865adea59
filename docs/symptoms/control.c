/* SPDX-License-Identifier: 0BSD
 * My driver answers with garbage: control returns memory that the emulator must not free. */
#include "symptom.h"

#define SIZE 100

#ifdef WRONG
/* wrong: */
static ErlDrvSSizeT reply(State *state,
        char **rbuf, ErlDrvSizeT rlen)
{
    (void)rlen;
    memset(state->room, 'x', SIZE);
    *rbuf = state->room;  /* no block */
    return SIZE;
}
/* wrong. */
#else
/* right: */
static ErlDrvSSizeT reply(State *state,
        char **rbuf, ErlDrvSizeT rlen)
{
    (void)state;
    if (rlen < SIZE)
        *rbuf = driver_alloc(SIZE);
    if (*rbuf == NULL)
        return -1;         /* badarg */
    memset(*rbuf, 'x', SIZE);
    return SIZE;
}
/* right. */
#endif

static ErlDrvSSizeT control(ErlDrvData data, unsigned int command, char *buf,
                            ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    (void)command, (void)buf, (void)len;
    return reply((State *)data, rbuf, rlen);
}

static void stop(ErlDrvData data)
{
    driver_free((State *)data);
}

ENTRY(control, .control = control, .stop = stop)
