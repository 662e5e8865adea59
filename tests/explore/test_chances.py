"""What mostly does not happen and a search tries: an allocation that fails, a wake-up for nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scripted import made_of

from driverref import Emulator, Struct, explore, replay
from driverref.erl_driver import (
    ErlDrvPort,
    ErlDrvThreadOpts,
    ErlDrvTid,
    ErlDrvTSDKey,
    driver_alloc,
    driver_alloc_binary,
    driver_free,
    driver_free_binary,
    driver_realloc,
    driver_realloc_binary,
    erl_drv_cond_create,
    erl_drv_cond_destroy,
    erl_drv_cond_signal,
    erl_drv_cond_wait,
    erl_drv_mutex_create,
    erl_drv_mutex_destroy,
    erl_drv_mutex_lock,
    erl_drv_mutex_unlock,
    erl_drv_rwlock_create,
    erl_drv_rwlock_destroy,
    erl_drv_thread_create,
    erl_drv_thread_join,
    erl_drv_thread_opts_create,
    erl_drv_thread_opts_destroy,
    erl_drv_tsd_key_create,
    erl_drv_tsd_key_destroy,
)
from driverref.errors import Deadlock
from driverref.instrument import sys_alloc_from, sys_free


class Field(Struct):
    """A block with a field."""

    number: int


def scenario(allocate: Callable[[], str]) -> Callable[[Emulator], object]:
    """A driver whose `control` allocates, gives everything back, and replies what it got."""

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        return allocate().encode()

    def run(erl: Emulator) -> object:
        erl.erl_ddll.load_driver(made_of(control=control))
        reply = erl.port_control(erl.open_port(("spawn_driver", "d")), 0, b"")
        assert isinstance(reply, list)
        return bytes(reply).decode()

    return run


def made(make: Callable[[], Any], give_back: Callable[[Any], object]) -> str:
    """Whether a call has returned something, which is given back."""
    thing = make()
    if thing is None:
        return "NULL"
    give_back(thing)
    return "made"


def reallocated() -> str:
    block = driver_alloc(4)
    if block is None:
        return "NULL"
    larger = driver_realloc(block, 8)
    driver_free(block if larger is None else larger)
    return "old" if larger is None else "made"


def reallocated_binary() -> str:
    binary = driver_alloc_binary(4)
    if binary is None:
        return "NULL"
    larger = driver_realloc_binary(binary, 8)
    driver_free_binary(binary if larger is None else larger)
    return "old" if larger is None else "made"


def keyed() -> str:
    key = ErlDrvTSDKey()
    if erl_drv_tsd_key_create("k", key):
        return "NULL"
    erl_drv_tsd_key_destroy(key)
    return "made"


def threaded() -> str:
    tid = ErlDrvTid()
    if erl_drv_thread_create("t", tid, str, 1, None):
        return "NULL"
    erl_drv_thread_join(tid, None)
    return "made"


def options() -> str:
    return made(lambda: erl_drv_thread_opts_create("o"), destroyed)


def destroyed(opts: ErlDrvThreadOpts) -> None:
    erl_drv_thread_opts_destroy(opts)


ALLOCATIONS: dict[str, Callable[[], str]] = {
    "driver_alloc": lambda: made(lambda: driver_alloc(4), driver_free),
    "driver_alloc of a struct": lambda: made(lambda: driver_alloc(Field), driver_free),
    "driver_alloc_binary": lambda: made(lambda: driver_alloc_binary(4), driver_free_binary),
    "erl_drv_mutex_create": lambda: made(lambda: erl_drv_mutex_create("m"), erl_drv_mutex_destroy),
    "erl_drv_cond_create": lambda: made(lambda: erl_drv_cond_create("c"), erl_drv_cond_destroy),
    "erl_drv_rwlock_create": lambda: made(
        lambda: erl_drv_rwlock_create("r"), erl_drv_rwlock_destroy
    ),
    "erl_drv_thread_opts_create": options,
    "erl_drv_tsd_key_create": keyed,
    "erl_drv_thread_create": threaded,
}


@pytest.mark.rule("memory.failing")
@pytest.mark.parametrize("call", ALLOCATIONS)
def test_an_allocation_is_made_or_fails(call: str) -> None:
    run = scenario(ALLOCATIONS[call])
    assert set(explore(run)) == {"made"}
    assert set(explore(run, failing_allocations=True)) == {"made", "NULL"}


@pytest.mark.parametrize("again", [reallocated, reallocated_binary])
def test_each_allocation_of_a_run_fails_once_and_one_in_each_run(again: Callable[[], str]) -> None:
    outcomes = explore(scenario(again), failing_allocations=True)
    assert set(outcomes) == {"made", "NULL", "old"}
    assert outcomes.schedules == 3


def test_an_allocation_with_a_label_fails_too() -> None:
    run = scenario(lambda: made(lambda: sys_alloc_from(200, 4), sys_free))
    found = explore(run, failing_allocations=True, release="R7B-3")
    assert set(found) == {"made", "NULL"}


def test_a_witness_leads_to_the_failure_again() -> None:
    run = scenario(ALLOCATIONS["driver_alloc"])
    outcomes = explore(run, failing_allocations=True)
    assert "!" in outcomes["NULL"].witness
    reply = []

    def again(erl: Emulator) -> None:
        reply.append(run(erl))

    replay(again, outcomes["NULL"].witness)
    assert reply == ["NULL"]
    schedule, _, _ = outcomes["NULL"].witness.partition("/")
    with pytest.raises(ValueError, match="the other way of thread 0 cannot go on"):
        replay(again, schedule)


@pytest.mark.parametrize("strategy", ["random", "pct"])
def test_schedules_at_random_try_it_too(strategy: Any) -> None:
    run = scenario(ALLOCATIONS["driver_alloc"])
    drawn = explore(run, failing_allocations=True, strategy=strategy, limit=40)
    assert set(drawn) == {"made", "NULL"}


class Waits(Struct):
    """What a job and a callback share."""

    mutex: Any
    condition: Any
    done: bool
    answer: int


def waiting(look_again: bool) -> Callable[[Emulator], object]:
    """A callback waits for a job's answer, and looks once or again."""

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        shared = driver_alloc(Waits)
        assert shared is not None
        shared.mutex, shared.condition = erl_drv_mutex_create("m"), erl_drv_cond_create("c")
        shared.done = False
        tid = ErlDrvTid()
        erl_drv_thread_create("t", tid, answers, shared, None)
        erl_drv_mutex_lock(shared.mutex)
        if look_again:
            while not shared.done:
                erl_drv_cond_wait(shared.condition, shared.mutex)
        elif not shared.done:
            erl_drv_cond_wait(shared.condition, shared.mutex)
        answer = shared.answer
        erl_drv_mutex_unlock(shared.mutex)
        erl_drv_thread_join(tid, None)
        erl_drv_cond_destroy(shared.condition)
        erl_drv_mutex_destroy(shared.mutex)
        driver_free(shared)
        return bytes([answer])

    def answers(shared: Waits) -> None:
        erl_drv_mutex_lock(shared.mutex)
        shared.answer, shared.done = 42, True
        erl_drv_cond_signal(shared.condition)
        erl_drv_mutex_unlock(shared.mutex)

    def run(erl: Emulator) -> object:
        erl.erl_ddll.load_driver(made_of(control=control))
        return bytes(erl.port_control(erl.open_port(("spawn_driver", "d")), 0, b"")[:1])  # type: ignore[index]

    return run


