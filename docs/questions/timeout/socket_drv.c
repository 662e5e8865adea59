/* socket_drv.c: a job that waits for a server, and ends within its time limit.
 *
 * Open: open_port({spawn_driver, "socket_drv ADDRESS PORT"}, [])
 * Command: <<Tag:64, Limit:32, Question/binary>>. Limit is in milliseconds. A port has
 *     one job at a time.
 * Answer: {Port, Tag, ok, Line} or {Port, Tag, Reason, <<>>}. The port sends it to the
 *     process that sent the command.
 *
 * The job connects, sends the question and reads the answer. It calls poll() with the
 * time that is left until its deadline, so it ends in time. The driver needs no timer,
 * and the async thread is free again.
 * If the port is closed, stop() shuts the socket down. That wakes poll(), and the job
 * ends early.
 *
 * Threads: a scheduler calls every callback of the port, under the port lock. An async
 *     thread calls work(). free_job() may be called on any thread.
 *
 * Compile and run, in this folder:
 *
 *   INC=$(erl -noshell -eval 'io:put_chars(code:root_dir()), halt().')/usr/include
 *   cc -Wall -Wextra -Werror -std=c11 -O2 -fPIC -shared -I"$INC" -o socket_drv.so socket_drv.c
 *   erlc +warnings_as_errors socket_drv.erl
 *   erl -noshell -s socket_drv main -s init stop
 *
 * SPDX-License-Identifier: 0BSD
 */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <erl_driver.h>

enum { ROOM = 1024 };

/* The job owns the socket. free_job() closes it, and no earlier code does: the
 * system may give the number of a closed socket to another file, and poll() could
 * still be using that number. */
typedef struct {
    int fd;
    atomic_bool hung_up;
    struct sockaddr_in address;
    long long due; /* the deadline in milliseconds; it also covers the wait for a thread */
    int error;
    size_t length;
    char line[ROOM]; /* first the question, later the answer */
    ErlDrvTermData caller;
    ErlDrvUInt64 tag;
} Job;

typedef struct {
    ErlDrvPort port;
    ErlDrvTermData port_term;
    struct sockaddr_in address;
    Job *job; /* the job that is not back yet, or NULL */
} State;

static ErlDrvUInt64 big_endian(const char *bytes, int count)
{
    ErlDrvUInt64 value = 0;
    for (int i = 0; i < count; i++)
        value = value << 8 | (unsigned char)bytes[i];
    return value;
}

/* An async thread calls it too. erl_drv_monotonic_time() works on schedulers only. */
static long long now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

static void free_job(void *data)
{
    Job *job = data;
    (void)close(job->fd);
    driver_free(job);
}

/* Returns 0 when the socket is ready, or the error that ends the wait. It checks
 * hung_up once a second, because a system may not wake poll() after shutdown(). */
static int wait_for(Job *job, short events)
{
    for (;;) {
        struct pollfd socket = {.fd = job->fd, .events = events};
        long long left = job->due - now();
        int ready;
        if (atomic_load(&job->hung_up))
            return ECANCELED;
        if (left <= 0)
            return ETIMEDOUT;
        ready = poll(&socket, 1, left < 1000 ? (int)left : 1000);
        if (ready > 0)
            return 0;
        if (ready == -1 && errno != EINTR)
            return errno;
    }
}

static int exchange(Job *job)
{
    int error = 0;
    socklen_t size = sizeof error;

    if (connect(job->fd, (struct sockaddr *)&job->address, sizeof job->address) == -1 &&
        errno != EINPROGRESS)
        return errno;
    if ((error = wait_for(job, POLLOUT)) != 0)
        return error;
    if (getsockopt(job->fd, SOL_SOCKET, SO_ERROR, &error, &size) == -1)
        return errno;
    if (error != 0)
        return error;
    /* The buffer of a new connection has room for ROOM bytes. If send() takes
     * fewer, the connection is broken. */
    if (send(job->fd, job->line, job->length, MSG_NOSIGNAL) != (ssize_t)job->length)
        return EPIPE;
    job->length = 0;
    do {
        ssize_t count;
        if ((error = wait_for(job, POLLIN)) != 0)
            return error;
        count = recv(job->fd, job->line + job->length, ROOM - job->length, 0);
        if (count > 0)
            job->length += (size_t)count;
        else if (count == 0)
            return ECONNRESET;
        else if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK)
            return errno;
    } while (job->length < ROOM && memchr(job->line, '\n', job->length) == NULL);
    return 0;
}

