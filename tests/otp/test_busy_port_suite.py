"""The cases of `busy_port_SUITE`: what a busy port does to those that send it commands."""

from __future__ import annotations

from typing import Any

import pytest
from retold import close, command, down, loaded, silent
from scripted import made_of
from support import Gate, Kind, both, from_port, received, refused

from driverref import Driver, Emulator, ErlangError, Pid, Port, assert_outcomes
from driverref.erl_driver import (
    ERL_DRV_FLAG_SOFT_BUSY,
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    driver_caller,
    driver_mk_port,
    driver_output,
    driver_send_term,
    set_busy_port,
)


class Busy(Driver):
    """Is busy from its first command on, until its other port, the key, is told to unlock it.

    The port keeps the first byte of each command that it has got, and sends them when it is closed.
    """

    driver_name = "busy"

    def init(self) -> None:
        self.lock: ErlDrvPort | None = None

    def start(self, port: ErlDrvPort, command: str) -> Any:
        is_key = command.endswith("key")
        if not is_key:
            self.lock, self.got = port, bytearray()
        return port, is_key

    def output(self, drv_data: Any, buf: memoryview) -> None:
        port, is_key = drv_data
        if is_key:
            assert self.lock is not None
            set_busy_port(self.lock, buf[0] == ord("l"))
            return
        if not self.got:
            set_busy_port(port, 1)
        self.got += bytes(buf[:1])

    def stop(self, drv_data: Any) -> None:
        port, is_key = drv_data
        if not is_key:
            driver_output(port, self.got)


class Ports:
    """A `Busy` driver's two ports."""

    def __init__(self, erl: Emulator) -> None:
        self._erl = erl
        assert erl.erl_ddll.load_driver(Busy()) == "ok"
        self.key = erl.open_port(("spawn", "busy key"))
        self.lock = erl.open_port(("spawn", "busy lock"))

    def unlock(self) -> None:
        self._erl.port_command(self.key, b"u")


def suspended(erl: Emulator, pid: Pid, times: int = 1) -> None:
    """Wait until a process has been suspended so often."""

    def seen() -> int:
        return sum(event.detail == pid for event in erl.trace.select("suspended"))

    while seen() < times:
        erl.receive(lambda message: False, timeout=1)


# Suspended processes.


@both
@pytest.mark.otp("busy_port_SUITE", "io_to_busy")
def test_a_writer_that_is_suspended_goes_on_where_it_was(threads: Kind) -> None:
    def write() -> None:
        while (data := erl.receive()) != "stop":
            erl.send(ports.lock, (owner, ("command", data)))
        erl.send(owner, "written")

    with Emulator(threads=threads) as erl:
        ports, owner = Ports(erl), erl.self()
        writer = erl.spawn(write, link=True)
        for number in range(100):
            erl.send(writer, [number] * (128 + number))
        erl.send(writer, "stop")
        suspended(erl, writer)
        assert silent(erl)
        ports.unlock()
        assert erl.receive() == "written"
        erl.port_close(ports.lock)
        assert erl.receive(from_port(ports.lock))[1] == ("data", bytes(range(100)))


def send_to_busy(erl: Emulator) -> object:
    """A process is suspended while messages come, and is unlocked at any time."""
    ports, me = Ports(erl), erl.self()

    def write() -> None:
        for data in b"123":
            erl.port_command(ports.lock, [data])
        erl.send(me, erl.receive())

    pid = erl.spawn(write)
    erl.send(pid, "first")
    erl.send(pid, "second")
    ports.unlock()
    erl.send(pid, "third")
    # It may be that the port is busy only after it was unlocked.
    while (message := erl.receive(timeout=10)) is None:
        ports.unlock()
    return message