@pytest.mark.rule("explore.wakes-for-nothing")
def test_a_wait_may_end_without_a_signal() -> None:
    once, again = explore(waiting(look_again=False)), explore(waiting(look_again=True))
    assert [fault.name for fault in once.faults] == ["Uninitialised"]
    assert "!" in once[once.faults[0]].witness
    assert list(again) == [b"*"]
    with Emulator() as erl:  # a plain run has none
        assert waiting(look_again=False)(erl) == b"*"


@pytest.mark.rule("explore.step-limit")
@pytest.mark.parametrize("strategy", ["all", "random", "pct"])
def test_a_run_without_an_end_is_told(strategy: Any) -> None:
    def polls(erl: Emulator) -> None:
        me = erl.self()
        while erl.receive(timeout=0) is None:
            assert erl.self() == me

    limit = 3
    outcomes = explore(polls, strategy=strategy, limit=limit, step_limit=300)
    assert {fault.name for fault in outcomes.faults} == {"Livelock"}
    assert "has made 300 steps (step_limit)" in outcomes.faults[0].text


def test_what_is_no_flag_is_refused() -> None:
    with pytest.raises(TypeError, match="failing_allocations must be True or False, not 1"):
        explore(scenario(lambda: ""), failing_allocations=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="step_limit must be 1 or more steps, not 0"):
        explore(scenario(lambda: ""), step_limit=0)


def test_what_a_scenario_does_after_a_deadlock_is_no_longer_explored() -> None:
    def story(erl: Emulator) -> str:
        with pytest.raises(Deadlock):
            erl.receive()
        erl.spawn(erl.self)
        return str(erl.receive(timeout=1))

    outcomes = explore(story, async_threads=2)
    assert list(outcomes) == ["None"]
