"""Monitors by name, and what `demonitor` is told to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scripted import made_of
from support import Kind, Signal, both, opened

from driverref import Emulator, Pid, Ref
from driverref.errors import ErlangError

NODE = "nonode@nohost"


@pytest.mark.rule("name.monitor")
@both
def test_down_tells_the_name_and_the_node(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port, gate = opened(erl, made_of()), Signal()
        erl.process_flag("trap_exit", True)
        erl.register("p", port)
        erl.register("q", erl.spawn(gate.wait))
        first = erl.monitor("port", "p")
        second = erl.monitor("port", ("p", NODE))
        third = erl.monitor("process", "q")
        erl.unregister("p")  # the monitor is one of the port, and stays
        erl.port_close(port)
        gate.give()
        downs = {erl.receive(lambda message: message[0] == "DOWN")[1:] for _ in range(3)}
        assert downs == {
            (first, "port", ("p", NODE), "normal"),
            (second, "port", ("p", NODE), "normal"),
            (third, "process", ("q", NODE), "normal"),
        }


@pytest.mark.rule("name.monitor")
@pytest.mark.parametrize(
    ("kind", "name"),
    [("port", "nothing"), ("process", "nothing"), ("port", "me"), ("process", "p")],
)
@both
def test_a_name_of_nothing_or_of_another_kind_is_noproc(
    kind: str, name: str, threads: Kind
) -> None:
    with Emulator(threads=threads) as erl:
        erl.register("p", opened(erl, made_of()))
        erl.register("me", erl.self())
        ref = erl.monitor(kind, name)
        assert erl.receive() == ("DOWN", ref, kind, (name, NODE), "noproc")


@both
def test_a_process_that_monitors_itself_monitors_nothing(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        ref = erl.monitor("process", erl.self())
        assert erl.process_info(erl.self(), ["monitors", "monitored_by"]) == [
            ("monitors", []),
            ("monitored_by", []),
        ]
        assert erl.demonitor(ref, ["info"]) is False


# demonitor/2.


@pytest.mark.parametrize("options", [(), ("flush",), ("info",), ("flush", "info")])
@both
def test_info_tells_whether_there_was_a_monitor(options: tuple[str, ...], threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        gate = Signal()
        ref = erl.monitor("process", erl.spawn(gate.wait))
        assert erl.demonitor(ref, options) is True
        assert erl.demonitor(ref, options) is ("info" not in options)
        assert erl.demonitor(erl.make_ref(), options) is ("info" not in options)
        gate.give()


@pytest.mark.parametrize("options", [(), ("flush",), ("info",), ("flush", "info")])
@both
def test_flush_takes_a_down_that_has_come(options: tuple[str, ...], threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.send(erl.self(), "before")
        ref = erl.monitor("process", Pid(77))
        erl.send(erl.self(), "after")
        assert erl.demonitor(ref, options) is ("info" not in options)
        got: list[Any] = []
        while (message := erl.receive(timeout=0)) is not None:
            got.append(message)
        down = [] if "flush" in options else [("DOWN", ref, "process", Pid(77), "noproc")]
        assert got == ["before", *down, "after"]


@both
def test_another_process_s_monitor_is_left_alone(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        me, gate, done = erl.self(), Signal(), Signal()

        def watcher() -> None:
            erl.send(me, ("ref", erl.monitor("process", me)))
            gate.wait()
            done.give()

        erl.spawn(watcher)
        _, ref = erl.receive()
        assert erl.demonitor(ref, ["info"]) is False
        assert len(erl.process_info(me, "monitored_by")[1]) == 1
        gate.give()
        done.wait()


CAME: dict[str, Callable[[Emulator], object]] = {
    "demonitor/2: R7B-3": lambda erl: erl.demonitor(Ref(1), ["flush"]),
    "demonitor's info: R11B-5": lambda erl: erl.demonitor(Ref(1), ["info"]),
}


@pytest.mark.rule("era.calls")
@pytest.mark.parametrize("what", CAME)
def test_an_option_came_with_a_release(what: str) -> None:
    release = what.rpartition(" ")[2]
    with (
        Emulator(release=release) as erl,
        pytest.raises(ErlangError, match=f"undef: {what} does not have it"),
    ):
        CAME[what](erl)
