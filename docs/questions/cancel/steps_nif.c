/* SPDX-License-Identifier: 0BSD
 *
 * steps_nif: a NIF that can be cancelled.
 *
 * `new()` returns a job for one call of `work(Job, Steps)`, which takes 10 ms for each
 * step and returns `done` or `cancelled`. `cancel(Job)` returns `cancelled`, or
 * `"too late"` after the end of the work. Any process may call it.
 * Nothing stops a NIF that runs. So it asks before each step whether it was cancelled,
 * and whether its process still exists.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o steps_nif.so steps_nif.c
 *
 * steps_nif.erl loads it and says how it is used.
 */
#define _DEFAULT_SOURCE
#include <stdatomic.h>
#include <unistd.h>
#include <erl_nif.h>

enum { OPEN, DONE, CANCELLED };

typedef struct {
    atomic_int state;
} Job;

static ErlNifResourceType *job_type;

static ERL_NIF_TERM new_job(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    Job *job = enif_alloc_resource(job_type, sizeof *job);
    (void)argc, (void)argv;
    if (job == NULL)
        return enif_raise_exception(env, enif_make_atom(env, "enomem"));
    atomic_init(&job->state, OPEN);
    ERL_NIF_TERM term = enif_make_resource(env, job);
    enif_release_resource(job);        /* now only the term refers to it */
    return term;
}

static ERL_NIF_TERM work(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{                                      /* called on a dirty scheduler */
    void *object;
    unsigned int steps;
    int open = OPEN;
    (void)argc;
    if (!enif_get_resource(env, argv[0], job_type, &object)
        || !enif_get_uint(env, argv[1], &steps))
        return enif_make_badarg(env);
    Job *job = object;
    while (steps > 0 && atomic_load(&job->state) == OPEN
           && enif_is_current_process_alive(env)) {
        usleep(10 * 1000);
        steps--;
    }
    /* Of the end and a cancel that meet, the first one counts. */
    if (atomic_compare_exchange_strong(&job->state, &open, DONE))
        return enif_make_atom(env, "done");
    return enif_make_atom(env, "cancelled");
}

static ERL_NIF_TERM cancel(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    void *object;
    int open = OPEN;
    (void)argc;
    if (!enif_get_resource(env, argv[0], job_type, &object))
        return enif_make_badarg(env);
    Job *job = object;
    if (!atomic_compare_exchange_strong(&job->state, &open, CANCELLED))
        return enif_make_string(env, "too late", ERL_NIF_LATIN1);
    return enif_make_atom(env, "cancelled");
}

static int load(ErlNifEnv *env, void **data, ERL_NIF_TERM info)
{
    (void)data, (void)info;
    job_type = enif_open_resource_type(env, NULL, "job", NULL,
                                        ERL_NIF_RT_CREATE, NULL);
    return job_type == NULL;
}

static ErlNifFunc functions[] = {
    {"new", 0, new_job, 0},
    {"work", 2, work, ERL_NIF_DIRTY_JOB_IO_BOUND},
    {"cancel", 1, cancel, 0},
};

ERL_NIF_INIT(steps_nif, functions, load, NULL, NULL, NULL)
