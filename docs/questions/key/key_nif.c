/* SPDX-License-Identifier: 0BSD
 *
 * key_nif: the task of key_drv as a NIF. A thread with a queue stands in place of
 * jobs with a key.
 *
 * A stream is a resource with one thread. new() returns it. add_nif(Stream, Ref, Piece)
 * returns ok and does not wait. The thread then sends {Ref, Sum} to the caller, with
 * the Adler-32 checksum so far, which depends on the order of the pieces.
 *
 * - There is one thread and one queue, so the pieces of a stream keep their order and
 *   never overlap. Other streams do not delay them.
 * - One thread sends the answers, so they keep the order as well. A key does not
 *   promise that.
 * - A piece waits in an environment of its own, which is then used for the message.
 * - The destructor ends the thread and joins it, so the library is not unloaded while
 *   the thread runs.
 *
 * Dirty schedulers keep no order between processes. If only one process uses the stream
 * and waits for each piece, a dirty NIF is enough, and shorter.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o key_nif.so key_nif.c
 *
 * key_nif.erl loads it and says how it is used.
 */
#include <erl_nif.h>

typedef struct Piece Piece;
struct Piece {
    Piece *next;
    ErlNifPid caller;
    ErlNifEnv *env; /* holds copies of ref and data; a large binary is shared and not copied */
    ERL_NIF_TERM ref, data;
};

typedef struct {
    ErlNifMutex *lock; /* protects first, last and ending */
    ErlNifCond *wake;
    Piece *first, **last;
    int ending;
    int running; /* whether there is a thread to join; only `new_stream` and `destroy` use it */
    ErlNifTid thread;
    unsigned a, b; /* only the thread uses them */
} Stream;

static ErlNifResourceType *stream_type;

static void free_piece(Piece *piece)
{
    enif_free_env(piece->env);
    enif_free(piece);
}

/* Waits for the next piece. Returns NULL when the stream is ending. */
static Piece *take(Stream *stream)
{
    Piece *piece = NULL;

    enif_mutex_lock(stream->lock);
    while (stream->first == NULL && !stream->ending)
        enif_cond_wait(stream->wake, stream->lock);
    if (!stream->ending) {
        piece = stream->first;
        stream->first = piece->next;
        if (stream->first == NULL)
            stream->last = &stream->first;
    }
    enif_mutex_unlock(stream->lock);
    return piece;
}

static void *work(void *argument)
{
    Stream *stream = argument;
    Piece *piece;
    ErlNifBinary data;

    while ((piece = take(stream)) != NULL) {
        ERL_NIF_TERM answer = enif_make_atom(piece->env, "badarg"); /* never sent: `add` checks */

        if (enif_inspect_binary(piece->env, piece->data, &data)) {
            for (size_t i = 0; i < data.size; i++) {
                stream->a = (stream->a + data.data[i]) % 65521;
                stream->b = (stream->b + stream->a) % 65521;
            }
            answer = enif_make_uint(piece->env, stream->b << 16 | stream->a);
        }
        /* False means that the caller has ended. */
        (void)enif_send(NULL, &piece->caller, piece->env, enif_make_tuple2(piece->env, piece->ref, answer));
        free_piece(piece);
    }
    return NULL;
}

/* The emulator calls it when no term refers to the stream any more, so no piece can be
 * added. It waits until the piece under way is done, and drops the pieces in the queue. */
static void destroy(ErlNifEnv *env, void *object)
{
    Stream *stream = object;

    (void)env;
    if (stream->running) {
        enif_mutex_lock(stream->lock);
        stream->ending = 1;
        enif_cond_signal(stream->wake);
        enif_mutex_unlock(stream->lock);
        enif_thread_join(stream->thread, NULL);
    }
    while (stream->first != NULL) {
        Piece *piece = stream->first;

        stream->first = piece->next;
        free_piece(piece);
    }
    if (stream->wake != NULL)
        enif_cond_destroy(stream->wake);
    if (stream->lock != NULL)
        enif_mutex_destroy(stream->lock);
}

/* new() -> Stream */
static ERL_NIF_TERM new_stream(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    Stream *stream = enif_alloc_resource(stream_type, sizeof *stream);
    ERL_NIF_TERM term;

    (void)argc;
    (void)argv;
    if (stream == NULL)
        return enif_raise_exception(env, enif_make_atom(env, "enomem"));
    *stream = (Stream){.last = &stream->first, .a = 1};
    stream->lock = enif_mutex_create("key_nif.stream");
    stream->wake = enif_cond_create("key_nif.stream");
    stream->running = stream->lock != NULL && stream->wake != NULL
                      && enif_thread_create("key_nif.stream", &stream->thread, work, stream, NULL) == 0;
    term = stream->running ? enif_make_resource(env, stream)
                           : enif_raise_exception(env, enif_make_atom(env, "system_limit"));
    enif_release_resource(stream); /* the term has a reference, or `destroy` runs now */
    return term;
}

/* add_nif(Stream, Ref, Data) -> ok. The thread sends {Ref, Sum} to the caller later. */
static ERL_NIF_TERM add(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    void *object;
    Stream *stream;
    Piece *piece;
    ErlNifPid caller;

    if (argc != 3 || !enif_get_resource(env, argv[0], stream_type, &object) || !enif_is_ref(env, argv[1])
        || !enif_is_binary(env, argv[2]) || enif_self(env, &caller) == NULL)
        return enif_make_badarg(env);
    stream = object;
    piece = enif_alloc(sizeof *piece);
    if (piece == NULL)
        return enif_raise_exception(env, enif_make_atom(env, "enomem"));
    *piece = (Piece){.caller = caller, .env = enif_alloc_env()};
    if (piece->env == NULL) {
        enif_free(piece);
        return enif_raise_exception(env, enif_make_atom(env, "enomem"));
    }
    piece->ref = enif_make_copy(piece->env, argv[1]);
    piece->data = enif_make_copy(piece->env, argv[2]);
    enif_mutex_lock(stream->lock);
    *stream->last = piece;
    stream->last = &piece->next;
    enif_cond_signal(stream->wake);
    enif_mutex_unlock(stream->lock);
    return enif_make_atom(env, "ok");
}

static int load(ErlNifEnv *env, void **priv_data, ERL_NIF_TERM load_info)
{
    (void)priv_data;
    (void)load_info;
    stream_type = enif_open_resource_type(env, NULL, "stream", destroy, ERL_NIF_RT_CREATE, NULL);
    return stream_type == NULL ? -1 : 0;
}

static ErlNifFunc functions[] = {
    {"new", 0, new_stream, 0},
    {"add_nif", 3, add, 0},
};

ERL_NIF_INIT(key_nif, functions, load, NULL, NULL, NULL)
