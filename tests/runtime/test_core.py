"""What the rooms of one emulator share: identifiers, links, and how a crash is told."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from scripted import made_of
from support import Gate, Job, Kind, PortLockingWorker, Worker, both, opened, received

from driverref import Driver, Emulator, Pid, Port, Ref
from driverref.erl_driver import ErlDrvPort, driver_deq, driver_enq
from driverref.errors import EmulatorStopped, UseAfterFree
from driverref.threads.simulated import SimulatedThreads


class Keeps(Driver):
    """Keeps every buffer that it is lent, and reads the last one when it is told to."""

    driver_name = "keeps"

    def init(self) -> None:
        self.kept: list[memoryview] = []

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        return port

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        self.kept.append(buf)

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        if command:
            self.kept.append(buf)
            return b""
        return bytes(self.kept[-1])


@both
@pytest.mark.rule("memory.buffer-is-lent")
@pytest.mark.parametrize("lent_to", ["output", "control", "output by a message"])
def test_a_buffer_is_gone_when_the_callback_returns(threads: Kind, lent_to: str) -> None:
    def scenario() -> None:
        with Emulator(threads=threads) as erl:
            port = opened(erl, Keeps())
            if lent_to == "control":
                erl.port_control(port, 1, b"lent")
            elif lent_to == "output by a message":
                erl.send(port, (erl.self(), ("command", b"lent")))
            else:
                erl.port_command(port, b"lent")
            erl.port_control(port, 0, b"")

    with pytest.raises(UseAfterFree, match=r"lent for the call only: copy it with bytes\(buf\)"):
        scenario()


@both
def test_identifiers_of_each_kind_count_from_one(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        driver = Worker()
        assert erl.self() == Pid(1)
        assert [opened(erl, driver), opened(erl, driver)] == [Port(1), Port(2)]
        assert erl.spawn(lambda: None) == Pid(2)
        assert erl.monitor("port", Port(1)) == Ref(1)


@both
def test_links_are_broken_in_the_order_of_their_numbers(threads: Kind) -> None:
    """A process that is linked to three ports ends: they close one after the other."""
    with Emulator(threads=threads) as erl:
        driver = Worker()
        ports = [opened(erl, driver) for _ in range(3)]
        linked = Gate()

        def live() -> None:
            for port in reversed(ports):
                erl.link(port)
            linked.pass_through()
            erl.exit("over")

        erl.process_flag("trap_exit", True)
        erl.spawn(live)
        linked.await_arrival()
        linked.open()
        assert [erl.receive() for _ in ports] == [("EXIT", port, "over") for port in ports]


@both
def test_unlinking_is_possible_from_either_side_and_when_one_is_gone(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, Worker())
        assert erl.port_info(port, "links") == ("links", [Pid(1)])
        erl.unlink(port)
        assert erl.port_info(port, "links") == ("links", [])
        erl.port_close(port)
        erl.unlink(port)
        assert received(erl) == []


class Faulty(PortLockingWorker):
    """Its job raises, when it is let."""

    def work(self, job: Job) -> None:
        self.work_gate.pass_through()
        raise ZeroDivisionError("in the job")


@both
def test_a_crash_is_told_to_the_reader_by_the_next_bif_and_by_no_other(threads: Kind) -> None:
    """A process that was waiting hears only that the emulator has stopped, even if it hears first."""
    heard: list[BaseException] = []

    def scenario() -> None:
        with Emulator(threads=threads) as erl:
            driver = Faulty()
            port = opened(erl, driver)
            waiting, has_heard = Gate(), Gate()

            def other() -> None:
                waiting.pass_through()
                try:
                    erl.receive()
                except BaseException as error:
                    heard.append(error)
                    has_heard.pass_through()
                    raise

            erl.spawn(other)
            waiting.await_arrival()
            waiting.open()
            erl.port_command(port, b"x")
            driver.work_gate.await_arrival()
            driver.work_gate.open()
            has_heard.await_arrival()
            has_heard.open()
            erl.receive()

    with pytest.raises(ZeroDivisionError, match="in the job"):
        scenario()
    if threads == "native":  # on simulated threads the reader is interrupted where it stands
        assert [type(error) for error in heard] == [EmulatorStopped]
        assert "it crashed with ZeroDivisionError" in str(heard[0])


@both
def test_what_the_readers_own_bif_raised_is_not_raised_by_stop_again(threads: Kind) -> None:
    class Raises(Worker):
        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            raise KeyError("no such thing")

    erl = Emulator(threads=threads)
    port = opened(erl, Raises())
    with pytest.raises(KeyError):
        erl.port_command(port, b"x")
    with pytest.raises(EmulatorStopped, match="not running: it crashed with KeyError"):
        erl.receive()
    erl.stop()
    erl.stop()


@both
def test_a_stop_that_comes_after_the_callback_takes_the_emulator_down_too(threads: Kind) -> None:
    """`control` empties the driver queue of a closing port; then `stop` runs, and raises."""

    class Raises(Driver):
        driver_name = "raises"

        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            driver_enq(port, b"x")
            return port

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            driver_deq(port, 1)
            return b""

        def stop(self, port: ErlDrvPort) -> None:
            raise ZeroDivisionError("in stop")

    with Emulator(threads=threads) as erl:
        port = opened(erl, Raises())
        erl.port_close(port)
        with pytest.raises(ZeroDivisionError, match="in stop"):
            erl.port_control(port, 0, b"")
        with pytest.raises(EmulatorStopped, match="crashed with ZeroDivisionError"):
            erl.self()


@both
def test_only_the_first_crash_counts(threads: Kind) -> None:
    """Two jobs raise, one after the other, before anybody asks."""

    class Twice(Faulty):
        def work(self, job: Job) -> None:
            super().work(job)

    def scenario() -> None:
        with Emulator(threads=threads, async_threads=2) as erl:
            driver = Twice()
            port = opened(erl, driver)
            for _ in range(2):
                erl.port_command(port, b"x")
            for _ in range(2):
                driver.work_gate.await_arrival()
            for _ in range(2):
                driver.work_gate.open()
            while True:
                erl.receive()

    with pytest.raises(ZeroDivisionError, match="in the job"):
        scenario()


def test_a_value_error_that_is_no_buffers_is_shown_as_it_is() -> None:
    class Raises(Worker):
        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            int("not a number")

    erl = Emulator()
    port = opened(erl, Raises())
    with pytest.raises(ValueError, match="not a number"):
        erl.port_command(port, b"x")
    erl.stop()


def test_without_a_search_no_log_of_footprints_is_kept() -> None:
    """It would grow with each step, and nothing reads it."""
    with Emulator() as erl:
        port = opened(erl, Worker())
        for _ in range(3):
            erl.port_command(port, b"a")
            erl.receive()
        threads = erl.runtime.threads
        assert isinstance(threads, SimulatedThreads)
        assert threads.made > 0
        assert threads.log == []


def test_without_a_trace_nothing_is_recorded() -> None:
    class Finishes(Worker):
        def finish(self) -> None:
            pass

        def stop(self, port: ErlDrvPort) -> None:
            pass

    with Emulator(trace=False) as erl:
        driver = Finishes()
        closed, port = opened(erl, driver), opened(erl, driver)
        erl.port_command(closed, b"wait")
        erl.port_close(closed)
        driver.work_gate.open()
        erl.port_command(port, b"x")
        assert erl.receive() == (port, ("data", b"x"))
    assert list(erl.trace) == []


@both
@pytest.mark.rule("memory.buffer-is-lent")
def test_a_buffer_may_not_be_kept_by_something_that_reads_it_later(threads: Kind) -> None:
    class KeepsIterator(Keeps):
        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            self.iterator = struct.iter_unpack("B", buf)

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            self.iterator = struct.iter_unpack("B", buf)
            return b""

    class WithoutVectors(KeepsIterator):
        outputv = None  # type: ignore[assignment]

    calls: list[tuple[type[Keeps], str, Callable[[Emulator, Port], object]]] = [
        (WithoutVectors, "output", lambda erl, port: erl.port_command(port, b"lent")),
        (WithoutVectors, "output", lambda erl, port: erl.port_command(port, [b"lent"])),
        (KeepsIterator, "control", lambda erl, port: erl.port_control(port, 1, b"lent")),
    ]
    for driver, name, call in calls:
        with pytest.raises(UseAfterFree) as caught, Emulator(threads=threads) as erl:
            call(erl, opened(erl, driver()))
        line = getattr(driver, name).__code__.co_firstlineno
        assert str(caught.value) == (
            "a callback's buffer was kept by something when the callback returned, which stands at"
            f" test_core.py:{line} in {name}; it is lent for the call only: copy it with bytes(buf)"
        )


@both
@pytest.mark.rule("memory.buffer-is-lent", "fault.names-its-places")
def test_the_use_of_a_buffer_that_is_gone_is_told_with_its_line(threads: Kind) -> None:
    def scenario() -> None:
        with Emulator(threads=threads) as erl:
            port = opened(erl, Keeps())
            erl.port_command(port, b"lent")
            erl.port_control(port, 0, b"")

    with pytest.raises(UseAfterFree) as caught:
        scenario()
    line = Keeps.control.__code__.co_firstlineno + 4
    assert str(caught.value) == (
        f"a callback's buffer was used at test_core.py:{line} in control, after the callback had"
        " returned; it is lent for the call only: copy it with bytes(buf)"
    )


@both
def test_what_a_callback_raises_is_told_although_it_keeps_a_part_of_its_buffer(
    threads: Kind,
) -> None:
    """Its traceback keeps its variables, so the buffer cannot be released."""

    def fails(port: ErlDrvPort, *lent: Any) -> bytes:
        part = memoryview(lent[-1])[1:]
        raise ArithmeticError(bytes(part))

    calls: list[Callable[[Emulator, Port], object]] = [
        lambda erl, port: erl.port_control(port, 1, b"lent"),
        lambda erl, port: erl.port_command(port, [b"lent"]),
        lambda erl, port: erl.port_command(port, b"lent"),
    ]
    for call in calls:
        with pytest.raises(ArithmeticError, match="ent"), Emulator(threads=threads) as erl:
            call(erl, opened(erl, made_of(output=fails, control=fails)))


@both
def test_a_buffer_of_the_driver_s_own_is_the_driver_s_own_mistake(threads: Kind) -> None:
    def output(port: ErlDrvPort, buf: memoryview) -> None:
        own = bytearray(4)
        with memoryview(own):
            own.append(0)

    for command in (b"", [b""]):
        with pytest.raises(BufferError, match="Existing exports"), Emulator(threads=threads) as erl:
            erl.port_command(opened(erl, made_of(output=output)), command)


@both
@pytest.mark.parametrize("kept", [False, True])
def test_what_the_driver_does_to_a_view_of_its_own_is_not_called_the_emulators_buffer(
    threads: Kind, kept: bool
) -> None:
    """Also where a buffer that was lent has been kept, and is not what is used."""

    class Own(Driver):
        driver_name = "own"
        lent: memoryview

        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            return port

        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            if kept:
                self.lent = buf

        def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            if command == 0:
                block = bytearray(5)
                view = memoryview(block)
                block.append(len(view))
            other = memoryview(b"mine")
            view = memoryview(b"mine")
            view.release()
            return bytes(view[:1]) + other

    def scenario(command: int) -> None:
        with Emulator(threads=threads) as erl:
            port = opened(erl, Own())
            erl.port_command(port, b"lent")
            erl.port_control(port, command, b"")

    for command, what in ((0, "Existing exports of data"), (1, "released memoryview")):
        with pytest.raises((BufferError, ValueError), match=what):
            scenario(command)
