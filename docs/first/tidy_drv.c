/* SPDX-License-Identifier: 0BSD
 *
 * tidy_drv: a job with memory that is freed in every case.
 *
 * A command is one byte: the number of steps of its job. Each step takes 10 ms on an
 * async thread. The port answers "done".
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o tidy_drv.so tidy_drv.c
 *
 * step.erl plays it. In the same folder:
 *
 *   erlc +warnings_as_errors step.erl
 *   erl -noshell -s step main tidy_drv -s erlang halt
 *
 * It prints:
 *
 *   short:     done
 *   long:      done
 *   closed:    no answer
 *
 * It is a step of the page "Your first multithreaded driver". The last step is first_drv.c.
 */
#define _DEFAULT_SOURCE
#include <unistd.h>
#include <erl_driver.h>

typedef struct {
    int left;                          /* steps of 10 ms */
} Job;

static void work(void *data)
{
    Job *job = data;
    while (job->left > 0) {
        usleep(10000);
        job->left--;
    }
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    return (ErlDrvData)port;
}

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    Job *job = driver_alloc(sizeof *job);
    job->left = len > 0 ? (unsigned char)buf[0] : 0;
    if (driver_async((ErlDrvPort)data, NULL, work, job, driver_free) == -1)
        driver_free(job);              /* not submitted, so free it here */
}

static void ready_async(ErlDrvData data, ErlDrvThreadData job)
{
    driver_output((ErlDrvPort)data, "done", 4);
    driver_free((void *)job);
}

/* The table of callbacks, and the function that loading the file calls. */
static ErlDrvEntry entry = {
    .driver_name = "tidy_drv",
    .start = start,
    .output = output,
    .ready_async = ready_async,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(tidy_drv)
{
    return &entry;
}
