/* SPDX-License-Identifier: 0BSD
 *
 * memory_nif: what one writes today where a driver's job had a block and a result.
 *
 * The function answers with its text in capitals.
 *
 *   The text is lent for the length of the call.  A dirty NIF runs within its call, so nothing has to be copied; only
 *   a thread of one's own would need a copy.
 *   The result is ours from enif_alloc_binary to enif_make_binary, which hands it to Erlang.  Whoever leaves between
 *   the two calls enif_release_binary.
 *   If the caller is killed, the call still comes to its end and the emulator drops the result: no free callback.
 *
 * A short text is done at once; a long one goes on to a dirty scheduler, for a NIF should return within 1 ms.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o memory_nif.so memory_nif.c
 *
 * memory_nif.erl loads it and says how it is used.
 */
#include <erl_nif.h>

enum { SHORT = 64 * 1024 }; /* bytes, done in well under 1 ms */

static ERL_NIF_TERM shout_now(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    ErlNifBinary text, result;

    if (argc != 1 || !enif_inspect_binary(env, argv[0], &text))
        return enif_make_badarg(env);
    if (!enif_alloc_binary(text.size, &result)) /* not cleared either */
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
