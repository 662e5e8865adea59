/* SPDX-License-Identifier: 0BSD
 *
 * free_nif: what one writes today where a driver needed a free callback.
 *
 * A file is a resource that holds a descriptor.  Opening and closing may block, so dirty I/O schedulers do both.
 *
 *   Whoever drops the file, the destructor closes it: also if the caller was killed while `open` ran, so that nobody
 *   ever got the answer.  That is what `async_free` was for, and there is no second path to forget.
 *   The destructor may run on an ordinary scheduler, where a close should not block: a program calls `close` itself.
 *   No lock comes with a resource, and two processes may close one file at once; one of them gets the descriptor.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o free_nif.so free_nif.c
 *
 * free_nif.erl loads it and says how it is used.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include <erl_nif.h>

typedef struct {
    atomic_int fd; /* -1 when closed; whoever exchanges it for -1 closes it */
} File;

static ErlNifResourceType *file_type;
static atomic_int descriptors; /* not yet closed, for Erlang to see */

/* False if somebody else has closed it. */
static int close_once(File *file)
{
    int fd = atomic_exchange(&file->fd, -1);

    if (fd == -1)
        return 0;
    (void)close(fd); /* opened for reading: an error loses nothing, and a second try could hit another's file */
    atomic_fetch_sub(&descriptors, 1);
    return 1;
}

/* The last reference is gone. */
static void destroy(ErlNifEnv *env, void *object)
{
    (void)env;
    close_once(object);
}

/* open(Name) -> {ok, File} | {error, Errno}; the name is a binary that ends in 0 */
static ERL_NIF_TERM open_file(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    ErlNifBinary name;
    File *file;
    ERL_NIF_TERM term;
    int fd;

    if (argc != 1 || !enif_inspect_binary(env, argv[0], &name) || name.size == 0
        || memchr(name.data, 0, name.size) != name.data + name.size - 1)
        return enif_make_badarg(env);
    /* First the resource, so that there is no moment at which a descriptor belongs to nobody. */
    file = enif_alloc_resource(file_type, sizeof *file);
    if (file == NULL)
        return enif_raise_exception(env, enif_make_atom(env, "enomem"));
    atomic_init(&file->fd, -1);
    do
        fd = open((const char *)name.data, O_RDONLY | O_CLOEXEC);
    while (fd == -1 && errno == EINTR);
    if (fd == -1) {
        int error = errno;

        enif_release_resource(file);
        return enif_make_tuple2(env, enif_make_atom(env, "error"), enif_make_int(env, error));
    }
    atomic_fetch_add(&descriptors, 1);
    atomic_store(&file->fd, fd);
    term = enif_make_resource(env, file);
    enif_release_resource(file); /* the term has a reference of its own */
    return enif_make_tuple2(env, enif_make_atom(env, "ok"), term);
}

/* close(File) -> boolean: whether it was this call that closed it */
static ERL_NIF_TERM close_file(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    void *file;

    if (argc != 1 || !enif_get_resource(env, argv[0], file_type, &file))
        return enif_make_badarg(env);
    return enif_make_atom(env, close_once(file) ? "true" : "false");
}

static ERL_NIF_TERM count(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    (void)argv;
    if (argc != 0)
        return enif_make_badarg(env);
    return enif_make_int(env, atomic_load(&descriptors));
}

static int load(ErlNifEnv *env, void **priv_data, ERL_NIF_TERM load_info)
{
    (void)priv_data;
    (void)load_info;
    file_type = enif_open_resource_type(env, NULL, "file", destroy, ERL_NIF_RT_CREATE, NULL);
    return file_type == NULL ? -1 : 0;
}

static ErlNifFunc functions[] = {
    {"open_nif", 1, open_file, ERL_NIF_DIRTY_JOB_IO_BOUND},
    {"close", 1, close_file, ERL_NIF_DIRTY_JOB_IO_BOUND},
    {"count", 0, count, 0},
};

ERL_NIF_INIT(free_nif, functions, load, NULL, NULL, NULL)
