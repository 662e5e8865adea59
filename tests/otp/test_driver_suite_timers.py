"""Cases of `driver_SUITE`: timers, a queue that keeps a closing port, and unloading."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from retold import exit_of, loaded, silent
from scripted import Box, made_of
from support import Kind, both, received

from driverref import Driver, Emulator, assert_outcomes
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ERL_DRV_READ,
    ERL_DRV_USE,
    ERL_DRV_WRITE,
    ErlDrvPort,
    driver_async,
    driver_cancel_timer,
    driver_deq,
    driver_enq,
    driver_failure_atom,
    driver_output,
    driver_pdl_create,
    driver_pdl_lock,
    driver_pdl_unlock,
    driver_select,
    driver_set_timer,
)
from driverref.posix import Socket, pipe, socketpair, usleep

# Timers.

MS = 1_000_000

TIMES = {"simulated": [8997, 4498, 281, 17, 1], "native": [9, 4, 2, 1]}
"""Milliseconds: on OS threads they pass."""


class Timing(Driver):
    """`port_call` is its clock: it sets the timer, puts it off, or cancels it."""

    driver_name = "timing"

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        return port

    def call(self, port: ErlDrvPort, command: int, term: Any) -> str:
        match term:
            case ("set", int(t)):
                driver_set_timer(port, t)
            case ("sleep and set", int(slept), int(t)):
                usleep(slept * 1000)
                driver_set_timer(port, t)
            case "cancel":
                driver_cancel_timer(port)
        return "done"

    def timeout(self, port: ErlDrvPort) -> None:
        driver_output(port, b"time")


def elapsed(erl: Emulator, act: Callable[[], object]) -> float:
    """The milliseconds from before `act` until the timeout is told."""
    before = erl.monotonic_time()
    act()
    assert erl.receive()[1] == ("data", b"time")
    return (erl.monotonic_time() - before) / MS


def right(took: float, t: int, threads: Kind) -> bool:
    """Never early; and never late where the time is the scenario's own."""
    return took == t if threads == "simulated" else took >= t


