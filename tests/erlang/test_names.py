"""Registered names: who has one, where a name stands for a port or a process, and how it goes."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import pytest
from scripted import Box, do, made_of, scripted
from support import Gate, Kind, Signal, both, opened

from driverref import Emulator, Pid, Port, explore
from driverref.erl_driver import (
    ErlDrvPort,
    driver_deq,
    driver_enq,
    driver_failure_atom,
    driver_output,
)
from driverref.errors import ErlangError

refused = pytest.raises(ErlangError, match="badarg")


def echo(port: ErlDrvPort, buf: memoryview) -> None:
    driver_output(port, buf)


@both
def test_a_name_leads_to_what_is_registered(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, made_of())
        assert erl.whereis("p") is None
        assert erl.register("p", port)
        assert erl.register("me", erl.self())
        assert (erl.whereis("p"), erl.whereis("me")) == (port, erl.self())
        assert repr(erl.registered()) == "[me, p]"
        assert erl.unregister("p")
        assert (erl.whereis("p"), erl.registered()) == (None, ["me"])
        assert erl.register("q", port)


@pytest.mark.rule("name.one-each")
@both
def test_one_name_each_and_one_of_each_name(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, made_of())
        erl.register("p", port)
        for name, item in (("p", port), ("q", port), ("p", erl.self())):
            with refused:
                erl.register(name, item)
        assert erl.registered() == ["p"]


@pytest.mark.rule("name.one-each")
@both
def test_what_has_ended_gets_no_name(threads: Kind) -> None:
    def empty(port: ErlDrvPort) -> int:
        return driver_deq(port, 1)

    with Emulator(threads=threads) as erl:
        port = opened(erl, scripted(empty, output=driver_enq))
        pid = erl.spawn(bool)
        watch = erl.monitor("process", pid)
        erl.receive(lambda message: message[1] == watch)
        with refused:
            erl.register("p", pid)
        erl.unlink(port)
        erl.port_command(port, b"1")
        erl.port_close(port)  # it is closing now
        with refused:
            erl.register("p", port)
        assert erl.whereis("p") is None
        do(erl, port, 0)
        with refused:
            erl.register("p", port)


@pytest.mark.rule("name.one-each")
@both
def test_what_was_asked_of_a_port_before_is_done_before_it_gets_a_name(threads: Kind) -> None:
    """A port that is told to exit during a callback has ended when the callback returns."""

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        gate.pass_through()
        return b""

    with Emulator(threads=threads, schedulers=3) as erl:
        gate, done = Gate(), Box()
        port = opened(erl, made_of(control=control))
        erl.unlink(port)
        erl.spawn(lambda: erl.port_control(port, 0, b""), scheduler=2)
        gate.await_arrival()
        erl.exit(port, "die")

        def register() -> None:
            with refused:
                erl.register("p", port)
            done.put(True)

        pid = erl.spawn(register, scheduler=3)
        watch = erl.monitor("process", pid)
        gate.open()
        erl.receive(lambda message: message[1] == watch)
        assert (done.value, erl.whereis("p")) == (True, None)


# A name in place of a port, and of a process.

TAKES_NAME: dict[str, Callable[[Emulator, str], object]] = {
    "port_command": lambda erl, name: erl.port_command(name, b"x", ["nosuspend"]),
    "port_control": lambda erl, name: erl.port_control(name, 0, b""),
    "port_call": lambda erl, name: erl.port_call(name, 0, b""),
    "port_connect": lambda erl, name: erl.port_connect(name, erl.self()),
    "port_close": lambda erl, name: erl.port_close(name),
    "port_info": lambda erl, name: bool(erl.port_info(name)),
}


@pytest.mark.rule("name.in-place-of-port")
@pytest.mark.parametrize("bif", TAKES_NAME)
@both
def test_a_bif_takes_the_name_of_a_port(bif: str, threads: Kind) -> None:
    driver = made_of(control=lambda *_: b"", call=lambda port, command, term: True)
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, driver)
        erl.register("p", port)
        erl.register("me", erl.self())
        assert TAKES_NAME[bif](erl, "p") in (True, [])
        for name in ("me", "nothing"):  # a process's name is no port's
            if bif == "port_info":
                assert erl.port_info(name) is None
            else:
                with refused:
                    TAKES_NAME[bif](erl, name)


@pytest.mark.rule("name.in-place-of-port")
@pytest.mark.parametrize("bif", ["link", "unlink", "exit"])
def test_link_unlink_and_exit_take_no_name(bif: str) -> None:
    with Emulator() as erl:
        port = opened(erl, made_of())
        erl.register("p", port)
        arguments = ("p", "x") if bif == "exit" else ("p",)
        with refused:
            getattr(erl, bif)(*arguments)


@pytest.mark.rule("name.send")
@both
def test_a_message_finds_a_port_and_a_process_by_name(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, made_of(output=echo))
        me = erl.self()
        erl.register("p", port)
        erl.register("me", me)
        erl.send("p", (me, ("command", b"1")))
        erl.send(("p", "nonode@nohost"), (me, ("command", b"2")))
        erl.send("me", "3")
        got = [erl.receive() for _ in range(3)]
        assert got == [(port, ("data", b"1")), (port, ("data", b"2")), "3"]


@pytest.mark.rule("name.send")
@both
def test_a_name_that_nothing_has_is_badarg_and_with_a_node_it_is_silent(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        with refused:
            erl.send("nothing", "x")
        assert erl.send(("nothing", "nonode@nohost"), "x") == "x"
        assert erl.send(("me", "other@host"), "x") == "x"


# The end.


@pytest.mark.rule("name.ends-first")
@both
def test_who_is_told_of_the_end_finds_the_name_free(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, scripted(lambda port: driver_failure_atom(port, "broken")))
        gate = Signal()
        pid = erl.spawn(gate.wait)
        erl.register("p", port)
        erl.register("q", pid)
        watches = {erl.monitor("port", "p"), erl.monitor("process", "q")}
        erl.unlink(port)
        do(erl, port, 0)
        gate.give()
        for _ in range(2):
            down: Any = erl.receive(lambda message: message[0] == "DOWN")
            watches.remove(down[1])
            assert erl.whereis(down[3][0]) is None
        assert erl.registered() == []


def ended_owner(erl: Emulator) -> Hashable:
    """The owner of a named port ends while another process asks for the name."""
    erl.erl_ddll.load_driver(made_of())
    me = erl.self()

    def owner() -> None:
        erl.register("p", erl.open_port(("spawn_driver", "d")))
        erl.send(me, "registered")

    erl.spawn(owner, scheduler=2)
    erl.receive()
    return erl.whereis("p") is None, erl.port_info("p") is None


def test_the_name_of_a_port_goes_with_its_owner() -> None:
    assert set(explore(ended_owner, schedulers=2)) == {(False, False), (False, True), (True, True)}


def two_at_once(erl: Emulator) -> Hashable:
    """Two processes want the same name."""
    me = erl.self()

    def want() -> None:
        try:
            erl.register("p", erl.self())
        except ErlangError:
            erl.send(me, "refused")
        else:
            erl.send(me, "registered")
        erl.receive(lambda message: message == "end")

    pids = [erl.spawn(want, scheduler=number) for number in (1, 2)]
    answers = [erl.receive(), erl.receive()]
    found = erl.whereis("p")
    assert isinstance(found, Pid)
    return tuple(sorted(answers)), pids.index(found)


def test_of_two_that_want_a_name_one_gets_it() -> None:
    both_ways = {(("refused", "registered"), number) for number in (0, 1)}
    assert set(explore(two_at_once, schedulers=2)) == both_ways


def lost_meanwhile(erl: Emulator) -> Hashable:
    """Two processes take the name of a port away."""
    erl.erl_ddll.load_driver(made_of())
    port = erl.open_port(("spawn_driver", "d"))
    erl.register("p", port)
    me = erl.self()

    def away() -> None:
        try:
            erl.send(me, erl.unregister("p"))
        except ErlangError:
            erl.send(me, False)

    erl.spawn(away, scheduler=2)
    try:
        mine = erl.unregister("p")
    except ErlangError:
        mine = False
    return mine, erl.receive()


def test_a_name_is_taken_away_once() -> None:
    assert set(explore(lost_meanwhile, schedulers=2)) == {(True, False), (False, True)}


@pytest.mark.rule("era.port-names")
def test_r7b_registers_no_port() -> None:
    with Emulator(release="R7B-3") as erl:
        port = opened(erl, made_of())
        with pytest.raises(ErlangError, match="register of a port: R7B-3 does not have it"):
            erl.register("p", port)
        assert erl.register("me", erl.self())
    assert isinstance(port, Port)
