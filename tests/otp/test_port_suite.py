"""Cases of `port_SUITE` that a linked-in driver can play: opening, messages, data and ends."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from retold import Echo, close, command, down, exit_of, loaded, port_of, silent
from scripted import made_of
from support import Kind, both, received, refused

from driverref import Driver, Emulator, ErlangError, Pid, Port, assert_outcomes
from driverref.erl_driver import (
    ErlDrvPort,
    ErlIOVec,
    driver_exit,
    driver_failure_atom,
    driver_failure_eof,
    driver_output,
    driver_outputv,
)

# Failures, and messages that a port does not understand.


@both
@pytest.mark.otp("port_SUITE", "otp_6224")
def test_a_port_that_fails_in_output_takes_its_owner_along(threads: Kind) -> None:
    fails = made_of(output=lambda port, buf: driver_failure_atom(port, "driver_failed"))

    def open_and_fail() -> None:
        erl.receive()
        command(erl, port_of(erl, "d"), b"Fail, please!")
        while True:
            erl.receive()

    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(fails)
        pid = erl.spawn(open_and_fail)
        ref = erl.monitor("process", pid)
        erl.send(pid, "go")
        assert down(erl, ref)[4] == "driver_failed"
        assert erl.ports() == []


@both
@pytest.mark.otp("port_SUITE", "bad_port_messages")
def test_a_message_that_a_port_does_not_understand_is_badsig(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(Echo())
        erl.process_flag("trap_exit", True)
        me = erl.self()
        for message in (
            ("a", "b"),
            ("a",),
            (me, ("command", "bad_command")),
            (me, ("connect", "no_pid")),
        ):
            port = port_of(erl)
            erl.send(port, message)
            assert exit_of(erl, port) == "badsig"


class Failing(Driver):
    """Fails in `output`, as its name says."""

    driver_name = "failing"

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        return port

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        driver_exit(port, 0)


@both
@pytest.mark.otp("port_SUITE", "t_exit")
def test_an_exit_signal_to_a_port_reaches_its_owner(threads: Kind) -> None:
    def open_and_wait() -> None:
        erl.exit(port_of(erl), "die")
        erl.receive()

    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(Echo())
        erl.process_flag("trap_exit", True)
        pid = erl.spawn(open_and_wait, link=True)
        assert exit_of(erl, pid) == "die"


class EchoesVectors(Echo):
    """An `Echo` with `outputv`."""

    def outputv(self, port: ErlDrvPort, ev: ErlIOVec) -> None:
        driver_outputv(port, None, ev, 0)


@both
@pytest.mark.parametrize("driver", [Echo, EchoesVectors])
@pytest.mark.otp("port_SUITE", "dropped_commands")
def test_commands_may_come_while_the_port_is_closed(driver: type[Driver], threads: Kind) -> None:
    def spin(port: Port, maker: Pid) -> None:
        erl.send(maker, "ready")
        for _ in range(30):
            erl.send(port, (maker, ("command", b"1")))
        erl.receive()

    def drop() -> None:
        port, maker = port_of(erl, options=["binary", ("parallelism", True)]), erl.self()
        for number in range(4):
            erl.spawn(spin, port, maker, link=True, scheduler=number % 2 + 1)
        for _ in range(4):
            erl.receive(lambda message: message == "ready")
        erl.receive(lambda message: message[0] == port)
        erl.port_close(port)
        erl.exit("over")

    with Emulator(threads=threads, schedulers=2, trace=False) as erl:
        erl.erl_ddll.load_driver(driver())
        for _ in range(3):
            assert down(erl, erl.monitor("process", erl.spawn(drop)))[4] in ("over", "noproc")


def drop_commands(driver: type[Driver]) -> Callable[[Emulator], str]:
    """A process sends a command while another closes the port."""

    def scenario(erl: Emulator) -> str:
        port, me = loaded(erl, driver()), erl.self()
        ref = erl.monitor("process", erl.spawn(command_as, erl, port, me, scheduler=2))
        erl.port_close(port)
        down(erl, ref)
        return f"{len(received(erl))} echoed"

    return scenario


def command_as(erl: Emulator, port: Port, owner: Pid) -> None:
    """`Port ! {Owner, {command, ...}}`, in any process."""
    erl.send(port, (owner, ("command", b"1")))


@pytest.mark.parametrize("driver", [Echo, EchoesVectors])
@pytest.mark.otp("port_SUITE", "dropped_commands")
def test_each_is_echoed_or_dropped_in_any_order(driver: type[Driver]) -> None:
    expected = {f"{echoed} echoed" for echoed in range(2)}
    assert_outcomes(drop_commands(driver), expected, schedulers=2)


# Opening.


@both
@pytest.mark.otp("port_SUITE", "spawn_driver")
def test_spawn_driver_opens_drivers_only(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = loaded(erl, Echo())
        command(erl, port, b"Hello port!")
        assert erl.receive() == (port, ("data", b"Hello port!"))
        close(erl, port)
        port = port_of(erl, "echo -Hello port?")
        assert erl.receive() == (port, ("data", b"Hello port?"))
        close(erl, port)
        for program in ("ls", "cmd", "/usr/bin/erl"):
            with refused():
                port_of(erl, program)


@both
@pytest.mark.otp("port_SUITE", "parallelism_option")
def test_a_port_may_be_opened_with_parallelism_or_without(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(Echo())
        for parallelism in (True, False):
            port = port_of(erl, "echo -Hello", ["binary", ("parallelism", parallelism)])
            assert erl.port_info(port, "parallelism") == ("parallelism", parallelism)
            assert erl.receive() == (port, ("data", b"Hello"))
            close(erl, port)


@both
@pytest.mark.otp("port_SUITE", "name1")
def test_a_name_stands_for_its_port_until_that_is_closed(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = loaded(erl, Echo())
        erl.register("my_port", port)
        assert erl.whereis("my_port") == port
        command(erl, "my_port", b"text")
        assert erl.receive() == (port, ("data", b"text"))
        close(erl, "my_port")
        assert erl.whereis("my_port") is None


@both
@pytest.mark.otp("port_SUITE", "unregister_name")
def test_a_port_can_lose_its_name(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        assert erl.register("crash", loaded(erl, Echo())) is True
        assert erl.unregister("crash") is True
        assert erl.whereis("crash") is None


# The end of the data, and lines.


class Says(Driver):
    """Sends each command back, cut at the `|`; an empty part is the end of the data."""

    driver_name = "says"

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        return port

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        for part in bytes(buf).split(b"|"):
            if part:
                driver_output(port, part)
            else:
                driver_failure_eof(port)


@both
@pytest.mark.otp("port_SUITE", "eof")
def test_with_eof_the_port_stays_open_at_the_end_of_the_data(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = loaded(erl, Says(), ["eof"])
        command(erl, port, b"")
        assert erl.receive() == (port, "eof")
        close(erl, port)


SIZE = 10
LONG, SHORT = b"0123456789", b"abcde"

LINES: list[tuple[str, bytes, list[object]]] = [
    ("lines", LONG + b"\n" + SHORT + b"\n", [("eol", LONG), ("eol", SHORT)]),
    (
        "a line that is too long",
        LONG + b"\n" + LONG + SHORT + b"\n",
        [("eol", LONG), ("noeol", LONG), ("eol", SHORT)],
    ),
    ("what is left at the end", LONG + b"\n" + SHORT + b"|", [("eol", LONG), ("noeol", SHORT)]),
    ("a carriage return", LONG + b"\r" + SHORT + b"\n", [("noeol", LONG), ("eol", b"\r" + SHORT)]),
    (
        "a line in two parts",
        SHORT + b"|" + SHORT + b"\n" + LONG + b"\n",
        [("eol", SHORT + SHORT), ("eol", LONG)],
    ),
]


@both
@pytest.mark.parametrize("options", [[], ["binary"]], ids=["lists", "binaries"])
@pytest.mark.parametrize(("said", "lines"), [row[1:] for row in LINES], ids=[r[0] for r in LINES])
@pytest.mark.otp("port_SUITE", "line")
def test_with_line_the_data_arrives_in_lines(
    said: bytes, lines: list[Any], options: list[object], threads: Kind
) -> None:
    with Emulator(threads=threads) as erl:
        port = loaded(erl, Says(), [("line", SIZE), "eof", *options])
        command(erl, port, said)
        for end, line in lines:
            told = (end, line if options else list(line))
            assert erl.receive() == (port, ("data", told))
        if said.endswith(b"|"):
            assert erl.receive() == (port, "eof")
        assert silent(erl)


@pytest.mark.otp("port_SUITE", "line")
def test_line_and_packet_exclude_each_other() -> None:
    with Emulator() as erl:
        erl.erl_ddll.load_driver(Says())
        with refused():
            port_of(erl, "says", [("packet", 2), ("line", 5)])


# The port table.


@both
@pytest.mark.otp("port_SUITE", "mix_up_ports")
def test_a_closed_port_is_not_mixed_up_with_a_later_one(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = loaded(erl, Echo())
        command(erl, port, b"Hello port!")
        assert erl.receive() == (port, ("data", b"Hello port!"))
        close(erl, port)
        later = [port_of(erl) for _ in range(200)]
        assert port not in later
        command(erl, port, b"Hello again port!")
        for other in later:
            assert erl.port_info(other, "output") == ("output", 0)
        assert silent(erl)


@pytest.mark.otp("port_SUITE", "iter_max_ports")
@pytest.mark.otp("port_SUITE", "mix_up_ports")
def test_a_full_port_table_refuses_and_takes_as_many_again_when_it_is_empty() -> None:
    """In the time of slots; since R16A there is room for far more ports than a test can open."""
    with Emulator(release="R7B-3") as erl:
        erl.erl_ddll.load_driver(Echo())
        counts = []
        for _ in range(3):
            ports: list[Port] = []
            with suppress(ErlangError):
                while len(ports) < 10_000:
                    ports.append(port_of(erl))
            with refused("enfile"):
                port_of(erl)
            counts.append(len(ports))
            for port in ports:
                erl.port_close(port)
        assert len(set(counts)) == 1
        assert counts[0] > 100


@both
@pytest.mark.otp("port_SUITE", "otp_5112")
def test_driver_exit_takes_away_the_link_to_the_owner(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = loaded(erl, Failing())
        assert port in erl.process_info(erl.self(), "links")[1]
        command(erl, port, b"")
        assert port not in erl.ports()
        assert port not in erl.process_info(erl.self(), "links")[1]
        assert silent(erl)


@both
@pytest.mark.parametrize("release", ["25", "29"])
@pytest.mark.otp("port_SUITE", "otp_5119")
def test_the_numbers_of_ports_go_up(release: str, threads: Kind) -> None:
    with Emulator(threads=threads, release=release) as erl:
        erl.erl_ddll.load_driver(Echo())
        numbers = []
        for _ in range(50):
            port = port_of(erl)
            numbers.append(port.number)
            erl.port_close(port)
    assert numbers == sorted(set(numbers))


def snapshot(erl: Emulator) -> object:
    """Another process opens two ports and closes the first, while `ports` is asked."""
    me = erl.self()

    def traffic() -> None:
        first, second = port_of(erl), port_of(erl)
        erl.port_close(first)
        erl.send(me, (first, second))
        erl.receive()

    erl.erl_ddll.load_driver(Echo())
    erl.spawn(traffic, scheduler=2)
    seen = set(erl.ports())
    first, second = erl.receive()
    names = {first: "first", second: "second"}
    return " ".join(sorted(names[port] for port in seen))


@pytest.mark.otp("port_SUITE", "ports")
def test_ports_tells_the_ports_that_are_there_at_one_moment() -> None:
    there = {"", "first", "first second", "second"}
    assert_outcomes(snapshot, there, schedulers=2)


@both
@pytest.mark.otp("port_SUITE", "ports")
def test_also_when_ports_come_and_go(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        assert snapshot(erl) in ("", "first", "first second", "second")
        for _ in range(100):
            port = port_of(erl)
            before = erl.ports()
            erl.port_close(port)
            assert set(before) - set(erl.ports()) == {port}
