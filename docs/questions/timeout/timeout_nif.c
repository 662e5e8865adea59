/* timeout_nif.c: the task of timeout_drv.c as a NIF. No thread waits for the socket.
 *
 * Functions: connect(TcpPort), send(Socket, Ref, Bytes), recv(Socket, Ref) and
 *     close(Socket). None of them blocks.
 * A function that would block returns wait. It has then asked the emulator for one
 * message {select, Socket, Ref, ready_input}, or ready_output, which comes when another
 * try may succeed. The time limit is an `after' in Erlang. When it is over, there is no
 * job and no thread that still waits.
 *
 * For TCP alone, use gen_tcp or socket. This NIF is a pattern for a server that only a
 * C library can talk to.
 *
 * A socket belongs to the process that opened it. It is closed when that process ends.
 * Threads: an ordinary scheduler calls the functions.
 *
 * Compile and run, in this folder:
 *
 *   INC=$(erl -noshell -eval 'io:put_chars(code:root_dir()), halt().')/usr/include
 *   cc -Wall -Wextra -Werror -std=c11 -O2 -fPIC -shared -I"$INC" -o timeout_nif.so timeout_nif.c
 *   erlc +warnings_as_errors timeout_nif.erl
 *   erl -noshell -s timeout_nif main -s init stop
 *
 * SPDX-License-Identifier: 0BSD
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <erl_nif.h>

/* It has no lock. Only the owner may call the functions, and the emulator calls
 * down() after the owner's last call. */
typedef struct {
    int fd;
    bool closed;
    ErlNifPid owner;
} Socket;

static ErlNifResourceType *socket_type;

/* The emulator calls it when it no longer polls the descriptor. The descriptor may
 * be closed only then. */
static void stop(ErlNifEnv *env, void *object, ErlNifEvent fd, int is_direct_call)
{
    Socket *s = object;
    (void)env, (void)is_direct_call;
    (void)close(fd);
    s->fd = -1;
}

static void shut(ErlNifEnv *env, Socket *s)
{
    if (!s->closed) {
        s->closed = true;
        (void)enif_select(env, s->fd, ERL_NIF_SELECT_STOP, s, NULL,
                          enif_make_atom(env, "undefined"));
    }
}

static void down(ErlNifEnv *env, void *object, ErlNifPid *pid, ErlNifMonitor *monitor)
{
    (void)pid, (void)monitor;
    shut(env, object);
}

/* The emulator holds a reference to the resource while the descriptor is selected.
 * So the descriptor was never selected here, or stop() has closed it. */
static void destroy(ErlNifEnv *env, void *object)
{
    Socket *s = object;
    (void)env;
    if (s->fd != -1)
        (void)close(s->fd);
}

static ERL_NIF_TERM failed(ErlNifEnv *env, int error)
{
    return enif_make_tuple2(env, enif_make_atom(env, "error"), enif_make_int(env, error));
}

/* Returns false if the caller is not the owner, or if the socket is closed. */
static bool own(ErlNifEnv *env, ERL_NIF_TERM term, Socket **s)
{
    ErlNifPid self;
    return enif_get_resource(env, term, socket_type, (void **)s) && enif_self(env, &self) &&
           enif_compare_pids(&self, &(*s)->owner) == 0 && !(*s)->closed;
}

/* Returns wait if the call may succeed later, after it has asked for one message.
 * Returns the error otherwise. */
static ERL_NIF_TERM later(ErlNifEnv *env, Socket *s, enum ErlNifSelectFlags what,
                          ERL_NIF_TERM ref, int error)
{
    if (error != EAGAIN && error != EWOULDBLOCK && error != ENOTCONN && error != EINTR)
        return failed(env, error);
    if (enif_select(env, s->fd, what, s, NULL, ref) < 0)
        return failed(env, EIO);
    return enif_make_atom(env, "wait");
}

/* connect(TcpPort): begins a connection to a port of this machine. */
static ERL_NIF_TERM connect_nif(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    unsigned number;
    ERL_NIF_TERM term;
    Socket *s;
    (void)argc;
    if (!enif_get_uint(env, argv[0], &number) || number > 65535)
        return enif_make_badarg(env);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((unsigned short)number);

    s = enif_alloc_resource(socket_type, sizeof *s);
    if (s == NULL)
        return failed(env, ENOMEM);
    s->closed = false;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd == -1 || enif_self(env, &s->owner) == NULL ||
        (connect(s->fd, (struct sockaddr *)&address, sizeof address) == -1 &&
         errno != EINPROGRESS)) {
        term = failed(env, errno);
    } else if (enif_monitor_process(env, s, &s->owner, NULL) != 0) {
        term = failed(env, ESRCH);
    } else {
        term = enif_make_tuple2(env, enif_make_atom(env, "ok"), enif_make_resource(env, s));
    }
    enif_release_resource(s); /* the term has a reference, or destroy() runs now */
    return term;
}

/* send(Socket, Ref, Bytes) -> ok | wait | {error, Errno}. A short question fits
 * into the buffer of a new connection, so a partial send is an error. */
static ERL_NIF_TERM send_nif(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    Socket *s;
    ErlNifBinary bytes;
    ssize_t count;
    (void)argc;
    if (!own(env, argv[0], &s) || !enif_is_ref(env, argv[1]) ||
        !enif_inspect_binary(env, argv[2], &bytes))
        return enif_make_badarg(env);
    count = send(s->fd, bytes.data, bytes.size, MSG_NOSIGNAL);
    if (count == -1)
        return later(env, s, ERL_NIF_SELECT_WRITE, argv[1], errno);
    return (size_t)count == bytes.size ? enif_make_atom(env, "ok") : failed(env, EMSGSIZE);
}

/* recv(Socket, Ref) -> {ok, Bytes} | eof | wait | {error, Errno} */
static ERL_NIF_TERM recv_nif(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    Socket *s;
    unsigned char bytes[1024];
    ERL_NIF_TERM term;
    ssize_t count;
    (void)argc;
    if (!own(env, argv[0], &s) || !enif_is_ref(env, argv[1]))
        return enif_make_badarg(env);
    count = recv(s->fd, bytes, sizeof bytes, 0);
    if (count == -1)
        return later(env, s, ERL_NIF_SELECT_READ, argv[1], errno);
    if (count == 0)
        return enif_make_atom(env, "eof");
    memcpy(enif_make_new_binary(env, (size_t)count, &term), bytes, (size_t)count);
    return enif_make_tuple2(env, enif_make_atom(env, "ok"), term);
}

/* close(Socket) -> ok. The emulator sends no select message after it. */
static ERL_NIF_TERM close_nif(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    Socket *s;
    (void)argc;
    if (!own(env, argv[0], &s))
        return enif_make_badarg(env);
    shut(env, s);
    return enif_make_atom(env, "ok");
}

static int load(ErlNifEnv *env, void **data, ERL_NIF_TERM info)
{
    ErlNifResourceTypeInit init = {.dtor = destroy, .stop = stop, .down = down};
    (void)data, (void)info;
    socket_type = enif_open_resource_type_x(env, "socket", &init, ERL_NIF_RT_CREATE, NULL);
    return socket_type == NULL;
}

static ErlNifFunc functions[] = {
    {"connect", 1, connect_nif, 0},
    {"send", 3, send_nif, 0},
    {"recv", 2, recv_nif, 0},
    {"close", 1, close_nif, 0},
};

ERL_NIF_INIT(timeout_nif, functions, load, NULL, NULL, NULL)
