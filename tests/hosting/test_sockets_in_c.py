"""Sockets and pipes of a driver in C, on those of the seam; and what is refused, because it waits for real."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import dfs
import pytest
from broken import BOOK, number
from cc import faults, line_of, needs_compiler, run, small

from driverref import Emulator, explore
from driverref.errors import Leak
from driverref.hosting import Unmodelled, c_driver
from driverref.hosting.run import Run
from driverref.hosting.sockets import descriptor, take_over
from driverref.posix import socketpair

pytestmark = [pytest.mark.slow, needs_compiler]

HEAD = "#include <fcntl.h>\n#include <poll.h>\n#include <sys/socket.h>\n"


def test_a_pair_and_a_pipe_do_what_they_do(tmp_path: Path) -> None:
    text = (
        HEAD
        + """
static void test(void)
{
    int s[2], p[2];
    char buf[8];
    struct pollfd one = {0}, file = {0}, none = {-1, POLLIN, 0};
    HOLDS(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && pipe(p) == 0);
    HOLDS(send(s[0], "abcde", 5, 0) == 5 && recv(s[1], buf, 3, 0) == 3 && memcmp(buf, "abc", 3) == 0);
    HOLDS(read(s[1], buf, 8) == 2 && write(p[1], "x", 1) == 1 && read(p[0], buf, 1) == 1);
    HOLDS(recv(s[1], buf, 8, MSG_DONTWAIT) == -1 && errno == EAGAIN);
    HOLDS(fcntl(s[1], F_GETFL) == 0 && fcntl(s[1], F_SETFL, O_NONBLOCK) == 0 && fcntl(s[1], F_GETFL) == O_NONBLOCK);
    HOLDS(recv(s[1], buf, 8, 0) == -1 && errno == EAGAIN && fcntl(s[1], F_GETFD) == 0);
    one.fd = s[1], one.events = POLLIN;
    HOLDS(poll(&one, 1, 1000) == 0 && poll(&none, 1, 10) == 0);
    send(s[0], "y", 1, 0);
    HOLDS(poll(&one, 1, -1) == 1 && one.revents == POLLIN && recv(s[1], buf, 8, 0) == 1);
    one.events = POLLIN | POLLOUT;
    HOLDS(poll(&one, 1, -1) == 1 && one.revents == POLLOUT);
    HOLDS(shutdown(s[0], SHUT_RDWR) == 0 && poll(&one, 1, -1) == 1 && one.revents == (POLLIN | POLLOUT | POLLHUP));
    HOLDS(recv(s[1], buf, 8, 0) == 0 && send(s[1], "z", 1, 0) == -1 && errno == EPIPE);
    HOLDS(close(s[0]) == 0 && close(s[1]) == 0 && close(s[1]) == -1 && errno == EBADF);
    HOLDS(poll(&one, 1, -1) == 1 && one.revents == POLLNVAL && recv(1 << 29, buf, 1, 0) == -1 && errno == EBADF);
    file.fd = open("/dev/null", O_RDONLY), file.events = POLLIN;
    HOLDS((fcntl(file.fd, F_GETFL) & O_ACCMODE) == O_RDONLY && poll(&file, 1, -1) == 1 && close(file.fd) == 0);
    close(p[0]);
    HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) == 0 && recv(s[0], buf, 1, 0) == -1);
    close(s[0]), close(s[1]);
    LAST
    say("ok");
}
"""
    )
    assert run(small(tmp_path, text.replace("LAST", "close(p[1]);"))) == b"ok"
    with pytest.raises(Leak, match=f"socket opened at {line_of(tmp_path, 'pipe(p)')}"):
        run(small(tmp_path, text.replace("LAST", "")))


def test_a_descriptor_that_a_library_keeps_is_no_leak_of_the_driver_s(tmp_path: Path) -> None:
    text = (
        HEAD
        + """
int keep(int descriptor);
static void test(void)
{
    int p[2];
    HOLDS(pipe(p) == 0 && close(p[0]) == 0);
    keep(p[1]);
    say("ok");
}
"""
    )
    keep = {"keep": lambda run, a: take_over(run, a[0])}
    assert run(small(tmp_path, text, stand_ins=keep)) == b"ok"


def test_a_job_that_waits_for_a_pipe_is_woken_or_not(tmp_path: Path) -> None:
    text = """
static int p[2];
static char got;
static void work(void *unused) { read(p[0], &got, 1); }
static void done(void *job) { close(p[0]), close(p[1]); }
static void last(void) { LAST }
#define READY done
#define STOP last
static void test(void) { pipe(p); driver_async(port, NULL, work, NULL, done); }
"""
    assert faults(small(tmp_path, text.replace("LAST", 'write(p[1], "x", 1);'))) == []
    found = faults(small(tmp_path, text.replace("LAST", "")))
    assert [fault.name for fault in found] == ["Deadlock"]
    assert line_of(tmp_path, "read(p[0]") in found[0].text


@pytest.mark.parametrize(
    "code",
    [
        "socket(AF_INET, SOCK_STREAM, 0);",
        "pthread_spinlock_t l = 0; pthread_spin_lock(&l);",
        "pthread_barrier_t b = {0}; pthread_barrier_wait(&b);",
        "fcntl(s[0], F_DUPFD, 3);",
        "fork();",
    ],
)
def test_what_would_wait_for_real_is_refused_by_name(code: str, tmp_path: Path) -> None:
    text = f"{HEAD}static void test(void) {{ int s[2]; socketpair(AF_UNIX, SOCK_STREAM, 0, s); {code} }}"
    name = code[: code.rindex("(")].rsplit(maxsplit=1)[-1]
    with pytest.raises(Unmodelled, match=f"^{name}: this model"):
        run(small(tmp_path, text))


def test_a_driver_has_functions_of_its_own_by_the_library_s_names(tmp_path: Path) -> None:
    text = """
