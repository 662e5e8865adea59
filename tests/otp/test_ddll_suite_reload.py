"""Cases of `ddll_SUITE`: a driver is replaced, or its unloading cancelled, and who is told."""

from __future__ import annotations

from typing import Any

import pytest
from retold import Echo, Stepping, command, down, exit_of, port_of, silent
from support import Kind, both, refused

from driverref import Driver, Emulator, Pid, Port, Ref, assert_outcomes

KILL: Any = ("driver_options", ["kill_ports"])
RELOAD_MINE: Any = ("reload", "pending_driver")
RELOAD: Any = ("reload", "pending")
MONITOR_MINE: Any = ("monitor", "pending_driver")
MONITOR: Any = ("monitor", "pending")


class Refusing(Echo):
    """An `Echo` that does not let itself be loaded."""

    def init(self) -> int:
        return -1


class ForNewer(Echo):
    """An `Echo` that was compiled for an emulator that is not there: it cannot be loaded."""

    major_version = 4711


def told(how: str, ref: Ref, what: object) -> tuple[object, ...]:
    return (how, ref, "driver", "echo", what)


def watch(erl: Emulator, what: str) -> Ref:
    return erl.erl_ddll.monitor("driver", ("echo", what))


def watching(erl: Emulator, what: str) -> tuple[Stepping, Ref]:
    """Another process with a monitor of the driver; its second step is to hear of it."""
    other = Stepping(erl, lambda: watch(erl, what), erl.receive)
    return other, other.step()


def pending(answer: Any, how: str) -> Ref:
    """The monitor of an answer that says what is waited for."""
    assert answer[:2] == ("ok", how)
    ref = answer[2]
    assert isinstance(ref, Ref)
    return ref


def processes(erl: Emulator) -> list[tuple[Pid, int]]:
    counted: list[tuple[Pid, int]] = erl.erl_ddll.info("echo", "processes")
    return counted


def ports_of_driver(erl: Emulator) -> object:
    return erl.erl_ddll.info("echo", "port_count")


def ends(erl: Emulator, process: Stepping) -> None:
    """Have the process do its last step, which is to end for `banana`."""
    ref = erl.monitor("process", process.pid)
    process.go()
    assert down(erl, ref)[4] == "banana"


def opener(erl: Emulator) -> Stepping:
    """A process that opens a port, and ends."""
    process = Stepping(erl, lambda: port_of(erl), lambda: erl.exit("banana"))
    process.step()
    return process


def loader(erl: Emulator, driver: Driver, *options: Any) -> Stepping:
    """A process that has loaded the driver, and will open two ports and end."""
    process = Stepping(
        erl,
        lambda: erl.erl_ddll.try_load(driver, list(options)),
        lambda: [port_of(erl), port_of(erl)],
        lambda: erl.exit("banana"),
    )
    assert process.step() == ("ok", "loaded")
    return process


def unload(erl: Emulator) -> None:
    """Unload the driver, which no port uses, and hear that it is gone."""
    ref = pending(
        erl.erl_ddll.try_unload("echo", [("monitor", "pending_driver")]), "pending_driver"
    )
    assert down(erl, ref) == told("DOWN", ref, "unloaded")
    assert erl.erl_ddll.loaded_drivers() == ("ok", [])


def echoes(erl: Emulator, port: Port) -> bool:
    command(erl, port, b"text")
    return bool(erl.receive() == (port, ("data", b"text")))


# Unloading that is cancelled.


@both
@pytest.mark.otp("ddll_SUITE", "unload_reload_thingie")
def test_to_load_a_driver_that_waits_to_be_unloaded_cancels_that(threads: Kind) -> None:
    driver = Echo()
    with Emulator(threads=threads) as erl:
        ddll = erl.erl_ddll
        assert ddll.try_load(driver) == ("ok", "loaded")
        process = opener(erl)
        other, only = watching(erl, "unloaded_only")
        unloading = pending(ddll.try_unload("echo", [("monitor", "pending")]), "pending_driver")
        loading = watch(erl, "loaded")
        assert erl.receive() == told("DOWN", loading, "load_cancelled")
        assert ddll.try_load(driver) == ("ok", "already_loaded")
        assert erl.receive() == told("UP", unloading, "unload_cancelled")
        ends(erl, process)
        assert (processes(erl), ports_of_driver(erl)) == ([(erl.self(), 1)], 0)
        unload(erl)
        # A monitor of `unloaded_only` has heard nothing of the cancellation.
        assert other.step() == told("DOWN", only, "unloaded")
        assert silent(erl)