static void work(void *data) /* called on an async thread */
{
    Job *job = data;
    job->error = exchange(job);
}

static ErlDrvData start(ErlDrvPort port, char *command) /* "socket_drv ADDRESS PORT" */
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[16];
    unsigned number;
    State *state;

    if (sscanf(command, "%*s %15s %u", host, &number) != 2 || number > 65535 ||
        inet_pton(AF_INET, host, &address.sin_addr) != 1)
        return ERL_DRV_ERROR_BADARG;
    address.sin_port = htons((unsigned short)number);
    state = driver_alloc(sizeof *state);
    if (state == NULL) {
        errno = ENOMEM;
        return ERL_DRV_ERROR_ERRNO;
    }
    state->port = port;
    state->port_term = driver_mk_port(port);
    state->address = address;
    state->job = NULL;
    return (ErlDrvData)state;
}

/* Sets the flag before it shuts the socket down. shutdown() has no effect before
 * connect(), but then the job finds the flag in wait_for(). The emulator calls
 * free_job() when the job has ended. */
static void stop(ErlDrvData data)
{
    State *state = (State *)data;
    if (state->job != NULL) {
        atomic_store(&state->job->hung_up, true);
        (void)shutdown(state->job->fd, SHUT_RDWR);
    }
    driver_free(state);
}

static void reply(State *state, ErlDrvTermData to, ErlDrvUInt64 tag, int error,
                  const char *line, size_t length)
{
    ErlDrvTermData term[] = {
        ERL_DRV_PORT,       state->port_term,
        ERL_DRV_UINT64,     (ErlDrvTermData)&tag,
        ERL_DRV_ATOM,       driver_mk_atom(error == 0 ? "ok" : erl_errno_id(error)),
        ERL_DRV_BUF2BINARY, (ErlDrvTermData)line, length,
        ERL_DRV_TUPLE,      4,
    };
    /* 0 means that the caller has ended. The reply is dropped then. */
    (void)erl_drv_send_term(state->port_term, to, term, sizeof term / sizeof term[0]);
}

/* Command: <<Tag:64, Limit:32, Question/binary>>. While a job is not back, the
 * answer to a further command is ebusy. */
static void output(ErlDrvData data, char *bytes, ErlDrvSizeT length)
{
    State *state = (State *)data;
    ErlDrvTermData caller = driver_caller(state->port);
    Job *job;

    if (length < 12 || length > 12 + ROOM) {
        driver_failure_posix(state->port, EINVAL);
        return; /* stop() has run inside that call, so the state is freed */
    }
    if (state->job != NULL) {
        reply(state, caller, big_endian(bytes, 8), EBUSY, "", 0);
        return;
    }
    job = driver_alloc(sizeof *job);
    if (job == NULL) {
        driver_failure_posix(state->port, ENOMEM);
        return;
    }
    job->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (job->fd == -1) {
        reply(state, caller, big_endian(bytes, 8), errno, "", 0);
        driver_free(job);
        return;
    }
    atomic_init(&job->hung_up, false);
    job->address = state->address;
    job->tag = big_endian(bytes, 8);
    job->due = now() + (long long)big_endian(bytes + 8, 4);
    job->caller = caller;
    job->length = length - 12;
    memcpy(job->line, bytes + 12, job->length);
    if (driver_async(state->port, NULL, work, job, free_job) == -1) {
        free_job(job);
        driver_failure_posix(state->port, ENOMEM);
        return;
    }
    state->job = job;
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    Job *job = (Job *)thread_data;

    reply(state, job->caller, job->tag, job->error, job->line, job->error ? 0 : job->length);
    state->job = NULL;
    free_job(job);
}

static ErlDrvEntry entry = {
    .driver_name = "socket_drv",
    .start = start,
    .stop = stop,
    .output = output,
    .ready_async = ready_async,
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(socket_drv)
{
    return &entry;
}
