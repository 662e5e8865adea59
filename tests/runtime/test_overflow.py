"""A stack that is full is told in a sentence, as the mistake of the code that fills it."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from scripted import made_of
from support import Kind, both, opened

from driverref import Emulator
from driverref.erl_driver import (
    ErlDrvPort,
    ErlDrvTid,
    driver_alloc,
    driver_async,
    driver_free,
    driver_set_timer,
    erl_drv_thread_create,
    erl_drv_thread_join,
)
from driverref.errors import EmulatorStopped, StackOverflow
from driverref.explore import Fault, explore


def walk(*ring: object) -> None:
    """Go through a list that has no end, and make no step on the way."""
    walk(*ring)


def walk_with_blocks(*ring: object) -> None:
    """The same, with steps: wherever the stack ends, it ends in the emulator's own code."""
    driver_free(driver_alloc(8))
    walk_with_blocks(*ring)


def there(*ring: object) -> None:
    """Two functions that call each other."""
    back(*ring)


def back(*ring: object) -> None:
    there(*ring)


Endless = Callable[..., None]
in_each_way = pytest.mark.parametrize("endless", [walk, walk_with_blocks, there])


def in_output(endless: Endless) -> dict[str, Any]:
    return {"output": endless}


def in_a_job(endless: Endless) -> dict[str, Any]:
    return {"output": lambda port, buf: driver_async(port, None, endless, None)}


def in_ready_async(endless: Endless) -> dict[str, Any]:
    return {
        "output": lambda port, buf: driver_async(port, None, lambda data: None, None),
        "ready_async": endless,
    }


def in_timeout(endless: Endless) -> dict[str, Any]:
    return {"output": lambda port, buf: driver_set_timer(port, 1), "timeout": endless}


def in_stop(endless: Endless) -> dict[str, Any]:
    return {"stop": endless}


def in_a_thread_of_its_own(endless: Endless) -> dict[str, Any]:
    def output(port: ErlDrvPort, buf: memoryview) -> None:
        tid = ErlDrvTid()
        erl_drv_thread_create("worker", tid, endless, None, None)
        erl_drv_thread_join(tid, None)

    return {"output": output}


WHERE = [in_output, in_a_job, in_ready_async, in_timeout, in_stop, in_a_thread_of_its_own]


def story(erl: Emulator, callbacks: dict[str, Any]) -> None:
    """A command, and the end of the port."""
    port = opened(erl, made_of(**{"output": lambda port, buf: None, **callbacks}))
    erl.port_command(port, b"")
    if "stop" in callbacks:
        erl.port_close(port)
    erl.receive()


@both
@in_each_way
@pytest.mark.parametrize("where", WHERE)
def test_an_endless_recursion_of_the_driver_is_told_with_its_place(
    where: Callable[[Endless], dict[str, Any]], endless: Endless, threads: Kind
) -> None:
    with pytest.raises(StackOverflow) as caught:
        with Emulator(threads=threads, async_threads=1) as erl:
            story(erl, where(endless))
    assert re.fullmatch(
        rf"{endless.__name__}: calls nest at test_overflow\.py:\d+ in {endless.__name__} until the"
        rf" stack of {sys.getrecursionlimit()} frames is full; in C, unless they end, the emulator"
        " dies of it",
        str(caught.value),
    )
    # No error with a thousand frames hangs on it, either.
    assert "RecursionError" not in "".join(traceback.format_exception(caught.value))
    assert len(traceback.extract_tb(caught.tb)) < 20


@both
def test_other_threads_have_stacks_of_their_own(threads: Kind) -> None:
    """They are deep when one of them overflows, and it is that one whose mistake is told."""

    def deep(calls: int) -> None:
        if calls:
            deep(calls - 1)
        else:
            erl.receive()

    with Emulator(threads=threads) as erl:
        for _ in range(20):
            erl.spawn(deep, 300)
        with pytest.raises(StackOverflow, match=r"^walk: .* in walk until"):
            story(erl, in_a_job(walk))


def test_an_overflow_is_an_outcome_and_the_same_in_every_schedule() -> None:
    outcomes = explore(lambda erl: story(erl, in_a_job(there)), async_threads=1)
    assert outcomes.complete
    (fault,) = outcomes
    assert str(fault).startswith("StackOverflow: there: calls nest at test_overflow.py:")
    assert outcomes.replay(fault).trace.order("async_invoke") == ["async_invoke(1)"]


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("strategy", ["all", "random", "pct"])
def test_an_overflow_in_the_middle_of_a_choice_ends_the_exploration(
    where: Callable[[Endless], dict[str, Any]], strategy: Any
) -> None:
    with pytest.raises(StackOverflow, match="in walk_with_blocks until the stack") as caught:
        explore(
            lambda erl: story(erl, where(walk_with_blocks)),
            async_threads=1,
            strategy=strategy,
            limit=5,
        )
    assert len(traceback.extract_tb(caught.tb)) < 40


@both
def test_an_endless_recursion_of_a_process_is_the_programs_and_no_drivers(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.spawn(walk)
        with pytest.raises(RecursionError):
            erl.receive()
        with pytest.raises(EmulatorStopped, match="it crashed with RecursionError"):
            erl.self()


def test_the_outcome_of_such_a_program_is_the_same_in_every_schedule() -> None:
    def scenario(erl: Emulator) -> None:
        erl.spawn(there)
        erl.receive()

    (fault,) = explore(scenario)
    assert isinstance(fault, Fault)
    assert re.fullmatch(
        r"RecursionError: scenario: calls nest at test_overflow\.py:\d+ in there until the stack of"
        rf" {sys.getrecursionlimit()} frames is full",
        str(fault),
    )


@both
def test_where_nothing_calls_itself_the_error_is_left_as_it_is(threads: Kind) -> None:
    """The stack was deep before the callback was called."""

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        raise RecursionError("no room")

    with pytest.raises(RecursionError, match="^no room$"):
        with Emulator(threads=threads) as erl:
            story(erl, {"output": output})