@both
@pytest.mark.otp("ddll_SUITE", "new_interface")
def test_load_and_unload_leave_the_ports_alone(threads: Kind) -> None:
    driver = Echo()
    with Emulator(threads=threads) as erl:
        ddll = erl.erl_ddll
        # One user.
        assert ddll.load(driver) == "ok"
        port = port_of(erl)
        assert ddll.unload("echo") == "ok"
        assert echoes(erl, port)
        ref = watch(erl, "unloaded")
        assert silent(erl)
        erl.port_close(port)
        assert erl.receive() == told("DOWN", ref, "unloaded")
        # It is loaded three times, and once more when it waits to be unloaded.
        ddll.load(driver)
        ref = watch(erl, "unloaded")
        ddll.load(driver)
        ddll.load(driver)
        port = port_of(erl)
        for _ in range(3):
            assert ddll.unload("echo") == "ok"
            assert echoes(erl, port)
        assert silent(erl)
        assert ddll.load(driver) == "ok"
        assert erl.receive() == told("UP", ref, "unload_cancelled")
        ref = watch(erl, "unloaded_only")
        erl.port_close(port)
        assert silent(erl)
        assert ddll.unload("echo") == "ok"
        assert erl.receive() == told("DOWN", ref, "unloaded")


# A driver that is replaced.


