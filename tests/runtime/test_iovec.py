"""The vector that `outputv` is lent, and vectors of a driver's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import Box, made_of
from support import Gate, Kind, Signal, binary_of, both, opened, pieces_of, vector_of

from driverref import Driver, Emulator, explore
from driverref.erl_driver import (
    ErlDrvBinary,
    ErlDrvPort,
    ErlIOVec,
    SysIOVec,
    driver_alloc,
    driver_async,
    driver_binary_dec_refc,
    driver_binary_get_refc,
    driver_binary_inc_refc,
    driver_deq,
    driver_enqv,
    driver_free,
    driver_free_binary,
    driver_output,
    driver_outputv,
    driver_peekqv,
    driver_pushqv,
    driver_realloc_binary,
    driver_sizeq,
    driver_vec_to_buf,
)
from driverref.errors import DoubleFree, Leak, Misuse, UseAfterFree
from driverref.terms import binary_part, iolist_to_binary


def seen(data: object, act: Callable[[ErlIOVec], Any], **options: Any) -> Any:
    """What `act` says of the vector of this data."""
    box = Box()
    with Emulator(**options) as erl:
        port = opened(erl, made_of(outputv=lambda port, ev: box.put(act(ev))))
        erl.port_command(port, data)
    return box.value


def described(ev: ErlIOVec) -> list[tuple[int, int | None]]:
    """Each element: its length, and which of the vector's binaries is behind it."""
    others = [binary for binary in dict.fromkeys(ev.binv) if binary is not None]
    assert ev.vsize == len(ev.iov) == len(ev.binv)
    assert ev.size == sum(v.iov_len for v in ev.iov)
    return [
        (v.iov_len, None if binary is None else others.index(binary))
        for v, binary in zip(ev.iov, ev.binv, strict=True)
    ]


# The rule, said in another way: as a pattern over the kinds of the parts.

leaves = st.integers(0, 255) | st.sampled_from([0, 1, 63, 64, 65, 255, 256, 300]).map(bytes)
iodata = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=9) | inner.map(lambda x: [x] * 9), max_leaves=12
).filter(lambda data: not isinstance(data, int))


def kinds(data: object) -> list[tuple[str, int]]:
    """The leaves: `h` on the heap, `s` a small shared binary, `L` a large one, and their sizes."""
    if isinstance(data, list):
        return [leaf for item in data for leaf in kinds(item)]
    size = len(data) if isinstance(data, bytes) else 1
    return [("h" if size <= 64 else "s" if size < 256 else "L", size)]


def expected(data: object) -> list[int]:
    """The lengths of the elements: runs of what is copied, and what is shared."""
    leaves = kinds(data)
    word = "".join(kind for kind, _ in leaves)
    packed = len(re.findall("h+|s|L", word)) >= 16
    lengths = [
        sum(size for _, size in leaves[run.start() : run.end()])
        for run in re.finditer("[hs]+|L" if packed else "h+|s|L", word)
    ]
    return [0, *([0] if data == b"" else filter(None, lengths))]


@given(iodata)
@pytest.mark.rule("memory.vector-element-0", "memory.vector-binaries", "memory.vector-packed")
def test_a_vector_is_runs_of_small_bytes_between_shared_binaries(data: object) -> None:
    def act(ev: ErlIOVec) -> Any:
        driver_vec_to_buf(ev, buf := bytearray(ev.size), ev.size)
        held = {binary: bytes(binary.orig_bytes) for binary in ev.binv if binary is not None}
        for piece, binary in zip(pieces_of(ev.iov), ev.binv, strict=True):
            assert (binary is None) == (piece == b"")
            assert binary is None or piece in held[binary]
        return [length for length, _ in described(ev)], bytes(buf)

    assert seen(data, act) == (expected(data), iolist_to_binary(data))


@both
def test_what_is_small_lies_in_one_binary_and_what_is_large_in_its_own(threads: Kind) -> None:
    large = bytes(65)
    data = [1, large, b"x", 2, large, binary_part(bytes(1000), 7, 100), b"end"]
    assert seen(data, described, threads=threads) == [
        *[(0, None), (1, 0), (65, 1), (2, 0), (65, 1), (100, 2), (3, 0)]
    ]
    sizes = seen(data, lambda ev: [b.orig_size for b in dict.fromkeys(ev.binv) if b is not None])
    assert sizes == [6, 65, 1000]


def test_a_signal_carries_the_same_vector_as_a_call() -> None:
    box = Box()
    with Emulator() as erl:
        port = opened(erl, made_of(outputv=lambda port, ev: box.put(described(ev))))
        erl.send(port, (erl.self(), ("command", [1, bytes(65), b"x"])))
    assert box.value == [(0, None), (1, 0), (65, 1), (1, 0)]


# Older releases.


