"""Cases of `driver_SUITE`: descriptors that the emulator watches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from retold import close, loaded, silent
from scripted import Box, do, scripted
from support import Kind, both

from driverref import Driver, Emulator, assert_outcomes
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ERL_DRV_READ,
    ERL_DRV_USE,
    ERL_DRV_USE_NO_CALLBACK,
    ERL_DRV_WRITE,
    ErlDrvPort,
    driver_output,
    driver_select,
    driver_set_timer,
)
from driverref.errors import Misuse
from driverref.posix import Socket, pipe

READ_AND_USE = ERL_DRV_READ | ERL_DRV_USE


def close_all(*ends: Socket) -> None:
    for end in ends:
        end.close()


# What is left over.


@both
@pytest.mark.otp("driver_SUITE", "a_test")
@pytest.mark.otp("driver_SUITE", "z_test")
def test_no_descriptor_is_left_selected_when_the_ports_are_gone(threads: Kind) -> None:
    box = Box()

    def select(port: ErlDrvPort) -> None:
        box.put(pipe())
        driver_select(port, box.value[0], READ_AND_USE, 1)

    def stop(port: ErlDrvPort) -> None:
        driver_select(port, box.value[0], ERL_DRV_USE, 0)

    driver = scripted(select, stop=stop, stop_select=lambda event, reserved: None)
    with Emulator(threads=threads) as erl:
        port = loaded(erl, driver)
        do(erl, port, 0)
        assert box.value[0].selected
        erl.port_close(port)
        assert not box.value[0].selected
        close_all(*box.value)


@pytest.mark.otp("driver_SUITE", "a_test")
@pytest.mark.otp("driver_SUITE", "z_test")
def test_one_that_is_left_selected_is_a_fault() -> None:
    select = scripted(lambda port: driver_select(port, pipe()[0], READ_AND_USE, 1))

    def close_selected() -> None:
        with Emulator() as erl:
            port = loaded(erl, select)
            do(erl, port, 0)
            erl.port_close(port)

    with pytest.raises(Misuse, match="is closed and still selects"):
        close_selected()


# One descriptor after the other, and many at once.


class Changing(Driver):
    """Changes its pipe at each timeout, leaving a byte unread in the old one.

    The byte comes when the old one is still selected, or just after.
    """

    driver_name = "changing"

    def __init__(self, times: int, still_selected: bool) -> None:
        self.times, self._still_selected = times, still_selected

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        self.ends: tuple[Socket, ...] = ()
        driver_set_timer(port, 1)
        return port

    def timeout(self, port: ErlDrvPort) -> None:
        self._give_up(port)
        if self.times == 0:
            driver_output(port, b"changed")
            return
        self.times -= 1
        self.ends = pipe()
        driver_select(port, self.ends[0], READ_AND_USE, 1)
        driver_set_timer(port, 1)

    def _give_up(self, port: ErlDrvPort) -> None:
        if self.ends:
            if self._still_selected:
                self.ends[1].send(b"!")
            driver_select(port, self.ends[0], ERL_DRV_USE, 0)
            if not self._still_selected:
                self.ends[1].send(b"!")
            close_all(*self.ends)
            self.ends = ()

    def ready_input(self, port: ErlDrvPort, event: Socket) -> None:
        driver_output(port, b"unexpected")

    def stop_select(self, event: Socket, reserved: object) -> None:
        pass

    def stop(self, port: ErlDrvPort) -> None:
        self._give_up(port)


@both
@pytest.mark.parametrize("still_selected", [False, True])
@pytest.mark.otp("driver_SUITE", "fd_change")
def test_what_came_for_a_descriptor_that_is_closed_is_not_told_of_the_next(
    still_selected: bool, threads: Kind
) -> None:
    """On OS threads the next one has the same number."""
    with Emulator(threads=threads) as erl:
        port = loaded(erl, Changing(5, still_selected))
        assert erl.receive()[1] == ("data", b"changed")
        close(erl, port)
        assert silent(erl)


def change_twice(erl: Emulator) -> str:
    loaded(erl, Changing(2, still_selected=True))
    told: str = erl.receive()[1][1].decode()
    return told


@pytest.mark.otp("driver_SUITE", "fd_change")
def test_nor_in_any_other_order() -> None:
    assert_outcomes(change_twice, {"changed"})


@both
@pytest.mark.otp("driver_SUITE", "many_events")
def test_many_descriptors_that_are_ready_at_once_are_each_told_once(threads: Kind) -> None:
    pipes: list[tuple[Socket, Socket]] = []

    def begin(port: ErlDrvPort) -> None:
        pipes.extend(pipe() for _ in range(200))
        for reads, writes in pipes:
            writes.send(b"!")
            driver_select(port, reads, READ_AND_USE, 1)

    def ready_input(port: ErlDrvPort, event: Socket) -> None:
        assert event.recv(10) == b"!"
        driver_select(port, event, ERL_DRV_USE, 0)
        ready.append(event)
        if len(ready) == len(pipes):
            driver_output(port, b"all")

    def stop(port: ErlDrvPort) -> None:
        for ends in pipes:
            close_all(*ends)

    ready: list[Socket] = []
    driver = scripted(
        begin, ready_input=ready_input, stop=stop, stop_select=lambda event, reserved: None
    )
    with Emulator(threads=threads) as erl:
        port = loaded(erl, driver)
        do(erl, port, 0)
        assert erl.receive()[1] == ("data", b"all")
        close(erl, port)
        assert silent(erl)
    assert sorted(map(id, ready)) == sorted(id(reads) for reads, _ in pipes)


# What the emulator survives with a report in its log, and the model calls a fault.


@both
@pytest.mark.otp("driver_SUITE", "bad_fd_in_pollset")
def test_a_descriptor_that_is_closed_cannot_be_selected(threads: Kind) -> None:
    def select_closed(port: ErlDrvPort) -> None:
        ends = pipe()
        close_all(*ends)
        driver_select(port, ends[0], ERL_DRV_READ, 1)

    with pytest.raises(Misuse), Emulator(threads=threads) as erl:
        do(erl, loaded(erl, scripted(select_closed)), 0)


@both
@pytest.mark.parametrize("flags", [0, ERL_DRV_FLAG_USE_PORT_LOCKING], ids=["driver", "port"])
@pytest.mark.parametrize("mode", [ERL_DRV_READ, ERL_DRV_WRITE], ids=["read", "write"])
@pytest.mark.otp("driver_SUITE", "steal_control")
def test_a_port_that_takes_the_descriptor_of_another_is_told_so(
    mode: int, flags: int, threads: Kind
) -> None:
    ends = Box()

    def select(port: ErlDrvPort) -> None:
        driver_select(port, ends.value[mode - 1], mode, 1)

    driver = scripted(
        lambda port: ends.put(pipe()),
        select,
        flags=flags,
        ready_output=lambda port, event: driver_output(port, b"writable"),
    )

    def steal() -> None:
        with Emulator(threads=threads) as erl:
            one = loaded(erl, driver)
            other = erl.open_port(("spawn", "d"))
            ports.put((one, other))
            do(erl, one, 0)
            do(erl, one, 1)
            do(erl, other, 1)

    ports = Box()
    with pytest.raises(Misuse) as fault:
        steal()
    one, other = ports.value
    assert f"{other} takes {ends.value[mode - 1]} from {one}" in str(fault.value)


@pytest.mark.parametrize("name", ["ready_input", "ready_output"])
@pytest.mark.otp("driver_SUITE", "missing_callbacks")
def test_a_ready_descriptor_of_a_driver_without_the_callback_is_a_fault(name: str) -> None:
    def select(port: ErlDrvPort) -> None:
        ends = pipe()
        ends[1].send(b"!")
        if name == "ready_input":
            driver_select(port, ends[0], ERL_DRV_READ, 1)
        else:
            driver_select(port, ends[1], ERL_DRV_WRITE, 1)

    def wait() -> None:
        with Emulator() as erl:
            do(erl, loaded(erl, scripted(select)), 0)
            erl.receive()

    with pytest.raises(Misuse, match=f"has no {name}"):
        wait()


# ERL_DRV_USE, and two ports on two schedulers.

Event = tuple[str, Socket]


class Using(Driver):
    """Goes through a script: each line selects, and says what is to be called next.

    `None` is nothing, which the timer finds out.
    """

    driver_name = "using"
    driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        self.port = port
        self.full, (self.idle, self.free) = pipe(), pipe()
        self.full[1].send(b"never read")
        self._script = self.script()
        return port

    def script(self) -> Any:
        """What is selected, line by line; yields what must be called between two lines."""
        read, write, idle = self.full[0], self.free, self.idle
        # Both ways, with USE together with READ or WRITE ...
        self._on(read, READ_AND_USE)
        yield "ready_input", read
        self._off(read, READ_AND_USE)
        yield "stop_select", read
        self._on(write, ERL_DRV_WRITE | ERL_DRV_USE)
        yield "ready_output", write
        self._off(write, ERL_DRV_WRITE | ERL_DRV_USE)
        yield "stop_select", write
        # ... in two steps: without READ nothing is called, and USE is still there ...
        self._on(read, READ_AND_USE)
        yield "ready_input", read
        self._off(read, ERL_DRV_READ)
        yield None
        self._on(write, ERL_DRV_WRITE | ERL_DRV_USE)
        yield "ready_output", write
        self._off(write, ERL_DRV_WRITE)
        yield None
        self._off(read, ERL_DRV_USE)
        yield "stop_select", read
        self._off(write, ERL_DRV_USE)
        yield "stop_select", write
        # ... and USE switched off that was never switched on.
        self._on(read, ERL_DRV_READ)
        yield "ready_input", read
        self._off(read, ERL_DRV_USE)
        yield "stop_select", read
        self._on(write, ERL_DRV_WRITE)
        yield "ready_output", write
        self._off(write, ERL_DRV_USE)
        yield "stop_select", write
        # With nothing to read nothing is called.
        self._on(idle, READ_AND_USE)
        yield None
        self._off(idle, ERL_DRV_USE)
        yield "stop_select", idle
        self._on(idle, READ_AND_USE)
        yield None
        self._off(idle, ERL_DRV_USE)
        yield "stop_select", idle
        self._off(idle, ERL_DRV_USE)
        yield "stop_select", idle
        # Without a callback the other way stays selected.
        self._on(write, ERL_DRV_READ | ERL_DRV_WRITE | ERL_DRV_USE)
        yield "ready_output", write
        self._off(write, ERL_DRV_READ | ERL_DRV_USE_NO_CALLBACK)
        yield "ready_output", write
        self._off(write, ERL_DRV_WRITE | ERL_DRV_USE_NO_CALLBACK)
        yield None

    def _on(self, event: Socket, mode: int) -> None:
        assert driver_select(self.port, event, mode, 1) == 0

    def _off(self, event: Socket, mode: int) -> None:
        self._next()
        assert driver_select(self.port, event, mode, 0) == 0

    def _next(self) -> None:
        self._stopped: Socket | None = None

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        self._go_on()
        return b"begun"

    def _go_on(self) -> None:
        self._next()
        self._expected = next(self._script, "end")
        # What `stop_select` has told is gone on with later, and what is not called is found out.
        if self._expected == "end":
            driver_output(self.port, b"the end")
        elif self._expected is None or self._stopped is not None:
            driver_set_timer(self.port, 1)

    def _called(self, name: str, event: Socket) -> None:
        assert (name, event) == self._expected, (name, event, self._expected)
        self._go_on()

    def timeout(self, port: ErlDrvPort) -> None:
        if self._expected is None:
            self._go_on()
        else:
            assert self._stopped is not None
            self._called("stop_select", self._stopped)

    def ready_input(self, port: ErlDrvPort, event: Socket) -> None:
        self._called("ready_input", event)

    def ready_output(self, port: ErlDrvPort, event: Socket) -> None:
        self._called("ready_output", event)

    def stop_select(self, event: Socket, reserved: object) -> None:
        assert reserved is None
        self._stopped = event

    def stop(self, port: ErlDrvPort) -> None:
        close_all(*self.full, self.idle, self.free)


@both
@pytest.mark.otp("driver_SUITE", "driver_select_use")
def test_each_way_to_give_up_a_descriptor_calls_what_it_should_and_nothing_else(
    threads: Kind,
) -> None:
    with Emulator(threads=threads) as erl:
        port = loaded(erl, Using())
        erl.port_control(port, 0, b"")
        assert erl.receive()[1] == ("data", b"the end")
        close(erl, port)
    assert len(erl.trace.select("stop_select")) == 9


class Passing(Driver):
    """Ports that hand one pipe on: each selects it, writes a number to it, reads one, gives it up."""

    driver_name = "passing"
    driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING

    def init(self) -> None:
        self.ends: tuple[Socket, Socket] | None = None

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        return port

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        if self.ends is None:
            self.ends = pipe()
        reads, writes = self.ends
        driver_select(port, reads, READ_AND_USE, 1)
        writes.send(bytes([command]))
        return b"written"

    def ready_input(self, port: ErlDrvPort, event: Socket) -> None:
        read = event.recv(1)
        driver_select(port, event, READ_AND_USE, 0)
        driver_output(port, read)

    def stop_select(self, event: Socket, reserved: object) -> None:
        pass

    def finish(self) -> None:
        assert self.ends is not None
        close_all(*self.ends)


def hand_on(times: int) -> Callable[[Emulator], str]:
    """Ports of two schedulers select one pipe in turn; each byte has to be read by its port."""

    def scenario(erl: Emulator) -> str:
        one = loaded(erl, Passing())
        other = erl.open_port(("spawn", "passing"))
        read = []
        for number in range(times):
            erl.port_control(one, number, b"")
            read.append(erl.receive())
            erl.spawn(erl.port_control, other, number, b"", scheduler=2)
            read.append(erl.receive())
        return " ".join(f"{('one', 'other')[port == other]}:{data[1][0]}" for port, data in read)

    return scenario


@pytest.mark.otp("driver_SUITE", "smp_select")
def test_no_byte_is_lost_when_ports_hand_a_descriptor_on() -> None:
    assert_outcomes(hand_on(1), {"one:0 other:0"}, schedulers=2)


@both
@pytest.mark.otp("driver_SUITE", "smp_select")
def test_nor_in_many_rounds(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        assert hand_on(30)(erl) == " ".join(f"one:{n} other:{n}" for n in range(30))
