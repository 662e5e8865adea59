"""What holds whatever happens: random lives of ports on simulated threads, in random order.

A machine opens, commands, controls, closes, kills owners, sends exit signals, lets time pass,
unloads and loads, in an order that hypothesis picks, on schedules that a seed picks, in an emulator
of any era, with and without async threads, on one scheduler or two.  Two agents do the same beside
it.  The drivers write down what happens to them; after each step, and when the emulator has
stopped, this must hold:

* each accepted job is invoked exactly once, on the thread of its queue, and no other job beside it;
  unless it was cancelled, then never;
* in a queue the jobs of one scheduler are invoked in the order in which they were submitted;
* a job's data then goes to exactly one of `ready_async` and `async_free`, and to nobody only where
  `async_free` is NULL, or where the era forgets the jobs of closed ports;
* `ready_async` is called for the port of the job; in R7B, if that is closed, for another in its
  slot;
* no callback gets driver data after `stop`, and callbacks under one lock do not overlap;
* nothing leaks, and nothing hangs.

`DRIVERREF_SOAK=10` tries ten times as many lives.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from driverref import Driver, Emulator, Pid, Port, Struct
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    Key,
    driver_alloc,
    driver_async,
    driver_async_cancel,
    driver_deq,
    driver_enq,
    driver_exit,
    driver_failure_atom,
    driver_failure_eof,
    driver_free,
    driver_output,
    driver_set_timer,
    driver_sizeq,
)
from driverref.errors import ErlangError
from driverref.posix import usleep
from driverref.release import ERAS, OTP_25, R7B_3, Release
from driverref.threads import running_thread

pytestmark = pytest.mark.slow


THOROUGHNESS = int(os.environ.get("DRIVERREF_SOAK", "1"))


class Job(Struct):
    """A job's data."""

    number: int
    text: bytes


class Data:
    """Driver data: one for each port."""

    def __init__(self, port: ErlDrvPort) -> None:
        self.port = port
        self.stopped = False


class Book:
    """What happened to jobs and ports, and what should not have."""

    def __init__(self, release: Release, pool: int) -> None:
        self.release, self.pool = release, pool
        self.faults: list[str] = []
        self.submitted: dict[tuple[int, str], list[int]] = defaultdict(list)
        """The jobs by queue and by submitting scheduler, in order."""
        self.invoked: dict[str, list[int]] = defaultdict(list)
        """The jobs by async thread, in order."""
        self.running: dict[str, int] = {}
        self.given: dict[int, list[str]] = defaultdict(list)
        """Who got the data of each job."""
        self.of: dict[int, Data] = {}
        """Whose job it is."""
        self.may_be_lost: set[int] = set()
        """Jobs with NULL for `async_free`."""
        self.last: tuple[int, int, Data] | None = None
        """The job that was accepted last: its id, its number, and the driver data of its port."""
        self.cancelled: set[int] = set()
        self.inside: dict[object, str] = {}
        self.lives: list[Data] = []

    @contextmanager
    def callback(self, driver: Driver, data: Data | None, name: str) -> Iterator[None]:
        """A callback under the lock of the port, which may be nested: a failure runs `stop`."""
        me = running_thread.get().name
        if data is not None and data.stopped:
            self.faults.append(f"{name} after stop")
        lock: object = driver
        if driver.driver_flags & ERL_DRV_FLAG_USE_PORT_LOCKING:
            lock = data
        before = self.inside.get(lock)
        if before not in (None, me):
            self.faults.append(f"{name} on {me} beside a callback on {before}")
        self.inside[lock] = me
        yield
        if before is None:
            del self.inside[lock]
        else:
            self.inside[lock] = before


