"""Cases of `driver_SUITE`: what a driver learns of the emulator, and monitors of a driver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from retold import Echo, down, loaded, port_of
from scripted import Box, made_of
from support import Kind, both, refused

from driverref import Driver, Emulator, Pid
from driverref.erl_driver import (
    ERL_DRV_EXTENDED_MARKER,
    ErlDrvMonitor,
    ErlDrvPort,
    ErlDrvSysInfo,
    driver_caller,
    driver_compare_monitors,
    driver_demonitor_process,
    driver_get_monitored_process,
    driver_mk_port,
    driver_monitor_process,
    driver_send_term,
    driver_system_info,
)

# driver_system_info.


@both
@pytest.mark.parametrize("release", ["25", "27", "29"])
@pytest.mark.otp("driver_SUITE", "driver_system_info_current_ver")
def test_driver_system_info_tells_what_system_info_tells(release: str, threads: Kind) -> None:
    told = Box()

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        told.put(driver_system_info())
        return b"ok"

    with Emulator(threads=threads, release=release, async_threads=3, schedulers=2) as erl:
        erl.port_control(loaded(erl, made_of(control=control)), 0, b"")
        info: ErlDrvSysInfo = told.value
        version = f"{info.driver_major_version}.{info.driver_minor_version}"
        assert version == erl.system_info("driver_version")
        assert info.erts_version == erl.system_info("version")
        assert info.otp_release == erl.system_info("otp_release")
        assert info.async_threads == erl.system_info("thread_pool_size") == 3
        assert info.scheduler_threads == erl.system_info("schedulers") == 2
    assert (info.thread_support, info.smp_support, info.dirty_scheduler_support) == (1, 1, 1)
    assert (info.nif_major_version, info.nif_minor_version) >= (2, 16)


# The version that a driver was compiled for.

WRONG = ("error", "driver_incorrect_version")


def version(erl: Emulator) -> tuple[int, int]:
    """The version of the emulator's `erl_driver.h`."""
    major, minor = map(int, erl.system_info("driver_version").split("."))
    return major, minor


@both
@pytest.mark.parametrize("release", ["25", "27", "29"])
@pytest.mark.parametrize(
    ("entry", "result"),
    [
        pytest.param(
            # What stands behind the marker is a version and flags that nothing has cleared.
            lambda major, minor: {
                "extended_marker": 0,
                "major_version": 4711,
                "minor_version": 17,
                "driver_flags": 3,
            },
            WRONG,
            marks=pytest.mark.otp("driver_SUITE", "zero_extended_marker_garb_drv"),
        ),
        pytest.param(
            lambda major, minor: {"extended_marker": ERL_DRV_EXTENDED_MARKER + 1},
            WRONG,
            marks=pytest.mark.otp("driver_SUITE", "invalid_extended_marker_drv"),
        ),
        pytest.param(
            lambda major, minor: {"major_version": major + 1},
            WRONG,
            marks=pytest.mark.otp("driver_SUITE", "larger_major_vsn_drv"),
        ),
        pytest.param(
            lambda major, minor: {"minor_version": minor + 1},
            WRONG,
            marks=pytest.mark.otp("driver_SUITE", "larger_minor_vsn_drv"),
        ),
        pytest.param(
            # The emulator loads what was compiled for the major version before its own.
            lambda major, minor: {"major_version": major - 2},
            WRONG,
            marks=pytest.mark.otp("driver_SUITE", "smaller_major_vsn_drv"),
        ),
        pytest.param(
            lambda major, minor: {"minor_version": minor - 1},
            "ok",
            marks=pytest.mark.otp("driver_SUITE", "smaller_minor_vsn_drv"),
        ),
    ],
)
def test_a_driver_is_loaded_if_the_emulator_has_the_version_it_needs(
    entry: Callable[[int, int], dict[str, int]], result: object, release: str, threads: Kind
) -> None:
    with Emulator(threads=threads, release=release) as erl:
        driver = type("Compiled", (Echo,), entry(*version(erl)))()
        assert erl.erl_ddll.load_driver(driver) == result
        if result == "ok":
            erl.port_close(port_of(erl))
            assert erl.erl_ddll.unload_driver("echo") == "ok"
        else:
            with refused():
                port_of(erl)


