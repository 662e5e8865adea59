/* SPDX-License-Identifier: 0BSD
 *
 * waker_drv: a thread of the driver's own that wakes its port with a pipe.
 *
 * Each port has a thread. For each command the thread sleeps for 10 milliseconds, which
 * stands for its work. Then the port answers "done".
 * The thread writes a byte into the pipe. The emulator polls the other end and calls
 * `ready_input`.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o waker_drv.so waker_drv.c
 *
 * waker_drv.erl loads it and says how it is used.
 */
#define _DEFAULT_SOURCE
#include <fcntl.h>
#include <unistd.h>
#include <erl_driver.h>

#define EVENT(fd) ((ErlDrvEvent)(ErlDrvSInt)(fd))

typedef struct {
    ErlDrvPort port;
    int reads, writes;                 /* the two ends of the pipe */
    ErlDrvTid thread;
    ErlDrvMutex *lock;                 /* protects the numbers below */
    ErlDrvCond *more;
    int asked, done, ending;
} State;

static void *run(void *data)           /* called on the driver's own thread */
{
    State *state = data;
    erl_drv_mutex_lock(state->lock);
    for (;;) {
        while (state->asked == 0 && !state->ending)
            erl_drv_cond_wait(state->more, state->lock);
        if (state->ending)
            break;
        state->asked--;
        erl_drv_mutex_unlock(state->lock);
        usleep(10000);                 /* work without the lock */
        erl_drv_mutex_lock(state->lock);
        if (state->done == 0 && write(state->writes, "!", 1) != 1)
            break;                     /* the byte wakes the port */
        state->done++;
    }
    erl_drv_mutex_unlock(state->lock);
    return NULL;
}

static void discard(State *state)      /* no thread uses it any more */
{
    driver_select(state->port, EVENT(state->reads), ERL_DRV_USE, 0);
    close(state->writes);
    if (state->more != NULL)
        erl_drv_cond_destroy(state->more);
    if (state->lock != NULL)
        erl_drv_mutex_destroy(state->lock);
    driver_free(state);
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    State *state;
    int ends[2];
    (void)command;
    if (pipe(ends) == -1)
        return ERL_DRV_ERROR_GENERAL;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    state = driver_alloc(sizeof *state);
    if (state == NULL) {
        close(ends[0]);
        close(ends[1]);
        return ERL_DRV_ERROR_GENERAL;
    }
    *state = (State){.port = port, .reads = ends[0], .writes = ends[1]};
    state->lock = erl_drv_mutex_create("waker_drv");
    state->more = erl_drv_cond_create("waker_drv");
    if (state->lock == NULL || state->more == NULL
        || driver_select(port, EVENT(ends[0]), ERL_DRV_READ | ERL_DRV_USE, 1)
        || erl_drv_thread_create("waker_drv", &state->thread, run, state, NULL)) {
        discard(state);
        return ERL_DRV_ERROR_GENERAL;
    }
    return (ErlDrvData)state;
}

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    State *state = (State *)data;
    (void)buf, (void)len;
    erl_drv_mutex_lock(state->lock);
    state->asked++;
    erl_drv_cond_signal(state->more);
    erl_drv_mutex_unlock(state->lock);
}

static void ready_input(ErlDrvData data, ErlDrvEvent event)
{                                      /* called on a scheduler */
    State *state = (State *)data;
    char bytes[16];
    int done;
    if (read((int)(ErlDrvSInt)event, bytes, sizeof bytes) < 1)
        return;                        /* empty the pipe before the count */
    erl_drv_mutex_lock(state->lock);
    done = state->done;
    state->done = 0;
    erl_drv_mutex_unlock(state->lock);
    while (done-- > 0)
        driver_output(state->port, "done", 4);
}

static void stop(ErlDrvData data)
{
    State *state = (State *)data;
    erl_drv_mutex_lock(state->lock);
    state->ending = 1;
    erl_drv_cond_signal(state->more);
    erl_drv_mutex_unlock(state->lock);
    erl_drv_thread_join(state->thread, NULL);
    discard(state);
}

static void stop_select(ErlDrvEvent event, void *reserved)
{                                      /* the emulator no longer polls it */
    (void)reserved;
    close((int)(ErlDrvSInt)event);
}

/* The table of callbacks, and the function that loading the file calls. */
static ErlDrvEntry entry = {
    .driver_name = "waker_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .ready_input = ready_input,
    .stop_select = stop_select,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(waker_drv)
{
    return &entry;
}
