/* SPDX-License-Identifier: 0BSD
 *
 * store_drv: a store of compressed values, which all ports share.
 *
 * port_command(Port, <<1, TTL:32, KeyLength, Key/binary, Value/binary>>)    put:    {store, ok}
 * port_command(Port, <<2, Key/binary>>)                                     get:    {store, {ok, Value}} or {store, none}
 * port_control(Port, 3, Key)                                                remove: <<1>> or <<0>>
 * port_control(Port, 4, <<>>)                                               count:  <<Count:32>>
 *
 * Values are compressed and restored on async threads, by zlib.  A TTL is in milliseconds; 0 is for ever.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <string.h>
#include <time.h>

#include <erl_driver.h>
#include <zlib.h>

#include "table.h"

enum { PUT = 1, GET = 2, REMOVE = 3, COUNT = 4 };
enum { BUCKETS = 16, SWEEP = 1000 };

typedef struct {
    ErlDrvPort port;
    ErlDrvTermData port_term;
    int sweeping; /* whether the timer runs */
} State;

typedef struct {
    int operation;
    ErlDrvTermData caller;
    ErlDrvUInt64 ttl;
    int error;           /* of zlib */
    Value *value;        /* the one that was got */
    ErlDrvBinary *result;
    size_t key_length, length;
    char bytes[];        /* the key, and the value to put */
} Job;

static Table *table;

static int init(void)
{
    table = table_new(BUCKETS);
    return table == NULL ? -1 : 0;
}

static void finish(void)
{
    table_free(table);
}

/* Milliseconds.  erl_drv_monotonic_time() is for schedulers only, and jobs ask too. */
static ErlDrvUInt64 now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (ErlDrvUInt64)time.tv_sec * 1000 + (ErlDrvUInt64)time.tv_nsec / 1000000;
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    State *state = driver_alloc(sizeof *state);

    (void)command;
    if (state == NULL) {
        errno = ENOMEM;
        return ERL_DRV_ERROR_ERRNO;
    }
    state->port = port;
    state->port_term = driver_mk_port(port);
    state->sweeping = 0;
    return (ErlDrvData)state;
}

static void stop(ErlDrvData data)
{
    driver_free(data); /* jobs in flight have nothing of it */
}

static void job_free(void *data)
{
    Job *job = data;

    if (job->value != NULL)
        value_drop(job->value);
    if (job->result != NULL)
        driver_free_binary(job->result);
    driver_free(job);
}

/* On an async thread: compress the value, and put it into the table. */
static void put(Job *job)
{
    uLongf length = compressBound(job->length);
    Value *value = value_new(job->length, length);

    if (value == NULL) {
        job->error = Z_MEM_ERROR;
        return;
    }
    job->error = compress(value->bytes, &length, (Bytef *)job->bytes + job->key_length, job->length);
    value->length = length;
    if (job->ttl != 0)
        value->expires = now() + job->ttl;
    if (job->error == Z_OK && table_put(table, job->bytes, job->key_length, value) != 0)
        job->error = Z_MEM_ERROR;
    if (job->error != Z_OK)
        value_drop(value);
}

/* On an async thread: restore the value into a binary. */
static void get(Job *job)
{
    uLongf size;

    job->value = table_get(table, job->bytes, job->key_length, now());
    if (job->value == NULL)
        return;
    size = job->value->size;
    job->result = driver_alloc_binary(job->value->size);
    if (job->result == NULL) {
        job->error = Z_MEM_ERROR;
        return;
    }
    job->error = uncompress((Bytef *)job->result->orig_bytes, &size, job->value->bytes, job->value->length);
}

static void work(void *data)
{
    Job *job = data;

    if (job->operation == PUT)
        put(job);
    else
        get(job);
}

