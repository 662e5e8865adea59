/* flow_nif.c: the task of flow_drv.c as a dirty NIF.
 *
 * Function: square(Number) returns the square. It runs on a dirty scheduler.
 *
 * The NIF returns its value to the caller. So there is no reply with a tag, and no job
 * whose data must be freed. A process that wants to go on meanwhile calls square() in a
 * second process.
 *
 * Compile and run, in this folder:
 *
 *   INC=$(erl -noshell -eval 'io:put_chars(code:root_dir()), halt().')/usr/include
 *   cc -Wall -Wextra -Werror -std=c11 -O2 -fPIC -shared -I"$INC" -o flow_nif.so flow_nif.c
 *   erlc +warnings_as_errors flow_nif.erl
 *   erl -noshell -s flow_nif main -s init stop
 *
 * SPDX-License-Identifier: 0BSD
 */
#include <erl_nif.h>

static ERL_NIF_TERM square(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    unsigned number;
    (void)argc; /* always 1, by the table below */
    if (!enif_get_uint(env, argv[0], &number))
        return enif_make_badarg(env);
    return enif_make_uint64(env, (ErlNifUInt64)number * number);
}

/* A dirty NIF may run for long, but it occupies a dirty scheduler all the time. By
 * default there are as many for CPU_BOUND as schedulers, and 10 for IO_BOUND (+SDio). */
static ErlNifFunc functions[] = {
    {"square", 1, square, ERL_NIF_DIRTY_JOB_CPU_BOUND},
};

/* With upgrade() a new version of the module can load the library again. */
static int upgrade(ErlNifEnv *env, void **data, void **old_data, ERL_NIF_TERM info)
{
    (void)env, (void)data, (void)old_data, (void)info;
    return 0;
}

ERL_NIF_INIT(flow_nif, functions, NULL, NULL, upgrade, NULL)
