"""One run, made again, and what each of its steps was.

`Recorder` is the schedule of the run: that of a witness.  The threads ask it before each step, so
there the step before has just ended.  `_end_step` then writes down

* what happened before the step (`History`, as in the search),
* the events that it has added to the trace,
* the place in the program at which its thread stands now,
* what it has changed: the state of a port, the contents of a block, the holder of a lock.

Between two steps no other thread runs.  So what is different after a step is what the step did, and
it is the same in each run that has the step.
"""

from __future__ import annotations

from dataclasses import dataclass

from driverref.diagnostics import Place
from driverref.emulator import Emulator
from driverref.explore.history import History
from driverref.explore.run import Experiment, play
from driverref.explore.schedules import Replay
from driverref.memory.blocks import told
from driverref.memory.ledger import Row
from driverref.runtime.port import ErlDrvPort
from driverref.threads import ACQUIRE, WRITE
from driverref.threads.choice import TIME, thread_of
from driverref.threads.primitives import Named, SimulatedMutex, SimulatedQueue
from driverref.threads.steps import SimulatedThread, Steps
from driverref.trace import Event

Thing = tuple[str, int]
"""Something whose state is shown: its name, such as `port 1`, and its number among all things."""

Part = tuple[Thing, str]
"""A field of a block, or with `""` the whole.

Each field for itself: two threads may write two fields of one block in either order.
"""

JOB = {
    "driver_async": "queued",
    "async_invoke": "running",
    "async_return": "done",
    "ready_async": "given to ready_async",
    "async_free": "given to the free callback",
}
"""What has become of a job when an event has named it."""


@dataclass
class Step:
    """What one step did."""

    choice: int
    """The thread that made it, or its other way, or `TIME`."""
    thread: str = ""
    does: str = ""
    """What it does with another thread, in words: `takes the lock of port 1`."""
    waits: str = ""
    """What the thread waits for as long as it cannot make the step."""
    lock: object = None
    """The lock that it waits for, if it is one."""
    events: tuple[Event, ...] = ()
    time: int = 0
    """The time after the step, in ns."""
    stands: Place = None
    """Where its thread stands afterwards."""
    ended: bool = False
    """Whether its thread has ended."""
    changes: tuple[tuple[Part, str], ...] = ()
    holds: tuple[tuple[object, bool], ...] = ()
    """The locks that it has taken, and those that it has given up."""


@dataclass
class Recording:
    """A run: its steps, and what happened before each of them."""

    steps: list[Step]
    past: list[int]
    """As in `History`: bit `k` says that step `k` happened before the step, or is the step."""


def record(experiment: Experiment, witness: str) -> Recording:
    """Make the run of a witness, and return what its steps were."""
    recorder = Recorder(witness)
    recorder.erl = erl = experiment.emulator(recorder)
    play(experiment.scenario, erl)
    recorder.check()
    past = recorder.history.past
    if recorder.left:
        # The run ended in a failure, or before other threads did.  Its last step keeps them from
        # going on, so all that was done has come before it.
        past[-1] = (1 << len(past)) - 1
    return Recording(recorder.steps, past)


class Recorder(Replay):
    """The schedule of a witness, which writes down what each step is."""

    logs = True

    def __init__(self, witness: str) -> None:
        super().__init__(witness)
        self.erl: Emulator
        self.history = History()
        self.steps: list[Step] = []
        self.left = False
        """Whether the run ended in a failure, or before some thread did."""
        self._step: Step | None = Step(0)
        self._logged = self._seen = 0  # how much of the log and of the trace belongs to past steps
        self._over = False
        self._state: dict[Part, str] = {}
        self._ports: dict[int, ErlDrvPort] = {}
        self._rows: dict[int, Row] = {}

    def choose(self, threads: Steps) -> int | None:
        """Write down the step that has ended, and return the choice of the next."""
        self._end_step(threads)
        choice = super().choose(threads)
        if choice is not None and not self._over:
            self._step = _begun(choice, threads)
        return choice

    def end(self, threads: Steps) -> None:
        """Write down the last step."""
        if not self._over:
            self._end_step(threads)
            self._over = True
            alive = list(threads.threads.values())
            self.left = alive != [threads.main] or threads.failure is not None

    def _end_step(self, threads: Steps) -> None:
        step, self._step = self._step, None
        if step is None or self._over:
            return
        log = threads.log[self._logged :]
        number = thread_of(step.choice)
        self.history.add(number, log)
        step.holds = tuple((r, mode is ACQUIRE) for r, mode in log if mode in (ACQUIRE, WRITE))
        step.time = threads.time
        if step.choice != TIME:
            thread = threads.threads.get(number, threads.running)
            step.thread = thread.name
            step.ended = number not in threads.threads
            step.stands = None if step.ended else thread.coroutine.standing()
        made = len(threads.log)
        step.events = tuple(self.erl.trace[self._seen :])
        step.changes = tuple(self._changes(step.events))
        # To look is no step, and the run must not hear of it.
        del threads.log[made:]
        self._logged = made
        self._seen += len(step.events)
        self.steps.append(step)

    def _changes(self, events: tuple[Event, ...]) -> list[tuple[Part, str]]:
        """Return what is different since the last step."""
        runtime = self.erl.runtime
        now: dict[Part, str] = {}
        self._ports |= {port.number: port for port in runtime.ports}
        for number, port in self._ports.items():
            now[(f"port {number}", 0), ""] = port.state.value.value
        alive = dict(runtime.ledger.rows)
        self._rows |= alive
        for number, row in self._rows.items():
            thing = row.what, number
            gone = "freed" if row.fields is not None else "gone"
            now[thing, ""] = row.born if number in alive else gone
            now |= {(thing, field): said for field, said in told(row).items()}
        jobs = {
            ((f"job {event.job}", -1), ""): JOB[event.name]
            for event in events
            if event.job is not None and event.name in JOB
        }
        changes = {part: said for part, said in now.items() if self._state.get(part) != said}
        self._state |= changes
        return [*changes.items(), *jobs.items()]


def _begun(choice: int, threads: Steps) -> Step:
    """Return a step that is about to be made."""
    if choice == TIME:
        return Step(choice, "time")
    thread = threads.threads[thread_of(choice)]
    what = thread.what
    lock = what.id if isinstance(what, SimulatedMutex) else None
    name = what.name if isinstance(what, Named) else str(what or "")
    return Step(choice, thread.name, _does(choice, thread), name, lock)


def _does(choice: int, thread: SimulatedThread) -> str:
    """Return what the step has to do with other threads, in words; `""` if its line says more."""
    match thread.what:
        case SimulatedMutex(name=name):
            return f"takes {name}"
        case SimulatedQueue(name=name, id=tail):
            return f"{'hands over' if thread.resource == tail else 'looks for'} {name}"
        case Named() | None:
            return ""
        case str() as said if choice < 0:
            return said
        case str() as said if said.startswith("the end of"):
            return f"goes on after {said}"
    return ""
