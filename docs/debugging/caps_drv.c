/* SPDX-License-Identifier: 0BSD
 *
 * caps_drv: answers with a text in capitals. A job makes it with a table in the state of the port.
 *
 * The jobs have a copy of the table. With -DWRONG they use the table itself, which stop frees.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o caps_drv.so caps_drv.c
 *
 * caps_drv.erl loads it and says how it is used.
 */
#define _DEFAULT_SOURCE
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <erl_driver.h>

typedef struct {
    ErlDrvPort port;
    size_t commands, bytes;            /* counted so far */
    unsigned char *table;              /* the capital of each byte */
} State;

typedef struct {
    State *state;
    size_t length;
    unsigned char text[64], table[256];
} Job;

static void work(void *data)           /* called on an async thread */
{
    Job *job = data;
    usleep(20000);
#ifdef WRONG
    /* wrong: */
    for (size_t i = 0; i < job->length; i++)
        job->text[i] = job->state->table[job->text[i]];
    /* wrong. */
#else
    /* right: */
    for (size_t i = 0; i < job->length; i++)
        job->text[i] = job->table[job->text[i]];
    /* right. */
#endif
}

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    State *state = (State *)data;
    Job *job = driver_alloc(sizeof *job);
    if (job == NULL) {
        driver_failure_posix(state->port, ENOMEM);
        return;
    }
    state->commands += 1;
    state->bytes += len;
    job->state = state;
    job->length = len < sizeof job->text ? len : sizeof job->text;
    memcpy(job->text, buf, job->length);
    memcpy(job->table, state->table, sizeof job->table);
    if (driver_async(state->port, NULL, work, job, driver_free) == -1)
        driver_free(job);
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    Job *job = (Job *)thread_data;
    driver_output(((State *)data)->port, (char *)job->text, job->length);
    driver_free(job);
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    State *state = driver_alloc(sizeof *state);
    unsigned char *table = driver_alloc(256);
    (void)command;
    if (state == NULL || table == NULL) {
        driver_free(state);
        driver_free(table);
        errno = ENOMEM;
        return ERL_DRV_ERROR_ERRNO;
    }
    for (int c = 0; c < 256; c++)
        table[c] = (unsigned char)toupper(c);
    *state = (State){.port = port, .table = table};
    return (ErlDrvData)state;
}

static void stop(ErlDrvData data)
{
    State *state = (State *)data;
    driver_free(state->table);
    state->table = NULL;
    driver_free(state);
}

/* The table of callbacks, and the function that loading the file calls. */
static ErlDrvEntry entry = {
    .driver_name = "caps_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .ready_async = ready_async,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(caps_drv)
{
    return &entry;
}
