/* SPDX-License-Identifier: 0BSD
 *
 * in_time_nif: a NIF that ends its work when its time is over.
 *
 * `work(Steps, End)` takes 30 ms for each step. It returns `done`, or `timeout` if the
 * time `End` has come. `End` is a time of `erlang:monotonic_time(millisecond)`. So the
 * time in which the call waits for a dirty scheduler counts.
 * The function reads the clock before each step and after the last one, so it returns
 * one step late at most. It also ends when its process was killed.
 * `enif_monotonic_time` may be called on schedulers and dirty schedulers, and not on
 * another thread.
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
    unsigned int steps;
    ErlNifSInt64 end;
    (void)argc;
    if (!enif_get_uint(env, argv[0], &steps) || !enif_get_int64(env, argv[1], &end))
        return enif_make_badarg(env);
    while (enif_monotonic_time(ERL_NIF_MSEC) < end && enif_is_current_process_alive(env)) {
        if (steps == 0)
            return enif_make_atom(env, "done");
        usleep(30 * 1000);
        steps--;
    }
    return enif_make_atom(env, "timeout");
}

static ErlNifFunc functions[] = {
    {"work", 2, work, ERL_NIF_DIRTY_JOB_IO_BOUND},
};

ERL_NIF_INIT(in_time_nif, functions, NULL, NULL, NULL, NULL)
