"""One search on many workers: any `concurrent.futures.Executor` will do.

A rough trace through this file is the following.  `Sharing.run` gives out tasks and takes back
their parts, until no task is under way.  A *task* is a trunk, the way down the tree of schedules to
one node, and a number of runs to make below it.  A worker makes these runs (`search_part`) and
hands back a `Part`: its counts, the nodes that it has left open, and its *demands*, which are notes
for nodes above its part of the tree.  Each open node becomes a `Branch`, from which new tasks are
made; each demand is noted at its branch.

So the search is the one of `search`, with the same sleep sets, and finds the same schedules as on
one core.  Only which worker makes which run is open.

Of the ways to go on at one node, the second is given out when it is known what the step of the
first touches: below the second the first sleeps, until a step depends on it.

What a worker does is a function of its task and nothing else.  So the task of a worker that died is
done again, in this process.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field
from pickle import PicklingError
from typing import NamedTuple

from driverref.explore.history import Footprint
from driverref.explore.outcomes import Tally
from driverref.explore.run import Experiment
from driverref.explore.search import Demand, Node, Search
from driverref.explore.sequential import Show, run_once
from driverref.threads.watch import watching

FIRST, AFTERWARDS = 16, 256
"""How many runs a task has: few at first, so that there soon are tasks for all workers."""
AT_ONCE = 64
"""How many tasks are given out at a time."""


@dataclass
class Part:
    """What a worker hands back."""

    tally: Tally
    touched: Footprint | None = None
    """What the first step below the trunk touches; `None`: the step ended the run."""
    opened: list[Node] = field(default_factory=list)
    demands: list[Demand] = field(default_factory=list)
    error: Exception | None = None
    """What a run raised that is no outcome."""


@watching()
def search_part(experiment: Experiment, trunk: list[Node], runs: int) -> Part:
    """Do a worker's task: make up to `runs` runs below `trunk`."""
    search, part = Search(trunk), Part(Tally())
    more = True
    try:
        while more and part.tally.schedules < runs:
            run_once(experiment, search, part.tally)
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
    """A node of the tree, and the way to it: `via` was chosen at the node of the branch `up`."""

    __slots__ = ("depth", "node", "probing", "up", "via")

    def __init__(self, node: Node, up: Branch | None, via: int) -> None:
        self.node, self.up, self.via = node, up, via
        self.depth: int = 0 if up is None else up.depth + 1
        self.probing = False
        """Whether a way to go on here has been given out, and what it touches is not known yet."""

    def above(self, depth: int) -> Branch:
        """Return the branch at this depth on the way to this one."""
        branch = self
        while branch.depth > depth:
            assert branch.up is not None
            branch = branch.up
        return branch

    def trunk(self, number: int) -> list[Node]:
        """Return the nodes on the way, with their choices; the choice here is `number`."""
        nodes = [self.node.chosen(number, last=True)]
        branch = self
        while branch.up is not None:
            nodes.append(branch.up.node.chosen(branch.via))
            branch = branch.up
        return nodes[::-1]


class Task(NamedTuple):
    """What a worker is given to do."""

    branch: Branch | None
    """Where in the tree; `None`: at its root."""
    number: int
    """The thread that is chosen at the branch."""
    runs: int
    """The most runs that the worker makes."""

    def trunk(self) -> list[Node]:
        """Return the way to the part of the tree that is to be searched."""
        return [] if self.branch is None else self.branch.trunk(self.number)


class Sharing:
    """Shares the runs of an experiment out among the workers of an executor."""

    def __init__(
        self, experiment: Experiment, executor: Executor, limit: int | None, tally: Tally
    ) -> None:
        self.experiment = experiment
        self.executor = executor
        self.limit = limit
        self.tally = tally
        self._given = 0  # runs that have been made or given out
        self._ready: list[Branch] = []
        """The branches that may have a way left to give out; one that is probing is not here."""
        self._futures: dict[Future[Part], Task] = {}

    def run(self, show: Show) -> bool:
        """Make the runs, and return whether they are all there are.  `tally` counts meanwhile.

        Raises what a run raises that is no outcome, and `TypeError` if the scenario cannot be
        pickled.
        """
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
        return not any(branch.node.left() for branch in self._ready)

    def _give_out(self) -> None:
        """Give out tasks as long as there are any, those of the deepest branches first."""
        while self._ready and len(self._futures) < AT_ONCE and self._runs():
            branch = self._ready.pop()
            if left := branch.node.left():
                branch.probing = True
                self._give(branch, left[0])

    def _runs(self) -> int:
        """Return how many runs the next task may have."""
        runs = AFTERWARDS if self.tally.schedules else FIRST
        return runs if self.limit is None else min(runs, self.limit - self._given)

    def _give(self, branch: Branch | None, number: int) -> None:
        """Give out one task."""
        task = Task(branch, number, self._runs())
        self._given += task.runs
        try:
            future = self.executor.submit(search_part, self.experiment, task.trunk(), task.runs)
        except BrokenExecutor:
            future = Future()
            future.set_result(search_part(self.experiment, task.trunk(), task.runs))
        self._futures[future] = task

    def _take(self, future: Future[Part]) -> None:
        """Count what a worker has handed back, and make branches of what it has left open."""
        task = self._futures.pop(future)
        try:
            part = future.result()
        except Exception as error:
            # What cannot be pickled is reported in one of these ways, a lost worker in others.
            if isinstance(error, PicklingError | AttributeError | TypeError) or "pickle" in str(
                error
            ):
                raise TypeError(
                    "explore: the executor's workers cannot be given the scenario or its outcomes"
                    f" ({error}): define it in a module, not inside a function or at a prompt"
                ) from error
            # The worker is lost, and its runs have not been counted.
            part = search_part(self.experiment, task.trunk(), task.runs)
        if part.error is not None:
            raise part.error
        self.tally.add(part.tally)
        self._given += part.tally.schedules - task.runs
        if task.branch is not None:
            self._know(task.branch, task.number, part)
        via, up = task.number, task.branch
        for node in part.opened:
            up = Branch(node, up, via)
            via = node.choice
            self._ready.append(up)

    def _know(self, branch: Branch, number: int, part: Part) -> None:
        """Enter what a part has found: at its branch what it touches, above that its demands."""
        branch.node.done[number] = part.touched
        branch.probing = False
        self._ready.append(branch)
        for demand in part.demands:
            above = branch.above(demand.depth)
            above.node.note(demand.threads)
            if not above.probing and above not in self._ready:
                self._ready.append(above)
