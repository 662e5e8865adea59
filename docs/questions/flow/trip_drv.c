/* SPDX-License-Identifier: 0BSD
 *
 * trip_drv: one command and its answer, with a job between them.
 *
 * A command is one byte. Its job squares the number on an async thread. The port sends
 * the square, as text, to the process that owns the port.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o trip_drv.so trip_drv.c
 *
 * trip_drv.erl loads it and says how it is used.
 */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <erl_driver.h>

typedef struct {
    int number, square;
} Job;

static void work(void *data)           /* step 3: called on an async thread */
{
    Job *job = data;
    usleep(1000);
    job->square = job->number * job->number;
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    return (ErlDrvData)port;
}

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{                                      /* step 1: called on a scheduler */
    ErlDrvPort port = (ErlDrvPort)data;
    Job *job = driver_alloc(sizeof *job);
    if (job == NULL) {
        driver_failure_posix(port, ENOMEM);
        return;
    }
    job->number = len > 0 ? (unsigned char)buf[0] : 0;
    if (driver_async(port, NULL, work, job, driver_free) == -1)
        driver_free(job);              /* not submitted, so free it here */
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{                                      /* step 5: called on the same scheduler */
    Job *job = (Job *)thread_data;
    char text[12];
    int length = snprintf(text, sizeof text, "%d", job->square);
    driver_output((ErlDrvPort)data, text, length);
    driver_free(job);
}

static void stop(ErlDrvData data)
{
    (void)data;                        /* jobs may run after stop */
}

/* The table of callbacks, and the function that loading the file calls. */
static ErlDrvEntry entry = {
    .driver_name = "trip_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .ready_async = ready_async,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(trip_drv)
{
    return &entry;
}