@both
@pytest.mark.otp("driver_SUITE", "timer_measure")
def test_a_timer_takes_its_time(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = loaded(erl, Timing())
        for t in TIMES[threads]:
            took = elapsed(erl, partial(erl.port_call, port, 0, ("set", t)))
            assert right(took, t, threads)
        assert silent(erl)


@both
@pytest.mark.otp("driver_SUITE", "timer_cancel")
def test_a_timer_that_is_cancelled_in_time_never_fires(threads: Kind) -> None:
    far = 3_600_000 if threads == "native" else 0
    with Emulator(threads=threads) as erl:
        port = loaded(erl, Timing())
        for t in TIMES[threads]:
            erl.port_call(port, 0, ("set", t + 400 + far))
            assert erl.receive(timeout=t) is None
            erl.port_call(port, 0, "cancel")
            assert erl.receive(timeout=t + 1000 if threads == "simulated" else 1) is None


def cancel_late(erl: Emulator) -> str:
    """The timer is cancelled while its time is up, or nearly so."""
    port = loaded(erl, Timing())
    erl.port_call(port, 0, ("set", 5))
    erl.receive(lambda message: False, timeout=5)
    erl.port_call(port, 0, "cancel")
    before = len(received(erl))
    after = "nothing" if erl.receive(timeout=10) is None else "a timeout"
    return f"{before} before, then {after}"


@pytest.mark.otp("driver_SUITE", "timer_cancel")
def test_nothing_comes_after_a_cancellation_in_any_order_of_events() -> None:
    assert_outcomes(cancel_late, {"0 before, then nothing", "1 before, then nothing"})


@both
@pytest.mark.otp("driver_SUITE", "timer_delay")
def test_a_timer_counts_from_when_it_is_set_and_not_from_when_the_callback_began(
    threads: Kind,
) -> None:
    slept, t = (1000, 350) if threads == "simulated" else (5, 3)
    with Emulator(threads=threads) as erl:
        port = loaded(erl, Timing())
        took = elapsed(erl, lambda: erl.port_call(port, 0, ("sleep and set", slept, t)))
        assert right(took, slept + t, threads)


@both
@pytest.mark.otp("driver_SUITE", "timer_change")
def test_a_timer_that_is_set_again_fires_at_the_new_time_and_once(threads: Kind) -> None:
    def twice() -> None:
        erl.port_call(port, 0, ("set", t * 1000))
        erl.port_call(port, 0, ("set", t))

    with Emulator(threads=threads) as erl:
        port = loaded(erl, Timing())
        for t in TIMES[threads]:
            assert right(elapsed(erl, twice), t, threads)
        assert erl.receive(timeout=t * 1000 * 2 if threads == "simulated" else 5) is None


# A closing port that its queue keeps.


class Keeping(Driver):
    """Keeps its closing port by one byte, and lets it go in the callback that `way` names.

    The callback is `ready_input`, `ready_output`, `timeout` or `ready_async`, which `flush` brings
    about.  With `then_async` that callback only has a job done, whose `ready_async` lets go.
    """

    driver_name = "keeping"
    driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING

    def __init__(self, way: str, then_async: bool = False) -> None:
        self._way, self._then_async = way, then_async

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        self.ends = pipe()
        self.ends[1].send(b"!")
        self.pdl = driver_pdl_create(port)
        return port

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        driver_pdl_lock(self.pdl)
        driver_enq(port, b"!")
        driver_pdl_unlock(self.pdl)
        return b"kept"

    def flush(self, port: ErlDrvPort) -> None:
        match self._way:
            case "ready_input":
                driver_select(port, self.ends[0], ERL_DRV_READ | ERL_DRV_USE, 1)
            case "ready_output":
                driver_select(port, self.ends[1], ERL_DRV_WRITE | ERL_DRV_USE, 1)
            case "timeout":
                driver_set_timer(port, 0)
            case "ready_async":
                self._submit(port)

    def _submit(self, port: ErlDrvPort) -> None:
        driver_async(port, None, lambda job: None, None, None)

    def _let_go(self, port: ErlDrvPort) -> None:
        driver_pdl_lock(self.pdl)
        driver_deq(port, 1)
        driver_pdl_unlock(self.pdl)

    def _ready(self, port: ErlDrvPort, event: Socket) -> None:
        driver_select(port, event, ERL_DRV_USE, 0)
        self.timeout(port)

    def ready_input(self, port: ErlDrvPort, event: Socket) -> None:
        self._ready(port, event)

    def ready_output(self, port: ErlDrvPort, event: Socket) -> None:
        self._ready(port, event)

    def timeout(self, port: ErlDrvPort) -> None:
        if self._then_async:
            self._submit(port)
        else:
            self._let_go(port)

    def ready_async(self, port: ErlDrvPort, data: object) -> None:
        self._let_go(port)

    def stop_select(self, event: Socket, reserved: object) -> None:
        pass

    def stop(self, port: ErlDrvPort) -> None:
        for end in self.ends:
            end.close()


def close_kept(way: str, then_async: bool) -> Callable[[Emulator], str]:
    """Close a port that is kept, and say what its owner is told and whether it is gone then."""

    def scenario(erl: Emulator) -> str:
        port = loaded(erl, Keeping(way, then_async))
        erl.port_control(port, 0, b"")
        erl.send(port, (erl.self(), "close"))
        told = erl.receive()
        return f"{told[1]}, {'still there' if port in erl.ports() else 'gone'}"

    return scenario


GONE = "closed, gone"


@both
@pytest.mark.parametrize(
    ("way", "then_async"),
    [
        pytest.param(
            "ready_input", False, marks=pytest.mark.otp("driver_SUITE", "ioq_exit_ready_input")
        ),
        pytest.param(
            "ready_output", False, marks=pytest.mark.otp("driver_SUITE", "ioq_exit_ready_output")
        ),
        pytest.param("timeout", False, marks=pytest.mark.otp("driver_SUITE", "ioq_exit_timeout")),
        pytest.param(
            "ready_async", False, marks=pytest.mark.otp("driver_SUITE", "ioq_exit_ready_async")
        ),
        pytest.param(
            "ready_input", True, marks=pytest.mark.otp("driver_SUITE", "ioq_exit_ready_input_async")
        ),
        pytest.param(
            "ready_output",
            True,
            marks=pytest.mark.otp("driver_SUITE", "ioq_exit_ready_output_async"),
        ),
        pytest.param(
            "timeout", True, marks=pytest.mark.otp("driver_SUITE", "ioq_exit_timeout_async")
        ),
    ],
)
def test_a_closing_port_goes_when_a_callback_empties_its_queue(
    way: str, then_async: bool, threads: Kind
) -> None:
    with Emulator(threads=threads) as erl:
        assert close_kept(way, then_async)(erl) == GONE
    # In every order, and with a job on the way whose data is given back.
    if threads == "simulated":
        assert_outcomes(close_kept(way, then_async), {GONE}, async_threads=1)


# Unloading, and a failure in a callback of a descriptor.


@both
@pytest.mark.otp("driver_SUITE", "driver_unloaded")
def test_the_end_of_the_process_that_loaded_a_driver_kills_its_ports(threads: Kind) -> None:
    def load() -> None:
        erl.erl_ddll.load_driver(made_of())
        erl.send(me, "loaded")
        erl.receive()
        erl.exit("bye")

    with Emulator(threads=threads) as erl:
        me = erl.self()
        erl.process_flag("trap_exit", True)
        loader = erl.spawn(load)
        assert erl.receive() == "loaded"
        port = erl.open_port(("spawn", "d"))
        erl.send(loader, "die")
        assert exit_of(erl, port) == "driver_unloaded"


@both
@pytest.mark.otp("driver_SUITE", "io_ready_exit")
def test_a_port_may_fail_when_its_descriptor_is_ready(threads: Kind) -> None:
    """The other callback, which was due as well, is not called."""
    box = Box()

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        box.put(socketpair())
        mine, other = box.value
        other.send(b"!")
        driver_select(port, mine, ERL_DRV_READ | ERL_DRV_WRITE | ERL_DRV_USE, 1)
        return b"ok"

    def fail(name: str) -> Callable[[ErlDrvPort, Socket], object]:
        return lambda port, event: driver_failure_atom(port, f"{name}_failed")

    def stop(port: ErlDrvPort) -> None:
        driver_select(port, box.value[0], ERL_DRV_USE, 0)
        box.value[1].close()

    driver = made_of(
        control=control,
        ready_input=fail("ready_input"),
        ready_output=fail("ready_output"),
        stop=stop,
        stop_select=lambda event, reserved: event.close(),
    )
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = loaded(erl, driver)
        erl.port_control(port, 0, b"")
        assert exit_of(erl, port) in ("ready_input_failed", "ready_output_failed")
        assert port not in erl.ports()
    assert len(erl.trace.select("ready_input", "ready_output")) == 1
