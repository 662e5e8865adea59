"""The cases of `port_bif_SUITE` about linked-in drivers: commands, control, connecting, and info."""

from __future__ import annotations

from typing import Any

import pytest
from retold import exit_of, loaded, silent
from support import Kind, both, refused

from driverref import Driver, Emulator, Port, assert_outcomes
from driverref.erl_driver import ErlDrvPort, driver_output, set_busy_port
from driverref.terms import ImproperList, binary_part, iolist_to_binary


class Control(Driver):
    """`control` does what its number says: echo, send, turn busy; a big number is the reply."""

    driver_name = "control"
    ECHO, INPUT, BUSY = ord("e"), ord("i"), ord("b")

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        return port

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        driver_output(port, buf)

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes | int:
        if command == self.ECHO:
            return bytes(buf)
        if command == self.INPUT:
            driver_output(port, buf)
            return b""
        if command == self.BUSY:
            set_busy_port(port, buf[0])
            return b""
        return command.to_bytes(4, "big") if command >= 256 else -1


def part(data: bytes) -> bytes:
    """The same bytes as a part of a larger binary."""
    return binary_part(b"\0\1\3" + data, 3, len(data))


@both
@pytest.mark.otp("port_bif_SUITE", "command")
def test_commands_in_every_shape_reach_the_driver(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = loaded(erl, Control(), [])
        shapes: list[Any] = [list(b"hello"), b"hello", part(b"hello"), [b"he", part(b"llo")]]
        for data in shapes:
            assert erl.port_command(port, data) is True
            assert erl.receive() == (port, ("data", list(b"hello")))
            assert iolist_to_binary(data) == b"hello"
        assert silent(erl)


@both
@pytest.mark.parametrize("port", ["apple", 17, None, b"port"])
@pytest.mark.otp("port_bif_SUITE", "command_e_1")
def test_a_command_to_what_is_no_port_ends_the_process_with_badarg(
    port: Any, threads: Kind
) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        pid = erl.spawn(erl.port_command, port, b"", link=True)
        assert exit_of(erl, pid) == "badarg"


@both
@pytest.mark.otp("port_bif_SUITE", "command_e_2")
def test_and_so_does_data_that_is_none(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = loaded(erl, Control())
        pid = erl.spawn(erl.port_command, port, 1, link=True)
        assert exit_of(erl, pid) == "badarg"
        assert port in erl.ports()


@both
@pytest.mark.otp("port_bif_SUITE", "port_info1")
def test_port_info_lists_what_is_known_of_a_port(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port, me = loaded(erl, Control()), erl.self()
        assert "registered_name" not in dict(erl.port_info(port))
        erl.register("my_port", port)
        info = dict(erl.port_info(port))
        number = info.pop("id")
        assert isinstance(number, int)
        assert info == {
            "registered_name": "my_port",
            "name": "control",
            "links": [me],
            "connected": me,
            "input": 0,
            "output": 0,
            "os_pid": None,
        }


@both
@pytest.mark.otp("port_bif_SUITE", "port_info2")
def test_port_info_counts_the_bytes_both_ways(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port, me = loaded(erl, Control()), erl.self()
        assert erl.port_info(port, "registered_name") == []
        erl.register("my_port", port)
        known: dict[str, Any] = {"registered_name": "my_port", "name": "control", "links": [me]}
        known |= {"connected": me, "input": 0, "output": 0, "os_pid": None}
        for item, value in known.items():
            assert erl.port_info(port, item) == (item, value)

        erl.port_control(port, Control.INPUT, b"abc")
        assert erl.receive() == (port, ("data", b"abc"))
        assert erl.port_info(port, "input") == ("input", 3)
        assert erl.port_info(port, "output") == ("output", 0)

        for count in range(1, 50):
            erl.port_command(port, bytes(2047))
            assert erl.receive() == (port, ("data", bytes(2047)))
            assert erl.port_info(port, "input") == ("input", 3 + 2047 * count)
            assert erl.port_info(port, "output") == ("output", 2047 * count)


def ask_both(erl: Emulator, times: int = 1) -> bool:
    """Two processes ask for the info of a port each; each gets the answer of its own port."""
    me, ports = erl.self(), [loaded(erl, Control()), erl.open_port(("spawn", "control"))]

    def info(port: Port) -> list[object]:
        return [item for item in erl.port_info(port) if item[1] is not None]

    def ask(port: Port) -> None:
        erl.send(me, (port, [info(port) for _ in range(times)]))

    expected = {port: [info(port)] * times for port in ports}
    for number, port in enumerate(ports, 1):
        erl.spawn(ask, port, scheduler=number)
    return dict([erl.receive(), erl.receive()]) == expected


@both
@pytest.mark.otp("port_bif_SUITE", "port_info_race")
def test_answers_of_port_info_do_not_get_mixed_up(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        assert ask_both(erl, times=100)


@pytest.mark.otp("port_bif_SUITE", "port_info_race")
def test_in_no_order() -> None:
    assert_outcomes(ask_both, {True}, schedulers=2)


@both
@pytest.mark.otp("port_bif_SUITE", "connect")
def test_the_new_owner_gets_the_data_and_dies_with_the_port(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port, me = loaded(erl, Control(), []), erl.self()
        erl.register("my_port", port)
        assert erl.port_connect("my_port", me) is True

        def hear() -> None:
            while True:
                erl.send(me, ("heard", erl.receive()))

        other = erl.spawn(hear, link=True)
        assert erl.port_connect(port, other) is True
        erl.unlink(port)
        erl.port_command(port, b"hello")
        assert erl.receive() == ("heard", (port, ("data", list(b"hello"))))

        wrong: list[tuple[Any, Any]] = [
            (me, me),
            (me, port),
            (port, port),
            (port, "no"),
            (port, []),
        ]
        for arguments in wrong:
            with refused():
                erl.port_connect(*arguments)

        erl.process_flag("trap_exit", True)
        erl.exit(port, "you_should_die")
        assert erl.receive() == ("EXIT", other, "you_should_die")


BAD_OPERATIONS: list[Any] = [-1, -34887348739733833, 2**32, "a", 1.5, None]
BAD_DATA: list[Any] = ["no", len, [len], ImproperList([1, len])]
SIZES = (0, 1, 10, 13, 63, 64, 65, 127, 1023, 1024, 11243, 70000)


@both
@pytest.mark.otp("port_bif_SUITE", "control")
def test_port_control_checks_its_arguments_and_returns_the_reply(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port, me = loaded(erl, Control()), erl.self()
        wrong: list[tuple[Any, ...]] = [
            (me, 1, b""),
            *((port, operation, b"") for operation in BAD_OPERATIONS),
            *((port, Control.ECHO, data) for data in BAD_DATA),
            # What the driver refuses.
            (port, 177, b""),
            (port, 155, bytes(1024)),
        ]
        for arguments in wrong:
            with refused():
                erl.port_control(*arguments)

        erl.register("my_port", port)
        big: list[tuple[Any, int]] = [
            ("my_port", 256),
            *((port, number) for number in (256, 0x33A837, 0xAB37938, 0xEAB37938, 2**32 - 1)),
        ]
        for name, operation in big:
            reply: Any = erl.port_control(name, operation, b"")
            assert int.from_bytes(bytes(reply), "big") == operation

        for size in SIZES:
            data = bytes(number % 251 for number in range(size))
            for shape in (data, list(data), part(data), [part(data)]):
                assert erl.port_control(port, Control.ECHO, shape) == list(data)
        assert erl.port_close("my_port") is True


def echo_to_busy(erl: Emulator) -> object:
    port, me = loaded(erl, Control()), erl.self()
    erl.port_control(port, Control.BUSY, b"\1")

    def ask() -> None:
        erl.port_connect(port, erl.self())
        erl.port_command(port, b"echo")
        erl.send(me, erl.receive()[1][1])

    erl.spawn(ask)
    erl.receive(timeout=1)
    erl.port_control(port, Control.BUSY, b"\0")
    return erl.receive()


@both
@pytest.mark.otp("port_bif_SUITE", "echo_to_busy")
def test_a_command_to_a_busy_port_is_carried_out_when_it_is_not(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        assert echo_to_busy(erl) == b"echo"


@pytest.mark.otp("port_bif_SUITE", "echo_to_busy")
def test_whenever_that_is() -> None:
    assert_outcomes(echo_to_busy, {b"echo"}, schedulers=2)
