/* my_drv: a driver to change.
 *
 * A command is a number, and a job works so many steps of 10 milliseconds on an async thread.  A job
 * cannot be stopped from outside.  So the port's state has a flag, which stop sets, and each job
 * looks at it before a step.  A job may outlive its port; the last user of the state frees it.
 *
 * Licence: 0BSD.  Do with it what you like.
 */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include <erl_driver.h>

/* What belongs to a port.  Jobs read it too, so what changes is atomic. */
typedef struct {
    ErlDrvPort port;
    atomic_int closed;
    atomic_int users;
} State;

/* What belongs to one job: from driver_async until its return, the async thread's alone. */
typedef struct {
    State *state;
    int steps;
} Job;

/* End one use of the state: by stop, or by a job.  On any thread. */
static void let_go(State *state)
{
    if (atomic_fetch_sub(&state->users, 1) == 1)
        driver_free(state);
}

/* Do a job, on an async thread: the port may be gone, so job->state->port is not used. */
static void work(void *data)
{
    Job *job = data;

    while (job->steps > 0 && !atomic_load(&job->state->closed)) {
        usleep(10000);
        job->steps--;
    }
}

/* Free a job: called by ready_async, and by the emulator if the port is gone by then. */
static void free_job(void *data)
{
    Job *job = data;

    let_go(job->state);
    driver_free(job);
}

/* Change this: the callbacks of your driver.  They run on a scheduler, one at a time for a port. */

static ErlDrvData start(ErlDrvPort port, char *command)
{
    State *state = driver_alloc(sizeof *state);

    (void)command;
    if (state == NULL) {
        errno = ENOMEM;
        return ERL_DRV_ERROR_ERRNO;
    }
    state->port = port;
    atomic_init(&state->closed, 0);
    atomic_init(&state->users, 1);
    return (ErlDrvData)state;
}

static void stop(ErlDrvData data)
{
    State *state = (State *)data;

    atomic_store(&state->closed, 1);
    let_go(state);
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
    job->steps = 0;
    for (ErlDrvSizeT i = 0; i < len && buf[i] >= '0' && buf[i] <= '9' && job->steps < 1000; i++)
        job->steps = 10 * job->steps + (buf[i] - '0'); /* buf is lent for this call only */
    atomic_fetch_add(&state->users, 1);
    if (driver_async(state->port, NULL, work, job, free_job) == -1) {
        free_job(job);
        driver_failure_posix(state->port, ENOMEM);
    }
}

static void ready_async(ErlDrvData data, ErlDrvThreadData job)
{
    State *state = (State *)data;

    driver_output(state->port, "done", 4);
    free_job(job);
}

static ErlDrvEntry entry = {
    .driver_name = "my_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .ready_async = ready_async,
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(my_drv)
{
    return &entry;
}
