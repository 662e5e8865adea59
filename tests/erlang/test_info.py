"""What `port_info` and `process_info` tell."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pytest
from scripted import Box, do, made_of, scripted, steps
from support import Gate, Kind, Signal, both, opened

from driverref import Driver, Emulator, Port, explore
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    driver_caller,
    driver_deq,
    driver_enq,
    driver_failure_atom,
    driver_mk_port,
    driver_monitor_process,
    driver_output,
    driver_output2,
    driver_sizeq,
    erl_drv_output_term,
)
from driverref.errors import ErlangError
from driverref.release import ERAS


def output(port: ErlDrvPort, buf: memoryview) -> None:
    """The first byte says what is done with the others."""
    what, data = bytes(buf[:1]), bytes(buf[1:])
    if what == b"o":
        driver_output(port, data)
    elif what == b"2":
        driver_output2(port, b"HH", data)
    elif what == b"t":
        erl_drv_output_term(driver_mk_port(port), data)
    elif what == b"q":
        driver_enq(port, data)
    else:
        driver_monitor_process(port, driver_caller(port))


def control(port: ErlDrvPort, command: int, buf: memoryview) -> None:
    driver_deq(port, driver_sizeq(port))


def driver(flags: int = 0) -> Driver:
    return made_of(
        flags=flags,
        output=output,
        control=control,
        process_exit=lambda *_: None,
    )


@pytest.mark.rule("port.info")
@both
def test_port_info_lists_what_is_known(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(driver())
        port = erl.open_port(("spawn_driver", "d  a b"))
        known = (
            '{name,"d  a b"}, {links,[<0.1.0>]}, {id,1}, {connected,<0.1.0>}, {input,0},'
            " {output,0}, {os_pid,undefined}]"
        )
        assert repr(erl.port_info(port)) == "[" + known
        erl.register("p", port)
        assert repr(erl.port_info(port)) == "[{registered_name,p}, " + known
        assert erl.port_info("p") == erl.port_info(port)


ITEMS = {
    "monitors": [],
    "monitored_by": [],
    "locking": "driver_level",
    "parallelism": False,
    "queue_size": 0,
    "name": "d ",
    "os_pid": None,
}


@pytest.mark.rule("port.info")
@pytest.mark.parametrize("item", ITEMS)
@both
def test_and_one_item_if_asked(item: str, threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, driver())
        assert erl.port_info(port, item) == (item, ITEMS[item])


@both
def test_the_name_that_a_port_has_not_is_an_empty_list(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, driver())
        assert erl.port_info(port, "registered_name") == []
        erl.register("p", port)
        assert erl.port_info(port, "registered_name") == ("registered_name", "p")


@both
def test_a_lock_for_each_port_is_told(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, driver(ERL_DRV_FLAG_USE_PORT_LOCKING))
        assert erl.port_info(port, "locking") == ("locking", "port_level")


@pytest.mark.rule("port.bytes")
@both
def test_data_is_counted_both_ways(threads: Kind) -> None:
    """The numbers are those of OTP 25."""
    with Emulator(threads=threads) as erl:
        port = opened(erl, driver())
        counts = []

        def count() -> None:
            counts.append((erl.port_info(port, "input")[1], erl.port_info(port, "output")[1]))

        for command in (b"", b"oabc", [b"2a", b"bc"], b"tabc", b"q1"):
            erl.port_command(port, command)
            count()
        erl.send(port, (erl.self(), ("command", b"oab")))
        count()
        erl.port_control(port, 7, b"abcdef")
        count()
        assert counts == [(0, 0), (3, 4), (8, 8), (8, 12), (8, 14), (10, 17), (10, 17)]


@pytest.mark.rule("port.info-closing")
@both
def test_a_closing_port_is_known_but_for_what_it_has_given_up(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, driver())
        erl.register("p", port)
        erl.monitor("port", port)
        for command in (b"m", b"q1"):
            erl.port_command(port, command)
        assert erl.port_info(port, "monitors") == ("monitors", [("process", erl.self())])
        assert erl.port_info(port, "monitored_by") == ("monitored_by", [erl.self()])
        assert erl.process_info(erl.self(), "monitored_by") == ("monitored_by", [port])
        erl.port_close(port)
        info: Any = dict(erl.port_info(port))
        assert (info["name"], info["connected"], info["links"]) == ("d ", erl.self(), [])
        assert "registered_name" not in info
        assert erl.port_info(port, "monitors") == ("monitors", [])
        assert erl.port_info(port, "monitored_by") == ("monitored_by", [])
        assert erl.port_info(port, "queue_size") == ("queue_size", 1)
        assert erl.process_info(erl.self(), "monitored_by") == ("monitored_by", [])
        erl.port_control(port, 0, b"")
        assert erl.port_info(port) is None
        assert erl.port_info(port, "no item") is None


@pytest.mark.parametrize("told", ["fail", "nothing"])
@both
def test_an_unknown_item_is_looked_at_when_its_turn_has_come(told: str, threads: Kind) -> None:
    """Of a port that its callback fails meanwhile any item is `undefined`, as on OTP 25."""

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        gate.pass_through()
        if told == "fail":
            driver_failure_atom(port, "broken")
        return b""

    with Emulator(threads=threads, schedulers=3) as erl:
        gate, found = Gate(), Box()
        port = opened(erl, made_of(control=control))
        erl.unlink(port)
        erl.spawn(lambda: erl.port_control(port, 0, b""), scheduler=2)
        gate.await_arrival()

        def ask() -> None:
            try:
                found.put(erl.port_info(port, "no item"))
            except ErlangError as error:
                found.put(error.reason)

        watch = erl.monitor("process", erl.spawn(ask, scheduler=3))
        gate.open()
        erl.receive(lambda message: message[1] == watch)
        # On OS threads the callback may be over before the other process asks.
        assert found.value == (None if told == "fail" else "badarg")


CAME = {
    "registered_name": "R7B-3",
    "monitors": "R7B-3",
    "locking": "R7B-3",
    "queue_size": "R7B-3",
    "os_pid": "R14B04",
    "parallelism": "R14B04",
    "monitored_by": "R16B",
}
"""The last era that lacks an item."""


def lacks(erl: Emulator, port: Port, item: str) -> bool:
    """Whether the release has no such item."""
    try:
        erl.port_info(port, item)
    except ErlangError as error:
        return error.reason == "undef"
    return False


@pytest.mark.rule("era.calls")
@pytest.mark.parametrize("item", CAME)
def test_an_item_came_with_a_release(item: str) -> None:
    lacking = []
    for release in ERAS:
        with Emulator(release=release) as erl:
            port = opened(erl, driver())
            if lacks(erl, port, item):
                lacking.append(release.name)
    assert lacking[-1] == CAME[item]
    assert [release.name for release in ERAS][: len(lacking)] == lacking


def test_the_list_has_the_program_s_pid_since_r15b02() -> None:
    listed = []
    for release in ("R14B04", "R16B"):
        with Emulator(release=release) as erl:
            listed.append([name for name, _ in erl.port_info(opened(erl, driver()))])
    assert listed[1] == [*listed[0], "os_pid"]


# Processes.


@both
def test_process_info_tells_what_is_known(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        me, gate = erl.self(), Signal()
        port = opened(erl, driver())
        pid = erl.spawn(gate.wait, link=True)
        erl.register("me", me)
        erl.register("it", pid)
        erl.process_flag("trap_exit", True)
        erl.monitor("process", pid)
        erl.monitor("process", "it")
        erl.monitor("port", port)
        assert erl.process_info(me, "links") == ("links", [pid, port])
        assert repr(erl.process_info(me, "monitors")) == (
            "{monitors,[{process,<0.2.0>},{process,{it,nonode@nohost}},{port,#Port<0.1>}]}"
        )
        assert erl.process_info(pid, ["monitored_by", "trap_exit", "registered_name"]) == [
            ("monitored_by", [me, me]),
            ("trap_exit", False),
            ("registered_name", "it"),
        ]
        assert erl.process_info(me, "registered_name") == ("registered_name", "me")
        erl.unregister("me")
        assert erl.process_info(me, "registered_name") == []
        assert erl.process_info(me, ["registered_name"]) == [("registered_name", [])]
        gate.give()
        erl.receive(lambda message: message[0] == "EXIT")
        assert erl.process_info(pid, "links") is None


def test_a_process_in_a_callback_answers_after_it() -> None:
    """So OTP 25 did."""

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        gate.pass_through()
        return b""

    with Emulator(schedulers=3) as erl:
        me, gate = erl.self(), Gate()
        port = opened(erl, made_of(control=control))
        calls = steps(lambda: erl.port_control(port, 0, b""), erl.receive)
        pid = erl.spawn(calls, scheduler=2)
        gate.await_arrival()
        erl.spawn(lambda: erl.send(me, erl.process_info(pid, "links")), scheduler=3)
        assert erl.receive(timeout=1000) is None
        gate.open()
        assert erl.receive() == ("links", [])
        erl.send(pid, "end")


def asked_while_it_ends(erl: Emulator) -> Hashable:
    pid = erl.spawn(bool, scheduler=2)
    return repr(erl.process_info(pid, "links"))


def test_a_process_may_end_before_it_answers() -> None:
    assert set(explore(asked_while_it_ends, schedulers=2)) == {"{links,[]}", "None"}


@both
def test_a_process_sees_its_own_mailbox_and_no_other(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        me, gate = erl.self(), Signal()
        erl.send(me, "one")
        erl.send(me, "two")
        assert erl.receive(lambda message: message == "two") == "two"
        erl.send(me, "three")
        assert erl.process_info(me, "message_queue_len") == ("message_queue_len", 2)
        assert erl.process_info(me, "messages") == ("messages", ["one", "three"])
        assert [erl.receive(), erl.receive()] == ["one", "three"]
        pid = erl.spawn(gate.wait)
        with pytest.raises(ErlangError, match="only the process itself sees its mailbox"):
            erl.process_info(pid, ["links", "messages"])
        gate.give()


@both
def test_a_wake_up_is_no_message(threads: Kind) -> None:
    def end(port: ErlDrvPort) -> int:
        return driver_deq(port, 1)

    with Emulator(threads=threads) as erl:
        port = opened(erl, scripted(end))
        assert isinstance(port, Port)
        erl.runtime.entities.processes()[0].wake()
        erl.send(erl.self(), "x")
        assert erl.process_info(erl.self(), "messages") == ("messages", ["x"])
        do(erl, port, 0)
        assert erl.receive() == "x"
