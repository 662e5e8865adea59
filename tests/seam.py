"""Programs on the seam, made up by hypothesis: a few threads, each with a few operations.

A program's outcome is what each thread saw.  A thread may crash, and threads may wait for each
other for ever; those are outcomes too.  Whatever the threads share is made known to the seam, as
the runtime does it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import strategies as st

from driverref.threads import EXPIRED, READ, WRITE, Empty
from driverref.threads.simulated import SimulatedThreads

Operation = tuple[Any, ...]


class Made(NamedTuple):
    """A program: thread 0 is the adopted one."""

    lists: list[list[Operation]]
    """What each thread does."""
    starts: dict[int, int]
    """Who starts each of the others, before anything else that he does."""
    joined: dict[int, bool]
    """Whether he waits for its end, after everything else.

    Who is not waited for may be left behind.
    """


class Life:
    """One run of a program."""

    def __init__(self, made: Made, threads: SimulatedThreads) -> None:
        self.last_id, self.threads = made, threads
        self.mutexes = [threads.mutex(f"mutex {n}") for n in range(2)]
        self.condition = threads.condition(self.mutexes[0], "condition")
        self.queues = [threads.queue(f"queue {n}") for n in range(2)]
        self.work = threads.work("work")
        self.sockets = threads.socketpair()
        self.poll = threads.poll("poll")
        self.things = [threads.new_id() for _ in range(2)]
        self.values: dict[int, object] = dict.fromkeys(self.things, 0)
        self.started: dict[int, Any] = {}
        self.seen: list[list[object]] = [[] for _ in made.lists]
        self.held: list[set[int]] = [set() for _ in made.lists]

    def see(self, me: int, what: object) -> None:
        """Thread `me` has seen something."""
        self.threads.declare((("seen", me), WRITE))
        self.seen[me].append(what)

    def all_seen(self) -> object:
        """What each thread has seen so far."""
        for who in range(len(self.seen)):
            self.threads.declare((("seen", who), READ))
        return tuple(map(tuple, self.seen))

    def live(self, me: int) -> None:
        """What thread `me` does."""
        children = [child for child, parent in self.last_id.starts.items() if parent == me]
        for child in children:
            body = self._body(child)
            self.started[child] = self.threads.start(f"thread {child}", body, lambda error: error)
            self.threads.declare((("started", child), WRITE))
        try:
            for number, (name, *arguments) in enumerate(self.last_id.lists[me]):
                getattr(self, name)(me, (me, number), *arguments)
        finally:
            for number in self.held[me]:
                if self.mutexes[number].owner is self.threads.running:  # type: ignore[attr-defined]
                    self.mutexes[number].release()
        for child in children:
            if self.last_id.joined[child]:
                self.threads.join(self.started[child])

    def _body(self, who: int) -> Callable[[], None]:
        return lambda: self.live(who)

    def acquire(self, me: int, label: object, number: int) -> None:
        if number not in self.held[me]:
            self.mutexes[number].acquire()
            self.held[me].add(number)

    def release(self, me: int, label: object, number: int) -> None:
        if number in self.held[me]:
            self.held[me].remove(number)
            self.mutexes[number].release()

    def try_acquire(self, me: int, label: object, number: int) -> None:
        if number not in self.held[me]:
            taken = self.mutexes[number].acquire(False)
            self.see(me, taken)
            if taken:
                self.held[me].add(number)

    def put(self, me: int, label: object, number: int) -> None:
        self.queues[number].put(label)

    def get(self, me: int, label: object, number: int) -> None:
        self.see(me, self.queues[number].get())

    def get_nowait(self, me: int, label: object, number: int) -> None:
        try:
            self.see(me, self.queues[number].get_nowait())
        except Empty:
            self.see(me, "empty")

    def get_until(self, me: int, label: object, number: int, deadline: int) -> None:
        item = self.queues[number].get_until(deadline)
        self.see(me, "expired" if item is EXPIRED else item)

    def get_within(self, me: int, label: object, number: int, ns: int) -> None:
        self.get_until(me, label, number, self.threads.read_clock() + ns)

    def _with_the_condition(self, me: int, call: str) -> None:
        if 0 in self.held[me]:
            getattr(self.condition, call)()
        else:
            with self.mutexes[0]:
                getattr(self.condition, call)()

    def wait(self, me: int, label: object) -> None:
        self._with_the_condition(me, "wait")

    def notify(self, me: int, label: object) -> None:
        self._with_the_condition(me, "notify")

    def notify_all(self, me: int, label: object) -> None:
        self._with_the_condition(me, "notify_all")

    def load(self, me: int, label: object, number: int) -> None:
        self.threads.load(self.things[number])
        self.see(me, self.values[self.things[number]])

    def store(self, me: int, label: object, number: int) -> None:
        with self.threads.atomically(self.things[number], reads=False):
            self.values[self.things[number]] = label

    def swap(self, me: int, label: object, number: int) -> None:
        with self.threads.atomically(self.things[number]):
            self.see(me, self.values[self.things[number]])
            self.values[self.things[number]] = label

    def read(self, me: int, label: object, number: int) -> None:
        self.threads.step(self.things[number], READ)
        self.see(me, self.values[self.things[number]])

    def write(self, me: int, label: object, number: int) -> None:
        self.threads.step(self.things[number], WRITE)
        self.values[self.things[number]] = label

    def sleep(self, me: int, label: object, ns: int) -> None:
        self.threads.sleep(ns)

    def read_clock(self, me: int, label: object) -> None:
        self.see(me, self.threads.read_clock())

    def chance(self, me: int, label: object) -> None:
        self.see(me, self.threads.chance("rain"))

    def join(self, me: int, label: object, who: int) -> None:
        self.threads.declare((("started", who), READ))
        if who in self.started and who != me:
            self.threads.join(self.started[who])
            self.see(me, f"joined {who}")

    def _with_a_socket(self, me: int, number: int, call: Callable[[Any], object]) -> None:
        try:
            self.see(me, call(self.sockets[number]))
        except OSError as error:
            self.see(me, type(error).__name__)

    def send(self, me: int, label: object, number: int) -> None:
        self._with_a_socket(me, number, lambda end: end.send(b"ab"))

    def recv(self, me: int, label: object, number: int, size: int, timeout: float | None) -> None:
        self._with_a_socket(me, number, lambda end: end.settimeout(timeout))
        self._with_a_socket(me, number, lambda end: end.recv(size))

    def shutdown(self, me: int, label: object, number: int, how: int) -> None:
        self._with_a_socket(me, number, lambda end: end.shutdown(how))

    def close(self, me: int, label: object, number: int) -> None:
        self._with_a_socket(me, number, lambda end: end.close())

    def watch(self, me: int, label: object, number: int, what: int) -> None:
        self.threads.step()
        self.poll.watch(self.sockets[number], what, number)

    def reported(self, me: int, label: object) -> None:
        if me == 0:  # one thread waits
            self.see(me, self.poll.wait())

    def end_poll(self, me: int, label: object) -> None:
        self.threads.step()
        self.poll.end()

    def add(self, me: int, label: object) -> None:
        self.work.add(label)

    def serve(self, me: int, label: object, deadline: int | None) -> None:
        if me == 0:  # there is one server
            self.work.wait(deadline)
            try:
                self.see(me, self.work.take())
            except Empty:
                self.see(me, "nothing to do")

    def crash(self, me: int, label: object) -> None:
        raise ValueError(f"thread {me}")


def program(made: Made) -> Callable[[SimulatedThreads], object]:
    """The program, for `dfs.on_threads`."""

    def run(threads: SimulatedThreads) -> object:
        threads.schedule.chances = frozenset({"rain"})
        life = Life(made, threads)
        life.live(0)
        return life.all_seen()

    return run


_one = st.sampled_from([0, 0, 0, 1])  # the same resource often
_two = st.integers(0, 1)
_ticks = st.integers(0, 3)


def _named(names: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Operation]:
    return st.tuples(st.sampled_from(names.split()), *arguments)


KINDS: dict[str, st.SearchStrategy[Operation]] = {
    "mutexes": _named("acquire acquire release release try_acquire", _one),
    "puts": _named("put", _one),
    "gets": _named("get get get_nowait", _one),
    "gets in time": _named("get_until get_within", _one, _ticks),
    "conditions": _named("wait wait notify notify_all"),
    "atomics": _named("load store swap", _one),
    "fields": _named("read write", _one),
    "time": _named("sleep", _ticks) | _named("read_clock"),
    "chances": _named("chance"),
    "work": _named("add") | _named("serve", st.none() | _ticks),
    "sockets": _named("send close", _two)
    | _named("recv", _two, st.integers(1, 3), st.sampled_from([None, 0, 1e-9, 3e-9]))
    | _named("shutdown", _two, st.integers(0, 2)),
    "polls": _named("watch", _two, st.integers(0, 3))
    | _named("send", _two)
    | _named("recv", _two, st.integers(1, 3), st.just(0))
    | _named("reported reported end_poll"),
    "joins": _named("join", st.integers(1, 3)),
    "crashes": _named("crash"),
}


@st.composite
def programs(draw: st.DrawFn) -> Made:
    """Few threads, and few kinds of operations, so that they meet."""
    threads = draw(st.integers(2, 4))
    names = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=3, unique=True))
    operations = st.one_of([KINDS[name] for name in names])
    longest = {2: 5, 3: 3, 4: 2}[threads]
    return Made(
        [draw(st.lists(operations, max_size=longest)) for _ in range(threads)],
        {who: draw(st.integers(0, who - 1)) for who in range(1, threads)},
        {who: draw(st.sampled_from([True, True, True, False])) for who in range(1, threads)},
    )
