"""The seam.  What does not depend on one implementation is told on each of them."""

from __future__ import annotations

import contextvars
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from driverref.threads import EXPIRED, OUTSIDE, WRITE, Empty, Thread, Threads, running_thread
from driverref.threads.native import NativeThreads
from driverref.threads.simulated import SimulatedThreads

ON_EACH = [
    pytest.param(SimulatedThreads, id="simulated"),
    pytest.param(lambda: SimulatedThreads(seed=1), id="seed 1"),
    pytest.param(lambda: SimulatedThreads(seed=2), id="seed 2"),
    pytest.param(NativeThreads, id="native", marks=pytest.mark.native),
]
SHUT_RD, SHUT_WR, SHUT_RDWR = 0, 1, 2

Start = Callable[[str, Callable[[], None]], Thread]


@pytest.fixture(params=ON_EACH)
def threads(request: pytest.FixtureRequest) -> Iterator[Threads]:
    threads: Threads = request.param()
    threads.adopt("main")
    yield threads
    threads.close()
    assert running_thread.get() is OUTSIDE


@pytest.fixture
def start(threads: Threads) -> Iterator[Start]:
    """Start threads that may not crash."""
    crashes: list[BaseException] = []

    def crashed(error: BaseException) -> BaseException:
        crashes.append(error)
        return error

    yield lambda name, target: threads.start(name, target, crashed)
    assert crashes == []


def seen(error: BaseException) -> BaseException:
    return error


# Threads.


def test_each_thread_knows_itself(threads: Threads, start: Start) -> None:
    main, found = running_thread.get(), []
    started = start("async 1", lambda: found.append(running_thread.get()))
    threads.join(started)
    assert found == [started]
    assert running_thread.get() is main
    assert (started.name, started.lane) == ("async 1", "async 1")


def test_join_waits_for_the_end(threads: Threads, start: Start) -> None:
    done: list[int] = []

    def work() -> None:
        for number in range(5):
            threads.step(done, WRITE)
            done.append(number)

    started = start("worker", work)
    threads.join(started)
    assert done == [0, 1, 2, 3, 4]
    threads.join(started)  # the seam does not mind


def test_a_thread_starts_threads(threads: Threads, start: Start) -> None:
    order = threads.queue("order")

    def parent() -> None:
        threads.join(start("child", lambda: order.put("child")))
        order.put("parent")

    threads.join(start("parent", parent))
    assert [order.get(), order.get()] == ["child", "parent"]


def test_what_leaves_a_thread_is_handed_over_on_that_thread(threads: Threads) -> None:
    found: list[object] = []

    def crashed(error: BaseException) -> BaseException:
        found.append((str(error), running_thread.get()))
        return RuntimeError("explained")

    def fail() -> None:
        raise ValueError("broken")

    started = threads.start("worker", fail, crashed)
    with suppress(RuntimeError):  # raised here on simulated threads alone
        threads.join(started)
    threads.join(started)
    assert found == [("broken", started)]


# Queues.


def test_a_queue_is_first_in_first_out(threads: Threads, start: Start) -> None:
    queue = threads.queue("numbers")
    assert queue.empty()

    def produce() -> None:
        for number in range(10):
            queue.put(number)

    threads.join(start("producer", produce))
    assert not queue.empty()
    assert [queue.get() for _ in range(10)] == list(range(10))
    assert queue.empty()


def test_get_waits_for_put(threads: Threads, start: Start) -> None:
    ask, answer = threads.queue("questions"), threads.queue("answers")
    start("server", lambda: answer.put(ask.get() * 2))
    ask.put(21)
    assert answer.get() == 42


def test_get_until_gives_up_at_the_deadline(threads: Threads) -> None:
    queue = threads.queue("nothing")
    for deadline in (0, threads.now(), threads.now() + 1000):
        assert queue.get_until(deadline) is EXPIRED
    assert threads.now() >= 0


def test_get_until_gives_what_is_there(threads: Threads, start: Start) -> None:
    queue = threads.queue("numbers")
    queue.put(1)
    assert queue.get_until(0) == 1
    start("producer", lambda: queue.put(2))
    assert queue.get_until(None) == 2


def test_expired_says_so() -> None:
    assert repr(EXPIRED) == "EXPIRED"


# Mutexes, conditions, atomic steps.


