"""The invariants on OS threads: many jobs, many ports, closes and kills at any moment.

Senders on two schedulers open ports, command them and close them; the first process kills senders
and ports while they are at it.  The drivers count with the cheapest structures there are, since
whoever slows the threads down hides what they do to each other: an array with a byte for each job,
and numbers in sequence for each queue and submitting scheduler.

`DRIVERREF_SOAK=10` (`make soak`) runs ten times as many jobs.

These tests are not traced for coverage: where threads end in crowds under the tracer, Python 3.11
may never leave the call that clears them away.
"""

from __future__ import annotations

import os
import random
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any

import pytest

from driverref import Driver, Emulator, Pid, Port, Struct
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    Key,
    driver_alloc,
    driver_async,
    driver_deq,
    driver_enq,
    driver_free,
    driver_set_timer,
)
from driverref.errors import ErlangError
from driverref.threads import Empty, Work, running_thread
from driverref.threads.native import NativeThreads

pytestmark = pytest.mark.slow


TIMES = int(os.environ.get("DRIVERREF_SOAK", "1"))
JOBS = 200_000 * TIMES
PORTS = 200
POOL = 4
SCHEDULERS = 2
SENDERS = 8
BATCH = 20
"""Jobs a command schedules."""


class Job(Struct):
    """A job's data: its number, its queue, who submitted it, and its place among these."""

    number: int
    queue: int
    scheduler: int
    place: int


class Data:
    """Driver data."""

    __slots__ = ("busy", "port", "stopped")

    def __init__(self, port: ErlDrvPort) -> None:
        self.port = port
        self.busy = ""
        self.stopped = False


class Book:
    """What happened."""

    def __init__(self) -> None:
        self.numbers = count()
        self.invoked = bytearray(JOBS * 2)
        self.given = bytearray(JOBS * 2)
        self.submitted = [[0] * POOL for _ in range(SCHEDULERS)]
        """Jobs by scheduler and queue; only that scheduler writes."""
        self.ran = [[0] * SCHEDULERS for _ in range(POOL)]
        """Jobs by queue and scheduler; only that queue's thread writes."""
        self.running = [False] * POOL
        self.faults: list[str] = []
        self.by_ready_async = count()
        self.by_async_free = count()

    def total(self) -> int:
        return sum(map(sum, self.submitted))


class Soaked(Driver):
    """A command schedules a batch of jobs, all with a key; `ready_async` and `async_free` count."""

    keeps = False
    ready_async: Any

    def __init__(self, book: Book) -> None:
        self.book = book
        self.busy = ""

    def start(self, port: ErlDrvPort, command: str) -> Data:
        return Data(port)

    def enter(self, data: Data, name: str) -> None:
        """A callback begins: no other runs under its lock, and `stop` has not run."""
        locked = data if self.driver_flags else self
        if data.stopped or locked.busy:
            self.book.faults.append(f"{name} beside {locked.busy!r}, after stop: {data.stopped}")
        locked.busy = name

    def leave(self, data: Data) -> None:
        """The callback ends."""
        (data if self.driver_flags else self).busy = ""

    def output(self, data: Data, buf: memoryview) -> None:
        self.enter(data, "output")
        scheduler = int(running_thread.get().scheduler.name.removeprefix("scheduler ")) - 1
        book, key = self.book, buf[0]
        places = book.submitted[scheduler]
        for _ in range(BATCH):
            job: Any = driver_alloc(Job)
            queue = key % POOL
            job.number, job.queue, job.scheduler = next(book.numbers), queue, scheduler
            job.place = places[queue]
            places[queue] += 1
            if self.keeps:
                driver_enq(data.port, b"!")
            if driver_async(data.port, Key(key), self.work, job, self.async_free) == -1:
                book.faults.append("refused")
            key += 1
        self.leave(data)

    def work(self, job: Any) -> None:
        book, queue = self.book, job.queue
        if book.running[queue]:
            book.faults.append("two jobs on one thread")
        book.running[queue] = True
        places = book.ran[queue]
        if places[job.scheduler] != job.place:
            book.faults.append(f"place {job.place} after {places[job.scheduler]}")
        places[job.scheduler] += 1
        book.invoked[job.number] += 1
        book.running[queue] = False

    def async_free(self, job: Any) -> None:
        self.book.given[job.number] += 1
        next(self.book.by_async_free)
        driver_free(job)

    def control(self, data: Data, command: int, buf: memoryview) -> bytes:
        self.enter(data, "control")
        driver_set_timer(data.port, command)
        self.leave(data)
        return b""

    def timeout(self, data: Data) -> None:
        self.enter(data, "timeout")
        self.leave(data)

    def stop(self, data: Data) -> None:
        self.enter(data, "stop")
        data.stopped = True
        self.leave(data)


class Ready(Soaked):
    driver_name, driver_flags = "ready", ERL_DRV_FLAG_USE_PORT_LOCKING

    def ready_async(self, data: Data, job: Any) -> None:
        self.enter(data, "ready_async")
        self.book.given[job.number] += 1
        next(self.book.by_ready_async)
        driver_free(job)
        if self.keeps:
            driver_deq(data.port, 1)
        self.leave(data)


class ReadyByDriver(Ready):
    driver_name, driver_flags = "ready_by_driver", 0


class Freeing(Soaked):
    driver_name, driver_flags = "freeing", ERL_DRV_FLAG_USE_PORT_LOCKING


class Keeping(Ready):
    driver_name, driver_flags = "keeping", ERL_DRV_FLAG_USE_PORT_LOCKING
    keeps = True

    def flush(self, data: Data) -> None:
        self.enter(data, "flush")
        self.leave(data)


