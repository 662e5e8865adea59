/* SPDX-License-Identifier: 0BSD
 *
 * shout_nif: the smallest NIF that gets bytes and returns bytes.
 *
 * `shout(Text)` returns the text in capitals.
 * A binary is lent to the function until it returns, without a copy. A list is copied
 * into a binary first. The emulator frees the text and the result. It also does so if the
 * caller is killed during the call.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o shout_nif.so shout_nif.c
 *
 * shout_nif.erl loads it and says how it is used.
 */
#include <ctype.h>
#include <erl_nif.h>

static ERL_NIF_TERM shout(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{                                      /* called on a dirty scheduler */
    ErlNifBinary text;
    ERL_NIF_TERM loud;
    (void)argc;
    if (!enif_inspect_iolist_as_binary(env, argv[0], &text))
        return enif_make_badarg(env);
    unsigned char *to = enif_make_new_binary(env, text.size, &loud);
    if (to == NULL)
        return enif_raise_exception(env, enif_make_atom(env, "enomem"));
    for (size_t i = 0; i < text.size; i++)
        to[i] = (unsigned char)toupper(text.data[i]);
    return loud;
}

static ErlNifFunc functions[] = {
    {"shout", 1, shout, ERL_NIF_DIRTY_JOB_CPU_BOUND},
};

ERL_NIF_INIT(shout_nif, functions, NULL, NULL, NULL, NULL)
