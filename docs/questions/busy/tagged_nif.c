/* SPDX-License-Identifier: 0BSD
 *
 * tagged_nif: a NIF that does two jobs at a time and refuses a third.
 *
 * `open()` returns a pool. `take(Pool)` returns a slot, or `busy` while two slots of the
 * pool are taken. `work(Slot, Tag, Ms)` sleeps for so many milliseconds, from 0 to 255,
 * gives the slot back and returns the tag.
 * A NIF has no call like `set_busy_port`. `take` is short and runs on an ordinary
 * scheduler, so it returns at once, and a caller that gets `busy` tries again later.
 * A slot is a resource. If a process is killed before it calls `work`, the emulator calls
 * `destroy_slot`, which gives the slot back.
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
    atomic_int open;                   /* slots that are taken */
} Pool;

typedef struct {
    Pool *pool;
    atomic_bool used;                  /* work has it, and gives it back */
} Slot;

static ErlNifResourceType *pool_type, *slot_type;

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

static ERL_NIF_TERM take(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{                                      /* called on an ordinary scheduler */
    void *object;
    (void)argc;
    if (!enif_get_resource(env, argv[0], pool_type, &object))
        return enif_make_badarg(env);
    Pool *pool = object;
    int open = atomic_load(&pool->open);
    do {
        if (open == 2)
            return enif_make_atom(env, "busy");
    } while (!atomic_compare_exchange_weak(&pool->open, &open, open + 1));
    Slot *slot = enif_alloc_resource(slot_type, sizeof *slot);
    if (slot == NULL) {
        atomic_fetch_sub(&pool->open, 1);
        return enif_raise_exception(env, enif_make_atom(env, "enomem"));
    }
    slot->pool = pool;
    enif_keep_resource(pool);          /* as long as there is the slot */
    atomic_init(&slot->used, 0);
    ERL_NIF_TERM term = enif_make_resource(env, slot);
    enif_release_resource(slot);       /* now only the term refers to it */
    return term;
}

static ERL_NIF_TERM work(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{                                      /* called on a dirty scheduler */
    void *object;
    unsigned int ms;
    (void)argc;
    if (!enif_get_resource(env, argv[0], slot_type, &object)
        || !enif_get_uint(env, argv[2], &ms) || ms > 255)
        return enif_make_badarg(env);
    Slot *slot = object;
    if (atomic_exchange(&slot->used, 1))
        return enif_make_badarg(env);  /* a slot is for one call */
    usleep(ms * 1000);
    atomic_fetch_sub(&slot->pool->open, 1);
    return argv[1];
}

static void destroy_slot(ErlNifEnv *env, void *object)
{                                      /* no term refers to it any more */
    Slot *slot = object;
    (void)env;
    if (!atomic_load(&slot->used))
        atomic_fetch_sub(&slot->pool->open, 1);
    enif_release_resource(slot->pool);
}

static int load(ErlNifEnv *env, void **data, ERL_NIF_TERM info)
{
    (void)data, (void)info;
    pool_type = enif_open_resource_type(env, NULL, "pool", NULL,
                                        ERL_NIF_RT_CREATE, NULL);
    slot_type = enif_open_resource_type(env, NULL, "slot", destroy_slot,
                                        ERL_NIF_RT_CREATE, NULL);
    return pool_type == NULL || slot_type == NULL;
}

static ErlNifFunc functions[] = {
    {"open", 0, open_pool, 0},
    {"take", 1, take, 0},
    {"work", 3, work, ERL_NIF_DIRTY_JOB_IO_BOUND},
};

ERL_NIF_INIT(tagged_nif, functions, load, NULL, NULL, NULL)
