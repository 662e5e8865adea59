"""`driver_select`: which callback is called, when, how often, and what may go wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scripted import Box, do, made_of, scripted
from support import Kind, both, opened

from driverref import Driver, Emulator, explore
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ERL_DRV_READ,
    ERL_DRV_USE,
    ERL_DRV_USE_NO_CALLBACK,
    ERL_DRV_WRITE,
    ErlDrvPort,
    driver_deq,
    driver_enq,
    driver_failure_eof,
    driver_output,
    driver_select,
    driver_sizeq,
)
from driverref.errors import Misuse
from driverref.posix import Socket, pipe, socketpair

READ_AND_USE = ERL_DRV_READ | ERL_DRV_USE
OBSERVED = ("ready_input", "ready_output", "stop_select", "stop")


class Piped(Driver):
    """Reads what is sent to the port out of a pipe, byte by byte.  Its driver data is itself."""

    driver_name = "piped"
    driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING

    def start(self, port: ErlDrvPort, command: str) -> Any:
        self.port = port
        self.reads, self.writes = pipe()
        driver_select(port, self.reads, READ_AND_USE, 1)
        return self

    def output(self, drv_data: Any, buf: memoryview) -> None:
        self.writes.send(bytes(buf))

    def ready_input(self, drv_data: Any, event: Socket) -> None:
        driver_output(self.port, event.recv(1))

    def stop(self, drv_data: Any) -> None:
        driver_select(self.port, self.reads, ERL_DRV_USE, 0)
        self.writes.close()

    def stop_select(self, event: Socket, reserved: object) -> None:
        assert reserved is None
        event.close()


def close(box: Box) -> None:
    """Close the pair of sockets in the box: on OS threads they are real."""
    for end in box.value:
        end.close()


def data(erl: Emulator) -> bytes:
    """The bytes of the next message."""
    match erl.receive():
        case (_, ("data", bytes(sent))):
            return sent
        case other:
            raise AssertionError(other)


# What is called.


@both
@pytest.mark.rule("select.level")
def test_ready_input_is_called_until_the_driver_has_read_everything(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, Piped())
        erl.port_command(port, b"abc")
        assert [data(erl) for _ in range(3)] == [b"a", b"b", b"c"]
    assert erl.trace.order(*OBSERVED) == [*["ready_input"] * 3, "stop", "stop_select"]


@both
@pytest.mark.rule("select.level")
def test_what_was_there_before_is_found_too(threads: Kind) -> None:
    box = Box()

    def begin(port: ErlDrvPort) -> None:
        box.put(pipe())
        box.value[1].send(b"early")
        driver_select(port, box.value[0], ERL_DRV_READ, 1)

    def ready_input(port: ErlDrvPort, event: Socket) -> None:
        driver_output(port, event.recv(100))
        driver_select(port, event, ERL_DRV_READ, 0)
        close(box)

    with Emulator(threads=threads) as erl:
        port = opened(erl, scripted(begin, ready_input=ready_input))
        do(erl, port, 0)
        assert data(erl) == b"early"


@both
@pytest.mark.rule("select.level")
def test_the_end_of_the_data_can_be_read_too(threads: Kind) -> None:
    box = Box()

    def begin(port: ErlDrvPort) -> None:
        box.put(pipe())
        driver_select(port, box.value[0], READ_AND_USE, 1)

    def ready_input(port: ErlDrvPort, event: Socket) -> None:
        driver_output(port, b"end" if event.recv(100) == b"" else b"data")
        driver_select(port, event, ERL_DRV_USE, 0)

    with Emulator(threads=threads) as erl:
        driver = scripted(
            begin,
            lambda port: box.value[1].close(),
            ready_input=ready_input,
            stop_select=lambda event, reserved: event.close(),
        )
        port = opened(erl, driver)
        do(erl, port, 0)
        do(erl, port, 1)
        assert data(erl) == b"end"


@both
@pytest.mark.rule("select.output-first")
def test_of_both_ready_output_comes_first_and_may_call_the_other_off(threads: Kind) -> None:
    box = Box()

    def begin(port: ErlDrvPort) -> None:
        box.put(socketpair())
        box.value[1].send(b"a")
        driver_select(port, box.value[0], ERL_DRV_READ | ERL_DRV_WRITE, 1)

    def ready_input(port: ErlDrvPort, event: Socket) -> None:
        driver_output(port, event.recv(100))
        driver_select(port, event, ERL_DRV_READ, 0)

    def ready_output(port: ErlDrvPort, event: Socket) -> None:
        driver_select(port, event, box.off, 0)  # type: ignore[attr-defined]
        driver_output(port, b"written")

    for off, expected in (
        (ERL_DRV_WRITE, ["ready_output", "ready_input"]),
        (ERL_DRV_WRITE | ERL_DRV_READ, ["ready_output"]),
    ):
        box.off = off  # type: ignore[attr-defined]
        driver = scripted(
            begin, ready_input=ready_input, ready_output=ready_output, stop=lambda _: close(box)
        )
        with Emulator(threads=threads) as erl:
            port = opened(erl, driver)
            do(erl, port, 0)
            assert data(erl) == b"written"
            if off == ERL_DRV_WRITE:
                assert data(erl) == b"a"
        assert erl.trace.order("ready_input", "ready_output") == expected


@both
@pytest.mark.rule("select.stop-select")
@pytest.mark.parametrize(
    ("mode", "called"),
    [
        (ERL_DRV_USE, ["stop_select", "control"]),
        (ERL_DRV_USE_NO_CALLBACK | ERL_DRV_READ, ["control"]),
        (ERL_DRV_READ, ["control"]),
        (0, ["control"]),
    ],
)
def test_stop_select_is_called_before_driver_select_returns(
    threads: Kind, mode: int, called: list[str]
) -> None:
    box, order = Box(), list[str]()

    def begin(port: ErlDrvPort) -> None:
        box.put(pipe())
        driver_select(port, box.value[0], READ_AND_USE, 1)

    def end(port: ErlDrvPort) -> int:
        result = driver_select(port, box.value[0], mode, 0)
        order.append("control")
        return result

    def stop(port: ErlDrvPort) -> None:
        driver_select(port, box.value[0], ERL_DRV_USE_NO_CALLBACK | ERL_DRV_READ, 0)
        close(box)

    driver = scripted(begin, end, stop=stop, stop_select=lambda *_: order.append("stop_select"))
    with Emulator(threads=threads) as erl:
        port = opened(erl, driver)
        do(erl, port, 0)
        assert do(erl, port, 1) == "0"
        assert order == called


@pytest.mark.rule("select.stop-select")
def test_stop_select_is_called_for_a_descriptor_that_was_never_selected() -> None:
    events: list[object] = []
    driver = scripted(
        lambda port: driver_select(port, pipe()[0], ERL_DRV_USE, 0),
        lambda port: driver_select(port, pipe()[0], ERL_DRV_USE, 1),
        stop_select=lambda event, reserved: events.append(repr(event)),
    )
    with Emulator() as erl:
        port = opened(erl, driver)
        assert do(erl, port, 0) == do(erl, port, 1) == "0"
    assert events == ["<read end of a pipe>"]


@pytest.mark.rule("select.given-up")
def test_what_is_given_up_in_the_callback_that_made_it_ready_is_not_called() -> None:
    box = Box()

    def both_ways(port: ErlDrvPort) -> None:
        reads, writes = pipe()
        driver_select(port, reads, ERL_DRV_READ, 1)
        writes.send(b"a")
        driver_select(port, reads, ERL_DRV_READ, 0)
        box.put(reads)

    def again(port: ErlDrvPort) -> None:
        driver_select(port, box.value, ERL_DRV_READ, 1)

    def ready_input(port: ErlDrvPort, event: Socket) -> None:
        driver_select(port, event, ERL_DRV_READ, 0)
        driver_output(port, event.recv(1))

    def story(erl: Emulator) -> object:
        port = opened(erl, scripted(both_ways, again, ready_input=ready_input))
        do(erl, port, 0)
        nothing = erl.receive(timeout=10)
        do(erl, port, 1)
        erl.receive()
        return nothing

    for schedulers in (1, 2):
        assert list(explore(story, schedulers=schedulers)) == [None]


@pytest.mark.rule("select.flush")
def test_a_closing_port_still_reads_and_ends_when_its_queue_is_empty() -> None:
    class Late(Piped):
        def output(self, drv_data: Any, buf: memoryview) -> None:
            driver_enq(self.port, buf)

        def flush(self, drv_data: Any) -> None:
            self.writes.send(b"!")

        def ready_input(self, drv_data: Any, event: Socket) -> None:
            event.recv(1)
            driver_deq(self.port, driver_sizeq(self.port))

    with Emulator() as erl:
        port = opened(erl, Late())
        erl.port_command(port, b"kept")
        erl.port_close(port)
    assert erl.trace.order("flush", *OBSERVED) == ["flush", "ready_input", "stop", "stop_select"]


def test_ready_input_may_fail_the_port() -> None:
    class Failing(Piped):
        def ready_input(self, drv_data: Any, event: Socket) -> None:
            driver_failure_eof(self.port)

    with Emulator() as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, Failing())
        erl.port_command(port, b"a")
        erl.receive()
    assert erl.trace.order(*OBSERVED) == ["ready_input", "stop", "stop_select"]


def test_two_ports_may_share_a_descriptor_one_to_read_and_one_to_write() -> None:
    box = Box()

    def make(port: ErlDrvPort) -> None:
        box.put(socketpair())
        driver_select(port, box.value[0], ERL_DRV_READ, 1)
        box.value[1].send(b"a")

    def ready(port: ErlDrvPort, event: Socket) -> None:
        driver_output(port, b"ready")
        driver_select(port, event, ERL_DRV_READ | ERL_DRV_WRITE, 0)

    def ready_output(port: ErlDrvPort, event: Socket) -> None:
        driver_output(port, b"ready")
        driver_select(port, event, ERL_DRV_WRITE, 0)

    def ready_input(port: ErlDrvPort, event: Socket) -> None:
        driver_output(port, event.recv(1))
        driver_select(port, event, ERL_DRV_READ, 0)

    driver = scripted(
        make,
        lambda port: driver_select(port, box.value[0], ERL_DRV_WRITE, 1),
        ready_input=ready_input,
        ready_output=ready_output,
    )
    with Emulator() as erl:
        one, other = opened(erl, driver), opened(erl, driver)
        do(erl, one, 0)
        do(erl, other, 1)
        assert {erl.receive(), erl.receive()} == {
            (one, ("data", b"a")),
            (other, ("data", b"ready")),
        }


# Every schedule.


@pytest.mark.parametrize("schedulers", [1, 2])
def test_a_close_comes_before_the_byte_is_read_or_after_it(schedulers: int) -> None:
    def story(erl: Emulator) -> bytes:
        port = opened(erl, Piped())
        erl.port_command(port, b"a")
        erl.port_close(port)
        message = erl.receive(timeout=0)
        return b"" if message is None else message[1][1]

    outcomes = explore(story, schedulers=schedulers)
    assert set(outcomes) == {b"", b"a"}
    assert not outcomes.faults
    assert outcomes.complete


@pytest.mark.rule("select.output-first")
def test_selected_one_by_one_either_callback_may_come_first() -> None:
    """`ready_output` comes first only if both ways are in one report."""
    box = Box()

    def begin(port: ErlDrvPort) -> None:
        box.put(socketpair())
        box.value[1].send(b"a")
        driver_select(port, box.value[0], ERL_DRV_READ, 1)
        driver_select(port, box.value[0], ERL_DRV_WRITE, 1)

    def ready_input(port: ErlDrvPort, event: Socket) -> None:
        driver_output(port, event.recv(1))
        driver_select(port, event, ERL_DRV_READ, 0)

    def ready_output(port: ErlDrvPort, event: Socket) -> None:
        driver_output(port, b"written")
        driver_select(port, event, ERL_DRV_WRITE, 0)

    def story(erl: Emulator) -> tuple[bytes, bytes]:
        port = opened(erl, scripted(begin, ready_input=ready_input, ready_output=ready_output))
        do(erl, port, 0)
        return data(erl), data(erl)

    outcomes = explore(story)
    assert set(outcomes) == {(b"a", b"written"), (b"written", b"a")}
    assert outcomes.complete


@pytest.mark.rule("select.spurious")
@pytest.mark.parametrize("schedulers", [1, 2])
@pytest.mark.parametrize("again", [False, True])
def test_ready_input_may_be_called_when_there_is_nothing_to_read(
    schedulers: int, again: bool
) -> None:
    """What was there has been read since the poll's report, even before a further `driver_select`."""
    box = Box()

    def begin(port: ErlDrvPort) -> None:
        box.put(pipe())
        reads, writes = box.value
        reads.settimeout(0)
        driver_select(port, reads, READ_AND_USE, 1)
        writes.send(b"a")
        assert reads.recv(1) == b"a"
        if again:
            driver_select(port, reads, ERL_DRV_READ, 0)
            driver_select(port, reads, ERL_DRV_READ, 1)

    def ready_input(port: ErlDrvPort, event: Socket) -> None:
        with pytest.raises(BlockingIOError):
            event.recv(1)
        driver_output(port, b"nothing")

    def stop(port: ErlDrvPort) -> None:
        driver_select(port, box.value[0], ERL_DRV_USE, 0)

    def story(erl: Emulator) -> object:
        driver = scripted(
            begin, ready_input=ready_input, stop=stop, stop_select=lambda event, _: event.close()
        )
        port = opened(erl, driver)
        do(erl, port, 0)
        message = erl.receive(timeout=10)
        erl.port_close(port)
        return message and message[1][1]

    outcomes = explore(story, schedulers=schedulers)
    assert set(outcomes) == {None, b"nothing"}
    assert outcomes.complete


