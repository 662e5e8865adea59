"""Cases of `ddll_SUITE`: who has loaded a driver, who may unload it, and when it goes."""

from __future__ import annotations

from typing import Any

import pytest
from retold import Echo, Stepping, close, command, down, exit_of, port_of, silent
from scripted import made_of
from support import Kind, both

from driverref import Driver, Emulator, Ref
from driverref.erl_driver import ErlDrvPort, driver_lock_driver

TERM = ("hello", [104, 111], 4711, 123445567436543653)


def names(erl: Emulator) -> list[str]:
    """The drivers that are loaded."""
    loaded: Any = erl.erl_ddll.loaded_drivers()
    assert loaded[0] == "ok"
    return list(loaded[1])


def told(how: str, ref: Ref, what: str) -> tuple[object, ...]:
    return (how, ref, "driver", "echo", what)


def watched(erl: Emulator) -> Ref:
    """A monitor of the driver's unloading."""
    return erl.erl_ddll.monitor("driver", ("echo", "unloaded"))


def watching(erl: Emulator) -> tuple[Stepping, Ref]:
    """Another process with a monitor of the driver's unloading; its second step is to hear of it."""
    other = Stepping(erl, lambda: watched(erl), erl.receive)
    return other, other.step()


def opening(erl: Emulator, driver: Driver, reason: str = "banana") -> Stepping:
    """A process that loads a driver, opens two ports of it, and ends."""
    return Stepping(
        erl,
        lambda: erl.erl_ddll.load(driver),
        lambda: [port_of(erl), port_of(erl)],
        lambda: erl.exit(reason),
    )


def unload_fast(erl: Emulator) -> None:
    """Unload the driver, which has no port, and hear that it is gone."""
    answer: Any = erl.erl_ddll.try_unload("echo", [("monitor", "pending_driver")])
    assert answer[:2] == ("ok", "pending_driver")
    assert erl.receive(lambda message: message[1] == answer[2]) == told(
        "DOWN", answer[2], "unloaded"
    )
    assert "echo" not in names(erl)


# Loading, and what can go wrong.


