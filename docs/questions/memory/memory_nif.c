/* SPDX-License-Identifier: 0BSD
 *
 * memory_nif: the task of memory_drv as a NIF, without a block for a job.
 *
 * shout(Text) returns the text in capitals.
 *
 * - The emulator lends the function the text until it returns. A dirty NIF does its
 *   work before it returns, so it needs no copy. Only a thread of the NIF's own would
 *   need one.
 * - The function owns the result from enif_alloc_binary to enif_make_binary, which
 *   gives it to Erlang. A function that returns between the two must call
 *   enif_release_binary.
 * - If the caller is killed, the function runs to its end and the emulator frees the
 *   result. There is no free callback.
 *
 * A NIF should return within 1 ms on an ordinary scheduler. So a short text is done at
 * once, and a long text is done on a dirty scheduler.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o memory_nif.so memory_nif.c
 *
 * memory_nif.erl loads it and says how it is used.
 */
#include <erl_nif.h>

enum { SHORT = 64 * 1024 }; /* bytes; they take much less than 1 ms */

static ERL_NIF_TERM shout_now(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    ErlNifBinary text, result;

    if (argc != 1 || !enif_inspect_binary(env, argv[0], &text))
        return enif_make_badarg(env);
    if (!enif_alloc_binary(text.size, &result)) /* not cleared */
        return enif_raise_exception(env, enif_make_atom(env, "enomem"));
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = text.data[i];

        result.data[i] = c >= 'a' && c <= 'z' ? (unsigned char)(c - 'a' + 'A') : c;
    }
    return enif_make_binary(env, &result);
}

/* shout(Text) -> Loud */
static ERL_NIF_TERM shout(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    ErlNifBinary text;

    if (argc != 1 || !enif_inspect_binary(env, argv[0], &text))
        return enif_make_badarg(env);
    if (text.size <= SHORT)
        return shout_now(env, argc, argv);
    return enif_schedule_nif(env, "shout", ERL_NIF_DIRTY_JOB_CPU_BOUND, shout_now, argc, argv);
}

static ErlNifFunc functions[] = {
    {"shout", 1, shout, 0},
};

ERL_NIF_INIT(memory_nif, functions, NULL, NULL, NULL, NULL)