@pytest.mark.parametrize("release", ["R7B-3", "R11B-5", "R13B", "R14B04", "R16B", "25", "27", "29"])
@pytest.mark.rule("era.vector-packed", "era.vector-parts", "era.vector-empty")
def test_what_older_releases_did(release: str) -> None:
    lengths: dict[str, Any] = {
        name: seen(data, lambda ev: [length for length, _ in described(ev)], release=release)
        for name, data in {
            "small": [1, b"abc", bytes(64), bytes(65)],
            "long": [bytes([n]) * 70 for n in range(16)],
            "part": [b"x", binary_part(bytes(100), 0, 20)],
            "part of a small one": [b"x", binary_part(bytes(60), 0, 20)],
            "empty": b"",
            "empty in a list": [b""],
        }.items()
    }
    assert lengths.pop("small") == [0, 68, 65]
    assert lengths.pop("part of a small one") == [0, 21]
    assert lengths.pop("empty in a list") == [0]
    today = release in ("25", "27", "29")
    assert lengths == {
        "long": [0, *[70] * 16] if release == "R7B-3" else [0, 1120],
        "part": [0, 21] if today else [0, 1, 20],
        "empty": [0, 0] if today else [0],
    }


def test_an_old_vector_shares_a_small_part_with_the_whole() -> None:
    whole = bytes(range(100))

    def act(ev: ErlIOVec) -> Any:
        assert ev.binv[2] is not None
        return pieces_of(ev.iov), ev.binv[2].orig_size

    data = [b"x", binary_part(whole, 10, 20)]
    assert seen(data, act, release="R16B") == ([b"", b"x", whole[10:30]], 100)


# What is lent, and what is kept.


class Keeps(Driver):
    """Gives a job the first piece of a command, with a reference to its binary or without."""

    driver_name = "keeps"

    def __init__(self, counted: bool = True, given_back: bool = True) -> None:
        self.counted, self.given_back = counted, given_back

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        return port

    def outputv(self, port: ErlDrvPort, ev: ErlIOVec) -> None:
        if self.counted:
            driver_binary_inc_refc(ev.binv[1])  # type: ignore[arg-type]
        driver_async(port, None, self.work, [ev.iov[1], ev.binv[1]], self.free)

    def work(self, job: list[Any]) -> None:
        job.append(pieces_of([job[0]])[0])

    def ready_async(self, port: ErlDrvPort, job: list[Any]) -> None:
        driver_output(port, job[2])
        self.free(job)

    def free(self, job: list[Any]) -> None:
        if self.given_back:
            driver_free_binary(job[1])


def one_command(driver: Driver) -> Callable[[Emulator], object]:
    def scenario(erl: Emulator) -> object:
        port = opened(erl, driver)
        erl.port_command(port, [b"data", bytes(100)])
        return erl.receive()

    return scenario


@both
@pytest.mark.rule("memory.vector-keep")
def test_bytes_stay_readable_in_a_job_while_their_binary_is_counted(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, Keeps())
        for data in (b"small", bytes(100), [1, bytes(65)]):
            erl.port_command(port, data)
            first = data if isinstance(data, bytes) else b"\1"
            assert erl.receive() == (port, ("data", first))


@pytest.mark.rule("memory.vector-keep")
def test_a_counted_piece_is_right_in_every_schedule() -> None:
    outcomes = explore(one_command(Keeps()), async_threads=1)
    assert list(outcomes.faults) == []
    assert len(outcomes) == 1


@pytest.mark.rule("memory.vector-keep", "memory.buffer-is-lent")
def test_a_piece_that_is_not_counted_is_a_fault_that_says_what_to_do() -> None:
    outcomes = explore(one_command(Keeps(counted=False, given_back=False)), async_threads=1)
    faults = {fault.name for fault in outcomes.faults}
    assert faults == {"UseAfterFree", "DataRace"}
    advice = "to keep it, take a reference in the callback, driver_binary_inc_refc(ev.binv[i])"
    assert all(advice in str(fault) for fault in outcomes.faults)


@both
def test_after_the_callback_a_piece_is_gone_and_the_message_says_how_to_keep_it(
    threads: Kind,
) -> None:
    kept: list[SysIOVec] = []

    def scenario() -> None:
        with Emulator(threads=threads) as erl:
            driver = made_of(
                outputv=lambda port, ev: kept.append(ev.iov[1]),
                control=lambda port, command, buf: pieces_of(kept)[0],
            )
            port = opened(erl, driver)
            erl.port_command(port, b"lent")
            erl.port_control(port, 0, b"")

    with pytest.raises(
        UseAfterFree,
        match=r"contents read at .*, after .*; outputv lends it .* driver_binary_inc_refc",
    ):
        scenario()


