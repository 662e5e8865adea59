/* cancel_nif.c: the task of cancel_drv.c as a dirty NIF that reads a flag in a
 * resource.
 *
 * Functions: new() returns a flag. count(Flag, Limit) returns {ok, Primes} or
 *     cancelled. cancel(Flag) returns ok, and any process may call it.
 *
 * count() runs on a dirty scheduler and checks the flag before each number. cancel()
 * sets the flag, and so does down(), which the emulator calls when the process that
 * made the flag has ended.
 * A process that is killed while it runs count() ends at once, but the NIF runs on. So
 * count() also asks whether its process is alive.
 *
 * Compile and run, in this folder:
 *
 *   INC=$(erl -noshell -eval 'io:put_chars(code:root_dir()), halt().')/usr/include
 *   cc -Wall -Wextra -Werror -std=c11 -O2 -fPIC -shared -I"$INC" -o cancel_nif.so cancel_nif.c
 *   erlc +warnings_as_errors cancel_nif.erl
 *   erl -noshell -s cancel_nif main -s init stop
 *
 * SPDX-License-Identifier: 0BSD
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <erl_nif.h>

/* Every term that refers to the flag keeps it alive. The argument of a running
 * count() is such a term. */
typedef struct {
    atomic_bool cancelled;
} Flag;

static ErlNifResourceType *flag_type;

static void down(ErlNifEnv *env, void *object, ErlNifPid *pid, ErlNifMonitor *monitor)
{
    Flag *flag = object;
    (void)env, (void)pid, (void)monitor;
    atomic_store(&flag->cancelled, true);
}

static ERL_NIF_TERM new_flag(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    ErlNifPid self;
    ERL_NIF_TERM term;
    Flag *flag = enif_alloc_resource(flag_type, sizeof *flag);
    (void)argc, (void)argv;
    if (flag == NULL)
        return enif_raise_exception(env, enif_make_atom(env, "enomem"));
    atomic_init(&flag->cancelled, false);
    term = enif_make_resource(env, flag);
    enif_release_resource(flag); /* the term has a reference of its own */
    if (enif_self(env, &self) == NULL || enif_monitor_process(env, flag, &self, NULL) != 0)
        return enif_make_badarg(env);
    return term;
}

static ERL_NIF_TERM cancel(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    Flag *flag;
    (void)argc;
    if (!enif_get_resource(env, argv[0], flag_type, (void **)&flag))
        return enif_make_badarg(env);
    atomic_store(&flag->cancelled, true);
    return enif_make_atom(env, "ok");
}

static bool is_prime(unsigned number)
{
    for (unsigned i = 2; (ErlNifUInt64)i * i <= number; i++)
        if (number % i == 0)
            return false;
    return number > 1;
}

static ERL_NIF_TERM count(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    Flag *flag;
    unsigned limit;
    ErlNifUInt64 primes = 0;
    (void)argc;
    if (!enif_get_resource(env, argv[0], flag_type, (void **)&flag) ||
        !enif_get_uint(env, argv[1], &limit))
        return enif_make_badarg(env);
    for (unsigned i = 0; i < limit; i++) {
        if (atomic_load(&flag->cancelled) ||
            (i % 1024 == 0 && !enif_is_current_process_alive(env)))
            return enif_make_atom(env, "cancelled");
        primes += is_prime(i);
    }
    return enif_make_tuple2(env, enif_make_atom(env, "ok"), enif_make_uint64(env, primes));
}

static int load(ErlNifEnv *env, void **data, ERL_NIF_TERM info)
{
    ErlNifResourceTypeInit init = {.down = down};
    (void)data, (void)info;
    flag_type = enif_open_resource_type_x(env, "flag", &init, ERL_NIF_RT_CREATE, NULL);
    return flag_type == NULL;
}

static ErlNifFunc functions[] = {
    {"new", 0, new_flag, 0},
    {"cancel", 1, cancel, 0},
    {"count", 2, count, ERL_NIF_DIRTY_JOB_CPU_BOUND},
};

ERL_NIF_INIT(cancel_nif, functions, load, NULL, NULL, NULL)
