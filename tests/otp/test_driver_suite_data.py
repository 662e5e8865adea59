"""Cases of `driver_SUITE`: what a driver is sent, what it returns, and what it keeps in its queue."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest
from retold import Echo, close, command, loaded, port_of, silent
from scripted import Box, made_of
from support import Kind, binary_of, both, refused

from driverref import Driver, Emulator, Pid
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    ErlIOVec,
    Key,
    driver_caller,
    driver_deq,
    driver_enq,
    driver_enq_bin,
    driver_enqv,
    driver_free_binary,
    driver_output_term,
    driver_outputv,
    driver_peekq,
    driver_pushq,
    driver_pushq_bin,
    driver_pushqv,
    driver_set_timer,
    driver_sizeq,
    erl_drv_getenv,
    erl_drv_putenv,
    erl_errno_id,
)
from driverref.terms import Atom, ImproperList, binary_part, iolist_to_binary

# outputv.

NO_IODATA: list[Any] = [
    *(-1, 256, Atom("word"), 1.5, ("a", "b"), Pid(7), len),
    ImproperList([1, 2]),
]
IN_A_LIST: list[Callable[[Any], object]] = [
    lambda bad: bad,
    lambda bad: ImproperList([7, bad]),
    lambda bad: [[7, 8], bad],
    lambda bad: ImproperList([[7, 8], bad]),
]


@both
@pytest.mark.parametrize("bad", NO_IODATA, ids=repr)
@pytest.mark.otp("driver_SUITE", "outputv_errors")
def test_what_is_no_iodata_is_badarg_and_never_reaches_the_driver(bad: Any, threads: Kind) -> None:
    reached = Box()
    driver = made_of("vectors", outputv=lambda port, ev: reached.put(ev.size))
    with Emulator(threads=threads) as erl:
        port = loaded(erl, driver)
        for within in IN_A_LIST:
            with refused():
                erl.port_command(port, within(bad))
        with refused():
            erl.port_command(port, 42)
        assert reached.value is None
        assert erl.port_command(port, b"sound")
    assert reached.value == 5


class EchoesVectors(Echo):
    """Sends the vector back that it is lent."""

    driver_name = "vectors"

    def outputv(self, port: ErlDrvPort, ev: ErlIOVec) -> None:
        driver_outputv(port, None, ev, 0)


def of_size(size: int) -> bytes:
    return bytes(range(size % 251)) + bytes(size - size % 251)


LONG = 65
"""Bytes of a binary that is not copied to the heap of a process."""

DATA: list[object] = [
    *map(of_size, [*range(9), 15, 16, 17, LONG]),
    *(list(of_size(size)) for size in (0, 1, 2, 33)),
    [9, 8, [], 7],
    [9, 8, [1], 7],
    [9, 8, [1, 2]],
    [[1, 2, 3], 9, 8, [1, 2]],
    *([of_size(size)] for size in range(6)),
    [of_size(6), 9],
    [9, of_size(3)],
    ImproperList([9, of_size(4)]),
    ImproperList([of_size(17), 9, of_size(13), of_size(3)]),
    ImproperList([9, of_size(17), 9, of_size(LONG), of_size(3)]),
]


def with_binaries(data: object, change: Callable[[bytes], bytes]) -> Any:
    """The same data with every binary of it changed."""
    if isinstance(data, bytes):
        return change(data)
    if isinstance(data, list):
        return type(data)(with_binaries(item, change) for item in data)
    return data


def part_of_a_larger(data: bytes) -> bytes:
    return binary_part(b"<" + data + b">", 1, len(data))


def lengthened(data: bytes) -> bytes:
    return of_size(LONG) + data


@both
@pytest.mark.otp("driver_SUITE", "outputv_echo")
def test_a_vector_that_is_sent_back_arrives_unchanged_whatever_its_binaries_are(
    threads: Kind,
) -> None:
    """A binary that is left over would be a leak when the emulator stops."""
    shapes = [
        lambda data: data,
        part_of_a_larger,
        lengthened,
        lambda data: part_of_a_larger(lengthened(data)),
    ]
    with Emulator(threads=threads) as erl:
        port, me = loaded(erl, EchoesVectors()), erl.self()
        for shape in shapes:
            for data in DATA:
                sent = with_binaries(data, shape)

                def echo(sent: object = sent) -> None:
                    """In a process of its own, which is the owner meanwhile."""
                    erl.port_connect(port, erl.self())
                    command(erl, port, sent)
                    sender, (what, back) = erl.receive()
                    assert (sender, what) == (port, "data")
                    assert iolist_to_binary(back) == iolist_to_binary(sent)
                    erl.port_connect(port, me)
                    erl.send(me, "done")

                erl.spawn(echo, link=True)
                assert erl.receive() == "done"


# The driver queue.


class Queueing(Driver):
    """Puts what is sent to it in its queue, in the way that `control` has named."""

    driver_name = "queueing"
    WAYS = ("enq", "pushq", "enq_bin", "pushq_bin", "enqv", "pushqv")

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        self.way = ""
        return port

    def outputv(self, port: ErlDrvPort, ev: ErlIOVec) -> None:
        data = b"".join(bytes(v.iov_base[: v.iov_len]) for v in ev.iov if v.iov_base)
        match self.way:
            case "enq":
                driver_enq(port, data)
            case "pushq":
                driver_pushq(port, data)
            case "enqv":
                driver_enqv(port, ev, 0)
            case "pushqv":
                driver_pushqv(port, ev, 0)
            case _:
                binary = binary_of(b"--" + data)
                put = driver_enq_bin if self.way == "enq_bin" else driver_pushq_bin
                put(port, binary, 2, len(data))
                driver_free_binary(binary)

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        if command < len(self.WAYS):
            self.way = self.WAYS[command]
            return b""
        queued = driver_peekq(port)
        assert queued is not None
        return b"".join(bytes(v.iov_base[: v.iov_len]) for v in queued if v.iov_base)

    def call(self, port: ErlDrvPort, command: int, term: object) -> object:
        assert isinstance(term, int)
        return driver_deq(port, term) if command else driver_sizeq(port)


QUEUED = [
    *(("enq", data) for data in ([1], [], b"", *map(of_size, [1, 2, 3, 4, 5, 600]))),
    *(("pushq", data) for data in ([], [1], b"", of_size(1), of_size(888))),
    *(("enq_bin", of_size(size)) for size in (0, 1, 2, 3, 4, 777)),
    *(("pushq_bin", of_size(size)) for size in (0, 1, 334)),
    ("enqv", [b"", [1], b"1", of_size(555)]),
    ("enqv", [b"", [1], b"1"]),
    ("pushqv", [b"", [1], b"1", of_size(319)]),
]


@both
@pytest.mark.parametrize("at_once", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", [bytes, part_of_a_larger, lengthened])
@pytest.mark.otp("driver_SUITE", "queue_echo")
def test_the_queue_gives_back_in_its_order_what_was_put_at_either_end(
    shape: Callable[[bytes], bytes], at_once: int, threads: Kind
) -> None:
    # On OS threads every dequeued byte is a call of its own, and all of them are the same.
    at_once *= 100 if shape is lengthened or threads == "native" else 10
    with Emulator(threads=threads, trace=False) as erl:
        port, expected = loaded(erl, Queueing()), b""
        for way, data in QUEUED:
            sent = with_binaries(data, shape)
            erl.port_control(port, Queueing.WAYS.index(way), b"")
            command(erl, port, sent)
            added = iolist_to_binary(sent)
            expected = added + expected if way.startswith("push") else expected + added
            assert erl.port_call(port, 0, 0) == len(expected)
        while expected:
            peeked: Any = erl.port_control(port, 9, b"")
            assert bytes(peeked) == expected
            taken = min(at_once, len(expected))
            expected = expected[taken:]
            assert erl.port_call(port, 1, taken) == len(expected)
        erl.port_close(port)


# call, control, and who calls.


@both
@pytest.mark.otp("driver_SUITE", "otp_6879")
def test_answers_of_call_do_not_get_mixed_up_between_processes(threads: Kind) -> None:
    def ask(number: int) -> None:
        port = port_of(erl)
        answers = [erl.port_call(port, 0, number) for _ in range(20)]
        erl.port_close(port)
        erl.send(me, (number, answers))

    with Emulator(threads=threads, schedulers=2) as erl:
        me = erl.self()
        erl.erl_ddll.load_driver(Echo())
        for number in range(10):
            erl.spawn(ask, number, link=True)
        assert sorted(erl.receive() for _ in range(10)) == [(n, [n] * 20) for n in range(10)]
        # More than the 256 bytes that the emulator has room for without asking for memory.
        port, long = port_of(erl), list(range(1000))
        assert erl.port_call(port, 0, long) == long


@both
@pytest.mark.parametrize("vectors", [False, True], ids=["output", "outputv"])
@pytest.mark.otp("driver_SUITE", "caller")
def test_driver_caller_is_the_process_that_has_called(vectors: bool, threads: Kind) -> None:
    def tell(name: str, returned: object = None) -> Callable[..., object]:
        def callback(port: ErlDrvPort, *rest: object) -> object:
            driver_output_term(port, ("caller", name, driver_caller(port)))
            return port if name == "start" else returned

        return callback

    sends = "outputv" if vectors else "output"
    names: dict[str, object] = {"start": None, sends: None, "control": b"", "call": "done"}
    callbacks: dict[str, Any] = {name: tell(name, back) for name, back in names.items()}
    driver = made_of(**callbacks)
    with Emulator(threads=threads) as erl:
        port = loaded(erl, driver)
        assert erl.receive() == ("caller", "start", erl.self())
        command(erl, port, b"")
        assert erl.receive() == ("caller", sends, erl.self())
        for name, call in (
            (sends, lambda: erl.port_command(port, b"")),
            ("control", lambda: erl.port_control(port, 0, b"")),
            ("call", lambda: erl.port_call(port, 0, [])),
        ):
            pid = erl.spawn(call, link=True)
            assert erl.receive() == ("caller", name, pid)


@both
@pytest.mark.otp("driver_SUITE", "missing_callbacks")
def test_a_driver_without_callbacks_swallows_data_and_refuses_the_rest(threads: Kind) -> None:
    def start(port: ErlDrvPort, command: str) -> ErlDrvPort:
        assert driver_set_timer(port, 0) == 0
        return port

    driver = made_of(flags=ERL_DRV_FLAG_USE_PORT_LOCKING, start=start)
    with Emulator(threads=threads) as erl:
        port = loaded(erl, driver)
        command(erl, port, b"a message")
        assert erl.port_command(port, b"a command")
        with refused():
            erl.port_control(port, 4711, b"")
        with refused():
            erl.port_call(port, 17, b"")
        # The timer's callback is not there, and no harm is done when the time has come.
        assert erl.receive(timeout=2) is None
        close(erl, port)


# What a driver asks of the emulator.


@both
@pytest.mark.otp("driver_SUITE", "env")
def test_a_driver_and_erlang_have_one_environment(threads: Kind) -> None:
    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        key, _, expected = bytes(buf).decode().partition("=")
        if command == 0:
            return bytes([erl_drv_putenv(key, expected)])
        value, size = bytearray(100), Key(100)
        result = erl_drv_getenv(key, value, size)
        assert result or value[: size.value].decode() == expected
        return bytes([result & 0xFF])

    keys, values = ("ONE", "OTHER", "THIRD"), ("first", "second", "")
    with Emulator(threads=threads) as erl:
        port = loaded(erl, made_of(control=control))
        for key in keys:
            assert erl.port_control(port, 1, key.encode()) == [255], "not there yet"
            for value in values:
                pair = f"{key}={value}".encode()
                assert erl.port_control(port, 0, pair) == [0]
                assert erl.os_getenv(key) == value
            for value in values:
                pair = f"{key}={value}".encode()
                erl.os_putenv(key, value)
                assert erl.port_control(port, 1, pair) == [0]
            erl.os_putenv(key, "A" * 1024)
            assert erl.port_control(port, 1, key.encode()) == [1], "no room for it"


POSIX = """
    E2BIG EACCES EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN EALREADY EBADF EBADMSG EBUSY ECHILD
    ECONNABORTED ECONNREFUSED ECONNRESET EDESTADDRREQ EDOM EDQUOT EEXIST EFAULT EFBIG EHOSTUNREACH
    EIDRM EILSEQ EINPROGRESS EINTR EINVAL EIO EISCONN EISDIR ELOOP EMFILE EMLINK EMSGSIZE EMULTIHOP
    ENAMETOOLONG ENETDOWN ENETRESET ENETUNREACH ENFILE ENOBUFS ENODATA ENODEV ENOENT ENOEXEC ENOLCK
    ENOLINK ENOMEM ENOMSG ENOPROTOOPT ENOSPC ENOSR ENOSTR ENOSYS ENOTCONN ENOTDIR ENOTEMPTY ENOTSOCK
    ENOTTY ENXIO EOPNOTSUPP EOVERFLOW EPERM EPIPE EPROTO EPROTONOSUPPORT EPROTOTYPE ERANGE EROFS
    ESPIPE ESRCH ESTALE ETIME ETIMEDOUT ETXTBSY EXDEV ECANCELED EOWNERDEAD ENOTRECOVERABLE ENOTSUP
    EWOULDBLOCK EDEADLK
""".split()
SAME = {"EWOULDBLOCK": "eagain", "EOPNOTSUPP": "enotsup", "ENOTSUP": "eopnotsupp"}
"""Names of one number: the emulator tells one of them."""


@both
@pytest.mark.otp("driver_SUITE", "erl_errno_id")
def test_every_errno_has_its_name_and_what_has_none_its_number(threads: Kind) -> None:
    told = Box()

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        numbers = {name: getattr(errno, name) for name in POSIX if hasattr(errno, name)}
        told.put({name: erl_errno_id(number) for name, number in numbers.items()})
        return ",".join(map(erl_errno_id, (-4711, -1, 0, 4711))).encode()

    with Emulator(threads=threads, release="29") as erl:
        port = loaded(erl, made_of(control=control))
        reply: Any = erl.port_control(port, 0, b"")
        unknown = bytes(reply).decode()
        assert silent(erl)
    assert len(told.value) > 70
    wrong = {n: got for n, got in told.value.items() if got not in (n.lower(), SAME.get(n))}
    assert wrong == {}
    assert unknown == "errno_-4711,errno_-1,errno_0,errno_4711"
