"""Reloading a driver, which is to upgrade it in a running node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scripted import made_of
from support import Gate, Kind, both

from driverref import Driver, Emulator, Port, explore
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    driver_async,
    driver_lock_driver,
    driver_output,
)
from driverref.errors import ErlangError
from driverref.posix import usleep
from driverref.runtime.loaded_driver import Successor

LOCKING = ERL_DRV_FLAG_USE_PORT_LOCKING
RELOAD = [("reload", "pending"), ("monitor", "pending")]


def version(number: int, **callbacks: Any) -> Driver:
    """A driver that says which version of it runs."""
    return made_of(
        flags=LOCKING,
        output=lambda port, buf: driver_output(port, b"%d" % number),
        init=lambda: None,
        finish=lambda: None,
        **callbacks,
    )


def becomes_permanent(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
    driver_lock_driver(port)
    return b""


def answer(erl: Emulator, port: Port) -> object:
    erl.port_command(port, b"")
    return erl.receive(lambda message: message[0] == port)[1][1]


@both
@pytest.mark.rule("port.reload")
def test_a_driver_is_replaced_when_its_ports_are_closed(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        new = version(2)
        erl.erl_ddll.load(version(1))
        port = erl.open_port(("spawn_driver", "d"))
        ok, how, ref = erl.erl_ddll.try_load(new, RELOAD)
        assert (ok, how) == ("ok", "pending_process")
        # Until then the old one is there, also for a port that opens.
        other = erl.open_port(("spawn_driver", "d"))
        assert [answer(erl, port), answer(erl, other)] == [b"1", b"1"]
        erl.port_close(port)
        assert erl.trace.order("init", "finish") == ["init"]
        erl.port_close(other)
        assert erl.receive() == ("UP", ref, "driver", "d", "loaded")
        assert erl.trace.order("init", "finish") == ["init", "finish", "init"]
        assert answer(erl, erl.open_port(("spawn_driver", "d"))) == b"2"
        # Its user is the user of the new one.
        assert erl.erl_ddll.info("d", "processes") == [(erl.self(), 1)]


@both
@pytest.mark.rule("port.reload")
def test_reload_waits_for_ports_and_jobs_and_reload_driver_kills_the_ports(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        erl.process_flag("trap_exit", True)
        gate = Gate()
        erl.erl_ddll.load_driver(
            version(
                1,
                control=lambda port, command, buf: (
                    driver_async(port, None, lambda data: gate.pass_through(), None, None) and b""
                ),
            )
        )
        port = erl.open_port(("spawn_driver", "d"))
        erl.port_control(port, 0, b"")
        gate.await_arrival()
        assert erl.erl_ddll.try_load(version(2), [*RELOAD, ("driver_options", [])]) == (
            "error",
            "inconsistent",
        )
        me = erl.self()
        erl.spawn(lambda: erl.send(me, ("opens", opens(erl))), scheduler=2)
        assert erl.receive(lambda m: m[0] == "opens") == ("opens", True)
        new = version(2)

        def open_gate() -> None:
            erl.receive()
            gate.open()

        opener = erl.spawn(open_gate, scheduler=2)
        erl.send(opener, "now")
        assert erl.erl_ddll.reload_driver(new) == "ok"
        assert erl.receive(lambda m: m[1] == port) == ("EXIT", port, "driver_unloaded")
        assert answer(erl, erl.open_port(("spawn_driver", "d"))) == b"2"


def opens(erl: Emulator) -> bool:
    """Whether a port of the driver can be opened; it is closed again."""
    try:
        erl.port_close(erl.open_port(("spawn_driver", "d")))
    except ErlangError:
        return False
    return True


@both
@pytest.mark.rule("port.reload-refused")
@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"init": staticmethod(lambda: -1)}, "driver_init_failed"),
        ({"major_version": 9}, "driver_incorrect_version"),
    ],
)
def test_if_the_new_driver_is_refused_there_is_none(
    threads: Kind, members: dict[str, Any], reason: str
) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        refused = type("d", (Driver,), {"driver_name": "d", **members})
        erl.erl_ddll.load(version(1))
        assert erl.erl_ddll.reload(refused()) == ("error", reason)
        assert erl.erl_ddll.loaded_drivers() == ("ok", [])
        erl.erl_ddll.load(version(1))
        _, _, ref = erl.erl_ddll.try_load(refused(), RELOAD)
        assert erl.receive() == ("DOWN", ref, "driver", "d", ("load_failure", reason))
        assert erl.erl_ddll.reload(version(2)) == ("error", "not_loaded")


@both
@pytest.mark.rule("port.reload-waits")
def test_whoever_loads_the_new_driver_meanwhile_waits_for_it(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        me, new = erl.self(), version(2)
        old = version(1)
        erl.erl_ddll.load(old)
        port = erl.open_port(("spawn_driver", "d"))
        erl.erl_ddll.try_load(new, [("reload", "pending")])
        assert erl.erl_ddll.try_load(new, RELOAD) == ("error", "pending_reload")
        assert erl.erl_ddll.load(old) == ("error", "bad_driver_name")
        ok, how, ref = erl.erl_ddll.try_load(new)
        assert (ok, how) == ("ok", "pending_driver")
        watched = erl.erl_ddll.monitor("driver", ("d", "loaded"))
        only = erl.erl_ddll.monitor("driver", ("d", "unloaded_only"))
        assert erl.erl_ddll.info("d", "awaiting_load") == [(me, 2)]
        assert erl.erl_ddll.info("d", "awaiting_unload") == [(me, 1)]
        other = erl.spawn(lambda: erl.send(me, (erl.erl_ddll.load(new), "loaded")))
        erl.receive(lambda message: False, timeout=5)
        erl.port_close(port)
        got = [erl.receive(lambda m: m[-1] in ("loaded", "unloaded")) for _ in range(4)]
        assert ("DOWN", only, "driver", "d", "unloaded") in got
        assert ("UP", ref, "driver", "d", "loaded") in got
        assert ("UP", watched, "driver", "d", "loaded") in got
        assert ("ok", "loaded") in got
        down = erl.monitor("process", other)
        erl.receive(lambda message: message[1] == down)
        assert erl.erl_ddll.info("d", "processes") == [(me, 2)]
        # Whoever is loaded is the new one.
        assert answer(erl, erl.open_port(("spawn_driver", "d"))) == b"2"


@both
@pytest.mark.rule("port.reload-waits")
@pytest.mark.parametrize("reason", ["permanent", "driver_init_failed"])
def test_who_waits_for_the_new_driver_is_told_why_there_will_be_none(
    threads: Kind, reason: str
) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        me = erl.self()
        new = made_of(init=lambda: -1)
        erl.erl_ddll.load(version(1, control=becomes_permanent))
        port = erl.open_port(("spawn_driver", "d"))
        erl.erl_ddll.try_load(new, [("reload", "pending")])
        erl.spawn(lambda: erl.send(me, (erl.erl_ddll.load(new), "answer")))
        erl.receive(lambda message: False, timeout=5)
        if reason == "permanent":
            erl.port_control(port, 0, b"")
        else:
            erl.port_close(port)
        assert erl.receive(lambda message: message[-1] == "answer")[0] == ("error", reason)


@both
@pytest.mark.rule("port.reload-waits")
def test_the_last_user_may_give_the_driver_up_instead(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        old, new = version(1), version(2)
        erl.erl_ddll.load(old)
        erl.open_port(("spawn_driver", "d"))
        _, _, ref = erl.erl_ddll.try_load(new, RELOAD)
        assert erl.erl_ddll.try_unload("d") == ("ok", "pending_driver")
        assert erl.receive() == ("DOWN", ref, "driver", "d", "load_cancelled")
        assert erl.erl_ddll.reload(new) == ("error", "not_loaded_by_this_process")
        assert erl.erl_ddll.load(old) == "ok"


def test_the_loader_s_end_cancels_the_reload() -> None:
    with Emulator(schedulers=2) as erl:
        new = version(2)

        def loader() -> None:
            erl.erl_ddll.load(version(1))
            erl.send(me, erl.open_port(("spawn_driver", "d")))
            erl.receive()
            erl.erl_ddll.try_load(new, [("reload", "pending")])
            erl.send(me, "reloading")
            erl.receive()

        me = erl.self()
        pid = erl.spawn(loader)
        port = erl.receive()
        erl.port_connect(port, me)
        erl.send(pid, "reload")
        assert erl.receive() == "reloading"
        ref = erl.erl_ddll.monitor("driver", ("d", "loaded"))
        erl.send(pid, "end")
        assert erl.receive() == ("DOWN", ref, "driver", "d", "load_cancelled")
        assert erl.trace.order("finish") == []


@both
def test_a_driver_that_becomes_permanent_is_not_replaced(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        old = version(1, control=becomes_permanent)
        erl.erl_ddll.load(old)
        port = erl.open_port(("spawn_driver", "d"))
        _, _, ref = erl.erl_ddll.try_load(version(2), RELOAD)
        erl.port_control(port, 0, b"")
        assert erl.receive() == ("UP", ref, "driver", "d", "permanent")
        erl.port_close(port)
        assert erl.erl_ddll.try_load(version(2), RELOAD) == ("error", "permanent")


def test_the_emulator_stops_while_a_driver_waits_to_be_replaced() -> None:
    with Emulator() as erl:
        erl.erl_ddll.load(version(1))
        erl.open_port(("spawn_driver", "d"))
        erl.erl_ddll.try_load(version(2), [("reload", "pending")])
    # The port is closed, and so the driver is replaced once more.
    assert erl.trace.order("init", "finish") == ["init", "finish"] * 2


# What comes between.


@pytest.mark.rule("port.reload")
def test_whatever_comes_between_a_port_is_of_the_one_version_or_of_the_other() -> None:
    """An upgrade while another process uses the driver, in every schedule."""

    def scenario(erl: Emulator) -> object:
        new = version(2)
        erl.erl_ddll.load(version(1))
        me = erl.self()

        def user() -> None:
            port = erl.open_port(("spawn_driver", "d"), ("binary",))
            said = answer(erl, port)
            erl.port_close(port)
            erl.send(me, ("said", said))

        erl.spawn(user, scheduler=2)
        result = erl.erl_ddll.reload(new)
        said = erl.receive(lambda message: message[0] == "said")[1]
        return result, said, answer(erl, erl.open_port(("spawn_driver", "d")))

    outcomes = explore(scenario, schedulers=2)
    assert outcomes.complete
    assert set(outcomes) == {("ok", b"1", b"2"), ("ok", b"2", b"2")}


@pytest.mark.rule("port.reload-kills")
def test_reload_driver_may_take_the_port_from_its_user() -> None:
    def scenario(erl: Emulator) -> object:
        new = version(2)
        erl.erl_ddll.load_driver(version(1))
        me = erl.self()

        def user() -> None:
            erl.process_flag("trap_exit", True)
            try:
                port = erl.open_port(("spawn_driver", "d"), ("binary",))
                erl.port_command(port, b"")
                said = erl.receive()[1]
            except ErlangError as error:
                said = error.reason
            erl.send(me, ("said", said))

        erl.spawn(user, scheduler=2)
        result = erl.erl_ddll.reload_driver(new)
        said = erl.receive(lambda message: message[0] == "said")[1]
        return result, said if isinstance(said, str) else said[-1]

    outcomes: Any = explore(scenario, schedulers=2)
    assert outcomes.complete
    # The answer of either version, an EXIT in its place, or no port to open or to command.
    assert {said for _, said in outcomes} >= {b"1", b"2", "badarg"}
    assert {result for result, _ in outcomes} == {"ok"}


def test_init_and_finish_of_an_exchange_are_waited_for() -> None:
    """Whatever asks for the driver by name while it is being replaced gets the new one."""

    def scenario(erl: Emulator) -> object:
        asked = Gate()
        erl.erl_ddll.load(version(1))
        me = erl.self()

        def ask() -> None:
            asked.pass_through()
            found = erl.erl_ddll.info("d", "processes")
            erl.send(me, ("found", found == [(me, 1)]))

        def init() -> None:
            asked.open()
            usleep(1)  # others go on meanwhile

        erl.spawn(ask, scheduler=2)
        asked.await_arrival()
        new = made_of(init=init)
        result = erl.erl_ddll.reload(new)
        return result, erl.receive(lambda message: message[0] == "found")[1]

    assert set(explore(scenario, schedulers=2)) == {("ok", True)}


class Between:
    """A lock before which another OS thread comes once."""

    def __init__(self, lock: Any, come: Callable[[], object]) -> None:
        self.lock, self.come = lock, [come]

    def __enter__(self) -> None:
        if self.come:
            self.come.pop()()
        self.lock.__enter__()

    def __exit__(self, *error: object) -> None:
        self.lock.__exit__(*error)


def test_a_successor_that_comes_at_the_last_moment_is_put_in_place_under_the_lock_of_loading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On OS threads it may come between the look for one and the lock of the table."""
    held = []

    def make() -> str:
        held.append("held" in str(erl.runtime.loading))
        return "driver_init_failed"

    def come() -> None:
        loaded = erl.runtime.drivers["d"]
        loaded.successor.value = Successor(loaded.source, False, make)

    def stop(port: ErlDrvPort) -> None:
        # The next that takes the lock looks whether the driver is idle.
        monkeypatch.setattr(erl.runtime, "drivers_lock", Between(erl.runtime.drivers_lock, come))

    with Emulator() as erl:
        erl.erl_ddll.load(version(1, stop=stop))
        port = erl.open_port(("spawn_driver", "d"))
        erl.erl_ddll.unload("d")  # it waits for the port
        erl.port_close(port)
        assert erl.erl_ddll.loaded_drivers() == ("ok", [])
    assert held == [True]


