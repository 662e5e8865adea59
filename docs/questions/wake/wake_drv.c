/* wake_drv.c: a thread of the driver's own that wakes its port with a pipe.
 *
 * Command: <<Tag:64, Number:32>>, big-endian.
 * Answer: {Port, {data, <<Tag:64, Square:64>>}}. The port sends it to its owner.
 *
 * Each port has a thread. output() appends the command to a list. The thread takes it
 * from there, squares the number and appends the answer to a second list. If that list
 * was empty, the thread also writes a byte into a pipe. start() has called
 * driver_select(), so the emulator polls the reading end of the pipe and calls
 * ready_input(). ready_input() sends the answers to the owner of the port.
 *
 * Threads: a scheduler calls every callback of the port, under the port lock. The
 *     thread calls run(). It calls no function that takes the port, because only
 *     callbacks may.
 *
 * Compile and run, in this folder:
 *
 *   INC=$(erl -noshell -eval 'io:put_chars(code:root_dir()), halt().')/usr/include
 *   cc -Wall -Wextra -Werror -std=c11 -O2 -fPIC -shared -I"$INC" -o wake_drv.so wake_drv.c
 *   erlc +warnings_as_errors wake_drv.erl
 *   erl -noshell -s wake_drv main -s init stop
 *
 * SPDX-License-Identifier: 0BSD
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>
#include <erl_driver.h>

/* First a command, later its answer. */
typedef struct Item {
    struct Item *next;
    ErlDrvUInt64 tag;
    ErlDrvUInt64 number; /* later its square */
} Item;

typedef struct {
    Item *first; /* the oldest */
    Item **last;
} List;

typedef struct {
    ErlDrvPort port;
    int reads; /* the reading end of the pipe */
    int writes; /* the writing end */
    ErlDrvTid thread;
    ErlDrvMutex *lock; /* protects closing and both lists */
    ErlDrvCond *wake;
    bool closing;
    List commands;
    List answers;
} State;

static void clear(List *list)
{
    list->first = NULL;
    list->last = &list->first;
}

static void append(List *list, Item *item)
{
    item->next = NULL;
    *list->last = item;
    list->last = &item->next;
}

static Item *take(List *list) /* returns the oldest item, or NULL */
{
    Item *item = list->first;
    if (item != NULL && (list->first = item->next) == NULL)
        list->last = &list->first;
    return item;
}

static void free_items(List *list)
{
    Item *item;
    while ((item = take(list)) != NULL)
        driver_free(item);
}

static ErlDrvEvent event(int fd)
{
    return (ErlDrvEvent)(ErlDrvSInt)fd;
}

/* Opens a pipe. Both ends are non-blocking, and programs that the emulator starts do
 * not inherit them. Returns -1 after an error, which is in errno. */
static int open_pipe(int ends[2])
{
    int error;
    if (pipe(ends) == -1)
        return -1;
    for (int i = 0; i < 2; i++)
        if (fcntl(ends[i], F_SETFL, O_NONBLOCK) == -1 ||
            fcntl(ends[i], F_SETFD, FD_CLOEXEC) == -1) {
            error = errno;
            (void)close(ends[0]);
            (void)close(ends[1]);
            errno = error;
            return -1;
        }
    return 0;
}

/* Writes one byte for any number of answers. The pipe has room for it, because a byte
 * is written only when the list was empty, and ready_input() empties the pipe before
 * the list. The reading end is open until stop() has joined the thread. So the call
 * can fail only because of a signal. */
static void wake_port(int writes)
{
    while (write(writes, "", 1) == -1 && errno == EINTR)
        continue;
}

static void *run(void *data) /* called on the driver's own thread */
{
    State *state = data;
    Item *item;
    bool was_empty;

    erl_drv_mutex_lock(state->lock);
    for (;;) {
        while (!state->closing && state->commands.first == NULL)
            erl_drv_cond_wait(state->wake, state->lock);
        if (state->closing)
            break; /* stop() frees the items that are left */
        item = take(&state->commands);
        erl_drv_mutex_unlock(state->lock);

        item->number *= item->number; /* the work is done without the lock */

        erl_drv_mutex_lock(state->lock);
        was_empty = state->answers.first == NULL;
        append(&state->answers, item);
        if (was_empty)
            wake_port(state->writes);
    }
    erl_drv_mutex_unlock(state->lock);
    return NULL;
}

/* Frees the state. The thread has ended, or was never created. The emulator may still
 * poll the reading end, so stop_select() closes it. ERL_DRV_USE with 0 also ends
 * ERL_DRV_READ. It makes the emulator call stop_select() for every descriptor, also
 * for one that was never selected. */
