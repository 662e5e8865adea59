/* SPDX-License-Identifier: 0BSD
 *
 * counter_nif: the smallest NIF that keeps a state for each counter, in a resource.
 *
 * `open()` returns a counter. `count(Counter)` returns how often it was called with
 * this counter.
 * No process owns a resource, so it does not end with a process. The emulator frees it
 * when the last term that refers to it was collected as garbage. A NIF that needs to know
 * when a process ends calls `enif_monitor_process`.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o counter_nif.so counter_nif.c
 *
 * counter_nif.erl loads it and says how it is used.
 */
#include <stdatomic.h>
#include <erl_nif.h>

typedef struct {
    atomic_int count;                  /* two processes may call count at once */
} Counter;

static ErlNifResourceType *counter_type;

static ERL_NIF_TERM open_counter(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    Counter *counter = enif_alloc_resource(counter_type, sizeof *counter);
    (void)argc, (void)argv;
    if (counter == NULL)
        return enif_raise_exception(env, enif_make_atom(env, "enomem"));
    atomic_init(&counter->count, 0);
    ERL_NIF_TERM term = enif_make_resource(env, counter);
    enif_release_resource(counter);    /* now only the term refers to it */
    return term;
}

static ERL_NIF_TERM count(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    void *object;
    (void)argc;
    if (!enif_get_resource(env, argv[0], counter_type, &object))
        return enif_make_badarg(env);
    Counter *counter = object;
    return enif_make_int(env, atomic_fetch_add(&counter->count, 1) + 1);
}

static int load(ErlNifEnv *env, void **data, ERL_NIF_TERM info)
{
    (void)data, (void)info;
    counter_type = enif_open_resource_type(env, NULL, "counter", NULL,
                                           ERL_NIF_RT_CREATE, NULL);
    return counter_type == NULL;
}

static ErlNifFunc functions[] = {
    {"open", 0, open_counter, 0},
    {"count", 1, count, 0},
};

ERL_NIF_INIT(counter_nif, functions, load, NULL, NULL, NULL)