@both
@pytest.mark.otp("ddll_SUITE", "ddll_test")
def test_a_driver_is_loaded_used_and_unloaded(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        before = names(erl)
        assert erl.erl_ddll.load_driver(Echo()) == "ok"
        assert set(names(erl)) - set(before) == {"echo"}
        port = port_of(erl)
        assert erl.port_call(port, 0, TERM) == TERM
        assert erl.port_call(port, 47, TERM) == TERM
        command(erl, port, b"text")
        assert erl.receive() == (port, ("data", b"text"))
        close(erl, port)
        assert erl.erl_ddll.unload_driver("echo") == "ok"
        assert names(erl) == before


@both
@pytest.mark.otp("ddll_SUITE", "errors")
def test_what_cannot_be_loaded_or_unloaded_says_why_and_changes_nothing(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        before = names(erl)
        refuses = made_of("refuses", init=lambda: -1)
        assert erl.erl_ddll.load_driver(refuses) == ("error", "driver_init_failed")
        assert erl.erl_ddll.unload_driver("no_driver") == ("error", "not_loaded")
        assert names(erl) == before
        # A second driver of the name: in Erlang another file.
        erl.erl_ddll.load_driver(Echo())
        assert erl.erl_ddll.load_driver(Echo()) == ("error", "bad_driver_name")
        assert names(erl) == ["echo"]


@both
@pytest.mark.otp("ddll_SUITE", "load_fail_init")
def test_a_driver_that_refuses_to_load_is_not_there_and_nothing_is_told(threads: Kind) -> None:
    refuses = made_of("echo", init=lambda: 1)
    with Emulator(threads=threads) as erl:
        assert erl.erl_ddll.load(refuses) == ("error", "driver_init_failed")
        assert names(erl) == []
        assert silent(erl)


@both
@pytest.mark.otp("ddll_SUITE", "load_and_unload")
def test_two_drivers_are_unloaded_in_the_order_in_which_they_were_loaded(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        before = names(erl)
        assert erl.erl_ddll.load_driver(Echo()) == "ok"
        assert erl.erl_ddll.load_driver(made_of("dummy")) == "ok"
        assert erl.erl_ddll.unload_driver("echo") == "ok"
        assert erl.erl_ddll.unload_driver("dummy") == "ok"
        assert names(erl) == before


@both
@pytest.mark.otp("ddll_SUITE", "lock_driver")
def test_a_driver_may_be_locked_by_each_of_its_ports(threads: Kind) -> None:
    def start(port: ErlDrvPort, command: str) -> ErlDrvPort:
        assert driver_lock_driver(port) == 0
        return port

    with Emulator(threads=threads) as erl:
        assert erl.erl_ddll.load(made_of("lock", start=start)) == "ok"
        ports = [port_of(erl, "lock"), port_of(erl, "lock")]
        assert erl.erl_ddll.info("lock", "permanent") is True
        for port in ports:
            erl.port_close(port)
        assert erl.erl_ddll.unload("lock") == ("error", "permanent")


# The processes that have loaded it.


@both
@pytest.mark.otp("ddll_SUITE", "reference_count")
def test_the_process_that_has_loaded_a_driver_unloads_it_and_nothing_is_left(
    threads: Kind,
) -> None:
    with Emulator(threads=threads) as erl:
        loader = Stepping(
            erl,
            lambda: erl.erl_ddll.load_driver(Echo()),
            lambda: erl.erl_ddll.unload_driver("echo"),
            link=True,
        )
        assert loader.step() == "ok"
        assert names(erl) == ["echo"]
        assert loader.step() == "ok"
        assert erl.erl_ddll.unload_driver("echo") == ("error", "not_loaded")


@both
@pytest.mark.otp("ddll_SUITE", "properties")
def test_no_other_process_can_unload_it(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        loader = Stepping(
            erl,
            lambda: erl.erl_ddll.load_driver(Echo()),
            lambda: erl.erl_ddll.unload_driver("echo"),
        )
        assert loader.step() == "ok"
        assert erl.erl_ddll.unload_driver("echo") == ("error", "not_loaded_by_this_process")
        assert names(erl) == ["echo"]
        assert loader.step() == "ok"
        assert names(erl) == []


@both
@pytest.mark.otp("ddll_SUITE", "unload_on_process_exit")
def test_a_driver_goes_with_the_process_that_has_loaded_it(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        assert names(erl) == []
        loader = Stepping(erl, lambda: erl.erl_ddll.load(Echo()), lambda: erl.exit("banana"))
        ref = erl.monitor("process", loader.pid)
        loader.step()
        assert names(erl) == ["echo"]
        unloading = watched(erl)
        loader.go()
        assert down(erl, ref)[4] == "banana"
        assert down(erl, unloading) == told("DOWN", unloading, "unloaded")
        assert names(erl) == []


@both
@pytest.mark.otp("ddll_SUITE", "kill_port")
def test_and_so_do_ports_of_others_if_it_was_loaded_by_load_driver(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        loader = Stepping(erl, lambda: erl.erl_ddll.load_driver(Echo()), erl.receive)
        loader.step()
        port = port_of(erl)
        erl.process_flag("trap_exit", True)
        loader.go()
        unloading = watched(erl)
        erl.exit(loader.pid, "kill")
        assert exit_of(erl, port) == "driver_unloaded"
        assert down(erl, unloading) == told("DOWN", unloading, "unloaded")
        assert erl.erl_ddll.unload_driver("echo") == ("error", "not_loaded")


@both
@pytest.mark.otp("ddll_SUITE", "dont_kill_port")
def test_ports_stay_if_it_was_loaded_by_load(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        loader = Stepping(erl, lambda: erl.erl_ddll.load(Echo()), erl.receive)
        loader.step()
        port = port_of(erl)
        erl.process_flag("trap_exit", True)
        ref = erl.monitor("process", loader.pid)
        loader.go()
        erl.exit(loader.pid, "kill")
        assert down(erl, ref)[4] == "killed"
        assert erl.port_call(port, 0, TERM) == TERM
        assert erl.erl_ddll.info("echo", "processes") == []
        # A driver without a user may be unloaded by any process, its ports killed.
        assert erl.erl_ddll.unload_driver("echo") == "ok"
        assert exit_of(erl, port) == "driver_unloaded"


@both
@pytest.mark.otp("ddll_SUITE", "unload_due_to_process_exit")
def test_a_driver_goes_with_its_process_and_that_ones_ports(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        loader = opening(erl, Echo())
        assert loader.step() == "ok"
        other, watch = watching(erl)
        loader.step()
        ref = erl.monitor("process", loader.pid)
        loader.go()
        assert down(erl, ref)[4] == "banana"
        assert other.step() == told("DOWN", watch, "unloaded")


@both
@pytest.mark.otp("ddll_SUITE", "no_unload_due_to_process_exit")
def test_it_stays_if_another_process_has_loaded_it_too(threads: Kind) -> None:
    driver = Echo()
    with Emulator(threads=threads) as erl:
        loader = opening(erl, driver)
        loader.step()
        other, watch = watching(erl)
        assert erl.erl_ddll.load(driver) == "ok"
        loader.step()
        ref = erl.monitor("process", loader.pid)
        loader.go()
        assert down(erl, ref)[4] == "banana"
        assert erl.erl_ddll.info("echo", "processes") == [(erl.self(), 1)]
        assert silent(erl)
        unload_fast(erl)
        assert other.step() == told("DOWN", watch, "unloaded")


@both
@pytest.mark.otp("ddll_SUITE", "no_unload_due_to_process_exit_2")
def test_it_stays_as_long_as_a_port_of_another_process_is_open(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        loader = opening(erl, Echo())
        loader.step()
        other, watch = watching(erl)
        port = port_of(erl)
        loader.step()
        ref = erl.monitor("process", loader.pid)
        loader.go()
        assert down(erl, ref)[4] == "banana"
        assert names(erl) == ["echo"]
        assert silent(erl)
        erl.port_close(port)
        assert other.step() == told("DOWN", watch, "unloaded")
        assert names(erl) == []


# Unloading that waits.


@both
@pytest.mark.otp("ddll_SUITE", "delayed_unload_with_ports")
def test_a_driver_that_is_given_up_goes_with_its_last_port(threads: Kind) -> None:
    driver = Echo()
    with Emulator(threads=threads) as erl:
        ddll = erl.erl_ddll
        for _ in range(2):
            ddll.load(driver)
        one = port_of(erl)
        assert ddll.info("echo", "port_count") == 1
        other = port_of(erl)
        assert ddll.info("echo", "port_count") == 2
        options = [("monitor", "pending_driver")]
        assert ddll.try_unload("echo", options) == ("ok", "pending_process")
        answer: Any = ddll.try_unload("echo", options)
        assert answer[:2] == ("ok", "pending_driver")
        assert silent(erl)
        close(erl, one)
        assert ddll.info("echo", "port_count") == 1
        close(erl, other)
        assert down(erl, answer[2]) == told("DOWN", answer[2], "unloaded")


@both
@pytest.mark.otp("ddll_SUITE", "forced_port_killing")
def test_its_ports_may_be_killed_instead(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        erl.erl_ddll.load(Echo())
        other, watch = watching(erl)
        ports = [port_of(erl), port_of(erl)]
        options: list[Any] = [("monitor", "pending_driver"), "kill_ports"]
        answer: Any = erl.erl_ddll.try_unload("echo", options)
        assert answer[:2] == ("ok", "pending_driver")
        assert other.step() == told("DOWN", watch, "unloaded")
        for port in ports:
            assert exit_of(erl, port) == "driver_unloaded"
        assert down(erl, answer[2]) == told("DOWN", answer[2], "unloaded")
        assert silent(erl)


@both
@pytest.mark.otp("ddll_SUITE", "no_trap_exit_and_kill_ports")
def test_ports_of_others_are_killed_when_the_process_ends_that_asked_for_it(threads: Kind) -> None:
    driver = Echo()
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        loader = Stepping(
            erl,
            lambda: erl.erl_ddll.load_driver(driver),
            lambda: [port_of(erl), port_of(erl)],
            lambda: erl.exit("banana"),
        )
        assert loader.step() == "ok"
        other, watch = watching(erl)
        # A driver that is loaded with `kill_ports` cannot be loaded without.
        assert erl.erl_ddll.try_load(driver) == ("error", "inconsistent")
        mine = port_of(erl)
        loader.step()
        ref = erl.monitor("process", loader.pid)
        loader.go()
        assert down(erl, ref)[4] == "banana"
        assert other.step() == told("DOWN", watch, "unloaded")
        assert exit_of(erl, mine) == "driver_unloaded"


@both
@pytest.mark.otp("ddll_SUITE", "monitor_demonitor")
def test_after_demonitor_nothing_is_told(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        ddll = erl.erl_ddll
        ddll.load(Echo())
        ref = watched(erl)
        assert ddll.info("echo", "awaiting_unload") == [(erl.self(), 1)]
        assert ddll.demonitor(ref) is True
        assert ddll.info("echo", "awaiting_unload") == []
        ddll.try_unload("echo")
        assert names(erl) == []
        assert silent(erl)