def test_a_mutex_lets_one_in(threads: Threads, start: Start) -> None:
    mutex, inside, most = threads.mutex("m"), [0], [0]

    def enter() -> None:
        for _ in range(20):
            with mutex:
                inside[0] += 1
                threads.step(inside, WRITE)
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    for worker in [start(f"worker {n}", enter) for n in range(4)]:
        threads.join(worker)
    assert (inside, most) == ([0], [1])


def test_a_mutex_can_be_tried(threads: Threads, start: Start) -> None:
    mutex, results = threads.mutex("m"), []

    def attempt() -> None:
        results.append(mutex.acquire(blocking=False))

    assert mutex.acquire()
    attempt()
    threads.join(start("other", attempt))
    mutex.release()
    attempt()
    assert results == [False, False, True]


def test_a_mutex_is_released_when_its_block_fails(threads: Threads) -> None:
    mutex = threads.mutex("m")
    with pytest.raises(ValueError, match="inside"), mutex:
        raise ValueError("inside")
    assert mutex.acquire(blocking=False)


def test_notify_wakes_who_waits(threads: Threads, start: Start) -> None:
    mutex = threads.mutex("m")
    condition, items = threads.condition(mutex, "items"), [0]
    eaten = threads.queue("eaten")

    def eat() -> None:
        with mutex:
            while not items[0]:
                condition.wait()
            items[0] -= 1
        eaten.put(1)

    eaters = [start(f"eater {n}", eat) for n in range(3)]
    for _ in eaters:
        with mutex:
            items[0] += 1
            condition.notify()
        assert eaten.get() == 1
    for eater in eaters:
        threads.join(eater)
    assert items == [0]


def test_notify_all_wakes_everyone(threads: Threads, start: Start) -> None:
    mutex = threads.mutex("m")
    condition, opened = threads.condition(mutex, "the gate"), [False]

    def enter() -> None:
        with mutex:
            while not opened[0]:
                condition.wait()

    waiting = [start(f"visitor {n}", enter) for n in range(3)]
    with mutex:
        condition.notify()  # lost, if nobody waits yet: whoever wakes looks again
        opened[0] = True
        condition.notify_all()
    for visitor in waiting:
        threads.join(visitor)


def test_atomically_nothing_comes_between(threads: Threads, start: Start) -> None:
    counter = [0]

    def count() -> None:
        for _ in range(50):
            with threads.atomically("the counter"):
                counter[0] += 1

    for worker in [start(f"worker {n}", count) for n in range(3)]:
        threads.join(worker)
    assert counter == [150]


# Sockets.


def test_a_socket_pair_talks_both_ways(threads: Threads, start: Start) -> None:
    near, far = threads.socketpair()

    def peer() -> None:
        assert far.recv(100) == b"question"
        far.send(b"answer")
        far.close()

    started = start("peer", peer)
    assert near.send(b"question") == 8
    received = b""
    while chunk := near.recv(2):
        received += chunk
    assert received == b"answer"
    threads.join(started)
    near.close()


def test_a_late_answer_is_a_timeout(threads: Threads) -> None:
    near, far = threads.socketpair()
    near.settimeout(0.000_001)
    with pytest.raises(TimeoutError, match="timed out"):
        near.recv(1)
    near.settimeout(0)
    with pytest.raises(BlockingIOError):
        near.recv(1)
    near.settimeout(None)
    far.send(b"late")
    assert near.recv(10) == b"late"
    with pytest.raises(ValueError, match="Timeout value out of range"):
        near.settimeout(-1)
    near.close()
    far.close()


def test_shutdown_ends_a_recv_that_waits(threads: Threads, start: Start) -> None:
    near, far = threads.socketpair()
    result = threads.queue("result")
    reader = start("reader", lambda: result.put(near.recv(1)))
    near.shutdown(SHUT_RDWR)
    assert result.get() == b""
    with pytest.raises(BrokenPipeError):
        near.send(b"x")
    with pytest.raises(BrokenPipeError):
        far.send(b"x")
    threads.join(reader)
    near.close()
    far.close()


def test_shutdown_of_one_direction_leaves_the_other(threads: Threads) -> None:
    near, far = threads.socketpair()
    near.send(b"last words")
    near.shutdown(SHUT_WR)
    assert (far.recv(100), far.recv(100)) == (b"last words", b"")
    with pytest.raises(BrokenPipeError):
        near.send(b"x")
    far.send(b"answer")
    assert near.recv(100) == b"answer"
    near.shutdown(SHUT_RD)
    assert near.recv(1) == b""
    with pytest.raises(BrokenPipeError):
        far.send(b"x")
    near.close()
    far.close()


