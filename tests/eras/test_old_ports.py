"""Ports, era by era: their timer, their senders, their callbacks, the calls that came later."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from era_support import every_era, settle, smp_eras
from scripted import Box, made_of
from support import (
    Gate,
    opened,
)

from driverref import Driver, Emulator, Port
from driverref.erl_driver import (
    ERL_DRV_FLAG_NO_BUSY_MSGQ,
    ERL_DRV_FLAG_SOFT_BUSY,
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    driver_deq,
    driver_enq,
    driver_output,
    driver_set_timer,
    driver_system_info,
    set_busy_port,
)
from driverref.errors import Deadlock, ErlangError
from driverref.release import ERAS, R7B_3, Release
from driverref.terms import Pid

# Ports.


@every_era
@pytest.mark.rule("era.timer-stands")
def test_setting_a_timer_that_runs_does_nothing_in_r7b_and_returns_0(release: Release) -> None:
    results: list[int] = []

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        results.extend([driver_set_timer(port, 1000), driver_set_timer(port, 100)])

    driver = made_of(output=output, timeout=lambda port: driver_output(port, b"timeout"))
    with Emulator(release=release, async_threads=1) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"")
        assert erl.receive() == (port, ("data", b"timeout"))
        fired = erl.trace.select("timeout")[0].time - erl.trace.select("output")[0].time
        erl.port_command(port, b"")  # it has fired: it can be set again
        assert erl.receive() == (port, ("data", b"timeout"))
    assert results == [0] * 4
    assert fired == (1000 if release is R7B_3 else 100) * 1_000_000


@every_era
@pytest.mark.rule("era.timer-needs-timeout")
def test_without_a_timeout_setting_a_timer_is_minus_1_until_r12b(release: Release) -> None:
    box = Box()
    driver = made_of(output=lambda port, buf: box.put(driver_set_timer(port, 1)))
    with Emulator(release=release, async_threads=1) as erl:
        erl.port_command(opened(erl, driver), b"")
    assert box.value == (-1 if release.name in ("R7B-3", "R11B-5") else 0)


def busy() -> Driver:
    """Its `control` makes the port busy, or not busy any more."""

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        set_busy_port(port, command)
        return b""

    return made_of(control=control)


@every_era
@pytest.mark.parametrize("message", ["close", "connect", "nonsense"])
@pytest.mark.rule("era.busy-any-message")
def test_a_busy_port_suspends_who_sends_anything_until_r15b(release: Release, message: str) -> None:
    with Emulator(release=release, async_threads=1) as erl:
        port = opened(erl, busy())
        erl.process_flag("trap_exit", True)
        erl.port_control(port, 1, b"")
        me = erl.self()
        what: Any = {"close": (me, "close"), "connect": (me, ("connect", me)), "nonsense": 1}
        pid = erl.spawn(lambda: erl.send(port, what[message]))
        settle(erl)
        held = [event.detail for event in erl.trace.select("suspended")]
        assert held == ([pid] if release.busy_holds_any_message else [])
        assert release.busy_holds_any_message == (release.name not in ("R16B", "25"))
        if message != "close" or held:
            erl.port_control(port, 0, b"")
        settle(erl)
    assert len(erl.trace.select("resumed")) == len(held)


@every_era
@pytest.mark.rule("era.busy-any-message")
def test_a_command_is_held_in_any_era_and_control_in_none(release: Release) -> None:
    with Emulator(release=release, async_threads=1) as erl:
        port = opened(erl, busy())
        erl.port_control(port, 1, b"")
        me = erl.self()
        erl.spawn(lambda: erl.send(port, (me, ("command", b""))))
        erl.spawn(lambda: erl.port_command(port, b""))
        settle(erl)
        assert len(erl.trace.select("suspended")) == 2
        erl.port_control(port, 0, b"")
        settle(erl)
    assert len(erl.trace.select("resumed")) == 2


def locked(erl: Emulator) -> tuple[Port, Gate]:
    """A port whose lock is held by a callback on scheduler 2, which stands at the gate."""
    gate = Gate()

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        gate.pass_through()
        return b""

    port = opened(erl, made_of(control=control))
    erl.spawn(lambda: erl.port_control(port, 0, b""), scheduler=2)
    gate.await_arrival()
    return port, gate


@smp_eras
@pytest.mark.rule("era.send-waits")
def test_who_sends_to_a_locked_port_waits_for_the_lock_until_r15b(release: Release) -> None:
    """The gate is opened by who has sent: until R15B that is never."""

    def scenario() -> None:
        with Emulator(release=release, async_threads=1, schedulers=2) as erl:
            port, gate = locked(erl)
            erl.send(port, (erl.self(), ("command", b"")))
            gate.open()

    if release.name in ("R16B", "25"):
        scenario()
    else:
        with pytest.raises(Deadlock, match="waits for the lock of driver d"):
            scenario()


@smp_eras
@pytest.mark.rule("era.msgq")
def test_commands_that_wait_are_limited_since_r16a(release: Release) -> None:
    """Three processes send 5,000 bytes each to a locked port; the third finds 10,000 there."""
    with Emulator(release=release, async_threads=1, schedulers=3) as erl:
        port, gate = locked(erl)
        me = erl.self()
        for _ in range(3):
            erl.spawn(lambda: erl.send(port, (me, ("command", b"!" * 5000))), scheduler=3)
        settle(erl)
        limited = release.name in ("R16B", "25")
        assert len(erl.trace.select("suspended")) == (1 if limited else 0)
        gate.open()
        settle(erl)


# The driver entry.


@every_era
@pytest.mark.rule("era.callbacks")
def test_flush_and_call_are_never_called_in_r7b(release: Release) -> None:
    seen: list[str] = []

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        driver_deq(port, 1)
        return b""

    driver = made_of(
        output=driver_enq,
        control=control,
        flush=lambda port: seen.append("flush"),
        call=lambda port, command, term: term,
        stop=lambda port: seen.append("stop"),
    )
    with Emulator(release=release, async_threads=1) as erl:
        port = opened(erl, driver)
        if release is R7B_3:
            with pytest.raises(ErlangError, match="undef"):
                erl.port_call(port, 0, "term")
        else:
            assert erl.port_call(port, 0, "term") == "term"
        erl.port_command(port, b"!")
        erl.port_close(port)
        erl.port_control(port, 0, b"")
    assert seen == (["stop"] if release is R7B_3 else ["flush", "stop"])


@pytest.mark.rule("era.callbacks")
def test_each_era_adds_callbacks() -> None:
    added = [
        " ".join(sorted(new.callbacks - old.callbacks)) for old, new in itertools.pairwise(ERAS)
    ]
    assert added == ["call flush process_exit", "stop_select", "", "", "emergency_close"]


@every_era
@pytest.mark.rule("era.flags")
def test_an_emulator_looks_only_at_the_flags_it_knows(release: Release) -> None:
    every = ERL_DRV_FLAG_USE_PORT_LOCKING | ERL_DRV_FLAG_SOFT_BUSY | ERL_DRV_FLAG_NO_BUSY_MSGQ
    with Emulator(release=release, async_threads=1) as erl:
        opened(erl, made_of(flags=every))
        loaded = erl.runtime.drivers["d"]
        known = [flag for flag in (1, 2, 4) if loaded.flag(flag)]
    expected = {"R7B-3": [], "R11B-5": [1], "R13B": [1, 2], "R14B04": [1, 2]}
    assert known == expected.get(release.name, [1, 2, 4])


@every_era
@pytest.mark.rule("era.init-ignored")
def test_an_init_that_refuses_is_not_heard_until_r11b(release: Release) -> None:
    driver = made_of(init=lambda: -1)
    with Emulator(release=release, async_threads=1) as erl:
        result = erl.erl_ddll.load_driver(driver)
    heard = release.name not in ("R7B-3", "R11B-5")
    assert result == (("error", "driver_init_failed") if heard else "ok")


@smp_eras
def test_the_driver_is_told_what_it_runs_on(release: Release) -> None:
    """One scheduler is the plain emulator where there were two."""
    box = Box()
    driver = made_of(start=lambda port, command: box.put(driver_system_info()))
    told = []
    for schedulers in (1, 2):
        with Emulator(release=release, async_threads=1, schedulers=schedulers) as erl:
            opened(erl, driver)
        told.append(box.value)
    plain, smp = told
    assert (plain.smp_support, smp.smp_support) == (int(release.name in ("R16B", "25")), 1)
    assert (smp.driver_major_version, smp.driver_minor_version) == release.driver_version
    assert (smp.erts_version, smp.otp_release) == (release.erts, release.name)


def undefined(call: Callable[[], object]) -> str:
    """The text with which Erlang's side refuses what it does not have."""
    with pytest.raises(ErlangError) as refused:
        call()
    assert refused.value.reason == "undef"
    return str(refused.value)


