/* SPDX-License-Identifier: 0BSD
 * My driver crashes when it sends a number: the term is a bare integer. */
#include "symptom.h"

#ifdef WRONG
/* wrong: */
static void answer(ErlDrvTermData port,
                   int value)
{
    ErlDrvTermData term[] = {
        ERL_DRV_INT, (ErlDrvTermData)value};
    erl_drv_output_term(port, term, 2);
}
/* wrong. */
#else
/* right: */
static void answer(ErlDrvTermData port,
                   int value)
{
    ErlDrvTermData term[] = {
        ERL_DRV_PORT, port,
        ERL_DRV_INT, (ErlDrvTermData)value,
        ERL_DRV_TUPLE, 2};
    erl_drv_output_term(port, term, 6);
}
/* right. */
#endif

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    State *state = (State *)data;

    for (ErlDrvSizeT i = 0; i < len; i++)
        answer(driver_mk_port(state->port), buf[i]);
}

static void stop(ErlDrvData data)
{
    driver_free((State *)data);
}

ENTRY(number, .output = output, .stop = stop)
