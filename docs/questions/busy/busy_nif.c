/* busy_nif.c: the task of busy_drv.c as a NIF, a worker thread with a bounded queue.
 *
 * Functions: open() returns a worker. submit(Worker, Ref, Milliseconds) returns ok,
 *     full or closed. close(Worker) returns ok.
 * Messages: the thread sends {Ref, done} for each request that was accepted, or {Ref,
 *     closed} if the worker was closed before the request was done.
 *
 * A NIF cannot suspend its caller. So submit() returns full when LIMIT requests are
 * open, and the caller waits for an answer before it submits again.
 * A worker is closed by close(), by down() when the process that opened it has ended,
 * or by the destructor when no term refers to it any more.
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

enum { LIMIT = 4 }; /* open requests */

typedef struct Request {
    struct Request *next;
    ErlNifPid caller;
    ErlNifEnv *env; /* holds ref until the answer is sent */
    ERL_NIF_TERM ref;
    unsigned milliseconds;
} Request;

typedef struct {
    ErlNifMutex *lock; /* protects closed, first, last and open */
    ErlNifCond *wake;
    ErlNifTid thread;
    bool has_thread;
    atomic_bool closed; /* written under the lock; work() reads it without the lock */
    Request *first;
    Request **last;
    int open; /* the requests that wait, and the request under way */
} Worker;

static ErlNifResourceType *worker_type;

static ERL_NIF_TERM atom(ErlNifEnv *env, const char *name)
{
    return enif_make_atom(env, name);
}

static void answer(Request *request, const char *what)
{
    ERL_NIF_TERM reply = enif_make_tuple2(request->env, request->ref, atom(request->env, what));
    (void)enif_send(NULL, &request->caller, request->env, reply); /* 0: the caller has ended */
    enif_free_env(request->env);
    enif_free(request);
}

/* Works in steps of 1 ms, so that it ends soon after the worker was closed. */
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

/* The worker's thread. It holds no reference to the resource. The destructor joins
 * the thread, so the resource exists as long as the thread runs. */
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
            break; /* the worker is closed, and every request is answered */
        worker->first = request->next;
        if (worker->first == NULL)
            worker->last = &worker->first;
        enif_mutex_unlock(worker->lock);
        done = work(worker, request->milliseconds);
        enif_mutex_lock(worker->lock);
        worker->open--; /* before the answer, so that the receiver can submit again */
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

/* The emulator also calls it for a worker that open_worker() could not finish. */
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
    enif_release_resource(worker); /* the term has a reference, or destroy() runs now */
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
        request = NULL; /* the thread owns it now */
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

/* There is no upgrade function. A thread runs code of this library, and the
 * emulator keeps the library loaded until the last destructor has run. */
ERL_NIF_INIT(busy_nif, functions, load, NULL, NULL, NULL)
