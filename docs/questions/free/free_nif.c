/* SPDX-License-Identifier: 0BSD
 *
 * free_nif: the task of free_drv as a NIF. The destructor of a resource stands in place
 * of a free callback.
 *
 * open(Name) returns {ok, File} or {error, Errno}. close(File) returns true, or false
 * if the file was closed before. count() returns the number of open descriptors.
 * A file is a resource that holds a descriptor. open() and close() may block, so they
 * run on dirty I/O schedulers.
 *
 * - The destructor closes a file that no term refers to any more. That includes a file
 *   whose caller was killed while `open` ran. A driver needs a free callback for that
 *   case.
 * - The destructor may run on an ordinary scheduler, which it should not block. So a
 *   program calls `close` itself.
 * - A resource has no lock. If two processes close a file at once, one of them gets the
 *   descriptor and closes it.
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
    atomic_int fd; /* -1 when closed; the thread that replaces it by -1 closes it */
} File;

static ErlNifResourceType *file_type;
static atomic_int descriptors; /* not closed yet; count() returns it */

/* Closes the descriptor. Returns false if it was closed before. */
static int close_once(File *file)
{
    int fd = atomic_exchange(&file->fd, -1);

    if (fd == -1)
        return 0;
    /* An error loses no data, because the file is only read. A second close() could close a
     * file of another thread. */
    (void)close(fd);
    atomic_fetch_sub(&descriptors, 1);
    return 1;
}

/* The emulator calls it when no term refers to the file any more. */
static void destroy(ErlNifEnv *env, void *object)
{
    (void)env;
    close_once(object);
}

/* open_nif(Name) -> {ok, File} | {error, Errno}.  Name is a binary that ends with a 0. */
static ERL_NIF_TERM open_file(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    ErlNifBinary name;
    File *file;
    ERL_NIF_TERM term;
    int fd;

    if (argc != 1 || !enif_inspect_binary(env, argv[0], &name) || name.size == 0
        || memchr(name.data, 0, name.size) != name.data + name.size - 1)
        return enif_make_badarg(env);
    /* The resource is allocated before the file is opened. So no error can come between open()
     * and the moment at which the resource owns the descriptor. */
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

/* close(File) -> boolean: whether this call has closed the file */
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
