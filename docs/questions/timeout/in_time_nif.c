/* SPDX-License-Identifier: 0BSD
 *
 * in_time_nif: a NIF that ends its work when its time is over.
 *
 * `work(Steps)` takes 30 ms for each step. It returns `done`, or `timeout` after 200 ms.
 * The function reads the clock before each step, so it is late by one step at most. It
 * also ends when its process was killed.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o in_time_nif.so in_time_nif.c
 *
 * in_time_nif.erl loads it and says how it is used.
 */
#define _DEFAULT_SOURCE
#include <unistd.h>
#include <erl_nif.h>

static ERL_NIF_TERM work(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{                                      /* called on a dirty scheduler */
    ErlNifTime end = enif_monotonic_time(ERL_NIF_MSEC) + 200;
    unsigned int steps;
    (void)argc;
    if (!enif_get_uint(env, argv[0], &steps))
        return enif_make_badarg(env);
    while (steps > 0 && enif_is_current_process_alive(env)) {
        if (enif_monotonic_time(ERL_NIF_MSEC) >= end)
            return enif_make_atom(env, "timeout");
        usleep(30 * 1000);
        steps--;
    }
    return enif_make_atom(env, "done");
}

static ErlNifFunc functions[] = {
    {"work", 1, work, ERL_NIF_DIRTY_JOB_IO_BOUND},
};

ERL_NIF_INIT(in_time_nif, functions, NULL, NULL, NULL, NULL)