class Subject(Driver):
    """Does what commands say and writes everything down."""

    ready_async: Any
    keeps = False
    """Whether a byte in the driver queue keeps the port for each job."""

    def __init__(self, book: Book) -> None:
        self.book = book

    def start(self, port: ErlDrvPort, command: str) -> object:
        data = Data(port)
        how = command.split()[1]
        if how == "refused":
            self.submit(data, None, b"from start", True)
            driver_set_timer(port, 1)
            data.stopped = True
            return -1
        self.book.lives.append(data)
        return data

    def output(self, data: Data, buf: memoryview) -> None:
        with self.book.callback(self, data, "output"):
            kind, key = bytes(buf).split()
            number = None if key == b"-" else int(key)
            if kind == b"fail":
                driver_failure_atom(data.port, "failed")
            elif kind == b"exit":
                driver_exit(data.port, 1)
            elif kind == b"cancel" and self.book.release.driver_async_cancel == "search":
                self.cancel_last(data)
            for _ in range(2 if kind == b"twice" else 1):
                self.submit(data, number, kind, with_free=kind != b"lost")

    def control(self, data: Data, command: int, buf: memoryview) -> bytes:
        with self.book.callback(self, data, "control"):
            driver_set_timer(data.port, command)
            usleep(command * 100)
            return b""

    def timeout(self, data: Data) -> None:
        with self.book.callback(self, data, "timeout"):
            driver_output(data.port, b"timeout")
            driver_deq(data.port, driver_sizeq(data.port))

    def stop(self, data: Data) -> None:
        with self.book.callback(self, data, "stop"):
            usleep(50)
            self.submit(data, 1, b"from stop", True)
            data.stopped = True

    def cancel_last(self, data: Data) -> None:
        """Cancel the job that was accepted last, if it is of this port."""
        match self.book.last:
            case (job_id, number, owner) if owner is data and driver_async_cancel(job_id):
                self.book.cancelled.add(number)
                if self.keeps:
                    driver_deq(data.port, 1)

    def submit(self, data: Data, number: int | None, text: bytes, with_free: bool) -> None:
        book, key = self.book, None if number is None else Key(number)
        name = len(book.given) + 1
        book.given[name] = []
        forgets = not book.release.frees_for_closed_port
        job: Any = driver_alloc(Job) if with_free and not forgets else Plain()
        job.number, job.text = name, text
        if not with_free or forgets:
            book.may_be_lost.add(name)
        book.of[name] = data
        if self.keeps:
            driver_enq(data.port, b"!")
        job_id = driver_async(data.port, key, self.work, job, self.free if with_free else None)
        if job_id == -1:  # the port has failed before, in the same callback
            del book.given[name]
            book.given[-name] = ["nobody"]
            if isinstance(job, Struct):
                driver_free(job)
            return
        book.last = job_id, name, data
        if book.pool:
            queue = (job_id if key is None else key.value) % book.pool
            book.submitted[queue, running_thread.get().lane].append(name)

    def work(self, job: Any) -> None:
        me, book = running_thread.get().name, self.book
        number, text = job.number, job.text
        if me in book.running:
            book.faults.append(f"job {number} on {me} beside job {book.running[me]}")
        book.running[me] = number
        book.invoked[me].append(number)
        usleep(500 if text == b"slow" else 0)
        del book.running[me]

    def give(self, job: Any, to: str) -> None:
        self.book.given[job.number].append(to)
        if isinstance(job, Struct):
            driver_free(job)

    def free(self, job: Job) -> None:
        self.give(job, "async_free")


class Plain:
    """Data that nobody has to free, because nobody may be given it."""

    number: int
    text: bytes


class Ready(Subject):
    """With a `ready_async`."""

    def ready_async(self, data: Data | None, job: Any) -> None:
        with self.book.callback(self, data, "ready_async"):
            text, owner = job.text, self.book.of[job.number]
            self.give(job, "ready_async")
            if data is None:  # done inside start, which has not returned
                return
            if data is not owner and not (self.book.release.slots and owner.stopped):
                self.book.faults.append(f"ready_async of another port got job {job.number}")
            driver_output(data.port, text)
            if self.keeps:
                driver_deq(data.port, 1)
            if text == b"chain":
                self.submit(data, None, b"quick", True)
            elif text == b"eof":
                driver_failure_eof(data.port)


