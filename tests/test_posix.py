"""The few calls of the C library that block a thread."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from driverref import posix
from driverref.errors import Misuse
from driverref.threads import OUTSIDE, Threads, running_thread
from driverref.threads.native import NativeThreads
from driverref.threads.simulated import SimulatedThreads


class Desk:
    """As much of an emulator as these calls need."""

    def __init__(self, threads: Threads) -> None:
        self.threads = threads


@pytest.fixture(params=[SimulatedThreads, pytest.param(NativeThreads, marks=pytest.mark.native)])
def threads(request: pytest.FixtureRequest) -> Iterator[Threads]:
    threads: Threads = request.param()
    threads.adopt("main").runtime = Desk(threads)
    yield threads
    threads.close()


def test_usleep_returns_0(threads: Threads) -> None:
    assert posix.usleep(0) == posix.usleep(1) == 0


def test_usleep_takes_virtual_time_on_simulated_threads() -> None:
    threads = SimulatedThreads()
    threads.adopt("main").runtime = Desk(threads)
    posix.usleep(3_600_000_000)
    assert threads.now() == 3_600_000_000_000
    threads.close()


@pytest.mark.parametrize("useconds", [1.5, "1", None, True])
def test_usleep_takes_an_int(useconds: object) -> None:
    with pytest.raises(TypeError, match="usleep: useconds must be an int"):
        posix.usleep(useconds)  # type: ignore[arg-type]


def test_usleep_does_not_go_back_in_time() -> None:
    with pytest.raises(ValueError, match="usleep: useconds must be 0 or more microseconds, not -1"):
        posix.usleep(-1)


@pytest.mark.parametrize("call", [lambda: posix.usleep(1), posix.socketpair])
def test_outside_an_emulator_there_is_nobody_to_block(call: object) -> None:
    assert running_thread.get() is OUTSIDE
    assert callable(call)
    with pytest.raises(Misuse, match="no emulator is running in this thread"):
        call()


def test_a_socket_pair_is_connected(threads: Threads) -> None:
    one, other = posix.socketpair()
    assert one.send(b"") == 0
    assert one.send(b"question") == 8
    assert other.recv(100) == b"question"
    one.shutdown(posix.SHUT_RDWR)
    assert one.recv(1) == other.recv(1) == b""
    one.close()
    other.close()


def test_a_pipe_has_one_end_to_read_and_one_to_write(threads: Threads) -> None:
    reads, writes = posix.pipe()
    assert writes.send(b"one way") == 7
    assert reads.recv(100) == b"one way"
    for call in (lambda: reads.send(b"x"), lambda: writes.recv(1)):
        with pytest.raises(OSError, match="Bad file descriptor"):
            call()
    writes.close()
    assert reads.recv(1) == b""
    reads.close()
