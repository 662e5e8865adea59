"""The runs of an exploration, one after the other, on this core.

`search_all` makes the runs of a whole search, `draw` those of schedules drawn at random.
`run_once` is one run of a search; a worker of `share` makes its runs with it, too.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Literal

from driverref.errors import Nondeterministic
from driverref.explore.outcomes import Tally, in_one_line
from driverref.explore.run import Experiment
from driverref.explore.schedules import Pct, RandomWalk, Replay
from driverref.explore.search import Cut, Search
from driverref.threads.watch import watching

Show = Callable[[Tally], object]
"""Called after each run with what has been counted so far."""


def run_once(experiment: Experiment, search: Search, tally: Tally) -> Hashable:
    """Make the search's next run, count it, and return its outcome.

    Returns `None` if the run was cut short.  Raises `Nondeterministic` if it did not begin as the
    run before it.  A run that Ctrl-C ends is not counted.
    """
    try:
        outcome = experiment.run(search)
    except Cut:
        tally.schedules += 1
        tally.cut += 1
        return None
    finally:
        tally.took_turns |= search.took_turns
    tally.schedules += 1
    if search.mismatch is not None:
        raise search.mismatch
    tally.count(outcome, experiment.witness(search.deviations()))
    return outcome


@watching()
def search_all(experiment: Experiment, limit: int | None, tally: Tally, show: Show) -> bool:
    """Make the runs of a search, at most `limit`.  Return whether they are all there are."""
    search = Search()
    begin_twice(experiment, search, tally)
    while search.next():
        if tally.schedules == limit:
            return False
        run_once(experiment, search, tally)
        show(tally)
    return True


def begin_twice(experiment: Experiment, search: Search, tally: Tally) -> None:
    """Make the first run of a search, count it, and make it again.

    Raises `Nondeterministic` if the second run touches other resources or has another outcome.
    """
    first = run_once(experiment, search, tally)
    search.repeat()
    check_same(run_once(experiment, search, Tally()), first)


def check_same(again: Hashable, first: Hashable) -> None:
    """Raise `Nondeterministic` unless two runs of one schedule have the same outcome."""
    if again != first:
        one, other = in_one_line(again), in_one_line(first)
        if one == other:
            raise Nondeterministic(f"it ended with another {one}, which equals only itself")
        raise Nondeterministic(f"it ended with {one} and not with {other}")


@watching()
def draw(
    experiment: Experiment,
    strategy: Literal["random", "pct"],
    seed: int,
    limit: int,
    tally: Tally,
    show: Show,
) -> None:
    """Run `limit` schedules drawn at random: the n-th is the same for the same seed."""
    longest = 0  # steps of the longest run so far, from which `Pct` draws its changes
    for number in range(limit):
        name = f"{seed}:{number}"
        schedule = RandomWalk(name) if strategy == "random" else Pct(name, longest)
        outcome = experiment.run(schedule)
        tally.schedules += 1
        tally.count(outcome, experiment.witness(schedule.deviations()))
        longest = max(longest, schedule.step)
        show(tally)


@watching()
def confirm(experiment: Experiment, tally: Tally, repeated: str | None) -> None:
    """Replay the witness of each outcome.

    The witness `repeated` is left out, because its run has been repeated.  Raises
    `Nondeterministic` if a witness leads to another outcome.
    """
    for outcome, found in tally.found.items():
        if found.witness == repeated:
            continue
        check_same(experiment.run(Replay(found.witness)), outcome)