class Keeping(Ready):
    """Stays until its jobs are back, or until a timer has lost patience."""

    keeps = True

    def flush(self, data: Data) -> None:
        with self.book.callback(self, data, "flush"):
            if data.port.id.number % 2:
                driver_set_timer(data.port, 1)


class ReadyByPort(Ready):
    driver_name, driver_flags = "ready_by_port", ERL_DRV_FLAG_USE_PORT_LOCKING


class ReadyByDriver(Ready):
    driver_name = "ready_by_driver"


class FreeByPort(Subject):
    driver_name, driver_flags = "free_by_port", ERL_DRV_FLAG_USE_PORT_LOCKING


class FreeByDriver(Subject):
    driver_name = "free_by_driver"


class KeepingByPort(Keeping):
    driver_name, driver_flags = "keeping_by_port", ERL_DRV_FLAG_USE_PORT_LOCKING


class KeepingByDriver(Keeping):
    driver_name = "keeping_by_driver"


SUBJECTS = (ReadyByPort, ReadyByDriver, FreeByPort, FreeByDriver, KeepingByPort, KeepingByDriver)
FEW_SLOTS = replace(R7B_3, slots=16)
"""So that a slot is taken again in so short a life."""
RELEASES = (*(FEW_SLOTS if era is R7B_3 else era for era in ERAS), OTP_25, OTP_25)
AGENTS = 2

kinds = st.sampled_from(
    [b"quick"] * 3
    + [b"twice"]
    + [b"slow"] * 3
    + [b"chain", b"eof", b"lost", b"fail", b"exit", b"cancel"]
)
keys = st.sampled_from([b"-", b"-", b"0", b"1", b"5"])
agents = st.integers(-1, AGENTS - 1)
names = st.sampled_from([subject.driver_name for subject in SUBJECTS])
picks = st.integers(0, 7)


