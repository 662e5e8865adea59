"""Cases of `port_SUITE`: monitors of a port."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from retold import command, down, exit_of, loaded, port_of, silent
from scripted import made_of
from support import Kind, Signal, both, refused

from driverref import Driver, Emulator, Pid, Port, assert_outcomes
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    driver_failure_atom,
    driver_failure_eof,
)


def ends_with_a_command() -> Driver:
    """A driver whose port ends with the first command."""
    return made_of(output=lambda port, buf: driver_failure_eof(port))


def monitored(erl: Emulator, pid: Pid, port: Port, item: object = None) -> tuple[bool, bool]:
    """Whether the process says that it monitors the port, and the port that it is monitored."""
    monitors = erl.process_info(pid, "monitors")
    monitored_by = erl.port_info(port, "monitored_by")
    return (
        monitors is not None and ("port", port if item is None else item) in monitors[1],
        monitored_by is not None and pid in monitored_by[1],
    )


YES, NO = (True, True), (False, False)


@both
@pytest.mark.otp("port_SUITE", "mon_port_invalid_type")
def test_a_process_is_no_port_and_a_port_no_process(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = loaded(erl, ends_with_a_command())
        with refused():
            erl.monitor("port", erl.self())
        with refused():
            erl.monitor("process", port)


@both
@pytest.mark.otp("port_SUITE", "mon_port_local")
def test_the_end_of_a_port_is_told_and_of_one_that_has_ended_at_once(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port, me = loaded(erl, ends_with_a_command()), erl.self()
        ref = erl.monitor("port", port)
        assert monitored(erl, me, port) == YES
        command(erl, port, b"1")
        assert down(erl, ref) == ("DOWN", ref, "port", port, "normal")
        assert monitored(erl, me, port) == NO
        ref = erl.monitor("port", port)
        assert down(erl, ref) == ("DOWN", ref, "port", port, "noproc")


@both
@pytest.mark.otp("port_SUITE", "mon_port_origin_dies")
def test_a_monitor_goes_with_the_process_that_has_set_it(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port, me = loaded(erl, ends_with_a_command()), erl.self()

        def watch() -> None:
            erl.monitor("port", port)
            erl.send(me, "watching")
            erl.receive()

        pid = erl.spawn(watch)
        ref = erl.monitor("process", pid)
        assert erl.receive() == "watching"
        assert monitored(erl, pid, port) == YES
        erl.send(pid, "stop")
        assert down(erl, ref)[4] == "normal"
        assert monitored(erl, pid, port) == NO
        command(erl, port, b"1")
        assert silent(erl)


def owner_and_watcher_ends(erl: Emulator) -> str:
    """The owner of a port monitors it and ends: the port goes, and nothing is left of both."""
    me = erl.self()
    erl.erl_ddll.load_driver(ends_with_a_command())

    def own() -> None:
        port = port_of(erl, "d")
        erl.monitor("port", port)
        erl.send(me, port)
        erl.receive()

    pid = erl.spawn(own)
    ref = erl.monitor("process", pid)
    port = erl.receive()
    there = monitored(erl, pid, port) == YES
    erl.send(pid, "stop")
    reason = down(erl, ref)[4]
    return f"{there}, {reason}, {erl.port_info(port)}, {len(erl.ports())} ports"


@both
@pytest.mark.otp("port_SUITE", "mon_port_owner_dies")
def test_the_owner_of_a_port_may_monitor_it_and_end(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        assert owner_and_watcher_ends(erl) == "True, normal, None, 0 ports"


@both
@pytest.mark.otp("port_SUITE", "mon_port_named")
def test_a_port_may_be_monitored_by_its_name(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port, me = loaded(erl, ends_with_a_command()), erl.self()
        erl.register("my_port", port)
        ref = erl.monitor("port", "my_port")
        item = ("my_port", "nonode@nohost")
        assert monitored(erl, me, port, item) == YES
        command(erl, port, b"1")
        assert down(erl, ref) == ("DOWN", ref, "port", item, "normal")
        assert monitored(erl, me, port, item) == NO


@both
@pytest.mark.otp("port_SUITE", "mon_port_bad_named")
def test_the_end_of_a_name_that_nothing_has_is_told_at_once(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        ref = erl.monitor("port", "no_port")
        assert erl.receive() == ("DOWN", ref, "port", ("no_port", "nonode@nohost"), "noproc")


@both
@pytest.mark.parametrize(
    "by_name",
    [
        pytest.param(False, marks=pytest.mark.otp("port_SUITE", "mon_port_pid_demonitor")),
        pytest.param(True, marks=pytest.mark.otp("port_SUITE", "mon_port_name_demonitor")),
    ],
)
def test_after_demonitor_nothing_is_told(by_name: bool, threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port, me = loaded(erl, ends_with_a_command()), erl.self()
        erl.register("my_port", port)
        ref = erl.monitor("port", "my_port" if by_name else port)
        item = ("my_port", "nonode@nohost") if by_name else None
        assert monitored(erl, me, port, item) == YES
        assert erl.demonitor(ref) is True
        assert monitored(erl, me, port, item) == NO
        command(erl, port, b"1")
        assert port not in erl.ports()
        assert silent(erl)


# While a callback runs that fails.


def failing(erl: Emulator) -> tuple[Port, Callable[[], object], Signal]:
    """A port, what has it stand in a callback on another scheduler, and what has it fail there."""
    went_in, may_fail, me = Signal(), Signal(), erl.self()

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        went_in.give()
        may_fail.wait()
        driver_failure_atom(port, "failed")

    def go_in() -> None:
        message: Any = (me, ("command", b"Fail, please!"))
        erl.spawn(erl.send, port, message, scheduler=2)
        went_in.wait()

    erl.process_flag("trap_exit", True)
    port = loaded(erl, made_of(flags=ERL_DRV_FLAG_USE_PORT_LOCKING, output=output))
    return port, go_in, may_fail


@both
@pytest.mark.otp("port_SUITE", "mon_port_driver_die")
def test_a_monitor_that_comes_meanwhile_is_told_noproc(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        port, go_in, may_fail = failing(erl)
        go_in()
        ref = erl.monitor("port", port)
        may_fail.give()
        assert down(erl, ref) == ("DOWN", ref, "port", port, "noproc")


@both
@pytest.mark.otp("port_SUITE", "mon_port_driver_die_demonitor")
def test_after_a_demonitor_meanwhile_nothing_is_told(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        port, go_in, may_fail = failing(erl)
        kept, given_up = erl.monitor("port", port), erl.monitor("port", port)
        go_in()
        assert erl.demonitor(given_up) is True
        may_fail.give()
        assert down(erl, kept) == ("DOWN", kept, "port", port, "failed")
        assert exit_of(erl, port) == "failed"
        assert silent(erl)


def monitor_and_fail(erl: Emulator) -> str:
    """A port fails on one scheduler while it is monitored from another."""
    erl.process_flag("trap_exit", True)
    fails = made_of(output=lambda port, buf: driver_failure_atom(port, "failed"))
    port = loaded(erl, fails)
    erl.spawn(erl.send, port, (erl.self(), ("command", b"")), scheduler=2)
    ref = erl.monitor("port", port)
    return f"told {down(erl, ref)[4]}"


@pytest.mark.otp("port_SUITE", "mon_port_driver_die")
def test_a_monitor_is_told_in_any_order() -> None:
    assert_outcomes(monitor_and_fail, {"told failed", "told noproc"}, schedulers=2)
