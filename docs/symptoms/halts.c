/* SPDX-License-Identifier: 0BSD
 * My driver hangs at halt or at unload: a job never returns. */
#include "symptom.h"

#ifdef WRONG
/* wrong: */
static void work(void *data)
{
    Job *job = data;
    ssize_t n;
    n = read(job->fd, job->text,
             sizeof job->text);
    job->length = n > 0 ? (size_t)n : 0;
}
/* wrong. */
#else
/* right: */
static void work(void *data)
{
    Job *job = data;
    ssize_t n = -1;
    struct pollfd wait = {job->fd, POLLIN, 0};
    if (poll(&wait, 1, 500) == 1)  /* ms */
        n = read(job->fd, job->text,
                 sizeof job->text);
    job->length = n > 0 ? (size_t)n : 0;
}
/* right. */
#endif

static int ends[2] = {-1, -1}; /* a pipe that is never written to */

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    State *state = (State *)data;
    Job *job = new_job(state);

    (void)buf, (void)len;
    if (job == NULL)
        return;
    if (ends[0] == -1 && pipe(ends) == -1)
        abort();
    job->fd = ends[0];
    driver_async(state->port, NULL, work, job, driver_free);
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    driver_output(((State *)data)->port, "done", 4);
    driver_free((Job *)thread_data);
}

static void stop(ErlDrvData data)
{
    driver_free((State *)data);
}

static void finish(void)
{
    if (ends[0] != -1) {
        close(ends[0]);
        close(ends[1]);
    }
}

ENTRY(halts, .output = output, .ready_async = ready_async, .stop = stop, .finish = finish)