@both
@pytest.mark.otp("ddll_SUITE", "unload_reload_thingie_2")
def test_a_driver_is_replaced_when_its_last_port_is_gone(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        ddll = erl.erl_ddll
        ddll.try_load(Echo())
        process = opener(erl)
        other, only = watching(erl, "unloaded_only")
        answer = ddll.try_load(Echo(), [MONITOR_MINE, RELOAD_MINE])
        loading = pending(answer, "pending_driver")
        unloading = watch(erl, "unloaded")
        ends(erl, process)
        assert down(erl, unloading) == told("DOWN", unloading, "unloaded")
        assert erl.receive() == told("UP", loading, "loaded")
        assert (processes(erl), ports_of_driver(erl)) == ([(erl.self(), 1)], 0)
        assert other.step() == told("DOWN", only, "unloaded")
        unload(erl)
        assert silent(erl)


@both
@pytest.mark.otp("ddll_SUITE", "unload_reload_thingie_3")
def test_if_the_new_driver_cannot_be_loaded_none_is(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        ddll = erl.erl_ddll
        ddll.try_load(Echo())
        process = opener(erl)
        other, watched = watching(erl, "unloaded")
        answer = ddll.try_load(ForNewer(), [MONITOR_MINE, RELOAD_MINE])
        loading = pending(answer, "pending_driver")
        unloading = watch(erl, "unloaded")
        ends(erl, process)
        assert other.step() == told("DOWN", watched, "unloaded")
        assert down(erl, unloading) == told("DOWN", unloading, "unloaded")
        assert down(erl, loading) == told(
            "DOWN", loading, ("load_failure", "driver_incorrect_version")
        )
        with refused():
            ddll.info("echo", "port_count")
        assert ddll.try_unload("echo", [("monitor", "pending")]) == ("error", "not_loaded")
        assert silent(erl)


def replace_for_all(erl: Emulator, new: Driver) -> tuple[Stepping, Stepping, Ref, Ref, Port]:
    """Two processes have loaded the driver and have ports, and one of them has it replaced."""
    driver = Echo()
    process = loader(erl, driver)
    other, watched = watching(erl, "unloaded")
    assert erl.erl_ddll.try_load(driver) == ("ok", "already_loaded")
    port = port_of(erl)
    process.step()
    refused = erl.erl_ddll.try_load(new, [RELOAD_MINE, MONITOR_MINE])
    assert refused == ("error", "pending_process"), "another process has loaded it too"
    answer = erl.erl_ddll.try_load(new, [RELOAD, MONITOR])
    return process, other, watched, pending(answer, "pending_process"), port


@both
@pytest.mark.otp("ddll_SUITE", "reload_pending")
def test_a_driver_of_two_processes_is_replaced_when_the_ports_of_both_are_gone(
    threads: Kind,
) -> None:
    with Emulator(threads=threads) as erl:
        process, other, watched, loading, port = replace_for_all(erl, Echo())
        assert silent(erl)
        ends(erl, process)
        assert silent(erl)
        erl.port_close(port)
        assert other.step() == told("DOWN", watched, "unloaded")
        assert erl.receive() == told("UP", loading, "loaded")
        assert processes(erl) == [(erl.self(), 1)]
        assert silent(erl)


@both
@pytest.mark.otp("ddll_SUITE", "reload_pending_fail_init")
def test_and_none_is_loaded_if_the_new_one_refuses(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        process, other, watched, loading, port = replace_for_all(erl, Refusing())
        ends(erl, process)
        assert silent(erl)
        erl.port_close(port)
        assert other.step() == told("DOWN", watched, "unloaded")
        assert erl.receive() == told("DOWN", loading, ("load_failure", "driver_init_failed"))
        with refused():
            processes(erl)
        assert silent(erl)


@both
@pytest.mark.otp("ddll_SUITE", "reload_pending_kill")
def test_with_kill_ports_the_ports_of_all_are_killed_and_the_processes_stay(threads: Kind) -> None:
    driver, new = Echo(), Echo()
    with Emulator(threads=threads) as erl:
        ddll = erl.erl_ddll
        erl.process_flag("trap_exit", True)
        ports: list[Port] = []

        def hear() -> list[object]:
            return [exit_of(erl, port) for port in ports]

        process = Stepping(
            erl,
            lambda: erl.process_flag("trap_exit", True),
            lambda: ddll.try_load(driver, [KILL]),
            lambda: ports.extend([port_of(erl), port_of(erl)]),
            hear,
            lambda: erl.exit("banana"),
        )
        process.step()
        assert process.step() == ("ok", "loaded")
        other, watched = watching(erl, "unloaded")
        assert ddll.try_load(driver, [KILL]) == ("ok", "already_loaded")
        assert ddll.try_load(driver) == ("error", "inconsistent")
        mine = port_of(erl)
        process.step()
        answer = ddll.try_load(new, [KILL, RELOAD_MINE, MONITOR_MINE])
        assert answer == ("error", "pending_process")
        loading = pending(ddll.try_load(new, [KILL, RELOAD, MONITOR]), "pending_process")
        assert exit_of(erl, mine) == "driver_unloaded"
        assert other.step() == told("DOWN", watched, "unloaded")
        assert erl.receive(lambda message: message[1] == loading) == told("UP", loading, "loaded")
        assert process.step() == ["driver_unloaded", "driver_unloaded"]
        assert len(processes(erl)) == 2
        assert ports_of_driver(erl) == 0
        assert silent(erl)
        ends(erl, process)
        # The new driver is as usable as the old one was.
        port = port_of(erl)
        assert (processes(erl), ports_of_driver(erl)) == ([(erl.self(), 1)], 1)
        erl.port_close(port)
        assert exit_of(erl, port) == "normal"
        assert (processes(erl), ports_of_driver(erl)) == ([(erl.self(), 1)], 0)
        port = port_of(erl)
        unloading = pending(
            ddll.try_unload("echo", [("monitor", "pending_driver")]), "pending_driver"
        )
        assert exit_of(erl, port) == "driver_unloaded"
        assert down(erl, unloading) == told("DOWN", unloading, "unloaded")
        assert silent(erl)


@both
@pytest.mark.otp("ddll_SUITE", "monitor_demonitor_load")
def test_a_monitor_of_the_loading_may_be_given_up(threads: Kind) -> None:
    driver = Echo()
    with Emulator(threads=threads) as erl:
        ddll = erl.erl_ddll
        ddll.try_load(driver)
        port = port_of(erl)
        ref = watch(erl, "loaded")
        assert erl.receive() == told("UP", ref, "loaded")
        assert ddll.try_unload("echo") == ("ok", "pending_driver")
        ref = watch(erl, "loaded")
        assert erl.receive() == told("DOWN", ref, "load_cancelled")
        assert ddll.try_load(driver) == ("ok", "already_loaded")
        assert ddll.try_load(Echo(), [RELOAD_MINE]) == ("ok", "pending_driver")
        loading, unloading = watch(erl, "loaded"), watch(erl, "unloaded")
        assert silent(erl)
        assert ddll.info("echo", "awaiting_load") == [(erl.self(), 1)]
        assert ddll.demonitor(loading) is True
        assert ddll.info("echo", "awaiting_load") == []
        erl.port_close(port)
        assert erl.receive() == told("DOWN", unloading, "unloaded")
        assert silent(erl)
        unload(erl)


def replace_and_close(erl: Emulator) -> str:
    """A port is closed on one scheduler while its driver is replaced from another."""
    erl.erl_ddll.try_load(Echo())
    port = port_of(erl)
    erl.spawn(erl.port_close, port, scheduler=2)
    answer: Any = erl.erl_ddll.try_load(Echo(), [RELOAD_MINE, MONITOR_MINE])
    return f"{answer[1]}, {erl.receive(lambda message: message[1] == answer[2])[4]}"


@pytest.mark.otp("ddll_SUITE", "unload_reload_thingie_2")
def test_in_any_order_it_is_replaced() -> None:
    assert_outcomes(replace_and_close, {"pending_driver, loaded"}, schedulers=2)


@pytest.mark.otp("ddll_SUITE", "more_error_codes")
def test_a_reason_has_a_text() -> None:
    with Emulator() as erl:
        answer: Any = erl.erl_ddll.try_load(ForNewer())
        for reason in (answer[1], "not_loaded"):
            text = erl.erl_ddll.format_error(reason)
            assert len(text) > 10
