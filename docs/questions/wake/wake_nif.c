/* wake_nif.c: the task of wake_drv.c as a NIF, with a thread that sends its answers
 * itself.
 *
 * Functions: open() returns a worker. submit(Worker, Ref, Number) returns ok or closed.
 *     close(Worker) returns ok.
 * Messages: the thread sends {Ref, {ok, Square}} to the process that called submit(),
 *     or {Ref, {error, closed}} if the worker was closed before the thread began with
 *     the request.
 *
 * enif_send() may be called on any thread. So there is no pipe and no list of answers.
 * A worker is a resource with one thread. It is closed by close(), by down() when the
 * process that opened it has ended, or by the destructor when no term refers to it any
 * more.
 *
 * Compile and run, in this folder:
 *
 *   INC=$(erl -noshell -eval 'io:put_chars(code:root_dir()), halt().')/usr/include
 *   cc -Wall -Wextra -Werror -std=c11 -O2 -fPIC -shared -I"$INC" -o wake_nif.so wake_nif.c
 *   erlc +warnings_as_errors wake_nif.erl
 *   erl -noshell -s wake_nif main -s init stop
 *
 * SPDX-License-Identifier: 0BSD
 */
#include <stdbool.h>
#include <erl_nif.h>

typedef struct Request {
    struct Request *next;
    ErlNifPid caller;
    ErlNifEnv *env; /* holds ref until the answer is sent */
    ERL_NIF_TERM ref;
    unsigned number;
} Request;

typedef struct {
    ErlNifTid thread;
    bool has_thread;
    ErlNifMutex *lock; /* protects closed, first and last */
    ErlNifCond *wake;
    bool closed;
    Request *first; /* the oldest */
    Request **last;
} Worker;

static ErlNifResourceType *worker_type;

static ERL_NIF_TERM atom(ErlNifEnv *env, const char *name)
{
    return enif_make_atom(env, name);
}

static void free_request(Request *request)
{
    enif_free_env(request->env);
    enif_free(request);
}

static void answer(Request *request, bool closed)
{
    ErlNifEnv *env = request->env;
    ErlNifUInt64 square = (ErlNifUInt64)request->number * request->number;
    ERL_NIF_TERM result =
        closed ? enif_make_tuple2(env, atom(env, "error"), atom(env, "closed"))
               : enif_make_tuple2(env, atom(env, "ok"), enif_make_uint64(env, square));
    ERL_NIF_TERM message = enif_make_tuple2(env, request->ref, result);
    /* The first argument is NULL, because this thread is not a scheduler. The call returns
     * false if the receiver has ended. */
    (void)enif_send(NULL, &request->caller, env, message);
    free_request(request);
}

/* The worker's thread. It holds no reference to the resource. The destructor joins
 * the thread, so the resource exists as long as the thread runs. */
static void *run(void *data)
{
    Worker *worker = data;
    Request *request;
    bool closed;

    enif_mutex_lock(worker->lock);
    for (;;) {
        while (worker->first == NULL && !worker->closed)
            enif_cond_wait(worker->wake, worker->lock);
        closed = worker->closed;
        request = worker->first;
        if (request == NULL)
            break; /* the worker is closed, and every request is answered */
        worker->first = request->next;
        if (worker->first == NULL)
            worker->last = &worker->first;
        enif_mutex_unlock(worker->lock);
        answer(request, closed);
        enif_mutex_lock(worker->lock);
    }
    enif_mutex_unlock(worker->lock);
    return NULL;
}

static void close_worker(Worker *worker)
{
    enif_mutex_lock(worker->lock);
    worker->closed = true;
    enif_cond_signal(worker->wake);
    enif_mutex_unlock(worker->lock);
}

static void down(ErlNifEnv *env, void *object, ErlNifPid *pid, ErlNifMonitor *monitor)
{
    (void)env, (void)pid, (void)monitor;
    close_worker(object);
}

/* The emulator also calls it for a worker that open_worker() could not finish. */
static void destroy(ErlNifEnv *env, void *object)
{
    Worker *worker = object;
    (void)env;
    if (worker->has_thread) {
        close_worker(worker);
        (void)enif_thread_join(worker->thread, NULL); /* cannot fail: joined once */
    }
    if (worker->wake != NULL)
        enif_cond_destroy(worker->wake);
    if (worker->lock != NULL)
        enif_mutex_destroy(worker->lock);
}

static ERL_NIF_TERM open_worker(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    ERL_NIF_TERM term = 0;
    ErlNifPid self;
    Worker *worker = enif_alloc_resource(worker_type, sizeof *worker);
    (void)argc, (void)argv;
    if (worker == NULL)
        return enif_raise_exception(env, atom(env, "enomem"));
    worker->has_thread = false;
    worker->lock = enif_mutex_create("wake_nif");
    worker->wake = enif_cond_create("wake_nif");
    worker->closed = false;
    worker->first = NULL;
    worker->last = &worker->first;
    if (worker->lock != NULL && worker->wake != NULL &&
        enif_self(env, &self) != NULL &&
        enif_thread_create("wake_nif", &worker->thread, run, worker, NULL) == 0) {
        worker->has_thread = true;
        if (enif_monitor_process(env, worker, &self, NULL) == 0)
            term = enif_make_resource(env, worker);
    }
    enif_release_resource(worker); /* the term has a reference, or destroy() runs now */
    return term != 0 ? term : enif_raise_exception(env, atom(env, "system_limit"));
}

static ERL_NIF_TERM submit(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    Worker *worker;
    unsigned number;
    Request *request;
    bool closed;
    (void)argc;
    if (!enif_get_resource(env, argv[0], worker_type, (void **)&worker) ||
        !enif_is_ref(env, argv[1]) || !enif_get_uint(env, argv[2], &number))
        return enif_make_badarg(env);
    request = enif_alloc(sizeof *request);
    if (request == NULL)
        return enif_raise_exception(env, atom(env, "enomem"));
    request->next = NULL;
    request->number = number;
    request->env = enif_alloc_env(); /* never NULL */
    request->ref = enif_make_copy(request->env, argv[1]);
    (void)enif_self(env, &request->caller); /* cannot fail: a process has called */

    enif_mutex_lock(worker->lock);
    closed = worker->closed;
    if (!closed) {
        *worker->last = request; /* the thread owns it now */
        worker->last = &request->next;
        enif_cond_signal(worker->wake);
    }
    enif_mutex_unlock(worker->lock);
    if (closed)
        free_request(request);
    return atom(env, closed ? "closed" : "ok");
}

static ERL_NIF_TERM close_nif(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    Worker *worker;
    (void)argc;
    if (!enif_get_resource(env, argv[0], worker_type, (void **)&worker))
        return enif_make_badarg(env);
    close_worker(worker);
    return atom(env, "ok");
}

static int load(ErlNifEnv *env, void **data, ERL_NIF_TERM info)
{
    ErlNifResourceTypeInit init = {.dtor = destroy, .down = down};
    (void)data, (void)info;
    worker_type = enif_open_resource_type_x(env, "worker", &init, ERL_NIF_RT_CREATE, NULL);
    return worker_type == NULL;
}

static ErlNifFunc functions[] = {
    {"open", 0, open_worker, 0},
    {"submit", 3, submit, 0},
    {"close", 1, close_nif, 0},
};

/* There is no upgrade function. A thread runs code of this library, and the
 * emulator keeps the library loaded until the last destructor has run. */
ERL_NIF_INIT(wake_nif, functions, load, NULL, NULL, NULL)
