/* SPDX-License-Identifier: 0BSD
 *
 * header_nif: what one writes today where a driver needed erl_driver.h and an async thread.
 *
 * The header is erl_nif.h, and the long work goes to a dirty scheduler: a thread of the emulator that runs nothing but
 * such calls.  The caller waits for the answer as for any function; there is no port, no job and no ready_async.
 * ERL_NIF_INIT stores the version that the NIF was compiled for, and the emulator refuses one that it does not know.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o header_nif.so header_nif.c
 *
 * header_nif.erl loads it and says how it is used.
 */
#include <erl_nif.h>

static const char *thread_name(void)
{
    switch (enif_thread_type()) {
    case ERL_NIF_THR_NORMAL_SCHEDULER:
        return "scheduler";
    case ERL_NIF_THR_DIRTY_CPU_SCHEDULER:
        return "dirty_cpu_scheduler";
    case ERL_NIF_THR_DIRTY_IO_SCHEDULER:
        return "dirty_io_scheduler";
    default:
        return "other";
    }
}

/* {{Major, Minor}, Thread}: the version that the emulator has, and the kind of thread that asked.  The same function
 * stands twice in the table below; the flag there decides where it runs. */
static ERL_NIF_TERM version(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    ErlNifSysInfo info;
    ERL_NIF_TERM number;

    (void)argv;
    if (argc != 0)
        return enif_make_badarg(env);
    enif_system_info(&info, sizeof info);
    number = enif_make_tuple2(env, enif_make_int(env, info.nif_major_version),
                              enif_make_int(env, info.nif_minor_version));
    return enif_make_tuple2(env, number, enif_make_atom(env, thread_name()));
}

/* What this file was compiled for. */
static ERL_NIF_TERM compiled(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argv;
    if (argc != 0)
        return enif_make_badarg(env);
    return enif_make_tuple2(env, enif_make_int(env, ERL_NIF_MAJOR_VERSION), enif_make_int(env, ERL_NIF_MINOR_VERSION));
}

static ErlNifFunc functions[] = {
    {"version", 0, version, 0},
    {"dirty_version", 0, version, ERL_NIF_DIRTY_JOB_IO_BOUND}, /* waits; what computes is ..._CPU_BOUND */
    {"compiled", 0, compiled, 0},
};

ERL_NIF_INIT(header_nif, functions, NULL, NULL, NULL, NULL)
