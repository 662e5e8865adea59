/* SPDX-License-Identifier: 0BSD
 *
 * shout_drv: the smallest driver that gives its job a block, and frees it in every case.
 *
 * The driver answers each command with its text in capitals.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o shout_drv.so shout_drv.c
 *
 * shout_drv.erl loads it and says how it is used.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <erl_driver.h>

typedef struct {
    ErlDrvSizeT length;
    char text[];
} Job;

static void work(void *data)           /* called on an async thread */
{
    Job *job = data;
    for (ErlDrvSizeT i = 0; i < job->length; i++)
        job->text[i] = (char)toupper((unsigned char)job->text[i]);
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    return (ErlDrvData)port;
}

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    ErlDrvPort port = (ErlDrvPort)data;
    Job *job = driver_alloc(sizeof *job + len);
    if (job == NULL) {
        driver_failure_posix(port, ENOMEM);
        return;
    }
    job->length = len;                 /* the block is not cleared */
    memcpy(job->text, buf, len);       /* buf is lent until output returns */
    if (driver_async(port, NULL, work, job, driver_free) == -1)
        driver_free(job);              /* not submitted, so free it here */
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    Job *job = (Job *)thread_data;     /* the driver owns the block again */
    driver_output((ErlDrvPort)data, job->text, job->length);
    driver_free(job);
}

/* The table of callbacks, and the function that loading the file calls. */
static ErlDrvEntry entry = {
    .driver_name = "shout_drv",
    .start = start,
    .output = output,
    .ready_async = ready_async,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(shout_drv)
{
    return &entry;
}
