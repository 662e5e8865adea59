"""`explore`: how the arguments decide which schedules are run, and where.

There are three ways to find schedules.  The strategy `"all"` searches, on this core (`sequential`)
or on the workers of an executor (`share`).  `"random"` and `"pct"` draw a number of schedules
(`schedules`).

Whatever the way, an outcome is believed only if it comes again.  A scenario that keeps something
from one run to the next, or asks the real clock, ends differently under the same schedule, and its
outcomes mean nothing.  So the first run of a search is made twice, and at the end the witness of
each outcome is replayed.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Literal, Unpack

from driverref.emulator import DEFAULTS, EmulatorOptions
from driverref.errors import Interrupted, is_int, wrong_type, wrong_value
from driverref.explore import sequential
from driverref.explore.outcomes import Outcomes, Tally
from driverref.explore.progress import progress_bar
from driverref.explore.run import (
    Experiment,
    Scenario,
    check_failing,
    check_observe,
    check_step_limit,
)
from driverref.explore.search import Search
from driverref.explore.share import Sharing
from driverref.explore.witness import STEP_LIMIT, check_names
from driverref.threads.watch import watching

Strategy = Literal["all", "random", "pct"]


class ExploreOptions(EmulatorOptions, total=False):
    """The arguments of `explore`, for a function that hands them on."""

    observe: tuple[str, ...] | list[str]
    limit: int | None
    strategy: Strategy
    seed: int
    executor: Executor | None
    progress: bool | None
    step_limit: int
    failing_allocations: bool


def explore(
    scenario: Scenario,
    *,
    observe: tuple[str, ...] | list[str] = (),
    limit: int | None = None,
    strategy: Strategy = "all",
    seed: int = 0,
    executor: Executor | None = None,
    progress: bool | None = None,
    step_limit: int = STEP_LIMIT,
    failing_allocations: bool = False,
    **emulator: Unpack[EmulatorOptions],
) -> Outcomes:
    """Return every outcome of a scenario, with the number of its schedules and the shortest.

    `scenario(erl)` is Erlang's side: it gets an `Emulator` that runs, and returns something
    hashable.  It is called once for each schedule and must do the same each time: load a new
    driver, keep nothing.  What its threads share must be known to the model: a `Struct`, an
    `Atomic`, a lock, a message.

    `observe` names events whose order belongs to the outcome; then `erl.trace` holds no others.
    `limit` ends the search after so many runs.  `emulator` are arguments of `Emulator`:
    `async_threads`, `schedulers`, `release`.

    `strategy` is `"all"`: every different schedule; or `"random"` or `"pct"`: `limit` schedules
    drawn with `seed`, for a scenario that has too many.  `executor` shares the work out to any
    `concurrent.futures.Executor`; the scenario must then be a function of a module.  `progress`
    shows a bar; by default it is shown if the error output is a terminal.  If a run takes more than
    three seconds, a message on the error output says where each of its threads is.

    A run that makes more than `step_limit` steps ends as a `Livelock`.  With `failing_allocations`,
    each allocation of the driver fails once: `driver_alloc`, `driver_realloc`, a binary, a handle.

    Ctrl-C ends the search with `Interrupted`, a `KeyboardInterrupt` that has what was found until
    then.  Raises `Nondeterministic` if a schedule does not repeat, `TypeError` and `ValueError` for
    wrong arguments or an outcome that cannot be hashed, `Misuse` in a thread that already runs an
    emulator.
    """
    _check(scenario, limit, strategy, executor, emulator)
    experiment = Experiment(
        scenario,
        check_observe(observe),
        emulator,
        check_step_limit("explore", step_limit),
        check_failing("explore", failing_allocations),
    )
    tally, whole = Tally(), True
    with progress_bar(progress, f"{experiment.name}{experiment.ending}") as show:
        try:
            if strategy != "all":
                assert limit is not None
                sequential.draw(experiment, strategy, seed, limit, tally, show)
            elif executor is None:
                whole = sequential.search_all(experiment, limit, tally, show)
            else:
                # The workers repeat none of their runs, so the first is made twice here, uncounted.
                with watching():
                    sequential.begin_twice(experiment, Search(), Tally())
                whole = Sharing(experiment, executor, limit, tally).run(show)
            # A search has repeated its first run, which is first come.  No drawn one was repeated.
            repeated = experiment.witness(()) if strategy == "all" else None
            sequential.confirm(experiment, tally, repeated)
        except KeyboardInterrupt as error:
            found = Outcomes(tally, "interrupted", experiment, strategy)
            raise Interrupted(found, error) from error
    stopped = None if whole else f"stopped at the limit of {limit:,}"
    return Outcomes(tally, stopped, experiment, strategy)


def _check(
    scenario: object,
    limit: object,
    strategy: object,
    executor: object,
    emulator: Mapping[str, object],
) -> None:
    """Raise `TypeError` or `ValueError` for the first wrong argument."""
    if not callable(scenario):
        raise wrong_type("explore", "scenario", "a function of an Emulator", scenario)
    if limit is not None and (not is_int(limit) or limit < 1):
        raise wrong_value("explore", "limit", "None, or 1 or more schedules", limit)
    if strategy not in ("all", "random", "pct"):
        raise wrong_value("explore", "strategy", '"all", "random" or "pct"', strategy)
    if strategy != "all" and limit is None:
        raise wrong_value("explore", "limit", "how many schedules to draw at random", limit)
    if executor is not None and not isinstance(executor, Executor):
        raise wrong_type("explore", "executor", "a concurrent.futures.Executor", executor)
    if executor is not None and strategy != "all":
        raise wrong_value("explore", "executor", f"None with the strategy {strategy!r}", executor)
    check_names("explore", emulator, DEFAULTS)
