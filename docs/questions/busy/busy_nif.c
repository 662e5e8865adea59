/* busy_nif.c: the same need today, a worker thread with a bounded queue.
 *
 * A NIF cannot suspend its caller, so a full queue is an answer: submit()
 * returns full, and the caller waits for one of its replies before it goes on.
 * The worker sends {Ref, done}, or {Ref, closed} to whoever was still waiting
 * when it was closed. It is closed by close(), by the end of the process that
 * opened it (down), or when nobody refers to it any more (destructor).
 *
 * Compile and run, in this folder:
 *
 *   INC=$(erl -noshell -eval 'io:put_chars(code:root_dir()), halt().')/usr/include
 *   cc -Wall -Wextra -Werror -std=c11 -O2 -fPIC -shared -I"$INC" -o busy_nif.so busy_nif.c
 *   erlc +warnings_as_errors busy_nif.erl
 *   erl -noshell -s busy_nif main -s init stop
 *
 * SPDX-License-Identifier: 0BSD
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>
#include <erl_nif.h>

enum { LIMIT = 4 };

typedef struct Request {
    struct Request *next;
    ErlNifPid caller;
    ErlNifEnv *env; /* the ref lives here until it is sent */
    ERL_NIF_TERM ref;
    unsigned milliseconds;
} Request;

typedef struct {
    ErlNifMutex *lock; /* for all below but thread, which only the destructor needs */
    ErlNifCond *wake;
    ErlNifTid thread;
    bool has_thread;
    atomic_bool closed; /* written under the lock, read without by a job */
    Request *first;
    Request **last;
    int open; /* waiting or at work */
} Worker;

static ErlNifResourceType *worker_type;

static ERL_NIF_TERM atom(ErlNifEnv *env, const char *name)
{
    return enif_make_atom(env, name);
}

static void answer(Request *request, const char *what)
{
    ERL_NIF_TERM reply = enif_make_tuple2(request->env, request->ref, atom(request->env, what));
    (void)enif_send(NULL, &request->caller, request->env, reply); /* 0: it has gone */
    enif_free_env(request->env);
    enif_free(request);
}

/* In steps of a millisecond, so that a close need not wait for long. */
static bool work(Worker *worker, unsigned milliseconds)
{
    while (milliseconds-- > 0) {
        struct timespec left = {.tv_nsec = 1000000L};
        if (atomic_load(&worker->closed))
            return false;
        while (nanosleep(&left, &left) == -1 && errno == EINTR)
            continue;
    }
    return true;
}

/* The thread holds no reference to the resource: the destructor joins it, so
 * the resource outlives the thread. */
static void *run(void *data)
{
    Worker *worker = data;
    enif_mutex_lock(worker->lock);
    for (;;) {
        Request *request;
        bool done = false;
        while (worker->first == NULL && !atomic_load(&worker->closed))
            enif_cond_wait(worker->wake, worker->lock);
        request = worker->first;
        if (request == NULL)
            break; /* closed, and everybody has been told */
        worker->first = request->next;
        if (worker->first == NULL)
            worker->last = &worker->first;
        enif_mutex_unlock(worker->lock);
        done = work(worker, request->milliseconds);
        enif_mutex_lock(worker->lock);
        worker->open--; /* before the answer: who has it may submit again */
        enif_mutex_unlock(worker->lock);
        answer(request, done ? "done" : "closed");
        enif_mutex_lock(worker->lock);
    }
    enif_mutex_unlock(worker->lock);
    return NULL;
}

static void close_worker(Worker *worker)
{
    enif_mutex_lock(worker->lock);
    atomic_store(&worker->closed, true);
    enif_cond_signal(worker->wake);
    enif_mutex_unlock(worker->lock);
}

static void down(ErlNifEnv *env, void *object, ErlNifPid *pid, ErlNifMonitor *monitor)
{
    (void)env, (void)pid, (void)monitor;
    close_worker(object);
}

/* Also for a worker that open_worker() could not finish. */
static void destroy(ErlNifEnv *env, void *object)
{
    Worker *worker = object;
    (void)env;
    if (worker->has_thread) {
        close_worker(worker);
        (void)enif_thread_join(worker->thread, NULL);
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
    worker->lock = enif_mutex_create("busy_nif");
    worker->wake = enif_cond_create("busy_nif");
    worker->has_thread = false;
    atomic_init(&worker->closed, false);
    worker->first = NULL;
    worker->last = &worker->first;
    worker->open = 0;
    if (worker->lock != NULL && worker->wake != NULL &&
        enif_self(env, &self) != NULL &&
        enif_thread_create("busy_nif", &worker->thread, run, worker, NULL) == 0) {
        worker->has_thread = true;
        if (enif_monitor_process(env, worker, &self, NULL) == 0)
            term = enif_make_resource(env, worker);
    }
    enif_release_resource(worker); /* the term holds it now, or nobody does */
    return term != 0 ? term : enif_raise_exception(env, atom(env, "system_limit"));
}

static ERL_NIF_TERM submit(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    Worker *worker;
    unsigned milliseconds;
    Request *request;
    const char *result = "ok";
    (void)argc;
    if (!enif_get_resource(env, argv[0], worker_type, (void **)&worker) ||
        !enif_is_ref(env, argv[1]) || !enif_get_uint(env, argv[2], &milliseconds))
        return enif_make_badarg(env);
    request = enif_alloc(sizeof *request);
    if (request == NULL)
        return enif_raise_exception(env, atom(env, "enomem"));
    request->next = NULL;
    request->milliseconds = milliseconds;
    request->env = enif_alloc_env(); /* never NULL */
    request->ref = enif_make_copy(request->env, argv[1]);
    (void)enif_self(env, &request->caller);

    enif_mutex_lock(worker->lock);
    if (atomic_load(&worker->closed)) {
        result = "closed";
    } else if (worker->open == LIMIT) {
        result = "full";
    } else {
        *worker->last = request;
        worker->last = &request->next;
        worker->open++;
        request = NULL; /* the thread's now */
        enif_cond_signal(worker->wake);
    }
    enif_mutex_unlock(worker->lock);
    if (request != NULL) {
        enif_free_env(request->env);
        enif_free(request);
    }
    return atom(env, result);
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

/* No upgrade: a worker's thread runs in this library, which must stay until
 * the last destructor has joined its thread. The emulator sees to that. */
ERL_NIF_INIT(busy_nif, functions, load, NULL, NULL, NULL)
