/* SPDX-License-Identifier: 0BSD
 * My driver answers with garbage: the job reads the buffer that output was given. */
#include "symptom.h"

static void work(void *data)
{
    (void)data;
    usleep(20000);
}

#ifdef WRONG
/* wrong: */
static void submit(State *state, char *buf,
                   size_t len)
{
    state->limit = (int)len;
    driver_async(state->port, NULL,
                 work, buf, NULL);   /* lent */
}
/* wrong. */
static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;

    driver_output(state->port, (char *)thread_data, (ErlDrvSizeT)state->limit);
}
#else
/* right: */
static void submit(State *state, char *buf,
                   size_t len)
{
    Job *job = new_job(state);
    if (job == NULL)
        return;
    job->length = len < sizeof job->text
                ? len : sizeof job->text;
    memcpy(job->text, buf, job->length);
    driver_async(state->port, NULL,
                 work, job, driver_free);
}
/* right. */
static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    Job *job = (Job *)thread_data;

    driver_output(state->port, job->text, job->length);
    driver_free(job);
}
#endif

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    submit((State *)data, buf, len);
}

static void stop(ErlDrvData data)
{
    driver_free((State *)data);
}

ENTRY(buffer, .output = output, .ready_async = ready_async, .stop = stop)
