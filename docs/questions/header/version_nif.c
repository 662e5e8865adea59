/* SPDX-License-Identifier: 0BSD
 *
 * version_nif: the smallest NIF that uses what erl_nif.h declares.
 *
 * `version()` returns the version of the driver interface, as text. The struct has the
 * version of the NIF interface as well.
 * `ERL_NIF_INIT` stores the version of `erl_nif.h` in the file. The emulator does not
 * load a NIF that was compiled for a newer version than its own.
 * Without `upgrade` the module cannot be loaded again while its old code is there.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o version_nif.so version_nif.c
 *
 * version_nif.erl loads it and says how it is used.
 */
#include <stdio.h>
#include <erl_nif.h>

static ERL_NIF_TERM version(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    ErlNifSysInfo info;
    char text[24];
    (void)argc, (void)argv;
    enif_system_info(&info, sizeof info);
    snprintf(text, sizeof text, "%d.%d",
             info.driver_major_version, info.driver_minor_version);
    return enif_make_string(env, text, ERL_NIF_LATIN1);
}

static int upgrade(ErlNifEnv *env, void **data, void **old_data, ERL_NIF_TERM info)
{
    (void)env, (void)data, (void)old_data, (void)info;
    return 0;                          /* there is nothing to take over */
}

/* The call is short, so it needs no dirty scheduler. */
static ErlNifFunc functions[] = {
    {"version", 0, version, 0},
};

ERL_NIF_INIT(version_nif, functions, NULL, NULL, upgrade, NULL)
