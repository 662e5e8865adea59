"""Who may call: contexts, tasks, OS threads and greenlets of the program, and emulators that are lost or over."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import Any

import greenlet
import pytest
from scripted import made_of
from support import Kind, both, opened

from driverref import Emulator, explore, replay
from driverref.erl_driver import ErlDrvPort, driver_alloc, driver_output
from driverref.errors import EmulatorStopped, Misuse
from driverref.explore import Fault
from driverref.threads import OUTSIDE, running

ELSEWHERE = (
    "this thread is no process of this emulator; call it on the thread that made the emulator, or in"
    " a function that was given to spawn, and not by asyncio.to_thread, an executor or a"
    " threading.Thread"
)


def echo() -> Any:
    return made_of(output=lambda port, buf: driver_output(port, bytes(buf)))


def elsewhere(call: Callable[[], object]) -> list[BaseException]:
    """Call it on another OS thread, in a copy of this context; what it raises."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,))
    thread.start()
    thread.join()
    return raised


# Another OS thread.


@both
def test_a_bif_on_another_os_thread_says_where_to_call_it(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, echo())
        for call, bif in (
            (lambda: erl.port_command(port, b"x"), "port_command"),
            (erl.receive, "receive"),
            (erl.self, "self"),
        ):
            (error,) = elsewhere(call)
            assert isinstance(error, Misuse)
            assert str(error).startswith(f"{bif}: {ELSEWHERE}; called at test_contexts.py:")
        # The emulator goes on.
        erl.port_command(port, b"here")
        assert erl.receive()[1] == ("data", b"here")


@both
def test_asyncio_to_thread_is_refused_and_a_task_is_not(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, echo())

        async def one(text: bytes) -> object:
            erl.port_command(port, text)
            await asyncio.sleep(0)
            return erl.receive()[1][1]

        async def main() -> object:
            with pytest.raises(Misuse, match="not by asyncio.to_thread"):
                await asyncio.to_thread(erl.port_command, port, b"x")
            return await asyncio.gather(one(b"a"), one(b"b"))

        assert asyncio.run(main()) == [b"a", b"b"]


@pytest.mark.filterwarnings("ignore:threading.Thread stops every simulated thread")
@both
def test_an_os_thread_that_a_callback_has_started_is_no_thread_of_the_driver(threads: Kind) -> None:
    raised: list[BaseException] = []

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        raised.extend(elsewhere(lambda: driver_output(port, b"x")))
        raised.extend(elsewhere(lambda: driver_alloc(1)))

    with Emulator(threads=threads) as erl:
        port = opened(erl, made_of(output=output))
        erl.port_command(port, b"")
        assert erl.receive(timeout=0) is None
    said = [str(error) for error in raised]
    assert [type(error) for error in raised] == [Misuse, Misuse]
    assert f"driver_output: only a callback of {port} may call it, not a thread without" in said[0]
    assert "driver_alloc: no emulator is running in this thread; a driver's code runs in" in said[1]


def test_another_thread_may_have_an_emulator_of_its_own() -> None:
    found: list[object] = []

    def other() -> None:
        with Emulator() as erl:
            found.append(Emulator.running() is erl)
            with pytest.raises(Misuse, match="it runs another one"):
                mine.self()

    with Emulator() as mine:
        assert elsewhere(other) == []
        assert Emulator.running() is mine
    assert found == [True]


def test_another_greenlet_is_refused_where_it_would_wait() -> None:
    with Emulator() as erl:
        raised: list[str] = []

        def foreign() -> None:
            with pytest.raises(Misuse) as caught:
                erl.receive(timeout=1)
            raised.append(str(caught.value))

        erl.spawn(lambda: None)
        greenlet.greenlet(foreign).switch()
        assert raised[0].startswith("the emulator is called on another greenlet")
        erl.send(erl.self(), 1)
        assert erl.receive() == 1


# Contexts.


@both
def test_an_emulator_may_be_used_and_stopped_in_any_context(threads: Kind) -> None:
    erl = contextvars.Context().run(lambda: Emulator(threads=threads))
    assert Emulator.running() is erl
    erl.send(erl.self(), 1)
    assert contextvars.Context().run(erl.receive) == 1

    async def stop() -> None:
        erl.stop()

    asyncio.run(stop())
    assert Emulator.running() is None
    assert running() is OUTSIDE
    with Emulator(threads=threads):
        pass


# An emulator that nothing has kept.