@pytest.mark.rule("memory.vector-keep")
def test_a_reference_that_is_forgotten_is_a_leak() -> None:
    def one_command() -> None:
        with Emulator() as erl:
            driver = made_of(outputv=lambda port, ev: driver_binary_inc_refc(ev.binv[1]) and None)
            erl.port_command(opened(erl, driver), b"kept")

    with pytest.raises(Leak, match="binary of 4 bytes sent at test_iovec.py:.* in one_comm") as e:
        one_command()
    assert len(e.value.blocks) == 1


def test_the_vector_itself_is_gone_but_not_a_vector_of_the_driver_s_own() -> None:
    kept: list[ErlIOVec] = []

    def outputv(port: ErlDrvPort, ev: ErlIOVec) -> None:
        for field in ("vsize", "size", "iov", "binv"):
            if kept:
                with pytest.raises(UseAfterFree, match=f"{field} of outputv's vector was used at"):
                    getattr(kept[0], field)
        kept.append(ev)
        with pytest.raises(AttributeError, match="ErlIOVec has no field 'length'"):
            ev.length  # noqa: B018

    with Emulator() as erl:
        port = opened(erl, made_of(outputv=outputv))
        erl.port_command(port, b"one")
        erl.port_command(port, b"two")
    assert repr(kept[0]) == "<ErlIOVec>"
    assert repr(vector_of(b"abc").iov) == "[<SysIOVec of 3 bytes>]"


def in_callback(act: Callable[[ErlDrvPort, ErlIOVec], Any], data: object = b"data") -> Any:
    """What `act` returns in `outputv`; the port is killed afterwards."""
    box = Box()
    with Emulator() as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, made_of(outputv=lambda port, ev: box.put(act(port, ev))))
        erl.port_command(port, data)
        erl.exit(port, "kill")
    return box.value


@pytest.mark.parametrize(
    ("act", "fault", "text"),
    [
        (driver_free_binary, DoubleFree, "is not the driver's: its reference is the emulator's"),
        (lambda b: driver_realloc_binary(b, 9), Misuse, "is lent for the call only"),
        (driver_binary_dec_refc, DoubleFree, "driver_binary_dec_refc took the last reference"),
        (lambda b: b.orig_bytes.__setitem__(0, 1), Misuse, "must not change a binary that the em"),
    ],
)
@pytest.mark.rule("memory.vector-keep", "memory.vector-not-written")
def test_what_the_driver_must_not_do_with_a_binary_that_it_is_lent(
    act: Callable[[Any], object], fault: type[Exception], text: str
) -> None:
    for data in (b"small", bytes(100)):
        with pytest.raises(fault, match=text):
            in_callback(lambda port, ev: act(ev.binv[1]), data)


def test_a_driver_s_own_reference_is_its_own() -> None:
    """It may be given back while the vector is still lent, and the binary made larger later."""

    def act(port: ErlDrvPort, ev: ErlIOVec) -> ErlDrvBinary:
        binary = ev.binv[1]
        assert binary is not None
        counts = [driver_binary_inc_refc(binary)]
        driver_free_binary(binary)
        counts += [driver_binary_get_refc(binary), driver_binary_inc_refc(binary)]
        assert counts == [2, 1, 2]
        return binary

    box = Box()
    with Emulator() as erl:

        def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            larger = driver_realloc_binary(box.value, 6)
            assert larger is not None
            larger.orig_bytes[4:] = b"er"
            data = bytes(larger.orig_bytes)
            driver_free_binary(larger)
            return data

        driver = made_of(outputv=lambda port, ev: box.put(act(port, ev)), control=control)
        port = opened(erl, driver)
        erl.port_command(port, b"data")
        assert erl.port_control(port, 0, b"") == list(b"dataer")


# A vector of the driver's own, and the header in front of one that is lent.


@pytest.mark.rule("memory.vector-element-0")
def test_a_header_may_be_put_into_element_0() -> None:
    def act(port: ErlDrvPort, ev: ErlIOVec) -> list[object]:
        ev.iov[0].iov_base, ev.iov[0].iov_len = b"head ", 5
        ev.size += 5
        driver_enqv(port, ev)
        queued = driver_peekqv(port)
        assert queued is not None
        # What had no binary has been copied into one.
        assert all(binary is not None for binary in queued.binv)
        return [queued.vsize, driver_sizeq(port), *pieces_of(queued.iov)]

    assert in_callback(act, [b"data", bytes(65)]) == [3, 74, b"head ", b"data", bytes(65)]


