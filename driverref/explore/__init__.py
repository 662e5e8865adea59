"""Every schedule, every outcome.

A real emulator shows one schedule a run.  `explore` runs a scenario under all schedules that differ in anything a
program can see, and tells what came of each: what the scenario returned, or the fault that it ended in.

`search` finds the schedules, `run` makes one run, `outcomes` counts what came of them, `share` has several workers do
it, and `schedules` are those that nobody searched for: a witness, or some at random.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Literal

from driverref.errors import Nondeterministic, wrong_type, wrong_value
from driverref.explore.check import assert_outcomes
from driverref.explore.eras import Comparison, System, systems
from driverref.explore.outcomes import Found, Outcomes, Tally, label, replay
from driverref.explore.progress import progress_bar
from driverref.explore.run import Fault, Job, Order, Scenario, check_observe
from driverref.explore.schedules import Pct, RandomWalk, Replay, witness
from driverref.explore.search import Search
from driverref.explore.share import Sharing, run_once

__all__ = [
    "Comparison",
    "Fault",
    "Found",
    "Order",
    "Outcomes",
    "Scenario",
    "System",
    "assert_outcomes",
    "compare",
    "explore",
    "label",
    "replay",
]

Strategy = Literal["all", "random", "pct"]


def explore(
    scenario: Scenario,
    *,
    observe: tuple[str, ...] | list[str] = (),
    limit: int | None = None,
    strategy: Strategy = "all",
    seed: int = 0,
    executor: Executor | None = None,
    progress: bool | None = None,
    **emulator: Any,
) -> Outcomes:
    """Every outcome of a scenario, with how many schedules lead there and the shortest of them.

    `scenario(erl)` drives Erlang's side of an `Emulator` that runs, and returns something hashable.  It is called once
    a schedule and must do the same each time: load a new driver, keep nothing.  What its threads share must be known
    to the model: a `Struct`, an `Atomic`, a lock, a message.

    `observe` names events whose order belongs to the outcome; meanwhile `erl.trace` holds no others.  `limit` ends the
    search after so many runs.  `emulator` are arguments of `Emulator`: `async_threads`, `schedulers`, `release`.

    `strategy` is `"all"`: every inequivalent schedule; or `"random"` or `"pct"`: `limit` schedules drawn with `seed`,
    for what is too large.  `executor` shares the work out to any `concurrent.futures.Executor`; the scenario must then
    be a function of a module.  `progress` shows a bar; by default if the error output is a terminal and it takes long.

    Ctrl-C ends the search; the result says so.  Raises `Nondeterministic` if a schedule does not repeat, `TypeError`
    and `ValueError` for wrong arguments or an outcome that cannot be hashed.  Not from inside an emulator.
    """
    _check(scenario, limit, strategy, executor, emulator)
    job = Job(scenario, check_observe(observe), emulator)
    tally, whole, stopped = Tally(), True, None
    with progress_bar(progress) as show:
        try:
            if strategy != "all":
                assert limit is not None
                _draw(job, strategy, seed, limit, tally, show)
            elif executor is None:
                whole = _search(job, limit, tally, show)
            else:
                _begin_twice(job, Search(), Tally())
                whole = Sharing(job, executor, limit, tally).run(show)
            if not whole:
                stopped = f"stopped at the limit of {limit:,}"
            _confirm(job, tally, "" if strategy == "all" else None)
        except KeyboardInterrupt:
            stopped = "interrupted"
    return Outcomes(tally, stopped, job, strategy)


def compare(
    scenario: Scenario,
    *,
    async_threads: int = 1,
    schedulers: int = 1,
    observe: tuple[str, ...] | list[str] = (),
    limit: int | None = None,
) -> Comparison:
    """The outcomes of a scenario on the emulator of every era, from R7B-3 to today.

    Each gets so many threads and schedulers as asked for, or as it can have: R7B-3 has one emulator thread, and comes
    twice, without async threads and with.  With two schedulers R11B to R14B are the SMP emulators, with one the plain
    ones.  The rest is as for `explore`.
    """
    found = {
        system: explore(scenario, observe=observe, limit=limit, progress=False, **system.options)
        for system in systems(async_threads, schedulers)
    }
    return Comparison(found)


def _check(
    scenario: object, limit: object, strategy: object, executor: object, emulator: dict[str, Any]
) -> None:
    """Raise for a wrong argument."""
    if not callable(scenario):
        raise wrong_type("explore", "scenario", "a function of an Emulator", scenario)
    if limit is not None and (type(limit) is not int or limit < 1):
        raise wrong_value("explore", "limit", "None, or 1 or more schedules", limit)
    if strategy not in ("all", "random", "pct"):
        raise wrong_value("explore", "strategy", '"all", "random" or "pct"', strategy)
    if strategy != "all" and limit is None:
        raise wrong_value("explore", "limit", "how many schedules to draw at random", limit)
    if executor is not None and not isinstance(executor, Executor):
        raise wrong_type("explore", "executor", "a concurrent.futures.Executor", executor)
    if executor is not None and strategy != "all":
        raise wrong_value("explore", "executor", f"None with the strategy {strategy!r}", executor)
    for name in ("threads", "seed", "trace"):
        if name in emulator:
            raise TypeError(f"explore: {name} is not for the caller to choose")


def _search(job: Job, limit: int | None, tally: Tally, show: Callable[[Tally], object]) -> bool:
    """All schedules, on this core; whether there are no more than `limit`."""
    search = Search()
    _begin_twice(job, search, tally)
    while search.next():
        if tally.schedules == limit:
            return False
        run_once(job, search, tally)
        show(tally)
    return True


def _begin_twice(job: Job, search: Search, tally: Tally) -> None:
    """Make the first run of a search, and again, which must not make a difference."""
    first = run_once(job, search, tally)
    search.repeat()
    again = run_once(job, search, Tally())
    if again != first:
        raise Nondeterministic(f"it ended with {label(again)} and not with {label(first)}")


def _draw(
    job: Job,
    strategy: Strategy,
    seed: int,
    limit: int,
    tally: Tally,
    show: Callable[[Tally], object],
) -> None:
    """Some schedules, at random: the n-th is the same for the same seed."""
    steps = 0
    for number in range(limit):
        name = f"{seed}:{number}"
        schedule = RandomWalk(name) if strategy == "random" else Pct(name, steps)
        tally.schedules += 1
        tally.count(job.run(schedule), witness(schedule.deviations))
        steps = max(steps, schedule.step)
        show(tally)


def _confirm(job: Job, tally: Tally, repeated: str | None) -> None:
    """Every witness, but one that was repeated, leads to its outcome again, or the scenario is not deterministic."""
    for outcome, found in tally.found.items():
        if found.witness == repeated:
            continue
        again = job.run(Replay(found.witness))
        if again != outcome:
            raise Nondeterministic(f"it ended with {label(again)} and not with {label(outcome)}")
