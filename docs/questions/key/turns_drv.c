/* SPDX-License-Identifier: 0BSD
 *
 * turns_drv: a driver whose jobs run one after the other, in the order of the commands.
 *
 * A command is one byte. Its job sleeps for that number of milliseconds on an async
 * thread. Then the port answers with the byte.
 * All jobs of a port have one key. So a short job waits for a long job that was
 * submitted before it.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o turns_drv.so turns_drv.c
 *
 * turns_drv.erl loads it and says how it is used.
 */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <unistd.h>
#include <erl_driver.h>

typedef struct {
    unsigned char ms;
} Job;

static void work(void *data)           /* called on an async thread */
{
    Job *job = data;
    usleep(job->ms * 1000);
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    return (ErlDrvData)port;
}

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    ErlDrvPort port = (ErlDrvPort)data;
    unsigned int key = driver_async_port_key(port);
    Job *job = driver_alloc(sizeof *job);
    if (job == NULL) {
        driver_failure_posix(port, ENOMEM);
        return;
    }
    job->ms = len > 0 ? (unsigned char)buf[0] : 0;
    if (driver_async(port, &key, work, job, driver_free) == -1)
        driver_free(job);              /* not submitted, so free it here */
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    Job *job = (Job *)thread_data;
    driver_output((ErlDrvPort)data, (char *)&job->ms, 1);
    driver_free(job);
}

static void stop(ErlDrvData data)
{
    (void)data;                        /* jobs may run after stop */
}

/* The table of callbacks, and the function that loading the file calls. */
static ErlDrvEntry entry = {
    .driver_name = "turns_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .ready_async = ready_async,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(turns_drv)
{
    return &entry;
}