# What goes wrong.


def fault(*acts: Callable[[ErlDrvPort], object], **callbacks: Any) -> str:
    """The message of the `Misuse` in which a driver ends that does these things one by one."""

    def story(erl: Emulator) -> None:
        port = opened(erl, scripted(*acts, **callbacks))
        for number in range(len(acts)):
            do(erl, port, number)
        erl.receive(timeout=10)

    return misuse(story)


def misuse(story: Callable[[Emulator], None]) -> str:
    """The message of the `Misuse` in which a story ends."""
    with pytest.raises(Misuse) as caught:
        with Emulator() as erl:
            story(erl)
    return str(caught.value)


def selecting(box: Box) -> Callable[[ErlDrvPort], object]:
    def select(port: ErlDrvPort) -> None:
        box.put(pipe())
        driver_select(port, box.value[0], READ_AND_USE, 1)

    return select


@pytest.mark.rule("select.gone")
def test_a_port_that_is_closed_while_it_selects_is_at_fault() -> None:
    message = fault(selecting(Box()))
    assert "#Port<0.1> is closed and still selects <read end of a pipe>" in message
    assert "test_check_io.py" in message
    assert "in select; in stop call driver_select with ERL_DRV_USE and 0" in message


@pytest.mark.rule("select.closed")
def test_a_descriptor_that_is_closed_while_it_is_selected_is_at_fault() -> None:
    box = Box()
    message = fault(selecting(box), lambda port: box.value[0].close())
    assert message.startswith("close: <read end of a pipe> is selected by #Port<0.1> at test_check")


