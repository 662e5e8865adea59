"""What a process gives away, or a driver, is copied at each door, and refused if it is no term."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scripted import made_of
from support import Kind, both, opened, received

from driverref import Atom, Driver, Emulator, Pid, Port, explore
from driverref.erl_driver import (
    ErlDrvPort,
    driver_alloc_binary,
    driver_free_binary,
    driver_mk_port,
    driver_output,
    driver_output_term,
    erl_drv_send_term,
)
from driverref.errors import ErlangError, ProcessExit
from driverref.posix import usleep
from driverref.terms import ImproperList, SubBinary, Tuple, binary_part


class Keeps(Driver):
    """Changes what it is given and keeps what it replies."""

    driver_name = "keeps"
    reply: Any

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        return port

    def call(self, port: ErlDrvPort, command: int, term: Any) -> object:
        term.append("changed")
        self.reply = [term]
        return self.reply

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        term: list[object] = [1, [2]]
        driver_output_term(port, (driver_mk_port(port), term))
        term.append("changed")


Door = Callable[[Emulator, list[Any]], object]


def through_a_message(erl: Emulator, term: list[Any]) -> object:
    erl.send(erl.self(), term)
    term[0].append("changed")
    return erl.receive()


def through_a_message_in_a_tuple(erl: Emulator, term: list[Any]) -> object:
    erl.send(erl.self(), ("tagged", {"key": term}))
    term[0].append("changed")
    return erl.receive()[1]["key"]


def through_a_name(erl: Emulator, term: list[Any]) -> object:
    erl.register("me", erl.self())
    erl.send("me", term)
    term[0].append("changed")
    return erl.receive()


def through_an_exit(erl: Emulator, term: list[Any]) -> object:
    erl.process_flag("trap_exit", True)
    erl.spawn(lambda: erl.exit(term), link=True)
    reason = erl.receive()[2]
    term[0].append("changed")
    return reason


def through_an_exit_signal(erl: Emulator, term: list[Any]) -> object:
    erl.process_flag("trap_exit", True)
    erl.exit(erl.self(), term)
    term[0].append("changed")
    return erl.receive()[2]


def through_spawn(erl: Emulator, term: list[Any]) -> object:
    me = erl.self()
    erl.spawn(lambda given: erl.send(me, given), term)
    term[0].append("changed")
    return erl.receive()


def through_port_call(erl: Emulator, term: list[Any]) -> object:
    erl.port_call(opened(erl, Keeps()), 0, term)
    return term


def through_the_reply(erl: Emulator, term: list[Any]) -> object:
    reply = erl.port_call(opened(erl, made_of(call=lambda port, command, given: term)), 0, [])
    term[0].append("changed")
    return reply


DOORS: list[Door] = [
    through_a_message,
    through_a_message_in_a_tuple,
    through_a_name,
    through_an_exit,
    through_an_exit_signal,
    through_spawn,
    through_port_call,
    through_the_reply,
]


@both
@pytest.mark.rule("explore.terms-are-copied")
@pytest.mark.parametrize("door", DOORS)
def test_what_has_crossed_does_not_change_with_what_was_given(threads: Kind, door: Door) -> None:
    with Emulator(threads=threads) as erl:
        assert door(erl, [[1], b"x"]) == [[1], b"x"]


@both
def test_what_a_driver_sends_does_not_change_with_its_term(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, Keeps())
        erl.port_command(port, b"")
        assert erl.receive() == (port, [1, [2]])


def test_two_that_are_told_the_same_do_not_share_it() -> None:
    with Emulator() as erl:
        me = erl.self()
        heard: list[Any] = []

        def hears() -> None:
            erl.process_flag("trap_exit", True)
            erl.link(ends)
            erl.monitor("process", ends)
            erl.send(me, "ready")
            for _ in range(2):
                told = erl.receive()[-1]
                told.append("changed")
                heard.append(told)
            erl.send(me, "heard")

        ends = erl.spawn(lambda: erl.exit([erl.receive()]))
        for _ in range(2):
            erl.spawn(hears)
            assert erl.receive() == "ready"
        erl.send(ends, 0)
        assert [erl.receive(), erl.receive()] == ["heard", "heard"]
    assert heard == [[0, "changed"]] * 4


def test_the_trace_keeps_what_was_sent_and_received() -> None:
    with Emulator() as erl:
        port = opened(erl, made_of("kept", output=driver_output))
        listed = erl.open_port(("spawn_driver", "kept"), [])
        erl.port_command(port, b"ab")
        erl.port_command(listed, b"ab")
        erl.send(erl.self(), [1])
        for message in received(erl):
            if isinstance(message, list):
                message.append("changed")
            elif isinstance(message[1][1], list):
                message[1][1].append("changed")
    told = [str(event) for event in erl.trace.select("send", "receive")]
    assert "send [1]" in told
    assert "receive [1]" in told
    assert f"receive {{{listed},{{data,[97,98]}}}}" in told


def test_the_mailbox_is_shown_as_a_copy() -> None:
    with Emulator() as erl:
        erl.send(erl.self(), [1])
        erl.process_info(erl.self(), "messages")[1][0].append("changed")
        assert erl.receive() == [1]


def test_what_cannot_change_stays_the_same_object() -> None:
    whole = bytes(100)
    with Emulator() as erl:
        sent = Tuple((Atom("part"), binary_part(whole, 10, 80)))
        erl.send(erl.self(), sent)
        got = erl.receive()
    assert got is sent
    assert isinstance(got[1], SubBinary)
    assert got[1].whole is whole


def test_a_message_of_a_port_may_be_passed_on_as_it_is() -> None:
    def sends(port: ErlDrvPort, buf: memoryview) -> None:
        driver_output_term(port, ImproperList([1, b"tail"]))

    with Emulator() as erl:
        erl.port_command(opened(erl, made_of(output=sends)), b"")
        erl.send(erl.self(), ("passed", erl.receive()))
        assert repr(erl.receive()) == '{passed,[1|<<"tail">>]}'


def test_other_shapes_of_a_value_arrive_as_the_plain_term() -> None:
    class Number(int):
        pass

    class Real(float):
        pass

    class Text(bytes):
        pass

    given = [Number(1), Real(0.5), Text(b"b"), bytearray(b"b"), memoryview(b"b"), "atom"]
    with Emulator() as erl:
        erl.send(erl.self(), given)
        kinds = [type(part) for part in erl.receive()]
    assert kinds == [int, float, bytes, bytes, bytes, Atom]


SELF: list[object] = [1]
SELF.append(SELF)

NO_TERMS: list[tuple[object, str]] = [
    (None, "None is no Erlang term; the atom is Atom('undefined')"),
    (object(), "<object object> is no Erlang term"),
    ({1}, "{1} is no Erlang term"),
    (float("nan"), "nan is no Erlang term"),
    (float("inf"), "inf is no Erlang term"),
    (1j, "1j is no Erlang term"),
    (print, "<built-in function print> is no Erlang term"),
    (["nested", {"in": (None,)}], "None is no Erlang term; the atom is Atom('undefined')"),
    (SELF, "nested deeper than 200, or contains itself"),
]

BIFS: list[tuple[str, Callable[[Emulator, Port, object], object]]] = [
    ("send: message", lambda erl, port, term: erl.send(erl.self(), term)),
    ("send: message", lambda erl, port, term: erl.send(port, term)),
    ("send: message", lambda erl, port, term: erl.send(Port(99), term)),
    ("send: message", lambda erl, port, term: erl.send(port, (erl.self(), ("command", term)))),
    ("exit: reason", lambda erl, port, term: erl.exit(term)),
    ("exit: reason", lambda erl, port, term: erl.exit(erl.self(), term)),
    ("port_call: term", lambda erl, port, term: erl.port_call(port, 0, term)),
]


@pytest.mark.parametrize(("term", "why"), NO_TERMS)
@pytest.mark.parametrize(("where", "call"), BIFS)
def test_what_is_no_term_is_refused_and_nothing_happens(
    where: str, call: Callable[[Emulator, Port, object], object], term: object, why: str
) -> None:
    with Emulator() as erl:
        port = opened(erl, Keeps())
        with pytest.raises(TypeError) as caught:
            call(erl, port, term)
        assert str(caught.value) == f"{where} must be an Erlang term: {why}"
        assert erl.process_info(erl.self(), "messages")[1] == []
        assert erl.port_info(port) is not None


def test_a_reply_that_is_no_term_is_the_drivers_fault() -> None:
    def replies(reply: object) -> None:
        with Emulator() as erl:
            erl.port_call(opened(erl, made_of(call=lambda port, command, term: reply)), 0, 1)

    for reply, why in ((object(), "not <object object>"), (SELF, "nested deeper")):
        with pytest.raises(TypeError, match=f"call: the reply must be an Erlang term.*{why}"):
            replies(reply)


def test_a_driver_replies_with_its_memory_as_a_binary() -> None:
    def call(port: ErlDrvPort, command: int, term: object) -> object:
        binary = driver_alloc_binary(2)
        assert binary is not None
        binary.orig_bytes[:] = b"ab"
        try:
            return ("ok", [binary, binary.orig_bytes])
        finally:
            held.append(binary)

    held: list[Any] = []
    stop = made_of(call=call, stop=lambda port: driver_free_binary(held.pop()))
    with Emulator() as erl:
        port = opened(erl, stop)
        assert repr(erl.port_call(port, 0, 1)) == '{ok,[<<"ab">>,<<"ab">>]}'
        erl.port_close(port)


def test_a_term_that_a_driver_nests_too_deep_is_refused() -> None:
    def sends(port: ErlDrvPort, buf: memoryview) -> None:
        erl_drv_send_term(driver_mk_port(port), Pid(1), SELF)

    def scenario() -> None:
        with Emulator() as erl:
            erl.port_command(opened(erl, made_of(output=sends)), b"")

    with pytest.raises(TypeError, match="erl_drv_send_term: term must be .* nested deeper"):
        scenario()


def test_iodata_may_be_nested_to_any_depth_but_not_contain_itself() -> None:
    deep: list[object] = [b"x"]
    for _ in range(5_000):
        deep = [deep]
    heard: list[bytes] = []
    with Emulator() as erl:
        port = opened(erl, made_of(output=lambda port, buf: heard.append(bytes(buf))))
        erl.port_command(port, [deep, deep])  # the same one twice is no circle
        erl.send(port, (erl.self(), ("command", deep)))
        with pytest.raises(ErlangError, match="a list in it contains itself"):
            erl.port_command(port, SELF)
    assert heard == [b"xx", b"x"]


def test_the_data_of_a_command_is_what_it_was_when_it_was_sent() -> None:
    """Also if the port is locked, and the message waits for it."""

    def scenario(erl: Emulator) -> object:
        heard: list[bytes] = []
        driver = made_of(
            output=lambda port, buf: heard.append(bytes(buf)),
            control=lambda port, command, buf: (usleep(1), b"")[1],
        )
        port = opened(erl, driver)
        busy = erl.spawn(lambda: erl.port_control(port, 0, b""), scheduler=2)
        ended = erl.monitor("process", busy)
        data = [b"a", bytearray(b"b")]
        erl.send(port, (erl.self(), ("command", data)))
        data[1][:] = b"changed"  # type: ignore[index]
        data.append(b"c")
        erl.receive(lambda message: message[1] == ended)
        erl.port_control(port, 0, b"")
        return tuple(heard)

    assert set(explore(scenario, schedulers=2)) == {(b"ab",)}


def test_what_is_no_term_is_given_to_a_function_as_it_is() -> None:
    found: list[object] = []
    unsendable: list[object] = [print]
    with Emulator() as erl:
        pid = erl.spawn(lambda *given: found.extend(given), unsendable, found, "text", None)
        erl.monitor("process", pid)
        erl.receive()
    assert found[0] is unsendable
    assert found[1] == []
    assert type(found[2]) is str
    assert found[3] is None


def test_an_exit_that_is_caught_has_a_reason_of_its_own() -> None:
    reason = [1]
    with Emulator() as erl:
        with pytest.raises(ProcessExit) as caught:
            erl.exit(reason)
        assert caught.value.reason == reason
        assert caught.value.reason is not reason
