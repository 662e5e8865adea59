/* slow_drv.c: a driver that takes its time to open, and holds nobody up.
 *
 * start() must return soon, but reading a file may take long. So start() gives
 * that to a job and returns, and with ERL_DRV_FLAG_USE_INIT_ACK open_port()
 * does not: its caller waits until ready_async() says, by erl_drv_init_ack(),
 * how it went. No process ever has a port that is not ready.
 *
 * Compile and run, in this folder:
 *
 *   INC=$(erl -noshell -eval 'io:put_chars(code:root_dir()), halt().')/usr/include
 *   cc -Wall -Wextra -Werror -std=c11 -O2 -fPIC -shared -I"$INC" -o slow_drv.so slow_drv.c
 *   erlc +warnings_as_errors slow_drv.erl
 *   erl -noshell -s slow_drv main -s init stop
 *
 * SPDX-License-Identifier: 0BSD
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <erl_driver.h>

enum { READ = 1 }; /* port_control/3's operation */

typedef struct {
    ErlDrvPort port;
    char *bytes; /* NULL until the job is back */
    size_t size;
} State;

typedef struct {
    char *bytes; /* the result */
    size_t size;
    int error;
    char path[];
} Job;

/* With the result in it: this is for a port that was closed meanwhile. */
static void free_job(void *data)
{
    Job *job = data;
    if (job->bytes != NULL)
        driver_free(job->bytes);
    driver_free(job);
}

static int read_whole(Job *job, int fd)
{
    struct stat status;
    if (fstat(fd, &status) == -1)
        return errno;
    if (!S_ISREG(status.st_mode))
        return EINVAL; /* what has no end would keep the thread */
    job->bytes = driver_alloc((ErlDrvSizeT)status.st_size + 1); /* on any thread */
    if (job->bytes == NULL)
        return ENOMEM;
    while (job->size < (size_t)status.st_size) {
        ssize_t count = read(fd, job->bytes + job->size, (size_t)status.st_size - job->size);
        if (count > 0)
            job->size += (size_t)count;
        else if (count == 0)
            break; /* somebody has made it shorter */
        else if (errno != EINTR)
            return errno;
    }
    return 0;
}

static void load(void *data) /* on an async thread */
{
    Job *job = data;
    int fd = open(job->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* also for a pipe */
    if (fd == -1) {
        job->error = errno;
        return;
    }
    job->error = read_whole(job, fd);
    (void)close(fd);
}

/* "slow_drv FILE". An error found here, open_port() raises at once. */
static ErlDrvData start(ErlDrvPort port, char *command)
{
    const char *space = strchr(command, ' ');
    State *state;
    Job *job;

    if (space == NULL)
        return ERL_DRV_ERROR_BADARG;
    state = driver_alloc(sizeof *state);
    job = driver_alloc(sizeof *job + strlen(space + 1) + 1);
    if (state != NULL && job != NULL) {
        state->port = port;
        state->bytes = NULL;
        job->bytes = NULL;
        job->size = 0;
        job->error = 0;
        strcpy(job->path, space + 1); /* command is ours during this call only */
        if (driver_async(port, NULL, load, job, free_job) != -1)
            return (ErlDrvData)state;
    }
    if (state != NULL)
        driver_free(state);
    if (job != NULL)
        driver_free(job);
    errno = ENOMEM;
    return ERL_DRV_ERROR_ERRNO;
}

static void stop(ErlDrvData data)
{
    State *state = (State *)data;
    if (state->bytes != NULL)
        driver_free(state->bytes);
    driver_free(state);
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    ErlDrvPort port = state->port;
    Job *job = (Job *)thread_data;
    int error = job->error;

    if (error == 0) {
        state->bytes = job->bytes;
        state->size = job->size;
        job->bytes = NULL; /* the port's now */
    }
    free_job(job);
    errno = error;
    /* After an error stop() runs inside this call, and open_port() raises it.
     * Else what is given here is the driver data from now on. */
    erl_drv_init_ack(port, error == 0 ? (ErlDrvData)state : ERL_DRV_ERROR_ERRNO);
}

/* <<Offset:32, Length:32>>: so many bytes from there, or fewer at the end. */
static ErlDrvSSizeT control(ErlDrvData data, unsigned int operation, char *bytes,
                            ErlDrvSizeT length, char **result, ErlDrvSizeT room)
{
    const State *state = (State *)data;
    size_t number[2] = {0, 0};

    /* erlang:ports() shows the port before it is ready. */
    if (operation != READ || length != 8 || state->bytes == NULL)
        return -1; /* badarg */
    for (int i = 0; i < 8; i++)
        number[i / 4] = number[i / 4] << 8 | (unsigned char)bytes[i];
    if (number[0] > state->size)
        number[0] = state->size;
    if (number[1] > state->size - number[0])
        number[1] = state->size - number[0];
    if (number[1] > room) {
        *result = driver_alloc(number[1]); /* the emulator frees it */
        if (*result == NULL)
            return -1;
    }
    memcpy(*result, state->bytes + number[0], number[1]);
    return (ErlDrvSSizeT)number[1];
}

static ErlDrvEntry entry = {
    .driver_name = "slow_drv",
    .start = start,
    .stop = stop,
    .control = control,
    .ready_async = ready_async,
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING | ERL_DRV_FLAG_USE_INIT_ACK,
};

DRIVER_INIT(slow_drv)
{
    return &entry;
}
