/* SPDX-License-Identifier: 0BSD
 *
 * header_nif: the task of header_drv as a NIF, with erl_nif.h and a dirty scheduler.
 *
 * version() and dirty_version() return {{Major, Minor}, Thread}: the version of the NIF
 * interface that the emulator has, and the kind of thread on which the function ran.
 * compiled() returns the version for which the NIF was compiled.
 *
 * Long work runs on a dirty scheduler, which is a thread of the emulator for such
 * calls. The caller waits for the result as for any function. So there is no port, no
 * job and no `ready_async`.
 * ERL_NIF_INIT stores the version for which the NIF was compiled. The emulator refuses
 * a version that it does not know.
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

/* Returns {{Major, Minor}, Thread}. The table below has this function twice. The flag there
 * decides on which kind of thread the function runs. */
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

/* Returns the version for which this file was compiled. */
static ERL_NIF_TERM compiled(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argv;
    if (argc != 0)
        return enif_make_badarg(env);
    return enif_make_tuple2(env, enif_make_int(env, ERL_NIF_MAJOR_VERSION), enif_make_int(env, ERL_NIF_MINOR_VERSION));
}

static ErlNifFunc functions[] = {
    {"version", 0, version, 0},
    {"dirty_version", 0, version, ERL_NIF_DIRTY_JOB_IO_BOUND}, /* IO: for work that waits */
    {"compiled", 0, compiled, 0},
};

ERL_NIF_INIT(header_nif, functions, NULL, NULL, NULL, NULL)
