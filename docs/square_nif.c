/* SPDX-License-Identifier: 0BSD
 *
 * square_nif: squares a number on a dirty scheduler.
 *
 * square(N) returns the square of a number from 0 to 255. The process that calls it
 * waits.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o square_nif.so square_nif.c
 *
 * square_nif.erl loads it and says how it is used.
 */
#include <erl_nif.h>

/* A dirty scheduler calls square, and the calling process waits. */
static ERL_NIF_TERM square(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    int n;
    (void)argc;
    if (!enif_get_int(env, argv[0], &n) || n < 0 || n > 255)
        return enif_make_badarg(env);
    return enif_make_int(env, n * n);
}

static ErlNifFunc functions[] = {
    {"square", 1, square, ERL_NIF_DIRTY_JOB_CPU_BOUND},
};

ERL_NIF_INIT(square_nif, functions, NULL, NULL, NULL, NULL)
