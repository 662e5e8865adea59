/* SPDX-License-Identifier: 0BSD
 *
 * capitals_drv: keeps the binaries of a command for a job, and answers with a binary,
 * without a copy.
 *
 * A command is any data. Its job reads the parts of the command from the binaries in
 * which Erlang has them, and writes the text in capitals into a new binary. The port
 * sends that binary to its owner.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o capitals_drv.so capitals_drv.c
 *
 * capitals_drv.erl loads it and says how it is used.
 */
#include <ctype.h>
#include <errno.h>
#include <erl_driver.h>

typedef struct {
    ErlDrvBinary *binary;              /* holds the bytes */
    char *bytes;
    size_t size;
} Part;

typedef struct {
    ErlDrvBinary *answer;
    int count;                         /* the number of parts */
    Part part[];
} Job;

static void work(void *data)           /* called on an async thread */
{
    Job *job = data;
    char *to = job->answer->orig_bytes;
    for (int i = 0; i < job->count; i++)
        for (size_t at = 0; at < job->part[i].size; at++)
            *to++ = (char)toupper((unsigned char)job->part[i].bytes[at]);
}

static void release(void *data)        /* the free callback */
{
    Job *job = data;
    for (int i = 0; i < job->count; i++)
        driver_free_binary(job->part[i].binary);
    driver_free_binary(job->answer);
    driver_free(job);
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    return (ErlDrvData)port;
}

static void outputv(ErlDrvData data, ErlIOVec *ev)
{
    ErlDrvPort port = (ErlDrvPort)data;
    ErlDrvBinary *answer = driver_alloc_binary(ev->size);
    Job *job = driver_alloc(sizeof *job + ev->vsize * sizeof *job->part);
    if (answer == NULL || job == NULL) {
        if (answer != NULL)
            driver_free_binary(answer);
        driver_free(job);
        driver_failure_posix(port, ENOMEM);
        return;
    }
    job->answer = answer;
    job->count = 0;
    for (int i = 1; i < ev->vsize; i++) {          /* element 0 is empty */
        if (ev->iov[i].iov_len == 0)
            continue;                              /* it may have no binary */
        driver_binary_inc_refc(ev->binv[i]);       /* a count for the job */
        job->part[job->count++] = (Part){ev->binv[i], ev->iov[i].iov_base, ev->iov[i].iov_len};
    }
    if (driver_async(port, NULL, work, job, release) == -1)
        release(job);
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    Job *job = (Job *)thread_data;
    driver_output_binary((ErlDrvPort)data, NULL, 0, job->answer, 0, job->answer->orig_size);
    release(job);                      /* the job's counts, also of the answer */
}

/* The table of callbacks, and the function that loading the file calls. */
static ErlDrvEntry entry = {
    .driver_name = "capitals_drv",
    .start = start,
    .outputv = outputv,
    .ready_async = ready_async,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(capitals_drv)
{
    return &entry;
}