static void discard(State *state)
{
    (void)driver_select(state->port, event(state->reads), ERL_DRV_USE, 0);
    (void)close(state->writes);
    free_items(&state->commands);
    free_items(&state->answers);
    if (state->wake != NULL)
        erl_drv_cond_destroy(state->wake);
    if (state->lock != NULL)
        erl_drv_mutex_destroy(state->lock);
    driver_free(state);
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    State *state = driver_alloc(sizeof *state);
    int ends[2], error = ENOMEM;
    (void)command;
    if (state == NULL) {
        errno = ENOMEM;
        return ERL_DRV_ERROR_ERRNO;
    }
    if (open_pipe(ends) == -1) {
        error = errno;
        driver_free(state);
        errno = error;
        return ERL_DRV_ERROR_ERRNO;
    }
    state->port = port;
    state->reads = ends[0];
    state->writes = ends[1];
    state->closing = false;
    clear(&state->commands);
    clear(&state->answers);
    state->lock = erl_drv_mutex_create("wake_drv");
    state->wake = erl_drv_cond_create("wake_drv");
    if (state->lock == NULL || state->wake == NULL)
        goto failed;
    /* With ERL_DRV_USE the emulator calls stop_select() when the descriptor may be closed. */
    if (driver_select(port, event(state->reads), ERL_DRV_READ | ERL_DRV_USE, 1) == -1) {
        error = EBADF;
        goto failed;
    }
    /* The thread is created last, because it uses the state at once. */
    error = erl_drv_thread_create("wake_drv", &state->thread, run, state, NULL);
    if (error == 0)
        return (ErlDrvData)state;
failed:
    discard(state);
    errno = error;
    return ERL_DRV_ERROR_ERRNO;
}

/* Waits for the command that the thread is working on, and drops the other commands. */
static void stop(ErlDrvData data)
{
    State *state = (State *)data;

    erl_drv_mutex_lock(state->lock);
    state->closing = true;
    erl_drv_cond_signal(state->wake);
    erl_drv_mutex_unlock(state->lock);
    (void)erl_drv_thread_join(state->thread, NULL); /* cannot fail: joined once */
    discard(state);
}

/* The emulator calls it when it no longer polls the descriptor. The state is freed
 * already. */
static void stop_select(ErlDrvEvent event, void *reserved)
{
    (void)reserved;
    (void)close((int)(ErlDrvSInt)event);
}

static ErlDrvUInt64 big_endian(const char *bytes, int count)
{
    ErlDrvUInt64 value = 0;
    for (int i = 0; i < count; i++)
        value = value << 8 | (unsigned char)bytes[i];
    return value;
}

static void to_bytes(char *bytes, ErlDrvUInt64 value)
{
    for (int i = 7; i >= 0; i--, value >>= 8)
        bytes[i] = (char)(value & 0xff);
}

/* Command: <<Tag:64, Number:32>>. */
static void output(ErlDrvData data, char *bytes, ErlDrvSizeT length)
{
    State *state = (State *)data;
    Item *item;

    if (length != 12) {
        driver_failure_posix(state->port, EINVAL);
        return; /* stop() has run inside that call, so the state is freed */
    }
    item = driver_alloc(sizeof *item);
    if (item == NULL) {
        driver_failure_posix(state->port, ENOMEM);
        return;
    }
    item->tag = big_endian(bytes, 8);
    item->number = big_endian(bytes + 8, 4);
    erl_drv_mutex_lock(state->lock);
    append(&state->commands, item);
    erl_drv_cond_signal(state->wake);
    erl_drv_mutex_unlock(state->lock);
}

/* It empties first the pipe and then the list. An answer that is appended between the
 * two is taken from the list now. An answer that is appended later finds the list
 * empty, so the thread writes a byte. In the other order that byte could be lost. */
static void ready_input(ErlDrvData data, ErlDrvEvent event)
{
    State *state = (State *)data;
    char bytes[16];
    ssize_t count;
    Item *item, *next;

    do
        count = read((int)(ErlDrvSInt)event, bytes, sizeof bytes);
    while (count > 0 || (count == -1 && errno == EINTR));

    erl_drv_mutex_lock(state->lock);
    item = state->answers.first;
    clear(&state->answers);
    erl_drv_mutex_unlock(state->lock);

    for (; item != NULL; item = next) {
        char answer[16];
        next = item->next;
        to_bytes(answer, item->tag);
        to_bytes(answer + 8, item->number);
        /* -1 means that the port is closed. The answer is dropped then. */
        (void)driver_output(state->port, answer, sizeof answer);
        driver_free(item);
    }
}

static ErlDrvEntry entry = {
    .driver_name = "wake_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .ready_input = ready_input,
    .stop_select = stop_select,
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(wake_drv)
{
    return &entry;
}
