/* SPDX-License-Identifier: 0BSD
 *
 * counts_drv: returns the count of a binary after each call that may share it.
 *
 * port_control(Port, Call, Size) makes one call with the first Size bytes of a binary
 * of 1000 bytes. Call is a number from 1 to 7, and Size is text that ends with a 0. The
 * result is the count of the binary after the call, as text.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o counts_drv.so counts_drv.c
 *
 * counts_drv.erl loads it and says how it is used.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <erl_driver.h>

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    return (ErlDrvData)port;
}

static ErlDrvSSizeT control(ErlDrvData data, unsigned int call, char *buf, ErlDrvSizeT len, char **rbuf,
                            ErlDrvSizeT rlen)
{
    ErlDrvPort port = (ErlDrvPort)data;
    size_t size = (size_t)atol(buf);   /* buf is text that ends with a 0 */
    ErlDrvBinary *binary = driver_alloc_binary(1000);
    long count;
    (void)len;
    if (binary == NULL)
        return -1;
    memset(binary->orig_bytes, 'x', 1000);

    SysIOVec iov[] = {{NULL, 0}, {binary->orig_bytes, size}};
    ErlDrvBinary *binv[] = {NULL, binary};
    ErlIOVec ev = {.vsize = 2, .size = size, .iov = iov, .binv = binv};
    ErlDrvTermData term[] = {ERL_DRV_BINARY, (ErlDrvTermData)binary, size, 0};

    switch (call) {
    case 1: driver_output(port, binary->orig_bytes, size); break;
    case 2: driver_output_binary(port, NULL, 0, binary, 0, size); break;
    case 3: driver_outputv(port, NULL, 0, &ev, 0); break;
    case 4: erl_drv_output_term(driver_mk_port(port), term, 4); break;
    case 5: driver_enq(port, binary->orig_bytes, size); break;
    case 6: driver_enq_bin(port, binary, 0, size); break;
    case 7: driver_enqv(port, &ev, 0); break;
    }
    count = driver_binary_get_refc(binary);
    if (call >= 5)
        driver_deq(port, size);
    driver_free_binary(binary);
    return snprintf(*rbuf, rlen, "%ld", count);
}

/* The table of callbacks, and the function that loading the file calls. */
static ErlDrvEntry entry = {
    .driver_name = "counts_drv",
    .start = start,
    .control = control,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(counts_drv)
{
    return &entry;
}