@both
def test_one_that_nothing_has_kept_is_found_and_stopped(threads: Kind) -> None:
    def cell() -> None:
        erl = Emulator(threads=threads)
        opened(erl, echo())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cell()
    with pytest.raises(Misuse) as caught:
        Emulator()
    line = cell.__code__.co_firstlineno + 1
    assert str(caught.value).startswith(
        f"Emulator: this thread already runs an emulator, made at test_contexts.py:{line} in cell;"
        " stop that one first; if nothing has kept it: Emulator.running().stop()"
    )
    with pytest.raises(Misuse, match="if nothing has kept it"):
        explore(lambda erl: None)
    lost = Emulator.running()
    assert lost is not None
    lost.stop()
    assert Emulator.running() is None
    assert explore(lambda erl: erl.self()).complete


def test_there_is_one_in_a_callback_and_in_a_process_too() -> None:
    found: list[object] = []
    with Emulator() as erl:
        port = opened(erl, made_of(output=lambda port, buf: found.append(Emulator.running())))
        erl.port_command(port, b"")
        pid = erl.spawn(lambda: found.append(Emulator.running()))
        erl.monitor("process", pid)
        erl.receive()
    assert found == [erl, erl]


# What a scenario has kept.


OVER = "it belonged to one run of a scenario, which is over"


def kept_by_a_run() -> dict[str, Any]:
    kept: dict[str, Any] = {}

    def start(port: ErlDrvPort, command: str) -> ErlDrvPort:
        kept["handle"] = port
        return port

    def scenario(erl: Emulator) -> None:
        kept.update(erl=erl, erl_ddll=erl.erl_ddll, runtime=erl.runtime)
        kept["port"] = opened(erl, made_of(start=start))

    explore(scenario)
    return kept


@pytest.mark.parametrize(
    "use",
    [
        lambda kept: kept["erl"].self(),
        lambda kept: kept["erl"].trace,
        lambda kept: kept["erl"].port_command(kept["port"], b""),
        lambda kept: kept["erl"].stop(),
        lambda kept: kept["erl"].system_info("version"),
        lambda kept: kept["erl"].__enter__().receive(),
        lambda kept: kept["erl_ddll"].loaded_drivers(),
        lambda kept: kept["runtime"].ports,
    ],
)
def test_an_emulator_kept_after_explore_says_that_it_is_over(
    use: Callable[[dict[str, Any]], object],
) -> None:
    with pytest.raises(EmulatorStopped) as caught:
        use(kept_by_a_run())
    assert OVER in str(caught.value)
    assert "look at the emulator that replay returns" in str(caught.value)


def test_it_shows_itself_and_is_asked_for_its_pictures_in_peace() -> None:
    erl = kept_by_a_run()["erl"]
    assert repr(erl) == f"<Emulator, {OVER}>"
    assert not hasattr(erl, "_ipython_display_")
    assert not hasattr(erl, "__array__")


def test_an_attribute_that_no_emulator_has_is_an_attribute_error() -> None:
    with (
        Emulator() as erl,
        pytest.raises(AttributeError, match="'Emulator' object has no attribute"),
    ):
        erl.port_comand  # type: ignore[attr-defined]  # noqa: B018


def test_a_port_kept_after_explore_says_that_it_is_over() -> None:
    kept = kept_by_a_run()
    said = f"driver_output: #Port<0.1> is not there any more: {OVER}"
    with pytest.raises(Misuse, match=said):
        driver_output(kept["handle"], b"")

    def next_scenario(erl: Emulator) -> None:
        driver = made_of(output=lambda port, buf: driver_output(kept["handle"], b""))
        erl.port_command(opened(erl, driver), b"")

    (fault,) = explore(next_scenario)
    assert isinstance(fault, Fault)
    assert fault.name == "Misuse"
    assert said in fault.text


def test_a_port_of_another_emulator_is_refused() -> None:
    handles: list[ErlDrvPort] = []

    def start(port: ErlDrvPort, command: str) -> ErlDrvPort:
        handles.append(port)
        return port

    def scenario(erl: Emulator) -> None:
        driver = made_of(start=start, output=lambda port, buf: driver_output(handles[0], b""))
        erl.port_command(opened(erl, driver), b"")

    replay(lambda erl: opened(erl, made_of(start=start)), "")
    with pytest.raises(Misuse, match="driver_output: #Port<0.1> is a port of another emulator"):
        with Emulator() as erl:
            scenario(erl)