DRIVERS = (Ready, ReadyByDriver, Freeing, Keeping)


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """OS threads take turns much more often than they would."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


class Scenario:
    """The processes."""

    def __init__(self, erl: Emulator, book: Book) -> None:
        self.erl, self.book = erl, book
        self.first = erl.self()
        self.open: dict[Port, None] = {}
        self.opened: list[Port] = []
        self.seeds = count()
        erl.process_flag("trap_exit", True)
        for driver in DRIVERS:
            assert erl.erl_ddll.load_driver(driver(book)) == "ok"

    def sender(self, chance: random.Random) -> None:
        """Open ports, command them, close them, until enough has been done; or until one is killed."""
        erl = self.erl
        ports: list[Port] = []
        erl.process_flag("trap_exit", True)
        while self.book.total() < JOBS or len(self.opened) < PORTS:
            if len(ports) < 4:
                name = chance.choice(DRIVERS).driver_name
                ports.append(erl.open_port(("spawn_driver", name)))
                self.open[ports[-1]] = None
                self.opened.append(ports[-1])
            port = chance.choice([chance.choice(ports), *list(self.open)[-3:]])
            try:
                for _ in range(chance.randrange(20)):
                    erl.port_command(port, bytes([chance.randrange(200)]))
                match chance.randrange(8):
                    case 0 | 1:
                        erl.port_close(port)
                    case 2:
                        erl.port_control(port, chance.randrange(2), b"")
                    case 3:
                        erl.send(self.first, ("busy", erl.self()))
            except ErlangError:  # closed, by us or by the first process
                self.open.pop(port, None)
                if port in ports:
                    ports.remove(port)
            while erl.receive(timeout=0) is not None:
                pass
        erl.send(self.first, ("done", erl.self()))

    def spawn(self) -> Pid:
        seed = next(self.seeds)
        return self.erl.spawn(self.sender, random.Random(seed), scheduler=1 + seed % SCHEDULERS)

    def run(self) -> None:
        """Start senders, kill one now and then, start another; kill ports too."""
        erl, chance = self.erl, random.Random(0)
        alive = {self.spawn() for _ in range(SENDERS)}
        while alive:
            match erl.receive():
                case ("done", sender):
                    alive.discard(sender)
                case ("busy", sender) if sender in alive:
                    match chance.randrange(6):
                        case 0:
                            erl.exit(sender, chance.choice(["kill", "kill", "ignored"]))
                            alive.remove(sender)
                            alive.add(self.spawn())
                        case 1 if self.open:
                            port = chance.choice(list(self.open))
                            erl.exit(port, chance.choice(["kill", "normal"]))


@pytest.mark.native
@pytest.mark.timeout(300 * TIMES)
@pytest.mark.usefixtures("hasty_threads")
def test_nothing_is_lost_nothing_comes_twice_and_nothing_is_left() -> None:
    before = set(threading.enumerate())
    book = Book()
    erl = Emulator(threads="native", trace=False, async_threads=POOL, schedulers=SCHEDULERS)
    scenario = Scenario(erl, book)
    scenario.run()
    erl.stop()  # raises Leak
    assert book.faults == []
    total = book.total()
    assert total >= JOBS
    opened = len(scenario.opened)
    assert opened >= PORTS
    assert book.invoked[:total] == book.given[:total] == b"\1" * total
    assert not any(book.invoked[total:])
    assert [sum(row) for row in zip(*book.submitted, strict=True)] == [sum(row) for row in book.ran]
    ready, freed = next(book.by_ready_async), next(book.by_async_free)
    assert ready + freed == total
    assert min(ready, freed) > total / 100
    assert not set(threading.enumerate()) - before
    print(f"{total} jobs on {opened} ports: {ready} to ready_async, {freed} to async_free")


def seen(error: BaseException) -> BaseException:
    return error


# The seam, where threads end in crowds or change places all the time.


@pytest.mark.native
@pytest.mark.usefixtures("hasty_threads")
def test_each_item_wakes_the_server_or_whoever_attends() -> None:
    """The next item is added when the one before it was taken: one that nobody is told of would be the last."""
    threads = NativeThreads()
    threads.adopt("main")
    work, told, taken = threads.work("work"), threads.queue("told"), threads.queue("taken")

    def take_all() -> None:
        with suppress(Empty):
            while True:
                taken.put(work.take())

    def serve() -> None:
        for _ in iter(closed.empty, False):
            work.wait(None)
            take_all()

    def add() -> None:
        for number in range(2000):
            work.add(number)
            assert taken.get() == number
        told.put("that was the last")

    closed = threads.queue("closed")
    server, adder = threads.start("server", serve, seen), threads.start("adder", add, seen)
    last = False
    while not last:
        if work.attend(told.put):
            last = told.get() is not None
            take_all()
            work.leave()
        elif not told.empty():
            last = told.get() is not None
    closed.put("closed")
    work.ring()
    for thread in (adder, server):
        threads.join(thread)
    threads.close()


@pytest.mark.native
@pytest.mark.usefixtures("hasty_threads")
def test_every_server_ends_when_the_seam_is_closed() -> None:
    """Whether it sleeps, is about to, or has just been told of work."""
    threads = NativeThreads()
    threads.adopt("main")
    works = [threads.work(f"work {number}") for number in range(200)]

    def serve(work: Work) -> None:
        item: object = "to begin with"
        while item is not None:
            work.wait(None)
            with suppress(Empty):
                item = work.take()

    servers = [threads.start("server", partial(serve, work), seen) for work in works]
    threads.close()
    for server in servers:
        threads.join(server)
