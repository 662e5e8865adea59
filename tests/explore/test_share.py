"""One search shared out among workers: processes, a Dask cluster, threads, and workers that die."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from importlib import import_module
from multiprocessing import get_context, parent_process
from typing import Any

import pytest
from support import Worker, new_job, opened

from driverref import Emulator, explore
from driverref.erl_driver import ErlDrvPort, driver_async, driver_output, driver_set_timer
from driverref.errors import Interrupted, Nondeterministic
from driverref.explore import Outcomes, Scenario, share
from driverref.explore.share import AFTERWARDS, FIRST

pytestmark = pytest.mark.slow


class Several(Worker):
    """A job for each letter, on a thread of its own."""

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        for key, letter in enumerate(bytes(buf)):
            driver_async(port, key, self.work, new_job(bytes((letter,))), self.async_free)


def who_is_first(erl: Emulator) -> tuple[bytes, ...]:
    erl.port_command(opened(erl, Several()), b"abc")
    return tuple(erl.receive()[1][1] for _ in range(3))


def closed_early(erl: Emulator) -> None:
    port = opened(erl, Several())
    erl.port_command(port, b"ab")
    erl.port_close(port)


class Late(Several):
    def timeout(self, port: ErlDrvPort) -> None:
        driver_output(port, b"late")

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        driver_set_timer(port, 1)
        super().output(port, buf)


def against_the_clock(erl: Emulator) -> tuple[object, ...]:
    erl.port_command(opened(erl, Late()), b"ab")
    return tuple(erl.receive()[1][1] for _ in range(2))


def halted(erl: Emulator) -> None:
    port = opened(erl, Several())
    erl.port_command(port, b"ab")
    erl.receive()
    erl.halt(flush=False)


def deadlocked(erl: Emulator) -> object:
    erl.port_command(opened(erl, Several()), b"ab")
    return tuple(erl.receive()[1][1] for _ in range(3))


SCENARIOS: list[tuple[Scenario, dict[str, Any]]] = [
    (who_is_first, {"async_threads": 2}),
    (who_is_first, {"async_threads": 3, "schedulers": 2}),
    (closed_early, {"async_threads": 2, "observe": ("ready_async", "async_free", "stop")}),
    (closed_early, {"async_threads": 2, "schedulers": 2}),
    (against_the_clock, {"async_threads": 2}),
    (halted, {"async_threads": 2, "observe": ("async_invoke", "async_return")}),
    (deadlocked, {"async_threads": 2}),
]


def facts(found: Outcomes) -> object:
    """What has to be the same whoever makes the runs."""
    return dict(found), found.schedules, found.inequivalent, found.complete


class Here(Executor):
    """Does the work at once, as a worker would: what is given to it and handed back goes through pickle."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        import pickle

        future: Future[Any] = Future()
        fn, args, kwargs = pickle.loads(pickle.dumps((fn, args, kwargs)))
        future.set_result(pickle.loads(pickle.dumps(fn(*args, **kwargs))))
        return future


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        yield executor