def test_a_closed_socket_is_no_socket(threads: Threads) -> None:
    near, far = threads.socketpair()
    near.close()
    near.close()
    for call in (
        lambda: near.recv(1),
        lambda: near.send(b"x"),
        lambda: near.settimeout(1),
        lambda: near.shutdown(SHUT_RDWR),
    ):
        with pytest.raises(OSError, match="Bad file descriptor"):
            call()
    assert far.recv(1) == b""
    with pytest.raises(BrokenPipeError):
        far.send(b"x")
    far.close()


# A poll.

READABLE, WRITABLE = 1, 2


def test_a_poll_reports_a_socket_once_for_each_watch(threads: Threads, start: Start) -> None:
    poll = threads.poll("a socket")
    near, far = threads.socketpair()
    poll.watch(near, READABLE, "near")

    def sends() -> None:
        far.send(b"ab")

    peer = start("peer", sends)
    assert poll.wait() == ("near", READABLE)
    threads.join(peer)
    poll.end()
    assert poll.wait() is None
    near.close()
    far.close()


def test_what_is_ready_already_is_reported_at_once(threads: Threads) -> None:
    poll = threads.poll("a socket")
    near, far = threads.socketpair()
    far.send(b"a")
    for what in (READABLE, WRITABLE, READABLE | WRITABLE):
        poll.watch(near, what, what)
        assert poll.wait() == (what, what)
    far.close()
    assert near.recv(10) == b"a"
    poll.watch(near, READABLE, "the end of the data")
    assert poll.wait() == ("the end of the data", READABLE)
    poll.end()
    assert poll.wait() is None
    near.close()


def test_a_later_watch_takes_the_place_of_an_earlier_one(threads: Threads) -> None:
    poll = threads.poll("a socket")
    near, far = threads.socketpair()
    poll.watch(near, READABLE, "the first")
    poll.watch(near, READABLE | WRITABLE, "the second")
    assert poll.wait() == ("the second", WRITABLE)
    poll.watch(near, READABLE, "the third")
    poll.watch(near, 0, None)
    poll.watch(far, 0, None)
    far.send(b"a")
    poll.end()
    assert poll.wait() is None
    near.close()
    far.close()


def test_a_report_is_of_what_holds_when_it_is_made(threads: Threads) -> None:
    poll = threads.poll("a socket")
    near, far = threads.socketpair()
    poll.watch(near, READABLE, "read before")
    far.send(b"a")
    assert near.recv(1) == b"a"
    poll.watch(far, READABLE | WRITABLE, "ready both ways")
    near.send(b"b")
    assert poll.wait() == ("ready both ways", READABLE | WRITABLE)
    poll.end()
    assert poll.wait() is None
    near.close()
    far.close()


def test_a_socket_that_is_closed_is_watched_no_longer(threads: Threads) -> None:
    poll = threads.poll("a socket")
    near, far = threads.socketpair()
    near.close()
    poll.watch(near, 0, None)
    poll.watch(far, READABLE, "far")
    assert poll.wait() == ("far", READABLE)
    far.close()
    poll.end()
    assert poll.wait() is None
    poll.end()  # it is over


def test_the_end_of_the_seam_ends_a_poll() -> None:
    threads = NativeThreads()
    threads.adopt("main")
    poll = threads.poll("a socket")
    crashes: list[BaseException] = []

    def crashed(error: BaseException) -> None:
        crashes.append(error)

    def waits() -> None:
        assert poll.wait() is None

    waiting = threads.start("waits", waits, crashed)
    threads.close()
    threads.join(waiting)
    assert crashes == []


# Work, and who does it.


def test_work_is_done_by_its_server_in_order(threads: Threads, start: Start) -> None:
    work, done = threads.work("work"), threads.queue("done")

    def serve() -> None:
        while True:
            work.wait(None)
            with suppress(Empty):
                while (item := work.take()) is not None:
                    done.put(item)
                return

    server = start("server", serve)
    for item in "abc":
        work.add(item)
    assert [done.get() for _ in range(3)] == ["a", "b", "c"]
    work.add(None)
    threads.join(server)
    with pytest.raises(Empty):
        work.take()


def test_the_server_waits_no_longer_than_the_deadline(threads: Threads) -> None:
    work = threads.work("work")
    work.wait(threads.now() + 1)
    with pytest.raises(Empty):
        work.take()


