"""Every inequivalent schedule, once: dynamic partial-order reduction with source and sleep sets.

A run is a sequence of steps, each made by one thread, or by *time*.  Runs with the same
happens-before relation (`history`) differ in nothing that a program can see.  They are
*equivalent*, and one of them is enough.

A rough trace through this file is the following.

1. The scenario is run again and again, from its beginning.  `Search` is the schedule of these runs:
   the threads call `Search.choose` before each step, and it says which thread makes the step.
2. `choose` first ends the step before (`_end_step`).  `History.add` compares that step with the
   earlier steps of the run, and returns those with which it races.  For each of them `_reverse`
   leaves a *note* at the node before the earlier step: begin here, in a later run, with a thread
   that lets the later step come first.
3. Then `choose` picks a thread (`_choice`).  Where the run repeats the run before it, the node is
   there and says which.  Below that a new node is made (`_new_node`), and the thread is the first
   in first-come order that does not sleep.
4. When the run has ended, `end` looks at steps that were not made: those of threads that wait for
   ever, or that the end has stopped (`_leave`).  They would have raced, too.
5. `next` goes back to the deepest node with a note that has not been tried.  The next run repeats
   the steps down to that node, and then follows the note.  If there is no such node, all schedules
   have been run.

The papers' letters, for a run E, an earlier step e that races with a step of thread p, and E' =
pre(E, e):

* pre(E, e) is `nodes[e]`; enabled(s[E']) is `Node.able`.
* backtrack(E') is `Node.notes`.  Sleep at E' is `Node.sleep`, when the search came there, and
  `Node.done`, the threads that were tried since.
* v = notdep(e, E).p and its initials I(v) are in `history`: `History.firsts` returns I(v).
* "If I(v) and backtrack(E') have no thread in common, add one of I(v) to backtrack(E')" is
  `Node.note`.  That the notes of each node are then a *source set*, a set of threads with which
  every class of runs can begin, is what the paper proves.

Three rules keep the search small and complete.

* A *sleep set* holds threads whose next step would only repeat.  When thread p has been tried at a
  node, all runs that go on there with p's step have been made.  So when another thread is tried
  there, p *sleeps* until a step is made that depends on p's: until then, to make p's step later is
  to make it first.  If all threads that can go on sleep, the run is cut short (`Cut`).
* To take a lock races with the taking before it, not with the release, and to wait for something
  does not race with its coming, because those cannot change places (`Mode`).
* Time is a thread whose one step lets time pass to the next deadline.  A step that reads the clock
  races with it, even if time did not pass in the run.  A run that ends in a fault, or leaves
  threads behind, ends with a step that depends on every step that would have been next.

Sources: Godefroid (1997) for sleep sets; Flanagan and Godefroid (2005) for the races; Abdulla,
Aronis, Jonsson and Sagonas (2014) for source sets, in their Algorithm 1, Source-DPOR.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from driverref.errors import Nondeterministic
from driverref.explore.history import Footprint, History, Log
from driverref.explore.schedules import Deviation, Witnessed
from driverref.threads.choice import TIME, named, other_way, thread_of
from driverref.threads.steps import SimulatedThread, Steps

PATIENCE = 100
"""How many steps in a row a thread may make that change nothing, while another could go on.

Without a bound a thread that polls could do so for ever, and each number of times is a schedule.
"""


class Cut(BaseException):
    """Raised in the scenario to end a run that would only repeat another."""


class Node:
    """The point before one step, and the threads that are to be tried there.

    Threads are given by their numbers.  `TIME` is one of them, and so is the other way of a thread.
    """

    __slots__ = ("able", "choice", "default", "done", "notes", "sleep")

    def __init__(
        self, able: list[int], default: int, choice: int, sleep: dict[int, Footprint]
    ) -> None:
        self.able = able
        """The threads that can make the step, in first-come order."""
        self.default = default
        """The thread that would make the step in first-come order."""
        self.choice = choice
        """The thread that makes the step in the present run."""
        self.notes = [choice]
        """The threads that are to be tried, or were."""
        self.done: dict[int, Footprint | None] = {}
        """The threads that were tried, with what they touched; `None`: the step ended the run."""
        self.sleep = sleep
        """The threads that sleep when the search comes here, with what their steps touch."""

    def note(self, threads: Iterable[int]) -> None:
        """Have one of `threads` tried here, unless one of them is or was tried anyway."""
        first = None
        for number in threads:
            # What begins with a thread that sleeps has been run, as it has with one in the notes.
            if number in self.notes or number in self.sleep:
                return
            if first is None and number in self.able:
                first = number
        if first is None:
            return
        # The two ways of a thread are tried one after the other.  Where a third thread is tried
        # later, both then sleep, and neither is repeated.
        plain = thread_of(first)
        after = self.notes.index(plain) + 1 if plain in self.notes else len(self.notes)
        self.notes.insert(after, first)

    def full(self) -> bool:
        """Return whether all threads that can go on are noted, so that `note` changes nothing."""
        return len(self.notes) == len(self.able) > 0

    def left(self) -> list[int]:
        """Return the threads that are still to be tried; none where there is no choice."""
        if len(self.able) == 1:
            return []
        return [n for n in self.notes if n not in self.done and n not in self.sleep]

    def chosen(self, number: int, last: bool = False) -> Node:
        """Return a copy with `number` as the choice, for the trunk of another search.

        The trunk's nodes get no notes, so only the `last` one, from which sleep sets are computed,
        needs to know more than the choice.
        """
        if not last:
            return Node([], self.default, number, {})
        node = Node(self.able, self.default, number, self.sleep)
        node.done = self.done.copy()
        return node

    def asleep_after(self, log: Log) -> dict[int, Footprint]:
        """Return the sleep set after the chosen step, which touched what `log` says.

        A thread whose step depends on the chosen one wakes.  So does one whose step ended the run:
        that step depends on every other.  The other way of the chosen thread is gone.
        """
        gone = (self.choice, other_way(self.choice))
        return {
            number: touched
            for number, touched in (self.sleep | self.done).items()
            if number not in gone and touched is not None and not touched.disturbed_by(log)
        }


class Demand(NamedTuple):
    """A note for a node above the part of the tree that a search was given."""

    depth: int
    """The node's number in the trunk."""
    threads: list[int]
    """The threads of which one is to be tried there."""