class Lives(RuleBasedStateMachine):
    """Random lives of ports."""

    erl: Emulator

    @initialize(
        seed=st.none() | st.integers(0, 2**32),
        release=st.sampled_from(RELEASES),
        pool=st.sampled_from([0, 1, 2, 3, 3]),
        schedulers=st.integers(1, 2),
    )
    def begin(self, seed: int | None, release: Release, pool: int, schedulers: int) -> None:
        self.schedulers = min(schedulers, release.max_schedulers)
        pool = max(pool, release.min_async_threads)
        self.erl = Emulator(
            release=release, async_threads=pool, schedulers=self.schedulers, seed=seed
        )
        self.erl.process_flag("trap_exit", True)
        self.book = Book(release, pool)
        self.subjects = {subject.driver_name: subject(self.book) for subject in SUBJECTS}
        for subject in self.subjects.values():
            self.erl.erl_ddll.load_driver(subject)
            self.open(-1, subject.driver_name, "opened")
        self.works: list[Callable[[], object]] = []
        self.agents = [self.new_agent(index) for index in range(AGENTS)]

    def new_agent(self, index: int) -> Pid:
        """A process that does what it is told, and lives through what becomes of it."""
        erl = self.erl

        def live() -> None:
            erl.process_flag("trap_exit", bool(index))
            while True:
                match erl.receive():
                    case ("do", number):
                        with suppress(ErlangError):
                            self.works[number]()

        return erl.spawn(live, scheduler=index % self.schedulers + 1)

    def do(self, agent: int, work: Callable[[], object]) -> None:
        """Have an agent do it, beside everything else; or, with -1, do it here."""
        if agent >= 0:
            # A function is no term, so its number is sent.
            self.works.append(work)
            self.erl.send(self.agents[agent], ("do", len(self.works) - 1))
        else:
            with suppress(ErlangError):
                work()

    def pick(self, index: int) -> Port:
        ports = self.erl.ports()
        return ports[-1 - index % len(ports)] if ports else Port(10_000)

    @rule(agent=agents, name=names, how=st.sampled_from(["opened", "opened", "opened", "refused"]))
    def open(self, agent: int, name: str, how: str) -> None:
        self.do(agent, lambda: self.erl.open_port(("spawn_driver", f"{name} {how}")))

    @rule(
        agent=agents, port=picks, commands=st.lists(st.tuples(kinds, keys), min_size=1, max_size=30)
    )
    def command(self, agent: int, port: int, commands: list[tuple[bytes, bytes]]) -> None:
        chosen = self.pick(port)
        for kind, key in commands:
            self.do(agent, partial(self.erl.port_command, chosen, kind + b" " + key))

    @rule(agent=agents, port=picks, kind=kinds, key=keys, times=st.integers(1, 30))
    def send(self, agent: int, port: int, kind: bytes, key: bytes, times: int) -> None:
        chosen = self.pick(port)
        message = (self.erl.self(), ("command", kind + b" " + key))
        for _ in range(times):
            self.do(agent, lambda: self.erl.send(chosen, message))

    @rule(agent=agents, port=picks, ms=st.integers(0, 3))
    def control(self, agent: int, port: int, ms: int) -> None:
        chosen = self.pick(port)
        self.do(agent, lambda: self.erl.port_control(chosen, ms, b""))

    @rule(
        agent=agents,
        port=picks,
        how=st.sampled_from(["port_close", "send", "normal", "kill", "shutdown"]),
    )
    def close(self, agent: int, port: int, how: str) -> None:
        chosen = self.pick(port)
        if how == "port_close":
            self.do(agent, lambda: self.erl.port_close(chosen))
        elif how == "send":
            self.erl.send(chosen, (self.erl.self(), "close"))
        else:
            self.do(agent, lambda: self.erl.exit(chosen, how))

    @rule(agent=st.integers(0, AGENTS - 1), reason=st.sampled_from(["normal", "kill", "shutdown"]))
    def kill_owner(self, agent: int, reason: str) -> None:
        """The agent ends, and with it its ports; another takes its place."""
        self.do(agent, lambda: self.erl.exit(reason))
        if reason == "kill":
            self.erl.exit(self.agents[agent], "kill")
        self.agents[agent] = self.new_agent(agent)

    @rule(ms=st.integers(0, 3))
    def let_time_pass(self, ms: int) -> None:
        self.erl.receive(lambda _: False, timeout=ms)

    @rule(name=names, again=st.booleans())
    def unload(self, name: str, again: bool) -> None:
        if self.book.release is FEW_SLOTS:
            self.erl.erl_ddll.unload_driver(name)  # there is no other; it waits for the jobs
        else:
            self.erl.erl_ddll.try_unload(name, ["kill_ports"])
        if again:
            self.erl.receive(lambda _: False, timeout=1)
        self.erl.erl_ddll.load_driver(self.subjects[name])

    @invariant()
    def nothing_was_wrong_so_far(self) -> None:
        if hasattr(self, "book"):
            assert self.book.faults == []

    def teardown(self) -> None:
        if not hasattr(self, "book"):
            return
        self.erl.stop()  # raises Leak
        book = self.book
        assert book.faults == []
        assert all(data.stopped for data in book.lives)
        invoked = [job for jobs in book.invoked.values() for job in jobs]
        accepted = [job for job in book.given if job > 0]
        assert sorted([*invoked, *book.cancelled]) == accepted
        for (queue, _), jobs in book.submitted.items():
            mine = [job for job in jobs if job not in book.cancelled]
            assert [job for job in book.invoked[f"async {queue + 1}"] if job in mine] == mine
        for job in accepted:
            assert len(book.given[job]) == 1 or (job in book.may_be_lost and not book.given[job])


Lives.TestCase.settings = settings(
    max_examples=150 * THOROUGHNESS, stateful_step_count=40, deadline=None
)


TestLives = Lives.TestCase
