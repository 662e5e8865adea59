"""The driver queue: bytes in order, whose pieces they are, and what they do to a port's end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import Box, made_of
from support import Gate, Kind, binary_of, both, opened, pieces_of, received, vector_of

from driverref import Emulator, erl_driver
from driverref.erl_driver import (
    ErlDrvPDL,
    ErlDrvPort,
    ErlIOVec,
    driver_alloc,
    driver_async,
    driver_binary_get_refc,
    driver_deq,
    driver_enq,
    driver_enq_bin,
    driver_enqv,
    driver_failure_eof,
    driver_free,
    driver_free_binary,
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
    driver_vec_to_buf,
    memset,
)
from driverref.errors import Misuse


def in_callback(threads: Kind, act: Callable[[ErlDrvPort], object]) -> Any:
    """What `act(port)` returns in a callback; the port is killed afterwards, with its queue."""
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        box = Box()
        port = opened(erl, made_of(output=lambda port, buf: box.put(act(port))))
        erl.port_command(port, b"")
        erl.exit(port, "kill")
        return box.value


def contents(port: ErlDrvPort) -> list[bytes]:
    pieces = driver_peekq(port)
    assert pieces is not None
    return pieces_of(pieces)


@both
def test_bytes_go_in_at_both_ends_and_out_at_the_front(threads: Kind) -> None:
    def act(port: ErlDrvPort) -> list[object]:
        block = memset(driver_alloc(3), ord("m"), 3)
        answers = [
            driver_sizeq(port),
            driver_enq(port, b"cd"),
            driver_enq(port, block),
            driver_pushq(port, bytearray(b"ab")),
            driver_sizeq(port),
            driver_deq(port, 1),
            driver_deq(port, 2),
        ]
        driver_free(block)
        return [answers, contents(port)]

    assert in_callback(threads, act) == [[0, 0, 0, 0, 7, 6, 4], [b"d", b"mmm"]]


@both
def test_no_bytes_are_no_entry(threads: Kind) -> None:
    def act(port: ErlDrvPort) -> list[object]:
        empty = vector_of()
        answers = [driver_enq(port, b""), driver_pushq(port, b""), driver_enqv(port, empty)]
        return [answers, driver_sizeq(port), contents(port)]

    assert in_callback(threads, act) == [[0, 0, 0], 0, []]


@both
def test_more_than_there_is_cannot_be_taken(threads: Kind) -> None:
    def act(port: ErlDrvPort) -> list[object]:
        driver_enq(port, b"abc")
        return [driver_deq(port, 4), driver_sizeq(port), driver_deq(port, 3), driver_deq(port, 0)]

    assert in_callback(threads, act) == [-1, 3, 0, 0]


@both
@pytest.mark.rule("binary.queue-holds")
def test_a_binary_is_held_until_its_last_byte_is_gone(threads: Kind) -> None:
    def act(port: ErlDrvPort) -> list[object]:
        held = binary_of(b"0123456789")
        seen = [driver_binary_get_refc(held)]
        driver_enq_bin(port, held, 2, 3)
        driver_pushq_bin(port, held, 0, 2)
        seen += [driver_binary_get_refc(held)]
        queued = contents(port)
        driver_deq(port, 4)
        seen += [driver_binary_get_refc(held), driver_sizeq(port)]
        driver_deq(port, 1)
        seen += [driver_binary_get_refc(held)]
        driver_free_binary(held)
        return [seen, queued]

    assert in_callback(threads, act) == [[1, 3, 2, 1, 1], [b"01", b"234"]]


def test_r7b_holds_a_binary_in_the_queue_though_it_has_no_call_for_the_count() -> None:
    with Emulator(release="R7B-3") as erl:

        def outputv(port: ErlDrvPort, ev: ErlIOVec) -> None:
            driver_enqv(port, ev)
            driver_output(port, b"".join(contents(port)))
            driver_deq(port, ev.size)

        port = opened(erl, made_of(outputv=outputv))
        erl.port_command(port, b"x" * 100)
        assert erl.receive() == (port, ("data", b"x" * 100))


@both
@pytest.mark.rule("binary.queue-holds")
def test_the_end_of_the_port_gives_the_binaries_back(threads: Kind) -> None:
    def act(port: ErlDrvPort) -> int:
        held = binary_of(b"0123456789")
        driver_enq_bin(port, held, 0, 10)
        driver_free_binary(held)
        return driver_binary_get_refc(held)

    assert in_callback(threads, act) == 1  # and no Leak at the end


@both
def test_a_vector_is_queued_without_its_first_bytes(threads: Kind) -> None:
    def act(port: ErlDrvPort) -> list[object]:
        held = binary_of(b"BINARY")
        ev = vector_of(b"ab", held)
        again = vector_of(b"ab", held)
        answers = [driver_enqv(port, ev, 1), driver_pushqv(port, again, 4), driver_sizeq(port)]
        vector = driver_peekqv(port)
        assert vector is not None
        kept = [behind is held for behind in vector.binv]
        answers.append(driver_binary_get_refc(held))
        driver_free_binary(held)
        return [answers, contents(port), kept, vector.size]

    expected = [[0, 0, 11, 3], [b"NARY", b"b", b"BINARY"], [True, False, True], 11]
    assert in_callback(threads, act) == expected


@both
def test_what_outputv_was_lent_may_be_queued_and_written_later(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:

        def control(port: ErlDrvPort, command: int, buf: memoryview) -> None:
            pieces = driver_peekq(port)
            assert pieces is not None
            driver_output(port, b"".join(pieces_of(pieces)))
            driver_deq(port, driver_sizeq(port))

        driver = made_of(outputv=lambda port, ev: driver_enqv(port, ev, 2), control=control)
        port = opened(erl, driver)
        erl.port_command(port, [b"abc", b"x" * 100, b"tail"])
        erl.port_control(port, 0, b"")
        assert erl.receive() == (port, ("data", b"c" + b"x" * 100 + b"tail"))


@both
def test_vec_to_buf_copies_and_says_how_much(threads: Kind) -> None:
    def act(port: ErlDrvPort) -> list[object]:
        ev = vector_of(b"abc", b"def")
        buf = bytearray(b"........")
        return [
            driver_vec_to_buf(ev, buf, 4),
            bytes(buf),
            driver_vec_to_buf(ev, buf, 8),
            bytes(buf),
        ]

    assert in_callback(threads, act) == [4, b"abcd....", 6, b"abcdef.."]


@both
def test_of_a_closed_port_there_is_no_queue(threads: Kind) -> None:
    def act(port: ErlDrvPort) -> list[object]:
        held = binary_of(b"x")
        ev = vector_of(b"x")
        driver_enq(port, b"dropped")
        driver_failure_eof(port)
        answers: list[object] = [
            driver_enq(port, b"x"),
            driver_pushq(port, b"x"),
            driver_enq_bin(port, held, 0, 1),
            driver_pushq_bin(port, held, 0, 1),
            driver_enqv(port, ev),
            driver_pushqv(port, ev),
            driver_deq(port, 0),
            driver_sizeq(port),
            driver_peekq(port),
            driver_peekqv(port),
        ]
        driver_free_binary(held)
        return answers

    assert in_callback(threads, act) == [*[-1] * 8, None, None]


# Any sequence of calls.

WAYS = ("driver_enq", "driver_pushq", "driver_enq_bin", "driver_pushq_bin", "driver_enqv")
Step = tuple[str, bytes, int]
steps = st.lists(
    st.tuples(
        st.sampled_from([*WAYS, "driver_pushqv", "driver_deq"]),
        st.binary(max_size=9),
        st.integers(0, 9),
    ),
    max_size=25,
)


@given(steps)
def test_the_queue_is_a_bytearray_whatever_goes_in_and_however(steps: list[Step]) -> None:
    """`skip` bytes of each piece stay out; a binary is held once for each of its pieces that is queued."""

    def step(port: ErlDrvPort, how: str, data: bytes, number: int, model: bytearray) -> None:
        if how == "driver_deq":
            left = driver_deq(port, number)
            assert left == (len(model) - number if number <= len(model) else -1)
            del model[: number if left >= 0 else 0]
            return
        skip = min(number, len(data))
        held = binary_of(data)
        if how.endswith("_bin"):
            answer = getattr(erl_driver, how)(port, held, skip, len(data) - skip)
        elif how.endswith("v"):
            answer = getattr(erl_driver, how)(port, vector_of(held), skip)
        else:
            answer = getattr(erl_driver, how)(port, data[skip:])
        shared = skip < len(data) and how not in ("driver_enq", "driver_pushq")
        assert (answer, driver_binary_get_refc(held)) == (0, 1 + shared)
        driver_free_binary(held)
        front = how.startswith("driver_pushq")
        model[0 if front else len(model) : 0 if front else len(model)] = data[skip:]

    def act(port: ErlDrvPort) -> int:
        model = bytearray()
        for how, data, number in steps:
            step(port, how, data, number, model)
            assert b"".join(contents(port)) == model
            assert driver_sizeq(port) == len(model)
            vector = driver_peekqv(port)
            assert vector is not None
            assert b"".join(pieces_of(vector.iov)) == model
        return len(steps)

    assert in_callback("simulated", act) == len(steps)  # and no Leak at the end


# Who may use it.


@both
@pytest.mark.parametrize("locked", [True, False])
def test_a_job_needs_the_port_data_lock(threads: Kind, locked: bool) -> None:
    with Emulator(threads=threads) as erl:
        caught: list[str] = []

        def work(port: ErlDrvPort) -> None:
            pdl = port.pdl
            assert isinstance(pdl, ErlDrvPDL)
            if locked:
                driver_pdl_lock(pdl)
                driver_enq(port, b"from the job")
                driver_pdl_unlock(pdl)
                return
            for act in (driver_sizeq, driver_peekq, lambda port: driver_enq(port, b"x")):
                with pytest.raises(Misuse, match="only a callback of #Port<0.1> may call") as error:
                    act(port)
                caught.append(str(error.value))

        def output(port: ErlDrvPort, buf: memoryview) -> None:
            driver_pdl_create(port)
            driver_async(port, None, work, port)

        def ready_async(port: ErlDrvPort, data: object) -> None:
            driver_output(port, b"".join(contents(port)))
            driver_deq(port, driver_sizeq(port))

        port = opened(erl, made_of(output=output, ready_async=ready_async))
        erl.port_command(port, b"")
        assert erl.receive() == (port, ("data", b"from the job" if locked else b""))
        assert len(caught) == (0 if locked else 3)


@both
def test_a_job_finds_no_queue_when_its_port_was_killed(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        gate, box = Gate(), Box()

        def work(port: ErlDrvPort) -> None:
            gate.pass_through()
            pdl = port.pdl
            assert isinstance(pdl, ErlDrvPDL)
            driver_pdl_lock(pdl)
            box.put([driver_sizeq(port), driver_peekq(port), driver_enq(port, b"x")])
            driver_pdl_unlock(pdl)

        def output(port: ErlDrvPort, buf: memoryview) -> None:
            driver_enq(port, b"never written")
            driver_pdl_create(port)
            driver_async(port, None, work, port)

        port = opened(erl, made_of(output=output))
        erl.port_command(port, b"")
        gate.await_arrival()
        erl.exit(port, "kill")
        gate.open()
    assert box.value == [-1, None, -1]


# What it does to the end.


@both
def test_one_byte_keeps_the_port_until_its_job_is_back(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        gate = Gate()

        def output(port: ErlDrvPort, buf: memoryview) -> None:
            driver_enq(port, b"x")
            driver_async(port, None, lambda data: gate.pass_through(), None)

        driver = made_of(
            output=output,
            ready_async=lambda port, data: driver_deq(port, 1),
            flush=lambda port: None,
            stop=lambda port: None,
        )
        port = opened(erl, driver)
        erl.port_command(port, b"")
        gate.await_arrival()
        erl.send(port, (erl.self(), "close"))
        assert received(erl) == [("EXIT", port, "normal")]
        assert erl.ports() == [port]
        gate.open()
        assert erl.receive() == (port, "closed")
        order = erl.trace.order("exit", "flush", "ready_async", "driver_deq", "stop")
        assert order == ["exit", "flush", "ready_async(1)", "driver_deq", "stop"]


@both
def test_the_trace_tells_how_much_went_in_and_out(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:

        def output(port: ErlDrvPort, buf: memoryview) -> None:
            driver_enq(port, b"abc")
            driver_pushq(port, b"z")
            driver_deq(port, 4)

        erl.port_command(opened(erl, made_of(output=output)), b"")
        steps = erl.trace.select("driver_enq", "driver_pushq", "driver_deq")
        assert [(event.name, event.detail) for event in steps] == [
            ("driver_enq", 3),
            ("driver_pushq", 1),
            ("driver_deq", 4),
        ]