@pytest.mark.native
def test_who_attends_is_told_of_work_and_leaves_the_rest_to_the_server() -> None:
    threads = NativeThreads()
    threads.adopt("main")
    work, told, done = threads.work("work"), threads.queue("told"), threads.queue("done")
    work.wait(threads.now())
    assert not work.attend(told.put)  # the server is awake

    def serve() -> None:
        work.wait(None)
        done.put(work.take())

    server = threads.start("server", serve, seen)
    while not work.attend(told.put):  # the server is about to sleep
        pass
    work.add("for whoever attends")
    assert told.get() is None
    assert work.take() == "for whoever attends"
    work.add("for the server")  # whoever attends knows already that there is something
    assert told.empty()
    work.leave()
    assert done.get() == "for the server"
    threads.join(server)
    threads.close()


@pytest.mark.native
def test_who_attends_too_late_is_told_at_once() -> None:
    threads = NativeThreads()
    threads.adopt("main")
    work, told = threads.work("work"), threads.queue("told")
    work.leave()  # as if the server slept: it would be told
    work.add("one")
    work.leave()
    assert not work.attend(told.put)  # the server has been told of it
    assert work.take() == "one"
    work.leave()
    work._items.put("two")  # added, and not yet told
    assert work.attend(told.put)
    assert told.get() is None
    threads.close()


def test_a_patient_thread_gets_the_mutex_when_it_is_left(threads: Threads, start: Start) -> None:
    mutex, order = threads.mutex("m"), threads.queue("order")

    def wait() -> None:
        order.put("asks")
        threads.acquire_patiently(mutex)
        order.put("has it")
        mutex.release()

    with mutex:
        patient = start("patient", wait)
        assert order.get() == "asks"
        assert order.empty()
    threads.join(patient)
    assert order.get() == "has it"


@pytest.mark.native
@pytest.mark.parametrize("patience", [0, 1])
def test_patience_ends_in_line(monkeypatch: pytest.MonkeyPatch, patience: int) -> None:
    monkeypatch.setattr("driverref.threads.native._PATIENCE", patience)
    threads = NativeThreads()
    threads.adopt("main")
    mutex, order = threads.mutex("m"), threads.queue("order")

    def wait() -> None:
        order.put("asks")
        threads.acquire_patiently(mutex)

    with mutex:
        patient = threads.start("patient", wait, seen)
        assert order.get() == "asks"
    threads.join(patient)
    assert not mutex.acquire(blocking=False)
    threads.close()


def test_the_running_thread_is_the_same_in_every_context(threads: Threads) -> None:
    main = running_thread.get()
    assert contextvars.Context().run(running_thread.get) is main
    assert contextvars.copy_context().run(running_thread.get) is main


def test_no_context_brings_a_thread_to_another_os_thread(threads: Threads, start: Start) -> None:
    found: list[Thread] = []

    def elsewhere() -> None:
        context = contextvars.copy_context()
        foreign = threading.Thread(
            target=context.run, args=(lambda: found.append(running_thread.get()),)
        )
        foreign.start()
        foreign.join()

    elsewhere()
    threads.join(start("async 1", elsewhere))
    assert found == [OUTSIDE, OUTSIDE]


# Native.


@pytest.mark.native
def test_native_threads_are_threads_of_the_operating_system() -> None:
    threads = NativeThreads()
    threads.adopt("main")
    names: list[str] = []
    threads.join(
        threads.start("async 1", lambda: names.append(threading.current_thread().name), seen)
    )
    assert names == ["async 1"]
    threads.close()


@pytest.mark.native
def test_a_native_queue_goes_when_nobody_can_wait_for_it() -> None:
    """Or every process that has ended would leave its inbox behind."""
    threads = NativeThreads()
    threads.adopt("main")
    inbox = threads.queue("a message")
    ended = weakref.ref(inbox)
    del inbox
    assert ended() is None
    threads.close()


@pytest.mark.native
def test_sockets_that_are_left_open_are_closed_at_the_end_of_the_seam() -> None:
    threads = NativeThreads()
    threads.adopt("main")
    pair = threads.socketpair()
    threads.close()
    for end in pair:
        with pytest.raises(OSError, match="Bad file descriptor"):
            end.send(b"x")


def test_native_threads_that_are_left_behind_can_end() -> None:
    threads = NativeThreads()
    threads.adopt("main")
    queue, unserved = threads.queue("jobs"), threads.queue("nobody's")
    unserved.put("job")

    def serve() -> None:
        while queue.get() is not None:
            pytest.fail("nothing was put")

    worker = threads.start("worker", serve, seen)
    threads.close()
    threads.join(worker)
    assert unserved.get() is None
    assert unserved.empty()