char *strdup(const char *s) { static char own[] = "own"; return own; }
static void test(void) { say(strdup("x")); }
"""
    assert run(small(tmp_path, text)) == b"own"


SEVERAL = (
    HEAD
    + """
static int p[2], q[2], seen;
static char got[2];
static void work(void *unused)
{
    struct pollfd both[] = {{p[0], POLLIN, 0}, {q[0], POLLIN, 0}};
    seen = poll(both, 2, MS);
    for (int i = 0; i < 2; i++)
        if (both[i].revents & POLLIN)
            read(both[i].fd, got + i, 1);
}
static void done(void *job)
{
    char text[4] = {'0' + seen, got[0] ? got[0] : '-', got[1] ? got[1] : '-', 0};
    close(p[0]), close(p[1]), close(q[0]), close(q[1]);
    say(text);
}
#define READY done
static void test(void)
{
    pipe(p), pipe(q);
    driver_async(port, NULL, work, NULL, done);
    SEND
}
"""
)


@pytest.mark.parametrize(
    ("ms", "send", "answers"),
    [
        ("-1", 'write(q[1], "b", 1);', {b"1-b"}),
        ("-1", 'write(p[1], "a", 1); write(q[1], "b", 1);', {b"1a-", b"2ab"}),
        ("5", 'write(q[1], "b", 1); write(p[1], "a", 1);', {b"0--", b"1-b", b"2ab"}),
        ("0", 'write(q[1], "b", 1);', {b"0--", b"1-b"}),
    ],
)
def test_poll_waits_for_several_and_finds_what_is_there(
    ms: str, send: str, answers: set[bytes], tmp_path: Path
) -> None:
    driver = small(tmp_path, SEVERAL.replace("MS", ms).replace("SEND", send))

    def scenario(erl: Emulator) -> object:
        erl.erl_ddll.load_driver(driver())
        port = erl.open_port(("spawn_driver", "small"), ("binary",))
        erl.port_command(port, b"go")
        (_, (_, data)) = erl.receive()
        return data

    outcomes = explore(scenario, async_threads=1, progress=False)
    assert {*outcomes} == answers
    assert outcomes.complete
    seen = dfs.every_schedule(dfs.on_emulator(scenario, async_threads=1), 1500)
    assert {*map(str, seen.outcomes)} == {*map(str, answers)}


def test_a_poll_that_nothing_can_end_is_a_deadlock(tmp_path: Path) -> None:
    for call in ("poll(NULL, 0, -1)", "poll((struct pollfd[]){{-1, POLLIN, 0}}, 1, -1)"):
        found = faults(small(tmp_path, f"{HEAD}static void test(void) {{ {call}; }}"))
        assert [fault.name for fault in found] == ["Deadlock"]
        assert "waits for data from one of several sockets" in found[0].text


class Far:
    """The far end of the book's driver with a socket, as its stand-ins have it."""

    end: Any = None

    @staticmethod
    def socket(run: Run, a: memoryview) -> int:
        near, Far.end = socketpair()
        near.settimeout(0)
        return descriptor(run, near)

    @staticmethod
    def connect(run: Run, a: memoryview) -> int:
        return 0

    @staticmethod
    def getsockopt(run: Run, a: memoryview) -> int:
        run.write_word(a[3], 0, 4)
        return 0


STAND_INS = {"socket": Far.socket, "connect": Far.connect, "getsockopt": Far.getsockopt}


def test_the_book_s_driver_with_a_socket_comes_back_in_every_order() -> None:
    driver = c_driver(BOOK / "timeout/socket_drv.c", stand_ins=STAND_INS)

    def scenario(erl: Emulator) -> object:
        erl.process_flag("trap_exit", True)
        erl.erl_ddll.load_driver(driver())
        port = erl.open_port(("spawn_driver", "socket_drv 127.0.0.1 9"), ("binary",))
        erl.port_command(port, number(1, 8) + struct.pack(">I", 50) + b"ping")

        def peer() -> None:
            with suppress(BrokenPipeError):  # the driver has not waited
                Far.end.send(Far.end.recv(64).upper() + b"\n")

        erl.spawn(peer)
        answer: Any = erl.receive()
        erl.port_close(port)
        return answer[2:]

    outcomes = explore(scenario, async_threads=1, limit=500, progress=False)
    assert not outcomes.faults, outcomes
    assert {*outcomes} == {("ok", b"PING\n"), ("etimedout", b"")}