@pytest.mark.rule("era.calls")
def test_a_bif_that_is_not_there_yet_is_undef_and_says_since_when_it_is() -> None:
    with Emulator(release="R7B-3") as erl:
        port = opened(erl, made_of())
        ddll = erl.erl_ddll
        calls: dict[str, Callable[[], object]] = {
            "R8B-0": lambda: erl.port_call(port, 0, 0),
            "R13B03": lambda: erl.port_command(port, b"", ["force"]),
            "19.0": lambda: erl.monitor("port", port),
            "R15B01": lambda: erl.halt(flush=False),
            "27.0": lambda: erl.halt(flush_timeout=1),
        }
        for version, call in calls.items():
            assert f"R7B-3 does not have it; it came with {version}" in undefined(call)
        for call in (
            lambda: ddll.load(made_of()),
            lambda: ddll.unload("d"),
            lambda: ddll.try_unload("d"),
            lambda: ddll.monitor("driver", ("d", "unloaded")),
        ):
            assert "it came with R11B-3" in undefined(call)


@every_era
def test_a_pid_is_a_pid_in_every_era(release: Release) -> None:
    """What has nothing to do with the release is the same in all: messages, links, exit signals."""
    with Emulator(release=release, async_threads=1) as erl:
        erl.process_flag("trap_exit", True)
        pid = erl.spawn(lambda: erl.exit("enough"), link=True)
        assert isinstance(pid, Pid)
        assert erl.receive() == ("EXIT", pid, "enough")
