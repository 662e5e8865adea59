/* SPDX-License-Identifier: 0BSD
 * My driver crashes in a job with a large array: the stack of an async thread is small. */
#include "symptom.h"

__attribute__((noinline)) static void fill(char *table, size_t size)
{
    memset(table, 1, size);
}

#ifdef WRONG
/* wrong: */
static void work(void *data)
{
    Job *job = data;
    char table[500000];  /* > 128 KB */

    fill(table, sizeof table);
    job->limit = table[4711];
}
/* wrong. */
#else
/* right: */
static void work(void *data)
{
    Job *job = data;
    char *table = driver_alloc(500000);
    if (table == NULL)
        return;  /* limit stays 0 */
    fill(table, 500000);
    job->limit = table[4711];
    driver_free(table);
}
/* right. */
#endif

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    State *state = (State *)data;
    Job *job = new_job(state);

    (void)buf, (void)len;
    if (job != NULL)
        driver_async(state->port, NULL, work, job, driver_free);
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    Job *job = (Job *)thread_data;

    driver_output(((State *)data)->port, "done", job->limit ? 4 : 0);
    driver_free(job);
}

static void stop(ErlDrvData data)
{
    driver_free((State *)data);
}

ENTRY(stack, .output = output, .ready_async = ready_async, .stop = stop)
