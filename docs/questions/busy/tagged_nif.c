/* SPDX-License-Identifier: 0BSD
 *
 * tagged_nif: a NIF that does two jobs at a time and refuses a third.
 *
 * `open()` returns a pool. `work(Pool, Tag, Ms)` sleeps for so many milliseconds, from 0
 * to 255, and returns the tag. While two calls with this pool sleep, it returns `busy` at
 * once. `open_jobs(Pool)` returns how many sleep.
 * A NIF cannot suspend its caller. So the caller has to call again when a job is back.
 * A call whose process is killed is counted until its function returns.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o tagged_nif.so tagged_nif.c
 *
 * tagged_nif.erl loads it and says how it is used.
 */
#define _DEFAULT_SOURCE
#include <stdatomic.h>
#include <unistd.h>
#include <erl_nif.h>

typedef struct {
    atomic_int open;                   /* calls that have not returned */
} Pool;

static ErlNifResourceType *pool_type;

static ERL_NIF_TERM open_pool(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    Pool *pool = enif_alloc_resource(pool_type, sizeof *pool);
    (void)argc, (void)argv;
    if (pool == NULL)
        return enif_raise_exception(env, enif_make_atom(env, "enomem"));
    atomic_init(&pool->open, 0);
    ERL_NIF_TERM term = enif_make_resource(env, pool);
    enif_release_resource(pool);       /* now only the term refers to it */
    return term;
}

static ERL_NIF_TERM work(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{                                      /* called on a dirty scheduler */
    void *object;
    unsigned int ms;
    (void)argc;
    if (!enif_get_resource(env, argv[0], pool_type, &object)
        || !enif_get_uint(env, argv[2], &ms) || ms > 255)
        return enif_make_badarg(env);
    Pool *pool = object;
    int open = atomic_load(&pool->open);
    do {
        if (open == 2)
            return enif_make_atom(env, "busy");
    } while (!atomic_compare_exchange_weak(&pool->open, &open, open + 1));
    usleep(ms * 1000);
    atomic_fetch_sub(&pool->open, 1);
    return argv[1];
}

static ERL_NIF_TERM open_jobs(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    void *object;
    (void)argc;
    if (!enif_get_resource(env, argv[0], pool_type, &object))
        return enif_make_badarg(env);
    Pool *pool = object;
    return enif_make_int(env, atomic_load(&pool->open));
}

static int load(ErlNifEnv *env, void **data, ERL_NIF_TERM info)
{
    (void)data, (void)info;
    pool_type = enif_open_resource_type(env, NULL, "pool", NULL,
                                        ERL_NIF_RT_CREATE, NULL);
    return pool_type == NULL;
}

static ErlNifFunc functions[] = {
    {"open", 0, open_pool, 0},
    {"work", 3, work, ERL_NIF_DIRTY_JOB_IO_BOUND},
    {"open_jobs", 1, open_jobs, 0},
};

ERL_NIF_INIT(tagged_nif, functions, load, NULL, NULL, NULL)