# driver_monitor_process.


class Watching(Driver):
    """Monitors the process that asks for it, at once or later, and tells its owner of the end."""

    driver_name = "watching"

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        self.owner = driver_caller(port)
        self.monitors: list[ErlDrvMonitor] = []
        self.later: list[Pid] = []
        return port

    def call(self, port: ErlDrvPort, command: int, term: Any) -> object:
        match term:
            case "monitor me":
                return self._monitor(port, driver_caller(port))
            case "demonitor me":
                return self._demonitor(port, driver_caller(port))
            case "later":
                self.later.append(driver_caller(port))
                return len(self.later) - 1
            case ("now", int(number)):
                return self._monitor(port, self.later[number])
        raise AssertionError(term)

    def _monitor(self, port: ErlDrvPort, pid: Pid) -> str:
        monitor = driver_monitor_process(port, pid)
        if isinstance(monitor, int):
            assert monitor > 0, monitor
            return "noproc"
        self.monitors.append(monitor)
        return "ok"

    def _demonitor(self, port: ErlDrvPort, pid: Pid) -> str:
        for monitor in self.monitors:
            if driver_get_monitored_process(port, monitor) == pid:
                self.monitors.remove(monitor)
                return "ok" if driver_demonitor_process(port, monitor) == 0 else "gone"
        return "not monitored"

    def process_exit(self, port: ErlDrvPort, monitor: ErlDrvMonitor) -> None:
        (known,) = (m for m in self.monitors if driver_compare_monitors(m, monitor) == 0)
        self.monitors.remove(known)
        driver_send_term(port, self.owner, ("ended", driver_mk_port(port), known.pid))


@both
@pytest.mark.otp("driver_SUITE", "driver_monitor")
def test_a_port_monitors_processes_and_is_seen_to(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port, me = loaded(erl, Watching()), erl.self()

        def ask(term: object) -> object:
            return erl.port_call(port, 0, term)

        def monitored() -> list[Pid]:
            return [pid for _, pid in erl.port_info(port, "monitors")[1]]

        def watchers() -> object:
            return erl.process_info(erl.self(), "monitored_by")[1]

        # Monitored and not, at once and later.
        assert (ask("monitor me"), ask("demonitor me"), monitored()) == ("ok", "ok", [])
        number = ask("later")
        assert watchers() == []
        assert (ask(("now", number)), watchers()) == ("ok", [port])
        assert (ask("demonitor me"), watchers()) == ("ok", [])

        # Two at once; one of them ends.
        assert ask("monitor me") == "ok"

        def monitored_and_gone() -> None:
            erl.receive(lambda message: message == "go")
            answer = ask("monitor me")
            erl.send(me, (answer, sorted(watchers(), key=str), sorted(monitored())))  # type: ignore[call-overload]

        pid = erl.spawn(monitored_and_gone)
        ref = erl.monitor("process", pid)
        erl.send(pid, "go")
        assert erl.receive() == ("ok", sorted([me, port], key=str), sorted([me, pid]))
        ended = [erl.receive(), erl.receive()]
        assert ("ended", port, pid) in ended
        assert ("DOWN", ref, "process", pid, "normal") in ended
        assert (ask("demonitor me"), monitored(), watchers()) == ("ok", [], [])

        # A process that has ended before the port monitors it, and one that ends without it.
        assert ask("monitor me") == "ok"
        for ends_first in (True, False):

            def wait_to_be_monitored() -> None:
                erl.send(me, ("number", ask("later")))
                erl.receive(lambda message: message == "die")

            pid = erl.spawn(wait_to_be_monitored)
            ref = erl.monitor("process", pid)
            number = erl.receive()[1]
            if ends_first:
                erl.send(pid, "die")
                assert down(erl, ref)
                assert (ask(("now", number)), monitored()) == ("noproc", [me])
                continue
            assert (ask(("now", number)), sorted(monitored())) == ("ok", sorted([me, pid]))
            assert (ask("demonitor me"), monitored()) == ("ok", [pid])
            erl.send(pid, "die")
            assert down(erl, ref)
            assert erl.receive() == ("ended", port, pid)
            assert (ask("demonitor me"), monitored()) == ("not monitored", [])
