/* SPDX-License-Identifier: 0BSD
 *
 * judge_log: the log of what the judge's drivers do, and the port by which Erlang asks for it.
 *
 * It is a library, to which every variant of `judge_drv` is linked, and a driver, whose one port is told to begin a run,
 * to open a gate, to log what Erlang does, and to print the log.  Its port has a lock of its own, so that asking does
 * not disturb what is observed.  It prints with write(2): the emulator's own standard output may need an async thread.
 *
 * `values.erl` asks for two things more: how many callbacks and jobs wait at gates, how many have passed one, which
 * shows whether a BIF has waited for a callback, and how many jobs are still to come back; and a limit to the waiting, because a scheduler that executes
 * the signals of a port waits as well, and the process that would open the gate may be on it.
 *
 * Before a run it has the emulator number jobs until the next one's number, modulo the async threads, is 1.  So a job
 * without a key is on the same thread in every run.
 */
#define _GNU_SOURCE
#include "judge_log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, GATES = 10, DESCRIPTORS = 8, LINE = 16384, NAP = 2500000 };

enum { RESET = 1, QUIET, GIVE, MARK, PRINT, SAY, AT_ONCE, HELD, LIMIT };

typedef struct {
    char name[JUDGE_NAME_SIZE];
    int job;
    int happened;
} Event;

typedef struct Block {
    struct Block *next;
    max_align_t bytes[];
} Block;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t given = PTHREAD_COND_INITIALIZER;

/* All guarded by `lock`. */
static Event events[EVENTS];
static int count, submitted, jobs_to_come, ports_to_come, callbacks, at_once;
static int gates[GATES], waiting, passed;
static struct timespec limit; /* until when a gate holds; no limit if 0 */
static Block *blocks;
static int descriptors[DESCRIPTORS], kept;
static unsigned runs;

/* Written between runs only. */
static ErlDrvPort own_port;
static ErlDrvTermData own_term, player;
static int unrest;

static void say(const char *text, size_t size)
{
    while (size > 0) {
        ssize_t written = write(STDOUT_FILENO, text, size);

        if (written <= 0)
            return;
        text += written;
        size -= (size_t)written;
    }
}

/* In most runs threads dawdle now and then, because some orders are rare if everybody hurries: not at all, for a moment,
 * for as long as it takes to wake a thread, or for longer than a millisecond, in which a timer may fire.
 */
static void dawdle(void)
{
    static _Thread_local unsigned long state;
    static unsigned long threads;
    unsigned long spin;

    if (!unrest)
        return;
    if (state == 0)
        state = (__atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED) * 0x9e3779b97f4a7c15UL) | 1;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    if (state % (unrest == 3 ? 6 : 3) != 0)
        return;
    if (state % 5 == 0)
        sched_yield();
    if (unrest == 3) {
        struct timespec nap = {.tv_nsec = (long)((state >> 20) % NAP)};

        nanosleep(&nap, NULL);
        return;
    }
    spin = (state >> 20) % (unrest == 1 ? 3000 : 60000);
    for (volatile unsigned long i = 0; i < spin; i++)
        ;
}

static int note(const char *name, int job)
{
    Event *event;

    if (count == EVENTS)
        return 0;
    event = &events[count];
    snprintf(event->name, sizeof event->name, "%s", name);
    event->job = job;
    event->happened = 1;
    if (at_once) {
        char line[JUDGE_NAME_SIZE + 16];
        int size = job ? snprintf(line, sizeof line, "+%s(%d)\n", name, job)
                       : snprintf(line, sizeof line, "+%s\n", name);

        say(line, (size_t)size);
    }
    return count++;
}

int judge_event(const char *name, int job)
{
    int place;

    dawdle();
    pthread_mutex_lock(&lock);
    place = note(name, job);
    pthread_mutex_unlock(&lock);
    dawdle();
    return place;
}

void judge_void(int place)
{
    pthread_mutex_lock(&lock);
    events[place].happened = 0;
    pthread_mutex_unlock(&lock);
}

void judge_enter(void)
{
    pthread_mutex_lock(&lock);
    callbacks++;
    pthread_mutex_unlock(&lock);
}

void judge_leave(void)
{
    pthread_mutex_lock(&lock);
    callbacks--;
    pthread_mutex_unlock(&lock);
}

void judge_expect(int jobs, int ports)
{
    pthread_mutex_lock(&lock);
    jobs_to_come += jobs;
    ports_to_come += ports;
    pthread_mutex_unlock(&lock);
}

long judge_async(ErlDrvPort port, unsigned int *key, void (*async_invoke)(void *), void *async_data,
                 void (*async_free)(void *), int *number)
{
    long id;
    int place;

    dawdle();
    pthread_mutex_lock(&lock);
    *number = submitted + 1;
    place = note("driver_async", *number);
    id = driver_async(port, key, async_invoke, async_data, async_free);
    if (id == -1) {
        events[place].happened = 0;
    } else {
        submitted++;
        jobs_to_come++;
    }
    pthread_mutex_unlock(&lock);
    dawdle();
    return id;
}

void judge_wait(int gate)
{
    int late = 0;

    pthread_mutex_lock(&lock);
    waiting++;
    while (gates[gate] == 0 && !late)
        if (limit.tv_sec == 0)
            pthread_cond_wait(&given, &lock);
        else
            late = pthread_cond_timedwait(&given, &lock, &limit) == ETIMEDOUT;
    gates[gate] -= !late;
    waiting--;
    passed++;
    pthread_mutex_unlock(&lock);
}

