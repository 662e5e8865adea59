/* SPDX-License-Identifier: 0BSD
 *
 * waker_nif: a thread of the NIF's own that sends its answers.
 *
 * `start()` returns a worker, which has a thread. For each `ask(Worker)` the thread
 * sleeps for 10 milliseconds, which stands for its work, and sends `done` to the process
 * that called `start()`. After `close(Worker)` it sends nothing, and `ask` fails.
 * `enif_send` may be called on any thread, so there is no pipe and no `ready_input`.
 * A worker is a resource. The emulator calls `destroy` on a scheduler when no term refers
 * to it any more. `destroy` waits for the thread, so the work for a request must be short
 * or look at `ending`.
 *
 * Compile it (on macOS add `-undefined dynamic_lookup`):
 *
 *   ERL_ROOT=$(erl -noinput -eval 'io:put_chars(code:root_dir()), halt().')
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -I"$ERL_ROOT/usr/include" -o waker_nif.so waker_nif.c
 *
 * waker_nif.erl loads it and says how it is used.
 */
#define _DEFAULT_SOURCE
#include <unistd.h>
#include <erl_nif.h>

typedef struct {
    ErlNifPid owner;                   /* gets the answers */
    ErlNifTid thread;
    int started;                       /* there is a thread */
    ErlNifMutex *lock;                 /* protects the numbers below */
    ErlNifCond *more;
    int asked, ending;
} Worker;

static ErlNifResourceType *worker_type;

static void *run(void *data)           /* called on the NIF's own thread */
{
    Worker *worker = data;
    ErlNifEnv *env = enif_alloc_env(); /* for the terms of the message */
    enif_mutex_lock(worker->lock);
    for (;;) {
        while (worker->asked == 0 && !worker->ending)
            enif_cond_wait(worker->more, worker->lock);
        if (worker->ending)
            break;
        worker->asked--;
        enif_mutex_unlock(worker->lock);
        usleep(10000);                 /* work without the lock */
        enif_mutex_lock(worker->lock);
        if (!worker->ending) {
            enif_send(NULL, &worker->owner, env, enif_make_atom(env, "done"));
            enif_clear_env(env);
        }
    }
    enif_mutex_unlock(worker->lock);
    enif_free_env(env);
    return NULL;
}

static void end(Worker *worker)
{
    enif_mutex_lock(worker->lock);
    worker->ending = 1;
    enif_cond_signal(worker->more);
    enif_mutex_unlock(worker->lock);
}

static void destroy(ErlNifEnv *env, void *object)
{                                      /* no term refers to it any more */
    Worker *worker = object;
    (void)env;
    if (worker->started) {
        end(worker);
        enif_thread_join(worker->thread, NULL);
    }
    if (worker->more != NULL)
        enif_cond_destroy(worker->more);
    if (worker->lock != NULL)
        enif_mutex_destroy(worker->lock);
}

static ERL_NIF_TERM start(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    Worker *worker = enif_alloc_resource(worker_type, sizeof *worker);
    (void)argc, (void)argv;
    if (worker == NULL)
        return enif_raise_exception(env, enif_make_atom(env, "enomem"));
    *worker = (Worker){0};
    worker->lock = enif_mutex_create("waker_nif");
    worker->more = enif_cond_create("waker_nif");
    worker->started = worker->lock != NULL && worker->more != NULL
        && enif_self(env, &worker->owner) != NULL
        && enif_thread_create("waker_nif", &worker->thread, run, worker, NULL) == 0;
    ERL_NIF_TERM term = enif_make_resource(env, worker);
    int started = worker->started;
    enif_release_resource(worker);     /* now only the term refers to it */
    return started ? term : enif_raise_exception(env, enif_make_atom(env, "enomem"));
}

static ERL_NIF_TERM ask(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    void *object;
    (void)argc;
    if (!enif_get_resource(env, argv[0], worker_type, &object))
        return enif_make_badarg(env);
    Worker *worker = object;
    enif_mutex_lock(worker->lock);
    int open = !worker->ending;
    worker->asked++;
    enif_cond_signal(worker->more);
    enif_mutex_unlock(worker->lock);
    return open ? enif_make_atom(env, "ok") : enif_make_badarg(env);
}

static ERL_NIF_TERM close_worker(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    void *object;
    (void)argc;
    if (!enif_get_resource(env, argv[0], worker_type, &object))
        return enif_make_badarg(env);
    end(object);
    return enif_make_atom(env, "ok");
}

static int load(ErlNifEnv *env, void **data, ERL_NIF_TERM info)
{
    (void)data, (void)info;
    worker_type = enif_open_resource_type(env, NULL, "worker", destroy,
                                          ERL_NIF_RT_CREATE, NULL);
    return worker_type == NULL;
}

static ErlNifFunc functions[] = {
    {"start", 0, start, 0},
    {"ask", 1, ask, 0},
    {"close", 1, close_worker, 0},
};

ERL_NIF_INIT(waker_nif, functions, load, NULL, NULL, NULL)
