/* SPDX-License-Identifier: 0BSD
 *
 * header_drv: what erl_driver.h declares for a driver with threads.
 *
 * A driver of today includes one header, erl_driver.h. The extended entry at the end of
 * this file has the version of the interface for which the driver was compiled. An
 * emulator with an older interface refuses the driver with driver_incorrect_version.
 * OTP 25 also refuses a driver for a version before 2.0.
 *
 * The driver answers with the version of the interface that the emulator has. Erlang
 * asks in three ways:
 * - port_command/2 calls `outputv` with the data as a vector. A job on an async thread
 *   gets the version, and `ready_async` sends it.
 * - port_control/3 calls `control`, which returns bytes.
 * - port_call/3 calls `call`, which returns a term in the external format.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o header_drv.so header_drv.c
 *
 * header_drv.erl loads it and says how it is used.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <erl_driver.h>

enum { VERSION = 1 }; /* the only operation of `control` and `call` */

typedef struct {
    ErlDrvPort port;
    unsigned int key;
} State;

typedef struct {
    ErlDrvSysInfo info;
    size_t asked; /* the number of bytes in the command */
} Job;

static ErlDrvData start(ErlDrvPort port, char *command)
{
    State *state = driver_alloc(sizeof *state);

    (void)command;
    if (state == NULL) {
        errno = ENOMEM;
        return ERL_DRV_ERROR_ERRNO;
    }
    state->port = port;
    state->key = driver_async_port_key(port);
    return (ErlDrvData)state;
}

static void stop(ErlDrvData data)
{
    driver_free(data);
}

/* An async thread calls it.  driver_system_info may be called on any thread. The size tells a
 * newer emulator which fields of the struct this driver knows. */
static void work(void *data)
{
    Job *job = data;

    driver_system_info(&job->info, sizeof job->info);
}

/* The vector is valid only until the callback returns. A job that needs the bytes gets a copy,
 * made with driver_vec_to_buf. */
static void outputv(ErlDrvData data, ErlIOVec *ev)
{
    State *state = (State *)data;
    Job *job = driver_alloc(sizeof *job);

    if (job == NULL) {
        driver_failure_posix(state->port, ENOMEM); /* calls `stop`, which frees the state */
        return;
    }
    memset(job, 0, sizeof *job);
    job->asked = ev->size;

    /* The order is port, key, async_invoke, its data, async_free. The example in the manual has
     * another order and does not compile. */
    if (driver_async(state->port, &state->key, work, job, driver_free) == -1) {
        driver_free(job);
        driver_failure_atom(state->port, "driver_async");
    }
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    Job *job = (Job *)thread_data;
    char text[96];
    int length = snprintf(text, sizeof text, "%d.%d, %d async threads, %zu bytes asked", job->info.driver_major_version,
                          job->info.driver_minor_version, job->info.async_threads, job->asked);

    driver_free(job);
    if (length > 0 && (size_t)length < sizeof text)
        (void)driver_output(state->port, text, (ErlDrvSizeT)length); /* -1 if the port is closed */
}

/* Copies the bytes to `*rbuf`, which has room for `rlen` bytes. For more bytes it sets `*rbuf`
 * to a block of its own, which the emulator frees with driver_free. */
static ErlDrvSSizeT reply(const char *bytes, ErlDrvSizeT length, char **rbuf, ErlDrvSizeT rlen)
{
    if (length > rlen) {
        char *block = driver_alloc(length);

        if (block == NULL)
            return -1;
        *rbuf = block;
    }
    memcpy(*rbuf, bytes, length);
    return (ErlDrvSSizeT)length;
}

/* Returns the number of bytes in `*rbuf`; -1 makes port_control fail with badarg. */
static ErlDrvSSizeT control(ErlDrvData data, unsigned int command, char *buf, ErlDrvSizeT len, char **rbuf,
                            ErlDrvSizeT rlen)
{
    ErlDrvSysInfo info;
    char text[32];
    int length;

    (void)data;
    (void)buf;
    if (command != VERSION || len != 0)
        return -1;
    driver_system_info(&info, sizeof info);
    length = snprintf(text, sizeof text, "%d.%d", info.driver_major_version, info.driver_minor_version);
    if (length < 0 || (size_t)length >= sizeof text)
        return -1;
    return reply(text, (ErlDrvSizeT)length, rbuf, rlen);
}

/* Returns {Major, Minor} in the external format: 131 is the version of the format, 104 a tuple,
 * 97 an integer of one byte. For larger terms use ei.h of erl_interface. */
static ErlDrvSSizeT call(ErlDrvData data, unsigned int command, char *buf, ErlDrvSizeT len, char **rbuf,
                         ErlDrvSizeT rlen, unsigned int *flags)
{
    ErlDrvSysInfo info;
    char term[7];

    (void)data;
    (void)buf;
    (void)len;
    (void)flags;
    if (command != VERSION)
        return -1;
    driver_system_info(&info, sizeof info);
    term[0] = (char)131;
    term[1] = 104;
    term[2] = 2;
    term[3] = 97;
    term[4] = (char)info.driver_major_version;
    term[5] = 97;
    term[6] = (char)info.driver_minor_version;
    return reply(term, sizeof term, rbuf, rlen);
}

/* Each field has a type. So a callback with an `int`, as in 2001, in place of an ErlDrvSizeT does
 * not compile. */
static ErlDrvEntry entry = {
    .driver_name = "header_drv",
    .start = start,
    .stop = stop,
    .outputv = outputv, /* the emulator calls it in place of `output` */
    .control = control,
    .call = call,
    .ready_async = ready_async,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(header_drv)
{
    return &entry;
}