void judge_give(int gate)
{
    pthread_mutex_lock(&lock);
    gates[gate]++;
    pthread_cond_broadcast(&given);
    pthread_mutex_unlock(&lock);
}

void judge_tell(int flag)
{
    ErlDrvTermData message[] = {ERL_DRV_ATOM, driver_mk_atom("tell"), ERL_DRV_INT,
                                (ErlDrvTermData)flag, ERL_DRV_TUPLE,        2};

    judge_send(message, sizeof message / sizeof *message);
}

void judge_send(ErlDrvTermData *message, int size)
{
    erl_drv_send_term(own_term, player, message, size);
}

int judge_renumber(int descriptor)
{
    enum { FIRST = 100, NUMBERS = 400 };
    static atomic_uint used;
    int result = fcntl(descriptor, F_DUPFD_CLOEXEC, FIRST + (int)(atomic_fetch_add(&used, 1) % NUMBERS));

    close(descriptor);
    return result;
}

void judge_keep(int descriptor)
{
    pthread_mutex_lock(&lock);
    if (kept < DESCRIPTORS)
        descriptors[kept++] = descriptor;
    pthread_mutex_unlock(&lock);
}

void *judge_alloc(size_t size)
{
    Block *block = calloc(1, sizeof *block + size);

    if (block == NULL)
        return NULL;
    pthread_mutex_lock(&lock);
    block->next = blocks;
    blocks = block;
    pthread_mutex_unlock(&lock);
    return block->bytes;
}

void judge_thread(char name[JUDGE_NAME_SIZE])
{
    if (pthread_getname_np(pthread_self(), name, JUDGE_NAME_SIZE) != 0)
        name[0] = '\0';
}

/* The port. */

static void nothing(void *data)
{
    (void)data;
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    own_port = port;
    own_term = driver_mk_port(port);
    return (ErlDrvData)port;
}

static void ready_async(ErlDrvData data, ErlDrvThreadData job)
{
    (void)data;
    (void)job;
    judge_expect(-1, 0);
}

/* Begin a run.  The one before is over. */
static void reset(void)
{
    ErlDrvSysInfo info;

    player = driver_caller(own_port);
    pthread_mutex_lock(&lock);
    count = submitted = passed = 0;
    limit.tv_sec = 0;
    memset(gates, 0, sizeof gates);
    unrest = (int)(runs++ % 4);
    while (kept > 0)
        close(descriptors[--kept]);
    while (blocks != NULL) {
        Block *next = blocks->next;

        free(blocks);
        blocks = next;
    }
    driver_system_info(&info, sizeof info);
    do
        jobs_to_come++;
    while (driver_async(own_port, NULL, nothing, NULL, NULL) % info.async_threads != 0);
    pthread_mutex_unlock(&lock);
}

static void print(const char *scenario, size_t size)
{
    static char line[LINE];
    size_t used = (size_t)snprintf(line, LINE, "%.*s\t", (int)size, scenario);
    const char *space = "";

    pthread_mutex_lock(&lock);
    for (int i = 0; i < count && used < LINE - JUDGE_NAME_SIZE - 16; i++) {
        const Event *event = &events[i];

        if (!event->happened)
            continue;
        used += (size_t)snprintf(line + used, LINE - used, "%s%s", space, event->name);
        if (event->job)
            used += (size_t)snprintf(line + used, LINE - used, "(%d)", event->job);
        space = " ";
    }
    pthread_mutex_unlock(&lock);
    line[used++] = '\n';
    say(line, used);
}

static ErlDrvSSizeT control(ErlDrvData data, unsigned int operation, char *buf, ErlDrvSizeT len, char **rbuf,
                            ErlDrvSizeT rlen)
{
    char name[JUDGE_NAME_SIZE];
    int held, gate;

    (void)data;
    (void)rlen;
    switch (operation) {
    case RESET:
        reset();
        return 0;
    case QUIET:
        pthread_mutex_lock(&lock);
        **rbuf = jobs_to_come == 0 && ports_to_come == 0 && callbacks == 0;
        pthread_mutex_unlock(&lock);
        return 1;
    case GIVE:
        judge_give(buf[0]);
        return 0;
    case MARK:
        snprintf(name, sizeof name, "%.*s", (int)len, buf);
        judge_event(name, 0);
        return 0;
    case PRINT:
        print(buf, len);
        return 0;
    case SAY:
        say(buf, len);
        return 0;
    case HELD:
        pthread_mutex_lock(&lock);
        for (held = waiting, gate = 0; gate < GATES; gate++)
            held -= gates[gate]; /* opened, but the thread is not yet awake */
        (*rbuf)[0] = (char)(held > 0 ? held : 0);
        (*rbuf)[1] = (char)passed;
        (*rbuf)[2] = (char)jobs_to_come;
        pthread_mutex_unlock(&lock);
        return 3;
    case LIMIT:
        pthread_mutex_lock(&lock);
        clock_gettime(CLOCK_REALTIME, &limit);
        limit.tv_nsec += buf[0] * 10000000L;
        limit.tv_sec += limit.tv_nsec / 1000000000;
        limit.tv_nsec %= 1000000000;
        pthread_cond_broadcast(&given);
        pthread_mutex_unlock(&lock);
        return 0;
    case AT_ONCE:
        at_once = 1;
        runs = (unsigned)getpid(); /* each emulator plays one run */
        return 0;
    default:
        return -1;
    }
}

static ErlDrvEntry entry = {
    .start = start,
    .driver_name = "judge_log",
    .control = control,
    .ready_async = ready_async,
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(judge_log)
{
    return &entry;
}
