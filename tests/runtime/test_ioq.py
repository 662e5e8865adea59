"""The driver queue."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import Gate, Kind, binary_of, both, opened, pieces_of, vector_of

from driverref import Driver, Emulator
from driverref.erl_driver import (
    ErlDrvBinary,
    ErlDrvPort,
    driver_alloc,
    driver_async,
    driver_deq,
    driver_enq,
    driver_enq_bin,
    driver_enqv,
    driver_free,
    driver_output,
    driver_pdl_create,
    driver_pdl_lock,
    driver_pdl_unlock,
    driver_peekq,
    driver_peekqv,
    driver_pushq,
    driver_pushq_bin,
    driver_pushqv,
    driver_sizeq,
)
from driverref.errors import Misuse, UseAfterFree
from driverref.memory.binary import (
    driver_binary_get_refc,
    driver_free_binary,
)
from driverref.runtime.ioq import DriverQueue, output_bytes
from driverref.runtime.iovec import Element, elements


@pytest.fixture
def erl() -> Iterator[Emulator]:
    """An emulator; at its end every binary must have been freed."""
    with Emulator() as erl:
        yield erl


def content(queue: DriverQueue) -> bytes:
    return b"".join(pieces_of([element for element, _ in queue.elements()]))


def elements_of(*pieces: bytes | ErlDrvBinary) -> list[Element]:
    return elements("driver_enqv", vector_of(*pieces))


Change = tuple[str, list[bytes], bool]
changes = st.lists(
    st.tuples(
        st.sampled_from(["enq", "pushq", "deq"]),
        st.lists(st.binary(max_size=9), max_size=4),
        st.booleans(),
    ),
    max_size=30,
)


@given(changes)
def test_the_driver_queue_is_a_queue_of_bytes_whatever_the_pieces(changes: list[Change]) -> None:
    """Every second piece is a driver binary, which the queue holds while it needs it.

    It is looked at after some of the changes, and gives every piece a binary then.
    """
    with Emulator():
        queue, expected = DriverQueue(), b""
        for how, parts, look in changes:
            data = b"".join(parts)
            if how == "deq":
                size = min(len(data), len(expected))
                queue.deq(size)
                expected = expected[size:]
            else:
                pieces = [binary_of(p) if i % 2 else p for i, p in enumerate(parts)]
                getattr(queue, how)(elements_of(*pieces))
                for binary in pieces:
                    if not isinstance(binary, bytes):
                        driver_free_binary(binary)  # what is queued stays
                expected = expected + data if how == "enq" else data + expected
            assert queue.size == len(expected)
            if look:
                assert content(queue) == expected
                assert all(binary is not None for _, binary in queue.elements())
        assert content(queue) == expected
        queue.clear()
        assert (queue.size, content(queue)) == (0, b"")


def test_a_binary_is_held_until_its_last_byte_is_dropped(erl: Emulator) -> None:
    queue, binary = DriverQueue(), binary_of(b"abcdef")
    queue.enq(elements_of(binary))
    assert driver_binary_get_refc(binary) == 2
    queue.deq(5)
    assert (content(queue), driver_binary_get_refc(binary)) == (b"f", 2)
    queue.deq(1)
    assert driver_binary_get_refc(binary) == 1
    driver_free_binary(binary)


def test_a_binary_that_is_freed_leaves_the_queue_as_it_was(erl: Emulator) -> None:
    queue, binary, freed = DriverQueue(), binary_of(b"abc"), binary_of(b"def")
    queue.enq(elements_of(binary))
    added = elements_of(b"x", freed)
    driver_free_binary(freed)
    with pytest.raises(UseAfterFree, match="freed"):
        queue.enq(added)
    assert (queue.size, content(queue)) == (3, b"abc")
    queue.clear()
    driver_free_binary(binary)


def test_no_bytes_are_no_entry(erl: Emulator) -> None:
    queue, binary = DriverQueue(), binary_of(b"")
    queue.enq(elements_of(b"", binary))
    assert (queue.size, queue.elements(), driver_binary_get_refc(binary)) == (0, [], 1)
    driver_free_binary(binary)


def test_what_is_queued_does_not_change_with_what_was_given(erl: Emulator) -> None:
    queue, data = DriverQueue(), bytearray(b"abc")
    ((element, _),) = added = elements("driver_enqv", vector_of(data))
    queue.enq(added)
    data[:] = b"xyz"
    element.iov_len = 1
    assert content(queue) == b"abc"
    queue.clear()


def test_what_was_peeked_at_stays_as_it_was_until_it_is_taken_out(erl: Emulator) -> None:
    queue = DriverQueue()
    queue.enq(elements_of(b"abcdef"))
    (peeked, binary) = queue.elements()[0]
    queue.deq(2)
    assert pieces_of([peeked]) == [b"abcdef"]
    assert content(queue) == b"cdef"
    assert binary is not None
    assert driver_binary_get_refc(binary) == 1
    queue.deq(4)
    with pytest.raises(
        UseAfterFree, match="binary of 6 bytes: contents read at .*, after it was fr"
    ):
        pieces_of([peeked])


def test_what_a_driver_hands_out_may_have_many_shapes(erl: Emulator) -> None:
    block, binary = driver_alloc(2), binary_of(b"ab")
    assert block is not None
    block[:] = b"ab"
    for shape in (b"ab", bytearray(b"ab"), memoryview(b"ab"), block, binary):
        assert output_bytes("driver_output", "buf", shape) == b"ab"
    for wrong in ("ab", 7, None, [97, 98]):
        with pytest.raises(TypeError, match="driver_output: buf must be bytes, a memoryview, a bl"):
            output_bytes("driver_output", "buf", wrong)
    driver_free(block)
    driver_free_binary(binary)


# Through the driver's calls.


class Queues(Driver):
    """Puts things into the driver queue, in all ways, and reads them."""

    driver_name = "queues"

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        return port

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        binary = binary_of(b"-binary-")
        first, second = vector_of(b"01", binary), vector_of(b"01", binary)
        results = [
            driver_enq(port, b"enq"),
            driver_pushq(port, bytearray(b"pushq")),
            driver_enq_bin(port, binary, 1, 3),
            driver_pushq_bin(port, binary, 4, 4),
            driver_enqv(port, first, 1),
            driver_pushqv(port, second),
            driver_enq(port, b""),
        ]
        assert results == [0] * 7
        driver_free_binary(binary)
        read = driver_peekq(port)
        vector_read = driver_peekqv(port)
        assert read is not None
        assert vector_read is not None
        all_of_it = b"".join(pieces_of(read))
        assert b"".join(pieces_of(vector_read.iov)) == all_of_it
        assert driver_sizeq(port) == vector_read.size == len(all_of_it)
        assert vector_read.vsize == len(vector_read.iov) == len(vector_read.binv) == len(read)
        assert driver_deq(port, len(all_of_it) + 1) == -1  # nothing is dropped
        assert driver_deq(port, 1) == len(all_of_it) - 1
        assert driver_deq(port, len(all_of_it) - 1) == 0
        return all_of_it


@both
def test_the_calls_put_in_front_and_behind_and_read_without_taking(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, Queues())
        reply = erl.port_control(port, 0, b"")
        assert isinstance(reply, list)
        assert bytes(reply) == b"01-binary-" + b"ary-" + b"pushq" + b"enq" + b"bin" + b"1-binary-"
        assert erl.port_info(port, "queue_size") == ("queue_size", 0)


class Locked(Driver):
    """A job uses the driver queue, with the port data lock or without."""

    driver_name = "locked"

    def init(self) -> None:
        self.gate = Gate()
        self.results: list[object] = []

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        self.pdl = driver_pdl_create(port)
        return port

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        driver_async(port, None, self.work, (port, bytes(buf)), lambda data: None)

    def work(self, data: tuple[ErlDrvPort, bytes]) -> None:
        port, text = data
        if text == b"wait":
            self.gate.pass_through()
        if text == b"without":
            driver_enq(port, text)
        assert self.pdl is not None
        driver_pdl_lock(self.pdl)
        peeked = driver_peekq(port)
        self.results.append((driver_enq(port, text), driver_sizeq(port), peeked is None))
        self.results.append(driver_deq(port, 1))
        driver_pdl_unlock(self.pdl)

    def ready_async(self, port: ErlDrvPort, data: object) -> None:
        driver_output(port, b"ready")


@both
def test_with_the_port_data_lock_an_async_thread_may_use_the_driver_queue(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        driver = Locked()
        port = opened(erl, driver)
        erl.port_command(port, b"x")
        erl.receive()
        assert driver.results == [(0, 1, False), 0]


@both
def test_of_a_port_that_is_gone_there_is_no_queue(threads: Kind) -> None:
    """OTP's own `peek_non_existing_queue`: the port is killed while a job of it is running."""
    driver = Locked()
    with Emulator(threads=threads) as erl:
        port = opened(erl, driver)
        erl.process_flag("trap_exit", True)
        erl.port_command(port, b"wait")
        driver.gate.await_arrival()
        erl.exit(port, "kill")
        driver.gate.open()
    assert driver.results == [(-1, -1, True), -1]


@both
def test_without_the_lock_only_a_callback_may(threads: Kind) -> None:
    def scenario() -> None:
        with Emulator(threads=threads) as erl:
            erl.port_command(opened(erl, Locked()), b"without")
            erl.receive()

    with pytest.raises(Misuse, match=r"driver_enq: only a callback of #Port<0.1> may call it"):
        scenario()
