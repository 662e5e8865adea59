/* SPDX-License-Identifier: 0BSD
 *
 * state_nif: the task of state_drv as a NIF, with a resource in place of the state of a
 * port.
 *
 * open(First) returns a counter. count(Counter) returns {Count, Total}.
 * A counter is a resource. Erlang's terms refer to it, and the emulator frees it when
 * no term refers to it any more. Three things that a port has must be written here:
 *
 * - A lock: two processes may call `count` with one counter at once, so the counts are
 *   atomic.
 * - An owner: a port closes when its owner ends. Here `open` monitors its caller, and
 *   the emulator calls `down` when the caller has ended.
 * - An end that runs alone: `down` may run at the same time as `count`. So it only
 *   marks the counter as closed and frees nothing.
 *
 * Counting is short, so the functions run on an ordinary scheduler.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o state_nif.so state_nif.c
 *
 * state_nif.erl loads it and says how it is used.
 */
#include <stdatomic.h>
#include <stdbool.h>

#include <erl_nif.h>

typedef struct {
    atomic_ulong count;
    atomic_bool closed;
} Counter;

static ErlNifResourceType *counter_type;
static atomic_ulong total; /* shared by all counters */

/* The emulator calls it when the owner has ended. */
static void down(ErlNifEnv *env, void *object, ErlNifPid *pid, ErlNifMonitor *monitor)
{
    Counter *counter = object;

    (void)env;
    (void)pid;
    (void)monitor;
    atomic_store(&counter->closed, true);
}

/* open(First) -> Counter */
static ERL_NIF_TERM open_counter(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    Counter *counter;
    ErlNifPid self;
    unsigned long first;
    ERL_NIF_TERM term;

    if (argc != 1 || !enif_get_ulong(env, argv[0], &first) || enif_self(env, &self) == NULL)
        return enif_make_badarg(env);
    counter = enif_alloc_resource(counter_type, sizeof *counter);
    if (counter == NULL)
        return enif_raise_exception(env, enif_make_atom(env, "enomem"));
    atomic_init(&counter->count, first);
    atomic_init(&counter->closed, false);
    if (enif_monitor_process(env, counter, &self, NULL) != 0) {
        enif_release_resource(counter);
        return enif_raise_exception(env, enif_make_atom(env, "noproc")); /* the caller was killed */
    }
    /* The term has a reference of its own, so the reference of this function is released. */
    term = enif_make_resource(env, counter);
    enif_release_resource(counter);
    return term;
}

/* count(Counter) -> {Count, Total} */
static ERL_NIF_TERM count(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    void *object;
    Counter *counter;
    unsigned long own, all;

    if (argc != 1 || !enif_get_resource(env, argv[0], counter_type, &object))
        return enif_make_badarg(env);
    counter = object; /* argv refers to it, so it exists during the call */
    if (atomic_load(&counter->closed))
        return enif_make_badarg(env);
    own = atomic_fetch_add(&counter->count, 1) + 1;
    all = atomic_fetch_add(&total, 1) + 1;
    return enif_make_tuple2(env, enif_make_ulong(env, own), enif_make_ulong(env, all));
}

/* There is no destructor, because a counter is only a block, and the emulator frees that. */
static int load(ErlNifEnv *env, void **priv_data, ERL_NIF_TERM load_info)
{
    ErlNifResourceTypeInit callbacks = {.down = down};

    (void)priv_data;
    (void)load_info;
    counter_type = enif_open_resource_type_x(env, "counter", &callbacks, ERL_NIF_RT_CREATE, NULL);
    return counter_type == NULL ? -1 : 0;
}

static ErlNifFunc functions[] = {
    {"open", 1, open_counter, 0},
    {"count", 1, count, 0},
};

ERL_NIF_INIT(state_nif, functions, load, NULL, NULL, NULL)
