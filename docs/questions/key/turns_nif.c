/* SPDX-License-Identifier: 0BSD
 *
 * turns_nif: a NIF whose calls run one after the other, in the order of the commands.
 *
 * `work(Ms)` sleeps for so many milliseconds, from 0 to 255, and returns the number.
 * A NIF has no key. Calls of several processes run side by side, each on a dirty
 * scheduler; by default there are ten for work that waits. So `turns_nif.erl` has one
 * process that makes all calls. If that process is killed, its last call runs on beside
 * the calls of the next one.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o turns_nif.so turns_nif.c
 *
 * turns_nif.erl loads it and says how it is used.
 */
#define _DEFAULT_SOURCE
#include <unistd.h>
#include <erl_nif.h>

static ERL_NIF_TERM work(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{                                      /* called on a dirty scheduler */
    unsigned int ms;
    (void)argc;
    if (!enif_get_uint(env, argv[0], &ms) || ms > 255)
        return enif_make_badarg(env);
    usleep(ms * 1000);
    return argv[0];
}

static ErlNifFunc functions[] = {
    {"work", 1, work, ERL_NIF_DIRTY_JOB_IO_BOUND},
};

ERL_NIF_INIT(turns_nif, functions, NULL, NULL, NULL, NULL)