@pytest.mark.rule("select.stolen")
@pytest.mark.parametrize("on", [0, 1])
def test_a_descriptor_that_another_port_takes_is_a_fault(on: int) -> None:
    box = Box()

    def take(port: ErlDrvPort) -> None:
        driver_select(port, box.value[0], ERL_DRV_READ, on)

    def story(erl: Emulator) -> None:
        driver = scripted(selecting(box), take)
        one, other = opened(erl, driver), opened(erl, driver)
        do(erl, one, 0)
        do(erl, other, 1)

    assert "#Port<0.2> takes <read end of a pipe> from #Port<0.1>" in misuse(story)


@pytest.mark.rule("select.null-callback")
def test_a_callback_that_is_missed_is_a_fault() -> None:
    box = Box()
    message = fault(selecting(box), lambda port: box.value[1].send(b"a"))
    assert "is ready, and the driver has no ready_input" in message
    message = fault(
        selecting(box),
        lambda port: driver_select(port, box.value[0], ERL_DRV_WRITE, 1),
    )
    assert "is ready, and the driver has no ready_output" in message
    message = fault(selecting(box), lambda port: driver_select(port, box.value[0], ERL_DRV_USE, 0))
    assert "calls stop_select, which the driver does not have" in message


@pytest.mark.rule("select.gone")
def test_a_start_that_fails_has_to_give_up_what_it_selects() -> None:
    def start(port: ErlDrvPort, command: str) -> int:
        driver_select(port, pipe()[0], ERL_DRV_READ, 1)
        return -1

    with pytest.raises(Misuse, match="is closed and still selects"), Emulator() as erl:
        opened(erl, made_of(start=start))


# Before R13A.


@pytest.mark.rule("select.since")
def test_before_r13a_there_is_no_use_and_no_stop_select() -> None:
    box = Box()

    def stop(port: ErlDrvPort) -> None:
        driver_select(port, box.value[0], ERL_DRV_USE, 0)
        driver_select(port, box.value[0], ERL_DRV_READ, 0)
        box.value[0].close()

    called: list[object] = []
    driver = scripted(selecting(box), stop=stop, stop_select=lambda *_: called.append("called"))
    with Emulator(release="R11B-5") as erl:
        do(erl, opened(erl, driver), 0)
    assert called == []
