/* SPDX-License-Identifier: 0BSD
 *
 * sleeper_nif: the smallest dirty NIF that frees its block in every case.
 *
 * `sleep(Ms)` sleeps for so many milliseconds, from 0 to 255, and returns `done`.
 * A NIF has no free callback and needs none. The function runs to its end, also when
 * its process was killed meanwhile, and frees the block there.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o sleeper_nif.so sleeper_nif.c
 *
 * sleeper_nif.erl loads it and says how it is used.
 */
#define _DEFAULT_SOURCE
#include <unistd.h>
#include <erl_nif.h>

typedef struct {
    unsigned int ms;
} Job;

static ERL_NIF_TERM sleep_ms(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{                                      /* called on a dirty scheduler */
    unsigned int ms;
    (void)argc;
    if (!enif_get_uint(env, argv[0], &ms) || ms > 255)
        return enif_make_badarg(env);  /* nothing to free yet */
    Job *job = enif_alloc(sizeof *job);
    if (job == NULL)
        return enif_raise_exception(env, enif_make_atom(env, "enomem"));
    job->ms = ms;
    usleep(job->ms * 1000);
    enif_free(job);                    /* also for a process that was killed */
    return enif_make_atom(env, "done");
}

static ErlNifFunc functions[] = {
    {"sleep", 1, sleep_ms, ERL_NIF_DIRTY_JOB_IO_BOUND},
};

ERL_NIF_INIT(sleeper_nif, functions, NULL, NULL, NULL, NULL)
