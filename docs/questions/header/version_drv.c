/* SPDX-License-Identifier: 0BSD
 *
 * version_drv: the smallest driver with a job that uses what erl_driver.h declares.
 *
 * A command is any text. Its job gets the version of the driver interface on an async
 * thread, and the port answers with it.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o version_drv.so version_drv.c
 *
 * version_drv.erl loads it and says how it is used.
 */
#include <errno.h>
#include <stdio.h>
#include <erl_driver.h>

typedef struct {
    ErlDrvSysInfo info;
} Job;

static void work(void *data)           /* called on an async thread */
{
    Job *job = data;
    driver_system_info(&job->info, sizeof job->info);
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    return (ErlDrvData)port;
}

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    (void)buf, (void)len;
    ErlDrvPort port = (ErlDrvPort)data;
    Job *job = driver_alloc(sizeof *job);
    if (job == NULL) {
        driver_failure_posix(port, ENOMEM);
        return;
    }
    if (driver_async(port, NULL, work, job, driver_free) == -1)
        driver_free(job);              /* not submitted, so free it here */
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    Job *job = (Job *)thread_data;
    int major = job->info.driver_major_version;
    int minor = job->info.driver_minor_version;
    char text[24];
    int length = snprintf(text, sizeof text, "%d.%d", major, minor);
    driver_output((ErlDrvPort)data, text, length);
    driver_free(job);
}

/* The table of callbacks, and the function that loading the file calls. */
static ErlDrvEntry entry = {
    .driver_name = "version_drv",
    .start = start,
    .output = output,
    .ready_async = ready_async,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(version_drv)
{
    return &entry;
}
