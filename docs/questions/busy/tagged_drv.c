/* SPDX-License-Identifier: 0BSD
 *
 * tagged_drv: answers each command with its tag, and makes its senders wait.
 *
 * A command is two bytes: a tag, and the milliseconds that its job takes on an async
 * thread. The answer is the tag.
 * When two jobs are open, the port is busy. The emulator suspends a process that sends
 * a further command.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o tagged_drv.so tagged_drv.c
 *
 * tagged_drv.erl loads it and says how it is used.
 */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <unistd.h>
#include <erl_driver.h>

typedef struct {
    char tag;                          /* of the command */
    int ms;
} Job;

typedef struct {
    ErlDrvPort port;
    int open;                          /* jobs that are not back */
} State;

static void work(void *data)           /* called on an async thread */
{
    Job *job = data;
    usleep(job->ms * 1000);
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    State *state = driver_alloc(sizeof *state);
    (void)command;
    if (state == NULL)
        return ERL_DRV_ERROR_GENERAL;
    state->port = port;
    state->open = 0;
    return (ErlDrvData)state;
}

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    State *state = (State *)data;
    Job *job = driver_alloc(sizeof *job);
    if (job == NULL) {
        driver_failure_posix(state->port, ENOMEM);
        return;
    }
    job->tag = len > 0 ? buf[0] : 0;
    job->ms = len > 1 ? (unsigned char)buf[1] : 0;
    state->open++;
    if (state->open == 2)
        set_busy_port(state->port, 1);
    if (driver_async(state->port, NULL, work, job, driver_free) == -1) {
        driver_free(job);              /* not submitted, so free it here */
        driver_failure_posix(state->port, ENOMEM);
    }
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    Job *job = (Job *)thread_data;
    driver_output(state->port, &job->tag, 1);
    driver_free(job);
    state->open--;
    if (state->open == 1)
        set_busy_port(state->port, 0);
}

static void stop(ErlDrvData data)
{
    driver_free(data);
}
/* The table of callbacks, and the function that loading the file calls. */
static ErlDrvEntry entry = {
    .driver_name = "tagged_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .ready_async = ready_async,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(tagged_drv)
{
    return &entry;
}
