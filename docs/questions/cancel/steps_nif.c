/* SPDX-License-Identifier: 0BSD
 *
 * steps_nif: a NIF that can be cancelled.
 *
 * `new()` returns a job for one call of `work(Job, Steps)`, which takes 10 ms for each
 * step and returns `done` or `cancelled`. `cancel(Job)` returns `cancelled`, or
 * `'too late'` if the work has ended. Any process may call `cancel`.
 * Nothing stops a NIF that runs. So `work` checks before each step whether the job was
 * cancelled, and whether the calling process is alive.
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

enum { NEW, RUNNING, DONE, CANCELLED };

typedef struct {
    atomic_int state;
} Job;

static ErlNifResourceType *job_type;

/* Several threads may call it at once. One of them changes the state, and gets 1. */
static int change(Job *job, int from, int to)
{
    return atomic_compare_exchange_strong(&job->state, &from, to);
}

static ERL_NIF_TERM new_job(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    Job *job = enif_alloc_resource(job_type, sizeof *job);
    (void)argc, (void)argv;
    if (job == NULL)
        return enif_raise_exception(env, enif_make_atom(env, "enomem"));
    atomic_init(&job->state, NEW);
    ERL_NIF_TERM term = enif_make_resource(env, job);
    enif_release_resource(job);        /* now only the term refers to it */
    return term;
}

static ERL_NIF_TERM work(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{                                      /* called on a dirty scheduler */
    void *object;
    unsigned int steps;
    (void)argc;
    if (!enif_get_resource(env, argv[0], job_type, &object)
        || !enif_get_uint(env, argv[1], &steps))
        return enif_make_badarg(env);
    Job *job = object;
    if (!change(job, NEW, RUNNING) && atomic_load(&job->state) != CANCELLED)
        return enif_make_badarg(env);  /* a job is for one call */
    while (steps > 0 && atomic_load(&job->state) == RUNNING) {
        if (!enif_is_current_process_alive(env)) {
            change(job, RUNNING, CANCELLED);
            break;
        }
        usleep(10 * 1000);
        steps--;
    }
    return enif_make_atom(env, change(job, RUNNING, DONE) ? "done" : "cancelled");
}

static ERL_NIF_TERM cancel(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    void *object;
    (void)argc;
    if (!enif_get_resource(env, argv[0], job_type, &object))
        return enif_make_badarg(env);
    Job *job = object;
    if (change(job, NEW, CANCELLED) || change(job, RUNNING, CANCELLED))
        return enif_make_atom(env, "cancelled");
    return enif_make_atom(env, "too late");
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