@pytest.mark.parametrize(("scenario", "options"), SCENARIOS)
@pytest.mark.parametrize(("first", "afterwards"), [(1, 1), (1, 3), (FIRST, AFTERWARDS)])
def test_tasks_of_any_size_find_what_one_core_finds(
    scenario: Scenario,
    options: dict[str, Any],
    first: int,
    afterwards: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(share, "FIRST", first)
    monkeypatch.setattr(share, "AFTERWARDS", afterwards)
    alone = explore(scenario, **options)
    shared = explore(scenario, executor=Here(), **options)
    assert facts(shared) == facts(alone)


@pytest.mark.parametrize(("scenario", "options"), SCENARIOS)
def test_processes_find_what_one_core_finds(
    scenario: Scenario,
    options: dict[str, Any],
    processes: Executor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(share, "FIRST", 2)
    monkeypatch.setattr(share, "AFTERWARDS", 16)
    assert facts(explore(scenario, executor=processes, **options)) == facts(
        explore(scenario, **options)
    )


def test_a_limit_holds_for_all_workers_together(processes: Executor) -> None:
    found = explore(who_is_first, executor=processes, async_threads=3, limit=20)
    assert found.schedules == 20
    assert found.stopped == "stopped at the limit of 20"
    assert set(found) <= set(explore(who_is_first, async_threads=3))


# Workers that die, and what they cannot be given.


def dies_in_a_worker(erl: Emulator) -> tuple[bytes, ...]:
    """The third run of each worker is its last."""
    if parent_process() is not None:
        lives.append(None)
        if len(lives) == 3:
            os._exit(1)
    return who_is_first(erl)


lives: list[None] = []


@pytest.mark.parametrize("size", [2, 1000])
def test_a_worker_that_dies_loses_nothing(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "FIRST", size)
    monkeypatch.setattr(share, "AFTERWARDS", size)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        found = explore(dies_in_a_worker, executor=executor, async_threads=2)
    assert facts(found) == facts(explore(who_is_first, async_threads=2))


def test_what_cannot_be_given_to_a_worker_is_refused(processes: Executor) -> None:
    with pytest.raises(TypeError, match=r"cannot be given the scenario .*define it in a module"):
        explore(lambda erl: None, executor=processes)


def test_what_a_worker_raises_that_is_no_outcome_is_raised(processes: Executor) -> None:
    with pytest.raises(TypeError, match="the scenario returned \\[1\\], which cannot be counted"):
        explore(returns_a_list, executor=processes)
    with pytest.raises(ValueError, match="async_threads must be from 0 to 1024"):
        explore(who_is_first, executor=processes, async_threads=-1)


def returns_a_list(erl: Emulator) -> list[int]:
    return [1]


@pytest.mark.parametrize("size", [1, 4, 100])
def test_what_is_raised_in_a_task_is_raised_here(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share, "FIRST", size)
    monkeypatch.setattr(share, "AFTERWARDS", size)
    with pytest.raises(TypeError, match="the scenario returned \\[1\\], which cannot be counted"):
        explore(sometimes_a_list, executor=Here(), async_threads=2)
    for scenario in (counts_its_runs, fails_later, opens_fewer_ports_later):
        lives.clear()
        with pytest.raises(Nondeterministic):
            explore(scenario, executor=Here(), async_threads=3)


def sometimes_a_list(erl: Emulator) -> object:
    heat = who_is_first(erl)
    return [1] if heat[0] == b"b" else heat


def fails_later(erl: Emulator) -> object:
    lives.append(None)
    if len(lives) > 5:
        raise LookupError("later")
    return who_is_first(erl)


def opens_fewer_ports_later(erl: Emulator) -> None:
    lives.append(None)
    driver = Several()
    for _ in range(1 if len(lives) > 5 else 2):
        erl.port_command(opened(erl, driver), b"ab")


class Broken(Here):
    """Takes a task or two, and then no more."""

    def __init__(self) -> None:
        self.tasks = 2

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.tasks -= 1
        if self.tasks < 0:
            raise BrokenExecutor("all workers are gone")
        return super().submit(fn, *args, **kwargs)


def test_an_executor_that_breaks_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "FIRST", 2)
    monkeypatch.setattr(share, "AFTERWARDS", 2)
    found = explore(who_is_first, executor=Broken(), async_threads=2)
    assert facts(found) == facts(explore(who_is_first, async_threads=2))


def test_a_scenario_that_does_not_repeat_is_noticed(processes: Executor) -> None:
    with pytest.raises(Nondeterministic, match="it ended with"):
        explore(counts_its_runs, executor=processes, async_threads=2)


def counts_its_runs(erl: Emulator) -> int:
    lives.append(None)
    who_is_first(erl)
    return len(lives)


def test_an_executor_that_has_been_shut_down_is_an_error() -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        explore(who_is_first, executor=executor)


def interrupts(erl: Emulator) -> None:
    lives.append(None)
    if len(lives) == 10:
        raise KeyboardInterrupt
    who_is_first(erl)


def test_ctrl_c_ends_a_shared_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "FIRST", 4)
    monkeypatch.setattr(share, "AFTERWARDS", 4)
    lives.clear()
    with pytest.raises(Interrupted) as stopped:
        explore(interrupts, executor=Here(), async_threads=3)
    assert stopped.value.found.stopped == "interrupted"
    assert 0 < stopped.value.found.schedules < 10


# Other executors.


@pytest.mark.parametrize(("scenario", "options"), SCENARIOS[:4])
def test_threads_find_what_one_core_finds(
    scenario: Scenario, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each thread has coroutines and a context of its own.  Nothing is faster, and nothing is wrong."""
    monkeypatch.setattr(share, "FIRST", 2)
    monkeypatch.setattr(share, "AFTERWARDS", 8)
    with ThreadPoolExecutor(3) as executor:
        shared = explore(scenario, executor=executor, **options)
    assert facts(shared) == facts(explore(scenario, **options))


def test_a_dask_cluster_finds_what_one_core_finds() -> None:
    distributed = import_module("distributed")  # it has no types
    with (
        distributed.LocalCluster(
            processes=True, n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        executor = client.get_executor()
        for scenario, options in SCENARIOS[:3]:
            shared = explore(scenario, executor=executor, **options)
            assert facts(shared) == facts(explore(scenario, **options))
