"""One search on many workers: any `concurrent.futures.Executor` will do.

A *task* is a way down the tree of schedules, and a number of runs to make below its end.  A worker that has made them
hands back what it has counted, the states it has left open, and *demands*: notes for states above its part, which
only whoever shares out can keep.  Each open state becomes tasks again.  So the search is the same as on one core, with
the same sleep sets, and finds the same schedules; only who runs which of them is left to the workers.

Of the ways to go on at one state the second is given out when the first is known to touch what it touches, because it
sleeps below the second.

What a worker does is a function of its task and nothing else.  So a task whose worker died is done again, here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field
from pickle import PicklingError

from driverref.explore.history import Touched
from driverref.explore.outcomes import Tally
from driverref.explore.run import Job
from driverref.explore.schedules import witness
from driverref.explore.search import Cut, Demand, Search, State

FIRST, AFTERWARDS = 16, 256
"""How many runs a task has: few at first, so that there soon is something for everybody."""
AT_ONCE = 64
"""How many tasks are given out at a time."""


def run_once(job: Job, search: Search, tally: Tally) -> Hashable:
    """Make the search's next run and count it."""
    tally.schedules += 1
    try:
        outcome = job.run(search)
    except Cut:
        tally.cut += 1
        return None
    if search.strange is not None:
        raise search.strange
    tally.count(outcome, witness(search.deviations()))
    return outcome


@dataclass
class Part:
    """What a worker hands back."""

    tally: Tally
    touched: Touched | None = None
    """What the first step of its part touches; `None`: it ended the run."""
    opened: list[State] = field(default_factory=list)
    demands: list[Demand] = field(default_factory=list)
    error: Exception | None = None
    """What the job raised that is no outcome."""


def search_part(job: Job, trunk: list[State], runs: int) -> Part:
    """A worker's work: make up to `runs` runs below `trunk`."""
    search, part = Search(trunk), Part(Tally())
    more = True
    try:
        while more and part.tally.schedules < runs:
            run_once(job, search, part.tally)
            more = search.next()
    except Exception as error:
        part.error = error
        return part
    part.demands = search.demands
    if trunk:
        part.touched = search.touched(len(trunk) - 1)
    if more:
        part.opened = search.hand_over()
    return part


class Branch:
    """A state of the tree, and the way to it: `via` was chosen at the state `up`."""

    __slots__ = ("depth", "probing", "state", "up", "via")

    def __init__(self, state: State, up: Branch | None, via: int) -> None:
        self.state, self.up, self.via = state, up, via
        self.depth: int = 0 if up is None else up.depth + 1
        self.probing = False
        """Whether a way to go on here has been given out, and what it touches is not known yet."""

    def above(self, depth: int) -> Branch:
        """The branch on the way to this one that is so deep."""
        branch = self
        while branch.depth > depth:
            assert branch.up is not None
            branch = branch.up
        return branch

    def trunk(self, number: int) -> list[State]:
        """The states on the way, with their choices, and `number` as the choice here."""
        states = [self.state.chosen(number, last=True)]
        branch = self
        while branch.up is not None:
            states.append(branch.up.state.chosen(branch.via))
            branch = branch.up
        return states[::-1]


class Sharing:
    """Shares a job out among the workers of an executor."""

    def __init__(self, job: Job, executor: Executor, limit: int | None, tally: Tally) -> None:
        self.job = job
        self.executor = executor
        self.limit = limit
        self.tally = tally
        self._given = 0  # runs that have been made or given out
        self._ready: list[Branch] = []
        self._futures: dict[Future[Part], tuple[Branch | None, int, int]] = {}

    def run(self, show: Callable[[Tally], object]) -> bool:
        """Explore; whether everything was.  `tally` counts, also while it goes on."""
        self._give(None, 0)
        try:
            while self._futures:
                for future in wait(self._futures, return_when=FIRST_COMPLETED).done:
                    self._take(future)
                show(self.tally)
                self._give_out()
        finally:
            for future in self._futures:
                future.cancel()
        return not any(branch.state.left() for branch in self._ready)

    def _give_out(self) -> None:
        """Give out what there is, the deepest branches first."""
        waiting = []
        while self._ready and len(self._futures) < AT_ONCE and self._runs():
            branch = self._ready.pop()
            left = branch.state.left()
            if left and not branch.probing:
                branch.probing = True
                self._give(branch, left[0])
            if left:
                waiting.append(branch)
        self._ready += waiting

    def _runs(self) -> int:
        """How many runs the next task may have."""
        runs = AFTERWARDS if self.tally.schedules else FIRST
        return runs if self.limit is None else min(runs, self.limit - self._given)

    def _give(self, branch: Branch | None, number: int) -> None:
        runs = self._runs()
        trunk = [] if branch is None else branch.trunk(number)
        self._given += runs
        try:
            future = self.executor.submit(search_part, self.job, trunk, runs)
        except BrokenExecutor:
            future = Future()
            future.set_result(search_part(self.job, trunk, runs))
        self._futures[future] = branch, number, runs

    def _take(self, future: Future[Part]) -> None:
        branch, number, runs = self._futures.pop(future)
        try:
            part = future.result()
        except Exception as error:
            # Who cannot pickle something says so in one of these ways; who has lost a worker, in others.
            if isinstance(error, PicklingError | AttributeError | TypeError) or "pickle" in str(
                error
            ):
                raise TypeError(
                    "explore: the executor's workers cannot be given the scenario or its outcomes"
                    f" ({error}): define it in a module, not inside a function or at a prompt"
                ) from error
            # The worker is gone.  Nobody has counted what it did; it is done again here.
            part = search_part(self.job, [] if branch is None else branch.trunk(number), runs)
        if part.error is not None:
            raise part.error
        self.tally.add(part.tally)
        self._given += part.tally.schedules - runs
        if branch is not None:
            branch.state.done[number] = part.touched
            branch.probing = False
            self._ready.append(branch)
            for demand in part.demands:
                above = branch.above(demand.depth)
                above.state.note(demand.threads)
                if above not in self._ready:
                    self._ready.append(above)
        via, up = number, branch
        for state in part.opened:
            up = Branch(state, up, via)
            via = state.choice
            self._ready.append(up)
