/* SPDX-License-Identifier: 0BSD
 *
 * lookup_drv: looks up a name in a job. It answers with the result, or "timeout" after 100 ms.
 *
 * It compiles and passes its test, but has a mistake. The page "Testing your own driver" finds it.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include <erl_driver.h>

typedef struct {
    ErlDrvPort port;
    int waiting; /* whether a request is open */
} State;

typedef struct {
    size_t length;
    char name[];
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
    state->waiting = 0;
    return (ErlDrvData)state;
}

static void stop(ErlDrvData data)
{
    driver_free(data);
}

static void work(void *data)
{
    Job *job = data;

    for (size_t i = 0; i < job->length; i++)
        job->name[i] = (char)toupper((unsigned char)job->name[i]);
}

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    State *state = (State *)data;
    Job *job = driver_alloc(sizeof *job + len);

    if (job == NULL) {
        driver_failure_posix(state->port, ENOMEM);
        return;
    }
    job->length = len;
    memcpy(job->name, buf, len);
    state->waiting = 1;
    if (driver_async(state->port, NULL, work, job, driver_free) == -1) {
        driver_free(job);
        driver_failure_posix(state->port, ENOMEM);
        return;
    }
    driver_set_timer(state->port, 100);
}

static void timeout(ErlDrvData data)
{
    State *state = (State *)data;

    state->waiting = 0;
    driver_output(state->port, "timeout", 7);
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    Job *job = (Job *)thread_data;

    if (!state->waiting)
        return; /* timeout() has answered */
    driver_cancel_timer(state->port);
    state->waiting = 0;
    driver_output(state->port, job->name, job->length);
    driver_free(job);
}

static ErlDrvEntry entry = {
    .driver_name = "lookup_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .timeout = timeout,
    .ready_async = ready_async,
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(lookup_drv)
{
    return &entry;
}