@both
@pytest.mark.otp("busy_port_SUITE", "message_order")
def test_a_suspended_process_receives_what_came_first_first(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        assert send_to_busy(erl) == "first"


def send_to_busy_once(erl: Emulator) -> object:
    ports, me = Ports(erl), erl.self()
    erl.port_command(ports.lock, b"1")

    def write() -> None:
        erl.port_command(ports.lock, b"2")
        erl.send(me, erl.receive())

    pid = erl.spawn(write)
    erl.send(pid, "first")
    ports.unlock()
    erl.send(pid, "second")
    return erl.receive()


@pytest.mark.otp("busy_port_SUITE", "message_order")
def test_whenever_the_port_is_unlocked() -> None:
    assert_outcomes(send_to_busy_once, {"first"}, schedulers=2)


@both
@pytest.mark.otp("busy_port_SUITE", "send_3")
def test_send_with_nosuspend_sends_nothing_to_a_busy_port(threads: Kind) -> None:
    def send(data: bytes) -> object:
        return erl.send(ports.lock, (erl.self(), ("command", data)), ["nosuspend"])

    with Emulator(threads=threads) as erl:
        ports = Ports(erl)
        assert send(b"busy from now on") == "ok"
        assert send(b"lost") == "nosuspend"
        ports.unlock()
        assert send(b"not busy") == "ok"
        close(erl, ports.lock)
        assert erl.receive()[1] == ("data", b"bn")


def suspend_and_kill(
    erl: Emulator, *, trap: bool = False, linked: bool = True
) -> tuple[object, Pid, Port]:
    """A process opens a port and is suspended by it; then the port is killed with `die`.

    Returns the reason for which the process ends.
    """
    me = erl.self()

    def write() -> None:
        erl.process_flag("trap_exit", trap)
        ports = Ports(erl)
        if not linked:
            erl.unlink(ports.lock)
        erl.port_command(ports.lock, b"1")
        erl.send(me, ports.lock)
        try:
            erl.port_command(ports.lock, b"2")
        except ErlangError as error:
            assert error.reason == "badarg"  # noqa: PT017 - the process goes on
        if trap:
            erl.send(me, erl.receive(from_exit))

    pid = erl.spawn(write)
    ref = erl.monitor("process", pid)
    lock = erl.receive()
    suspended(erl, pid)
    erl.exit(lock, "die")
    reason: object = down(erl, ref)[4]
    return reason, pid, lock


def from_exit(message: Any) -> bool:
    return bool(message[0] == "EXIT")


@both
@pytest.mark.otp("busy_port_SUITE", "no_trap_exit")
def test_a_suspended_process_dies_with_the_port_that_it_is_linked_to(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        assert suspend_and_kill(erl)[0] == "die"


@both
@pytest.mark.otp("busy_port_SUITE", "no_trap_exit_unlinked")
def test_without_the_link_it_goes_on_with_badarg(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        assert suspend_and_kill(erl, linked=False)[0] == "normal"


@both
@pytest.mark.otp("busy_port_SUITE", "trap_exit")
def test_one_that_traps_exits_goes_on_and_is_told(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        reason, _, lock = suspend_and_kill(erl, trap=True)
        assert reason == "normal"
        assert erl.receive() == ("EXIT", lock, "die")


@both
@pytest.mark.otp("busy_port_SUITE", "multiple_writers")
def test_all_that_are_suspended_go_on_even_if_some_have_died_meanwhile(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        ports = Ports(erl)
        erl.port_command(ports.lock, b"0")
        writers = [erl.spawn(erl.port_command, ports.lock, [n]) for n in range(1, 6)]
        refs = {pid: erl.monitor("process", pid) for pid in writers}
        for pid in writers:
            suspended(erl, pid)
        for pid in (writers[0], writers[2]):
            erl.exit(pid, "kill")
            assert down(erl, refs[pid])[4] == "killed"
        ports.unlock()
        for pid in (writers[1], writers[3], writers[4]):
            assert down(erl, refs[pid])[4] == "normal"
        erl.port_close(ports.lock)
        (got,) = [message[1][1] for message in received(erl)]
    assert sorted(got) == sorted(b"0\x02\x04\x05")


# In which order a port does what it is asked for.


class Recording(Driver):
    """Keeps the number of each command, and sends all when it is closed.

    `B` also makes the port busy, and `L` too, but only when the gate is opened.  `N` ends it.
    """

    driver_name = "recording"
    driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING | ERL_DRV_FLAG_SOFT_BUSY

    def init(self) -> None:
        self.gate = Gate()

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        self.got = bytearray()
        return port

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        what, number = chr(buf[0]), bytes(buf[1:])
        if what == "L":
            self.gate.pass_through()
        if what in "BLN":
            set_busy_port(port, what != "N")
        self.got += number

    def control(self, port: ErlDrvPort, operation: int, buf: memoryview) -> bytes:
        return bytes(self.got)

    def stop(self, port: ErlDrvPort) -> None:
        driver_output(port, self.got)


@both
@pytest.mark.otp("busy_port_SUITE", "scheduling_delay_busy")
def test_what_a_process_has_sent_to_a_port_that_turns_busy_is_done_later_in_its_order(
    threads: Kind,
) -> None:
    """Commands, a connect and a close come during the callback that makes the port busy."""
    driver = Recording()

    def send(what: str, number: int) -> None:
        erl.send(port, (owner, ("command", what.encode() + bytes([number]))))

    def take_over() -> None:
        for number in range(2, 51):
            send("C", number)
        erl.send(port, (owner, ("connect", erl.self())))
        erl.send(port, (erl.self(), "close"))
        erl.send(owner, "sent")
        erl.send(owner, (erl.receive()[1], erl.receive()))

    with Emulator(threads=threads, schedulers=3) as erl:
        port, owner = loaded(erl, driver), erl.self()
        erl.spawn(send, "L", 1, scheduler=2)
        driver.gate.await_arrival()
        erl.spawn(take_over, scheduler=3)
        assert erl.receive() == "sent"
        driver.gate.open()
        assert erl.port_control(port, 0, b"") == [1], "the others are held"
        erl.port_command(port, b"N", ["force"])
        assert erl.receive(from_port(port)) == (port, "connected")
        # It was closed by its new owner.
        data = ("data", bytes(range(1, 51)))
        assert erl.receive(lambda message: message[0] == data) == (data, (port, "closed"))


@both
@pytest.mark.otp("busy_port_SUITE", "scheduling_delay_busy_nosuspend")
def test_nosuspend_sends_nothing_and_the_other_commands_are_done(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = loaded(erl, Recording())
        for data in (b"C\1", b"B\2"):
            command(erl, port, data)
        lost = (erl.self(), ("command", b"C\3"))
        assert erl.send(port, lost, ["nosuspend"]) == "nosuspend"
        erl.port_command(port, b"N", ["force"])
        close(erl, port)
        assert erl.receive() == (port, ("data", b"\1\2"))


@both
@pytest.mark.otp("busy_port_SUITE", "scheduling_busy_link")
def test_a_link_that_comes_after_a_command_to_a_busy_port_finds_it_closed(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        me = erl.self()
        erl.erl_ddll.load_driver(Recording())

        def own() -> None:
            erl.process_flag("trap_exit", True)
            port = erl.open_port(("spawn", "recording"))
            erl.unlink(port)
            command(erl, port, b"B\1")
            erl.send(me, port)
            command(erl, port, b"C\2")
            erl.link(port)
            erl.send(me, erl.receive(from_exit))

        owner = erl.spawn(own, scheduler=2)
        port = erl.receive()
        suspended(erl, owner)
        erl.send(port, (owner, ("connect", me)))
        erl.send(port, (me, "close"))
        assert erl.receive(from_port(port)) == (port, ("data", b"\1"))
        assert erl.receive(from_exit) == ("EXIT", port, "noproc")


# `port_command/3`.


def hard_or_soft(flags: int) -> Driver:
    """A driver that `control` makes busy, and that tells the process whose command it has got."""

    def control(port: ErlDrvPort, operation: int, buf: memoryview) -> bytes:
        set_busy_port(port, operation)
        return b""

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        caller = driver_caller(port)
        driver_send_term(port, caller, (driver_mk_port(port), "caller", caller))

    return made_of(flags=flags, control=control, output=output)


def commands(erl: Emulator, *, soft: bool) -> None:
    """Each option of `port_command/3`, to a port that is not busy, and to one that is."""
    port, me = loaded(erl, hard_or_soft(ERL_DRV_FLAG_SOFT_BUSY if soft else 0)), erl.self()

    def sent(*options: str) -> object:
        assert erl.port_command(port, b"", options)
        assert erl.receive() == (port, "caller", me)
        return "sent"

    def forced(*options: str) -> None:
        if soft:
            assert sent(*options)
        else:
            with refused("notsup"):
                erl.port_command(port, b"", options)

    assert sent("nosuspend")
    forced("force")
    forced("force", "nosuspend")
    assert sent()
    with refused():
        erl.port_command(port, b"", ["bad_option"])

    erl.port_control(port, 1, b"")
    assert erl.port_command(port, b"", ["nosuspend"]) is False
    forced("force")
    forced("force", "nosuspend")
    with refused():
        erl.port_command(port, b"", ["bad_option"])
    assert silent(erl)

    def suspend() -> None:
        result = erl.port_command(port, b"", [])
        erl.send(me, (result, erl.receive()))

    pid = erl.spawn(suspend)
    suspended(erl, pid)
    assert silent(erl)
    erl.port_control(port, 0, b"")
    assert erl.receive() == (True, (port, "caller", pid))


@both
@pytest.mark.otp("busy_port_SUITE", "hard_busy_driver")
def test_a_driver_without_soft_busy_takes_no_force(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        commands(erl, soft=False)


@both
@pytest.mark.otp("busy_port_SUITE", "soft_busy_driver")
def test_one_with_soft_busy_takes_commands_by_force_although_it_is_busy(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        commands(erl, soft=True)
