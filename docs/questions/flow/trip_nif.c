/* SPDX-License-Identifier: 0BSD
 *
 * trip_nif: one call and its answer, with the work on a dirty scheduler.
 *
 * `square(Number)` returns the square of a number from 0 to 255.
 * The answer is the return value, so there is no callback that sends it. The process
 * that calls the NIF waits.
 * `ERL_NIF_DIRTY_JOB_CPU_BOUND` is for work that computes, and
 * `ERL_NIF_DIRTY_JOB_IO_BOUND` for work that waits. A function that returns within a
 * millisecond needs neither.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o trip_nif.so trip_nif.c
 *
 * trip_nif.erl loads it and says how it is used.
 */
#define _DEFAULT_SOURCE
#include <unistd.h>
#include <erl_nif.h>

static ERL_NIF_TERM square(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{                                      /* called on a dirty scheduler */
    int number;
    (void)argc;
    if (!enif_get_int(env, argv[0], &number) || number < 0 || number > 255)
        return enif_make_badarg(env);
    usleep(1000);                      /* stands for the work */
    return enif_make_int(env, number * number);
}

static ErlNifFunc functions[] = {
    {"square", 1, square, ERL_NIF_DIRTY_JOB_CPU_BOUND},
};

ERL_NIF_INIT(trip_nif, functions, NULL, NULL, NULL, NULL)
