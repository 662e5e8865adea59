/* SPDX-License-Identifier: 0BSD
 *
 * waiting_drv: `stop` waits until the jobs of the port no longer use its state.
 *
 * A port is opened with "waiting_drv 3", where 3 is its factor. A command is one byte.
 * Its job works for 50 ms and multiplies the number by the factor of the port. The port
 * answers with the product, one byte.
 * `port_close` takes as long as the jobs. A scheduler is blocked for that time.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o waiting_drv.so waiting_drv.c
 *
 * waiting_drv.erl loads it and says how it is used.
 */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <erl_driver.h>

typedef struct {
    ErlDrvPort port;
    int factor;
    int jobs;                  /* that use the state; protected by `lock` */
} State;

typedef struct {
    State *state;
    int number;
} Job;

static ErlDrvMutex *lock;
static ErlDrvCond *ended;

static int init(void)
{
    lock = erl_drv_mutex_create("waiting_drv");
    if (lock == NULL)
        return -1;
    ended = erl_drv_cond_create("waiting_drv");
    if (ended != NULL)
        return 0;
    erl_drv_mutex_destroy(lock);
    return -1;
}

static void finish(void)               /* called when every job has ended */
{
    erl_drv_cond_destroy(ended);
    erl_drv_mutex_destroy(lock);
}

static void count(State *state, int change)
{
    erl_drv_mutex_lock(lock);
    state->jobs += change;
    erl_drv_cond_broadcast(ended);
    erl_drv_mutex_unlock(lock);
}

static void work(void *data)           /* called on an async thread */
{
    Job *job = data;
    usleep(50 * 1000);
    job->number *= job->state->factor;
    count(job->state, -1);             /* stop may free the state now */
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    State *state = driver_alloc(sizeof *state);
    if (state == NULL)
        return ERL_DRV_ERROR_GENERAL;
    state->port = port;
    state->factor = atoi(command + strlen("waiting_drv"));
    state->jobs = 0;
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
    job->state = state;
    job->number = len > 0 ? (unsigned char)buf[0] : 0;
    count(state, +1);
    if (driver_async(state->port, NULL, work, job, driver_free) == -1) {
        count(state, -1);
        driver_free(job);
    }
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    Job *job = (Job *)thread_data;
    char answer = (char)job->number;
    driver_output(state->port, &answer, 1);
    driver_free(job);
}

static void stop(ErlDrvData data)
{
    State *state = (State *)data;
    erl_drv_mutex_lock(lock);
    while (state->jobs > 0)
        erl_drv_cond_wait(ended, lock);        /* waits for work, not for ready_async */
    erl_drv_mutex_unlock(lock);
    driver_free(state);
}

/* The table of callbacks, and the function that loading the file calls. */
static ErlDrvEntry entry = {
    .driver_name = "waiting_drv",
    .init = init,
    .finish = finish,
    .start = start,
    .stop = stop,
    .output = output,
    .ready_async = ready_async,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(waiting_drv)
{
    return &entry;
}
