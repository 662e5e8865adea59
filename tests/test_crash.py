"""What the code of a driver raises reaches the reader once, on whichever thread it ran."""

from __future__ import annotations

import traceback
from collections.abc import Callable

import pytest
from scripted import made_of
from support import (
    Gate,
    Kind,
    both,
    opened,
)

from driverref import Emulator, Port
from driverref.erl_driver import (
    ErlDrvPort,
    driver_async,
    driver_set_timer,
)
from driverref.errors import (
    EmulatorStopped,
    ErlangError,
    ProcessExit,
    UseAfterFree,
)


def boom(*_: object) -> None:
    raise ArithmeticError("boom")


def in_output(erl: Emulator) -> None:
    erl.port_command(opened(erl, made_of(output=boom)), b"")


def in_output_of_iodata(erl: Emulator) -> None:
    erl.port_command(opened(erl, made_of(output=boom)), [b""])


def in_control(erl: Emulator) -> None:
    erl.port_control(opened(erl, made_of(control=boom)), 0, b"")


def in_start(erl: Emulator) -> None:
    opened(erl, made_of(start=boom))


def in_stop(erl: Emulator) -> None:
    erl.port_close(opened(erl, made_of(stop=boom)))


def in_init(erl: Emulator) -> None:
    erl.erl_ddll.load_driver(made_of(init=boom))


def in_finish(erl: Emulator) -> None:
    erl.erl_ddll.load_driver(made_of(finish=boom))
    erl.erl_ddll.unload_driver("d")


def in_output_by_message(erl: Emulator) -> None:
    erl.send(opened(erl, made_of(output=boom)), (erl.self(), ("command", b"")))


def in_a_job(erl: Emulator) -> None:
    driver = made_of(output=lambda port, buf: driver_async(port, None, boom, None))
    erl.port_command(opened(erl, driver), b"")
    erl.receive()


def in_ready_async(erl: Emulator) -> None:
    driver = made_of(
        output=lambda port, buf: driver_async(port, None, lambda data: None, None),
        ready_async=boom,
    )
    erl.port_command(opened(erl, driver), b"")
    erl.receive()


def in_async_free(erl: Emulator) -> None:
    driver = made_of(
        output=lambda port, buf: driver_async(port, None, lambda data: None, None, boom)
    )
    erl.port_command(opened(erl, driver), b"")
    erl.receive()


def in_timeout(erl: Emulator) -> None:
    driver = made_of(output=lambda port, buf: driver_set_timer(port, 1), timeout=boom)
    erl.port_command(opened(erl, driver), b"")
    erl.receive()


def in_a_process(erl: Emulator) -> None:
    erl.spawn(boom)
    erl.receive()


def in_a_callback_of_a_process(erl: Emulator) -> None:
    port = opened(erl, made_of(output=boom))
    erl.spawn(lambda: erl.port_command(port, b""))
    erl.receive()


def in_stop_as_the_owner_ends(erl: Emulator) -> None:
    erl.erl_ddll.load_driver(made_of(stop=boom))
    erl.spawn(lambda: erl.open_port(("spawn_driver", "d")))
    erl.receive()


CRASHES = [
    in_output,
    in_output_of_iodata,
    in_control,
    in_start,
    in_stop,
    in_init,
    in_finish,
    in_output_by_message,
    in_a_job,
    in_ready_async,
    in_async_free,
    in_timeout,
    in_a_process,
    in_a_callback_of_a_process,
    in_stop_as_the_owner_ends,
]


@both
@pytest.mark.parametrize("story", CRASHES, ids=lambda story: story.__name__)
def test_a_crash_reaches_the_reader_as_itself_and_once(
    threads: Kind, story: Callable[[Emulator], None]
) -> None:
    erl = Emulator(threads=threads)
    with pytest.raises(ArithmeticError, match="^boom$"):
        story(erl)
    assert repr(erl) == "<Emulator +A 1 +S 1, it crashed with ArithmeticError>"
    for ask in (erl.self, erl.receive, lambda: erl.port_command(Port(1), b""), erl.halt):
        with pytest.raises(EmulatorStopped, match="it crashed with ArithmeticError"):
            ask()
    erl.stop()
    erl.stop()
    with Emulator(threads=threads):
        pass


@both
@pytest.mark.parametrize("story", CRASHES, ids=lambda story: story.__name__)
def test_a_crash_leaves_a_with_block_as_itself(
    threads: Kind, story: Callable[[Emulator], None]
) -> None:
    with pytest.raises(ArithmeticError, match="^boom$"), Emulator(threads=threads) as erl:
        story(erl)


