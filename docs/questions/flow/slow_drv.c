/* slow_drv.c: a port that reads a file before open_port() returns, without blocking a
 * scheduler.
 *
 * Open: open_port({spawn_driver, "slow_drv FILE"}, [])
 * Control: port_control(Port, 1, <<Offset:32, Length:32>>) returns these bytes of the
 *     file, or fewer at its end.
 *
 * start() must return soon, but reading a file may take long. So start() submits a job
 * that reads the file. With the flag ERL_DRV_FLAG_USE_INIT_ACK, open_port() does not
 * return when start() returns. It returns or fails when ready_async() calls
 * erl_drv_init_ack(). So open_port() returns only a port that is ready.
 *
 * Threads: a scheduler calls every callback of the port, under the port lock. An async
 *     thread calls load(). free_job() may be called on any thread.
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

enum { READ = 1 }; /* the operation of port_control/3 */

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

/* Frees the job and the bytes in it. It is also the free callback, for a port that
 * was closed while the job ran. */
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
        return EINVAL; /* reading a pipe or a device may never end */
    job->bytes = driver_alloc((ErlDrvSizeT)status.st_size + 1); /* allowed on any thread */
    if (job->bytes == NULL)
        return ENOMEM;
    while (job->size < (size_t)status.st_size) {
        ssize_t count = read(fd, job->bytes + job->size, (size_t)status.st_size - job->size);
        if (count > 0)
            job->size += (size_t)count;
        else if (count == 0)
            break; /* the file has become shorter */
        else if (errno != EINTR)
            return errno;
    }
    return 0;
}

static void load(void *data) /* called on an async thread */
{
    Job *job = data;
    int fd = open(job->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* opens a pipe at once */
    if (fd == -1) {
        job->error = errno;
        return;
    }
    job->error = read_whole(job, fd);
    (void)close(fd);
}

/* The command is "slow_drv FILE". open_port() fails at once with an error that is
 * returned here. */
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
        strcpy(job->path, space + 1); /* command is valid only until start() returns */
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
        job->bytes = NULL; /* the state owns the bytes now */
    }
    free_job(job);
    errno = error;
    /* After an error this call runs stop(), and open_port() fails with errno.
     * Otherwise the second argument is the driver data of all later callbacks. */
    erl_drv_init_ack(port, error == 0 ? (ErlDrvData)state : ERL_DRV_ERROR_ERRNO);
}

/* Returns the bytes that <<Offset:32, Length:32>> names, or fewer at the end. */
static ErlDrvSSizeT control(ErlDrvData data, unsigned int operation, char *bytes,
                            ErlDrvSizeT length, char **result, ErlDrvSizeT room)
{
    const State *state = (State *)data;
    size_t number[2] = {0, 0};

    /* A process may find the port with erlang:ports() before the port is ready. */
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