class Search(Witnessed):
    """The schedules below `trunk`, one run after the other.  A `Schedule` for `SimulatedThreads`.

    `trunk` is the way to the root of the part that is searched: all its nodes, with their choices.
    """

    logs = True

    def __init__(self, trunk: Sequence[Node] = ()) -> None:
        super().__init__()
        # The first step is what the adopted thread does before the first call of `choose`.
        self.nodes = list(trunk) or [Node([0], 0, 0, {})]
        self.history = History()
        self.base = len(trunk)
        self.demands: list[Demand] = []
        # About half of all steps leave no choice.  A node with one thread and an empty sleep set
        # never changes, because there is nothing to note.  So all such nodes of a thread can be one
        # object, and most of them need not be made.
        self._forced: dict[int, Node] = {}
        self._begin()

    def _begin(self) -> None:
        """Prepare the next run, which makes the choices of `nodes`."""
        self._known = len(self.history)  # steps of the last run that this run repeats
        # Threads that follow a script need not call `choose`.  But a trunk's steps have not been
        # compared yet, so in the first run below a trunk each of them is looked at.
        scripted = self.nodes[1:] if self._known else []
        self.script = [node.choice for node in reversed(scripted)]
        self._mark = 0  # where the log of the step under way begins
        self._under_way = True
        self._over = False
        self._fatal = False  # whether the last step has kept other threads from going on
        self.mismatch: Nondeterministic | None = None
        """Set when a run has ended: how it differs from the run that it had to repeat."""

    # A run.

    def choose(self, threads: Steps) -> int | None:
        """End the last step, and return the choice of the next; `None` if there is none."""
        if self._over:
            return super().choose(threads)
        try:
            self._end_step(threads)
            choice = self._choice(threads)
        except (Nondeterministic, Cut) as error:
            self._over = True
            threads.give_up(error)
            return None
        self._under_way = choice is not None
        return choice

    def _choice(self, threads: Steps) -> int | None:
        """Return the choice of the next step; `None` if there is none."""
        step = len(self.history)
        if step < len(self.nodes):
            choice = self.nodes[step].choice
            if not threads.possible(choice):
                raise Nondeterministic(f"at step {step} {named(choice)} could not go on")
            return choice
        node = self._new_node(threads)
        if node is None:
            return None
        self.nodes.append(node)
        return node.choice

    def _new_node(self, threads: Steps) -> Node | None:
        """Return the node that has been reached; `None` if no thread can go on.

        Raises `Cut` if all that can go on sleep.
        """
        able = threads.in_turn()
        if not able:
            return None
        if self.history.idle[-1] >= PATIENCE:
            able = self._without_poller(able)
        last = self.nodes[-1]
        sleep = last.asleep_after(self.history.footprints[-1]) if last.done or last.sleep else {}
        if len(able) == 1 and not sleep:
            forced = self._forced.get(able[0])
            if forced is None:
                forced = self._forced[able[0]] = Node(able, able[0], able[0], sleep)
            return forced
        for number in able:
            if number not in sleep:
                if number != able[0] and self.note is not None:
                    self.note(Deviation(len(self.nodes), number))
                return Node(able, able[0], number, sleep)
        raise Cut

    def _without_poller(self, able: list[int]) -> list[int]:
        """Return the choices where a thread has polled so long that another has to go on."""
        poller = self.history.poller()
        for number in able:
            if number >= 0 and number != poller:
                self.took_turns = True
                return [number]
        return able

    def _end_step(self, threads: Steps) -> None:
        """Add the last step to the history, and leave notes that reverse its races."""
        self._under_way = False
        history, log = self.history, threads.log
        if self._known:
            # The script's steps, made without a call of `choose`, must be those of the last run.
            self._mark, self._known = history.follow(log), 0
        step = len(history)
        if step == len(self.nodes):
            return  # a repeated run has no new step
        choice = self.nodes[step].choice
        number = thread_of(choice)
        log, self._mark = log[self._mark :], len(log)
        races, clock = history.add(number, log)
        # The search that handed the trunk over has noted the races of all its steps but the last.
        if step >= self.base - 1:
            for earlier in races:
                self._reverse(earlier, history.past[step], number)
            if clock and number != TIME:
                # Time need not pass in a run, so a race with a step of time that comes later may
                # never show.  The note is left at once, at the step itself.
                self._note(step, [TIME])
            if other_way(choice) in self.nodes[step].able:
                # The other way is no step of another thread, so no race would ever ask for it.
                self._note(step, [other_way(choice)])

    def _reverse(self, earlier: int, past: int, number: int) -> None:
        """Have a step of a thread, with this past, come before step `earlier` in some run."""
        if not self.nodes[earlier].full():
            self._note(earlier, self.history.firsts(earlier, past, number))

    def _note(self, step: int, threads: list[int]) -> None:
        """Have one of `threads` tried in place of a step; if the step is the trunk's, demand it."""
        if step < self.base:
            self.demands.append(Demand(step, threads))
        else:
            self.nodes[step].note(threads)

    def end(self, threads: Steps) -> None:
        """End the last step, and note how the steps that were not made would have raced."""
        if self._over:
            return
        self._over = True
        if self._under_way:
            try:
                self._end_step(threads)
            except Nondeterministic as error:
                self.mismatch = error  # the scenario's own exception, if there is one, says more
        if self.mismatch is None and len(self.history) < len(self.nodes):
            self.mismatch = Nondeterministic(f"it ended at step {len(self.history)}")
        if self.mismatch is not None:
            return
        left = list(threads.threads.values())
        if threads.failure is None:
            left.remove(threads.main)
        if left:
            self._leave(left, threads)

    def _leave(self, left: list[SimulatedThread], threads: Steps) -> None:
        """Note the races of the threads that are `left`, waiting or stopped, at the end of a run.

        A race is found when its later step is made.  The steps that these threads would make next
        are not made, so three kinds of races are noted here that `_end_step` cannot find.
        """
        history, last = self.history, len(self.history) - 1
        number, past = history.makers[last], history.past[last]
        # First, the last step keeps the other threads from going on.  What they would have touched
        # next is not known, so the step counts as one that depends on everything: each of these
        # threads is to be tried in its place, and the step's own thread then does not sleep (the
        # `None` in `done`).
        if threads.armed() or any(t.able() for t in left):
            self._fatal = True
            numbers = {t.number for t in left} | {TIME}
            for other in self.nodes[last].able:
                if other in numbers and other != number:
                    self._note(last, [other])
        # Second, when the adopted thread ends the run, the outcome may show how far the other
        # threads have come.  So its last step races with the last step of each of them.  The steps
        # before those need no note: in the run that leaves the last one out, the step before it is
        # the last.  But if the run ends in a failure, the outcome is that failure, and only what
        # happened before it decides on it.
        if threads.failure is None:
            for earlier in history.apart(number, last):
                self._reverse(earlier, past, number)
        # Third, a thread that waits for ever, such as for a lock, could have had the lock first.
        for thread in left:
            races, past = history.would_race(thread.number, (thread.resource, thread.mode))
            for earlier in races:
                self._reverse(earlier, past, thread.number)

    # The next run.

    def next(self) -> bool:
        """Go back to the deepest node with a thread left to try; `False`: there is none."""
        nodes = self.nodes
        if self._fatal and len(nodes[-1].able) > 1:
            nodes[-1].done[nodes[-1].choice] = None
        for depth in range(len(nodes) - 1, self.base - 1, -1):
            node = nodes[depth]
            if len(node.notes) == 1:
                continue
            if others := [number for number in node.left() if number != node.choice]:
                if node.choice not in node.done:
                    node.done[node.choice] = Footprint.by(self.history.footprints[depth])
                self.history.forget(depth)
                node.choice = others[0]
                del nodes[depth + 1 :]
                self._begin()
                return True
        return False

    def repeat(self) -> None:
        """Make the next run the same as the last one."""
        self._begin()

    def touched(self, step: int) -> Footprint | None:
        """Return what a step of the last run touched; `None`: the step ended the run."""
        node = self.nodes[step]
        if node.choice in node.done:
            return node.done[node.choice]
        return Footprint.by(self.history.footprints[step])

    def hand_over(self) -> list[Node]:
        """Return the nodes below the trunk, for other searches to go on with.

        It is called after `next` has returned `True`; the last node is the one that `next` has
        chosen.  At the nodes above it the present choice becomes done: what is left to try below
        that choice is in the nodes that follow.
        """
        for depth in range(self.base, len(self.nodes) - 1):
            node = self.nodes[depth]
            if len(node.able) > 1:
                node.done.setdefault(node.choice, Footprint.by(self.history.footprints[depth]))
        return self.nodes[self.base :]

    def deviations(self) -> list[Deviation]:
        """Return the steps of the last run that are not first come."""
        return [
            Deviation(step, node.choice)
            for step, node in enumerate(self.nodes)
            if node.choice != node.default
        ]