@both
@pytest.mark.rule("fault.names-its-places")
@pytest.mark.parametrize("story", CRASHES, ids=lambda story: story.__name__)
def test_the_traceback_of_a_crash_ends_at_the_line_that_raised_it(
    threads: Kind, story: Callable[[Emulator], None]
) -> None:
    with pytest.raises(ArithmeticError) as caught, Emulator(threads=threads) as erl:
        story(erl)
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (last.filename, last.name) == (__file__, "boom")
    assert last.line == 'raise ArithmeticError("boom")'


@both
def test_a_crash_that_nobody_asked_about_is_raised_by_stop(threads: Kind) -> None:
    def story() -> None:
        with Emulator(threads=threads) as erl:
            driver = made_of(output=lambda port, buf: driver_async(port, None, boom, None))
            erl.port_command(opened(erl, driver), b"")

    with pytest.raises(ArithmeticError, match="^boom$"):
        story()


@both
def test_a_crash_in_stop_or_finish_at_the_end_is_seen(threads: Kind) -> None:
    for driver in (made_of(stop=boom), made_of(finish=boom)):
        with pytest.raises(ArithmeticError), Emulator(threads=threads) as erl:
            opened(erl, driver)
        assert "it crashed" in repr(erl)


@both
def test_a_crash_while_stop_kills_the_processes_is_seen(threads: Kind) -> None:
    def story() -> None:
        with Emulator(threads=threads) as erl:
            erl.erl_ddll.load_driver(made_of(stop=boom))
            gate = Gate()

            def owner() -> None:
                erl.open_port(("spawn_driver", "d"))
                gate.pass_through()

            erl.spawn(owner)
            gate.await_arrival()
            gate.open()

    with pytest.raises(ArithmeticError, match="^boom$"):
        story()


@both
def test_a_process_that_catches_a_crash_does_not_hide_it(threads: Kind) -> None:
    caught: list[object] = []

    def story() -> None:
        with Emulator(threads=threads) as erl:
            port = opened(erl, made_of(output=boom))

            def careless() -> None:
                try:
                    erl.port_command(port, b"")
                except ArithmeticError as error:
                    caught.append(error)

            erl.spawn(careless)
            erl.receive()

    with pytest.raises(ArithmeticError):
        story()
    assert len(caught) == 1


@both
def test_others_see_that_the_emulator_stopped(threads: Kind) -> None:
    seen: list[str] = []

    def story() -> None:
        with Emulator(threads=threads, schedulers=2) as erl:
            gate = Gate()

            def waiter() -> None:
                gate.pass_through()
                try:
                    erl.receive()
                except EmulatorStopped as error:
                    seen.append(str(error))
                    gate.pass_through()
                    raise

            erl.spawn(waiter)
            gate.open()
            gate.await_arrival()
            try:
                in_output(erl)
            finally:
                gate.await_arrival()

    with pytest.raises(ArithmeticError):
        story()
    assert seen == ["the emulator is not running: it crashed with ArithmeticError"]


@both
def test_a_buffer_that_outlives_its_callback_is_explained(threads: Kind) -> None:
    kept: list[memoryview] = []
    driver = made_of(
        output=lambda port, buf: kept.append(buf),
        control=lambda port, command, buf: bytes(kept[0]),
    )

    def story() -> None:
        with Emulator(threads=threads) as erl:
            port = opened(erl, driver)
            erl.port_command(port, b"x")
            erl.port_control(port, 0, b"")

    with pytest.raises(UseAfterFree, match=r"copy it with bytes\(buf\)"):
        story()


@both
def test_what_looks_like_a_bif_s_error_is_a_crash_when_a_driver_raises_it(threads: Kind) -> None:
    def output(port: ErlDrvPort, buf: memoryview) -> None:
        raise ErlangError("badarg", "of the driver's own")

    erl = Emulator(threads=threads)
    port = opened(erl, made_of(output=output))
    with pytest.raises(ErlangError, match="of the driver's own"):
        erl.port_command(port, [b""])
    with pytest.raises(EmulatorStopped, match="it crashed with ErlangError"):
        erl.self()
    erl.stop()


@both
def test_a_value_error_of_the_driver_s_own_stays_what_it_is(threads: Kind) -> None:
    driver = made_of(output=lambda port, buf: int(bytes(buf)))
    with pytest.raises(ValueError, match="invalid literal"), Emulator(threads=threads) as erl:
        erl.port_command(opened(erl, driver), b"x")


@both
def test_an_exit_of_the_first_process_leaves_the_block(threads: Kind) -> None:
    with pytest.raises(ProcessExit, match="done"), Emulator(threads=threads) as erl:
        erl.exit("done")
    with Emulator(threads=threads):
        pass