@pytest.mark.parametrize("release", ["R7B-3"])
def test_r7b_reloads_nothing(release: str) -> None:
    with Emulator(release=release) as erl:
        calls: list[Callable[[], object]] = [
            lambda: erl.erl_ddll.try_load(version(1)),
            lambda: erl.erl_ddll.reload(version(1)),
            lambda: erl.erl_ddll.reload_driver(version(1)),
            lambda: erl.erl_ddll.format_error("not_loaded"),
        ]
        for call in calls:
            with pytest.raises(ErlangError, match="undef"):
                call()


def test_every_reason_has_its_text() -> None:
    with Emulator() as erl:
        text = erl.erl_ddll.format_error
        assert text("not_loaded_by_this_process") == "DDLL driver was not loaded by this process"
        assert text("load_cancelled") == "Loading was cancelled from other process"
        with pytest.raises(ErlangError, match="badarg"):
            text("no such reason")


def test_info_of_all_drivers_names_each() -> None:
    with Emulator() as erl:
        erl.erl_ddll.load(made_of("b"))
        erl.erl_ddll.load_driver(made_of("a"))
        found = erl.erl_ddll.info()
        assert [name for name, _ in found] == ["a", "b"]
        assert ("driver_options", ["kill_ports"]) in found[0][1]
        assert ("driver_options", []) in found[1][1]