@pytest.mark.rule("memory.vector-skip")
def test_a_call_with_skip_changes_the_vector_so_that_it_is_good_for_one() -> None:
    def act(port: ErlDrvPort, ev: ErlIOVec) -> list[object]:
        driver_enqv(port, ev, 3)
        after = [ev.size, ev.vsize, pieces_of(ev.iov)]
        with pytest.raises(Misuse, match=r"driver_pushqv: ev.size is 70, but ev.iov has 68 bytes"):
            driver_pushqv(port, ev, 0)
        return after

    data = [b"abc"[:1], bytes(65), b"defg"]
    assert in_callback(act, data) == [70, 4, [b"", b"a", bytes(63), b"defg"]]


@pytest.mark.parametrize("base", [bytes, bytearray, memoryview])
def test_what_is_skipped_of_a_driver_s_own_bytes_is_not_copied(
    base: Callable[[bytes], Any],
) -> None:
    def act(port: ErlDrvPort, _: ErlIOVec) -> list[object]:
        ev = ErlIOVec(2, 7, [SysIOVec(base(b"abc"), 3), SysIOVec(base(b"defg"), 4)], [None, None])
        driver_outputv(port, None, ev, 4)
        return [ev.size, *pieces_of(ev.iov)]

    assert in_callback(act) == [7, b"abc", b"efg"]


@pytest.mark.rule("memory.vector-skip")
def test_nothing_skipped_leaves_the_vector_as_it_is() -> None:
    def act(port: ErlDrvPort, ev: ErlIOVec) -> int:
        for _ in range(3):
            driver_enqv(port, ev)
            driver_outputv(port, None, ev)
        return driver_sizeq(port)

    assert in_callback(act, [b"data", bytes(65)]) == 3 * 69


def test_a_vector_may_be_copied_into_a_block() -> None:
    def act(port: ErlDrvPort, ev: ErlIOVec) -> list[object]:
        block = driver_alloc(10)
        assert block is not None
        copied = driver_vec_to_buf(ev, block, 10)
        said = [copied, bytes(block[:copied]), driver_vec_to_buf(ev, None, 0)]
        driver_free(block)
        return said

    assert in_callback(act) == [4, b"data", 0]


def test_the_queue_s_own_bytes_are_the_queue_s() -> None:
    def act(port: ErlDrvPort, ev: ErlIOVec) -> None:
        driver_enqv(port, vector_of(b"mine"))
        queued = driver_peekqv(port)
        assert queued is not None
        binary = queued.binv[0]
        assert binary is not None
        with pytest.raises(Misuse, match="must not change a binary that the emulator gave it"):
            binary.orig_bytes[0] = 0
        driver_deq(port, 4)
        with pytest.raises(UseAfterFree, match="to keep what driver_deq takes out, take a"):
            pieces_of(queued.iov)

    in_callback(act)


def test_a_driver_binary_in_a_vector_is_shared_with_the_queue() -> None:
    def act(port: ErlDrvPort, ev: ErlIOVec) -> list[object]:
        held = binary_of(b"held")
        driver_enqv(port, vector_of(held, b"mine"))
        held.orig_bytes[0:1] = b"H"
        queued = driver_peekqv(port)
        assert queued is not None
        said = [pieces_of(queued.iov), driver_binary_get_refc(held), queued.binv[0] is held]
        driver_free_binary(held)
        return said

    assert in_callback(act) == [[b"Held", b"mine"], 2, True]


@both
def test_a_lent_binary_outlives_the_callback_in_the_queue(threads: Kind) -> None:
    box = Box()
    with Emulator(threads=threads) as erl:

        def outputv(port: ErlDrvPort, ev: ErlIOVec) -> None:
            driver_enqv(port, ev)
            box.put(ev.binv[1])

        def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            queued = driver_peekqv(port)
            assert queued is not None
            assert queued.binv[0] is box.value
            data = b"".join(pieces_of(queued.iov))
            driver_deq(port, len(data))
            return data

        port = opened(erl, made_of(outputv=outputv, control=control))
        erl.port_command(port, [b"ab", bytes(65)])
        assert erl.port_control(port, 0, b"") == list(b"ab" + bytes(65))


@both
def test_two_threads_may_read_what_is_lent_and_counted(threads: Kind) -> None:
    """A job reads while the callback still runs: reads are no race."""
    with Emulator(threads=threads) as erl:
        gate, done = Gate(), Signal()

        def work(job: list[Any]) -> None:
            gate.pass_through()
            job.append(pieces_of([job[0]]))
            driver_free_binary(job[1])

        def outputv(port: ErlDrvPort, ev: ErlIOVec) -> None:
            binary = ev.binv[1]
            assert binary is not None
            driver_binary_inc_refc(binary)
            driver_async(port, None, work, [ev.iov[1], binary], None)
            gate.await_arrival()
            gate.open()
            assert pieces_of(ev.iov) == [b"", b"data"]

        port = opened(erl, made_of(outputv=outputv, ready_async=lambda port, job: done.give()))
        erl.port_command(port, b"data")
        done.wait()