static Job *new_job(const unsigned char *buf, size_t length)
{
    size_t head = buf[0] == PUT ? 6 : 1;
    Job *job;

    if (length < head || (buf[0] != PUT && buf[0] != GET) || (buf[0] == PUT && (size_t)buf[5] + head > length)) {
        errno = EINVAL;
        return NULL;
    }
    job = driver_alloc(sizeof *job + length - head);
    if (job == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    job->operation = buf[0];
    job->ttl = 0;
    job->error = Z_OK;
    job->value = NULL;
    job->result = NULL;
    job->key_length = length - head;
    if (buf[0] == PUT) {
        job->ttl = (ErlDrvUInt64)buf[1] << 24 | buf[2] << 16 | buf[3] << 8 | buf[4];
        job->key_length = buf[5];
    }
    job->length = length - head - job->key_length;
    memcpy(job->bytes, buf + head, length - head);
    return job;
}

static void output(ErlDrvData data, char *buf, ErlDrvSizeT length)
{
    State *state = (State *)data;
    unsigned int key = 0;
    Job *job;

    errno = EINVAL;
    job = length == 0 ? NULL : new_job((unsigned char *)buf, length);
    if (job == NULL) {
        driver_failure_posix(state->port, errno);
        return;
    }
    job->caller = driver_caller(state->port);
    /* One key for all: a get comes after the put before it, also of another port. */
    if (driver_async(state->port, &key, work, job, job_free) == -1) {
        job_free(job);
        driver_failure_posix(state->port, ENOMEM);
        return;
    }
    if (!state->sweeping) {
        state->sweeping = 1;
        driver_set_timer(state->port, SWEEP);
    }
}

static void timeout(ErlDrvData data)
{
    State *state = (State *)data;

    state->sweeping = table_expire(table, now()) > 0;
    if (state->sweeping)
        driver_set_timer(state->port, SWEEP);
}

static void ready_async(ErlDrvData data, ErlDrvThreadData thread_data)
{
    State *state = (State *)data;
    Job *job = (Job *)thread_data;
    ErlDrvTermData reply[16];
    int n = 0;

    reply[n++] = ERL_DRV_ATOM, reply[n++] = driver_mk_atom((char *)"store");
    if (job->error != Z_OK) {
        reply[n++] = ERL_DRV_ATOM, reply[n++] = driver_mk_atom((char *)"error");
    } else if (job->result != NULL) {
        reply[n++] = ERL_DRV_ATOM, reply[n++] = driver_mk_atom((char *)"ok");
        reply[n++] = ERL_DRV_BINARY, reply[n++] = (ErlDrvTermData)job->result;
        reply[n++] = (ErlDrvTermData)job->value->size, reply[n++] = 0;
        reply[n++] = ERL_DRV_TUPLE, reply[n++] = 2;
    } else {
        reply[n++] = ERL_DRV_ATOM, reply[n++] = driver_mk_atom((char *)(job->operation == PUT ? "ok" : "none"));
    }
    reply[n++] = ERL_DRV_TUPLE, reply[n++] = 2;
    (void)erl_drv_send_term(state->port_term, job->caller, reply, n);
    job_free(job);
}

static ErlDrvSSizeT control(ErlDrvData data, unsigned int operation, char *buf, ErlDrvSizeT length, char **rbuf,
                            ErlDrvSizeT room)
{
    (void)data;
    (void)room; /* is 64 at least */
    switch (operation) {
    case REMOVE:
        (*rbuf)[0] = (char)table_remove(table, buf, length);
        return 1;
    case COUNT: {
        size_t count = table_count(table);

        for (int i = 0; i < 4; i++)
            (*rbuf)[i] = (char)(count >> (24 - 8 * i));
        return 4;
    }
    default:
        return -1;
    }
}

static ErlDrvEntry entry = {
    .driver_name = "store_drv",
    .init = init,
    .start = start,
    .stop = stop,
    .output = output,
    .control = control,
    .timeout = timeout,
    .ready_async = ready_async,
    .finish = finish,
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(store_drv)
{
    return &entry;
}
