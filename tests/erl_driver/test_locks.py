"""Mutexes, conditions and read/write locks.

The same stories are told on simulated threads, under seeds, and on OS threads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from errno import EBUSY
from typing import Any

import pytest
from desk import ON_EACH, Desk, begin, elsewhere, end, given_back, opened

from driverref.erl_driver import (
    ErlDrvTid,
    ErlDrvTSDKey,
    driver_pdl_lock,
    driver_pdl_unlock,
    erl_drv_cond_broadcast,
    erl_drv_cond_create,
    erl_drv_cond_destroy,
    erl_drv_cond_name,
    erl_drv_cond_signal,
    erl_drv_cond_wait,
    erl_drv_mutex_create,
    erl_drv_mutex_destroy,
    erl_drv_mutex_lock,
    erl_drv_mutex_name,
    erl_drv_mutex_trylock,
    erl_drv_mutex_unlock,
    erl_drv_rwlock_create,
    erl_drv_rwlock_destroy,
    erl_drv_rwlock_name,
    erl_drv_rwlock_rlock,
    erl_drv_rwlock_runlock,
    erl_drv_rwlock_rwlock,
    erl_drv_rwlock_rwunlock,
    erl_drv_rwlock_tryrlock,
    erl_drv_rwlock_tryrwlock,
    erl_drv_thread_create,
    erl_drv_thread_name,
    erl_drv_thread_opts_create,
    erl_drv_thread_self,
    erl_drv_tsd_get,
    erl_drv_tsd_key_create,
)
from driverref.errors import Deadlock, Leak, Misuse
from driverref.threads import READ, WRITE
from driverref.threads.simulated import SimulatedThreads


@pytest.fixture(params=ON_EACH)
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    yield from given_back(request.param())


@pytest.fixture
def simulated() -> Iterator[Desk]:
    """On simulated threads in the order of coming; leaks are the test's own business."""
    desk = opened(SimulatedThreads())
    yield desk
    desk.threads.close()


# Mutexes.


def test_a_mutex_lets_one_in(desk: Desk) -> None:
    mtx, inside, most = erl_drv_mutex_create("m"), [0], [0]

    def enter(_: object) -> None:
        for _ in range(20):
            erl_drv_mutex_lock(mtx)
            inside[0] += 1
            desk.threads.step(inside, WRITE)
            most[0] = max(most[0], inside[0])
            inside[0] -= 1
            erl_drv_mutex_unlock(mtx)

    end(*[begin(enter) for _ in range(3)])
    assert (inside, most) == ([0], [1])
    erl_drv_mutex_destroy(mtx)


def test_trylock_never_waits(desk: Desk) -> None:
    mtx = erl_drv_mutex_create("m")
    assert erl_drv_mutex_trylock(mtx) == 0
    assert erl_drv_mutex_trylock(mtx) == EBUSY
    assert elsewhere(lambda: erl_drv_mutex_trylock(mtx)) == EBUSY
    erl_drv_mutex_unlock(mtx)
    assert erl_drv_mutex_trylock(mtx) == 0
    erl_drv_mutex_unlock(mtx)
    erl_drv_mutex_destroy(mtx)


def test_a_mutex_has_one_holder(desk: Desk) -> None:
    mtx = erl_drv_mutex_create("m")
    with pytest.raises(Misuse, match="erl_drv_mutex_unlock: main does not hold mutex 'm'"):
        erl_drv_mutex_unlock(mtx)
    erl_drv_mutex_lock(mtx)
    with pytest.raises(Misuse, match="erl_drv_mutex_lock: main holds mutex 'm' already"):
        erl_drv_mutex_lock(mtx)
    with pytest.raises(Misuse, match="erl_drv_mutex_destroy: mutex 'm' is held by main"):
        erl_drv_mutex_destroy(mtx)

    def unlock() -> None:
        with pytest.raises(Misuse, match="worker does not hold mutex 'm'"):
            erl_drv_mutex_unlock(mtx)

    elsewhere(unlock)
    erl_drv_mutex_unlock(mtx)
    erl_drv_mutex_destroy(mtx)


def test_a_mutex_is_gone_once_destroyed(desk: Desk) -> None:
    mtx = erl_drv_mutex_create("m")
    erl_drv_mutex_destroy(mtx)
    for call in (
        erl_drv_mutex_lock,
        erl_drv_mutex_trylock,
        erl_drv_mutex_unlock,
        erl_drv_mutex_destroy,
    ):
        with pytest.raises(Misuse, match=f"{call.__name__}: mutex 'm' was destroyed at test_locks"):
            call(mtx)


def test_two_mutexes_in_two_orders_are_a_deadlock(simulated: Desk) -> None:
    one, other = erl_drv_mutex_create("one"), erl_drv_mutex_create("other")
    erl_drv_mutex_lock(one)

    def reversed_order(_: object) -> None:
        erl_drv_mutex_lock(other)
        erl_drv_mutex_lock(one)

    begin(reversed_order, name="poller")
    simulated.threads.sleep(1)
    with pytest.raises(Deadlock) as caught:
        erl_drv_mutex_lock(other)
    main, poller = caught.value.waiting
    stands = r"; it stands at test_locks\.py:\d+ in"
    assert re.fullmatch(rf"main waits for mutex 'other', held by poller{stands} test_two_.*", main)
    assert re.fullmatch(
        rf"poller waits for mutex 'one', held by main{stands} reversed_order", poller
    )


# Conditions.


def test_a_signal_wakes_one_that_waits(desk: Desk) -> None:
    mtx, cnd = erl_drv_mutex_create("m"), erl_drv_cond_create("items")
    items, order = [0], []

    def eat(name: str) -> None:
        erl_drv_mutex_lock(mtx)
        while not items[0]:
            erl_drv_cond_wait(cnd, mtx)
        items[0] -= 1
        order.append(name)
        erl_drv_mutex_unlock(mtx)

    eaters = [begin(eat, name) for name in "abc"]
    for _ in eaters:
        erl_drv_mutex_lock(mtx)
        items[0] += 1
        erl_drv_mutex_unlock(mtx)
        erl_drv_cond_signal(cnd)  # without the mutex, which is allowed
    end(*eaters)
    assert sorted(order) == ["a", "b", "c"]
    erl_drv_cond_destroy(cnd)
    erl_drv_mutex_destroy(mtx)


def test_a_broadcast_wakes_all_that_wait(desk: Desk) -> None:
    mtx, cnd = erl_drv_mutex_create("m"), erl_drv_cond_create("the gate")
    opened = [False]

    def enter(_: object) -> None:
        erl_drv_mutex_lock(mtx)
        while not opened[0]:
            erl_drv_cond_wait(cnd, mtx)
        erl_drv_mutex_unlock(mtx)

    visitors = [begin(enter) for _ in range(3)]
    erl_drv_mutex_lock(mtx)
    opened[0] = True
    erl_drv_cond_broadcast(cnd)
    erl_drv_mutex_unlock(mtx)
    end(*visitors)
    erl_drv_cond_destroy(cnd)
    erl_drv_mutex_destroy(mtx)


def test_a_signal_that_nobody_waits_for_is_lost(simulated: Desk) -> None:
    mtx, cnd = erl_drv_mutex_create("m"), erl_drv_cond_create("c")
    erl_drv_cond_signal(cnd)
    erl_drv_mutex_lock(mtx)
    with pytest.raises(Deadlock, match="main waits for condition 'c'"):
        erl_drv_cond_wait(cnd, mtx)


def test_waiting_needs_the_mutex(desk: Desk) -> None:
    mtx, cnd = erl_drv_mutex_create("m"), erl_drv_cond_create("c")
    with pytest.raises(Misuse, match="erl_drv_cond_wait: main does not hold mutex 'm'"):
        erl_drv_cond_wait(cnd, mtx)
    erl_drv_mutex_destroy(mtx)
    with pytest.raises(Misuse, match="erl_drv_cond_wait: mutex 'm' was destroyed"):
        erl_drv_cond_wait(cnd, mtx)
    erl_drv_cond_destroy(cnd)
    for call in (
        erl_drv_cond_signal,
        erl_drv_cond_broadcast,
        erl_drv_cond_destroy,
        lambda cnd: erl_drv_cond_wait(cnd, mtx),
    ):
        with pytest.raises(Misuse, match="condition 'c' was destroyed at"):
            call(cnd)


def test_who_waits_keeps_the_condition_and_its_mutex(simulated: Desk) -> None:
    mtx, other = erl_drv_mutex_create("m"), erl_drv_mutex_create("other")
    cnd = erl_drv_cond_create("c")

    def wait(_: object) -> None:
        erl_drv_mutex_lock(mtx)
        erl_drv_cond_wait(cnd, mtx)
        erl_drv_mutex_unlock(mtx)

    tid = begin(wait)
    simulated.threads.sleep(1)
    with pytest.raises(Misuse, match="erl_drv_cond_destroy: a thread waits for condition 'c'"):
        erl_drv_cond_destroy(cnd)
    erl_drv_mutex_lock(other)
    with pytest.raises(Misuse, match="main waits with mutex 'other', others with mutex 'm'"):
        erl_drv_cond_wait(cnd, other)
    erl_drv_mutex_unlock(other)
    erl_drv_cond_signal(cnd)
    end(tid)


# Read/write locks.


def test_readers_read_together(desk: Desk) -> None:
    rwlck = erl_drv_rwlock_create("table")
    erl_drv_rwlock_rlock(rwlck)

    def read() -> int:
        erl_drv_rwlock_rlock(rwlck)
        erl_drv_rwlock_runlock(rwlck)
        return erl_drv_rwlock_tryrwlock(rwlck)

    assert elsewhere(read) == EBUSY
    erl_drv_rwlock_runlock(rwlck)
    erl_drv_rwlock_destroy(rwlck)


def test_a_writer_is_alone(desk: Desk) -> None:
    rwlck, writers, seen = erl_drv_rwlock_create("table"), [0], set()

    def read(_: object) -> None:
        for _ in range(10):
            erl_drv_rwlock_rlock(rwlck)
            desk.threads.step(writers, READ)
            seen.add(("reading", writers[0]))
            erl_drv_rwlock_runlock(rwlck)

    def write(_: object) -> None:
        for _ in range(10):
            erl_drv_rwlock_rwlock(rwlck)
            writers[0] += 1
            desk.threads.step(writers, WRITE)
            seen.add(("writing", writers[0]))
            writers[0] -= 1
            erl_drv_rwlock_rwunlock(rwlck)

    end(begin(read), begin(write), begin(read), begin(write))
    assert seen == {("reading", 0), ("writing", 1)}
    erl_drv_rwlock_destroy(rwlck)


def test_a_writer_is_not_starved(simulated: Desk) -> None:
    rwlck, order = erl_drv_rwlock_create("table"), []

    def write(_: object) -> None:
        erl_drv_rwlock_rwlock(rwlck)
        order.append("writer")
        erl_drv_rwlock_rwunlock(rwlck)

    def read(_: object) -> int:
        refused = erl_drv_rwlock_tryrlock(rwlck)
        erl_drv_rwlock_rlock(rwlck)
        order.append("reader")
        erl_drv_rwlock_runlock(rwlck)
        return refused

    erl_drv_rwlock_rlock(rwlck)
    writer = begin(write, name="writer")
    simulated.threads.sleep(1)
    reader = begin(read, name="reader")
    simulated.threads.sleep(1)
    assert order == []
    erl_drv_rwlock_runlock(rwlck)
    assert end(writer, reader) == [None, EBUSY]
    assert order == ["writer", "reader"]


def test_trying_a_rwlock_never_waits(desk: Desk) -> None:
    rwlck = erl_drv_rwlock_create("table")
    assert erl_drv_rwlock_tryrwlock(rwlck) == 0
    assert erl_drv_rwlock_tryrwlock(rwlck) == erl_drv_rwlock_tryrlock(rwlck) == EBUSY
    erl_drv_rwlock_rwunlock(rwlck)
    assert erl_drv_rwlock_tryrlock(rwlck) == 0
    assert erl_drv_rwlock_tryrwlock(rwlck) == EBUSY
    erl_drv_rwlock_runlock(rwlck)
    erl_drv_rwlock_destroy(rwlck)


def test_a_reader_that_tries_again_holds_the_rwlock_twice(desk: Desk) -> None:
    """As on OTP 25."""
    rwlck = erl_drv_rwlock_create("table")
    erl_drv_rwlock_rlock(rwlck)
    assert erl_drv_rwlock_tryrlock(rwlck) == 0
    erl_drv_rwlock_runlock(rwlck)
    assert erl_drv_rwlock_tryrwlock(rwlck) == EBUSY
    erl_drv_rwlock_runlock(rwlck)
    assert erl_drv_rwlock_tryrwlock(rwlck) == 0
    erl_drv_rwlock_rwunlock(rwlck)
    erl_drv_rwlock_destroy(rwlck)


def test_a_rwlock_knows_its_holders(desk: Desk) -> None:
    rwlck = erl_drv_rwlock_create("table")
    with pytest.raises(Misuse, match="main does not hold rwlock 'table' for reading"):
        erl_drv_rwlock_runlock(rwlck)
    erl_drv_rwlock_rlock(rwlck)
    with pytest.raises(Misuse, match="main does not hold rwlock 'table' for writing"):
        erl_drv_rwlock_rwunlock(rwlck)
    for again in (erl_drv_rwlock_rlock, erl_drv_rwlock_rwlock):
        with pytest.raises(Misuse, match=f"{again.__name__}: main holds rwlock 'table' already"):
            again(rwlck)
    with pytest.raises(Misuse, match="rwlock 'table' is held by main"):
        erl_drv_rwlock_destroy(rwlck)
    erl_drv_rwlock_runlock(rwlck)
    erl_drv_rwlock_rwlock(rwlck)
    with pytest.raises(Misuse, match="main does not hold rwlock 'table' for reading"):
        erl_drv_rwlock_runlock(rwlck)
    erl_drv_rwlock_rwunlock(rwlck)
    erl_drv_rwlock_destroy(rwlck)
    for call in (
        erl_drv_rwlock_rlock,
        erl_drv_rwlock_tryrlock,
        erl_drv_rwlock_runlock,
        erl_drv_rwlock_rwlock,
        erl_drv_rwlock_tryrwlock,
        erl_drv_rwlock_rwunlock,
        erl_drv_rwlock_destroy,
    ):
        with pytest.raises(Misuse, match=f"{call.__name__}: rwlock 'table' was destroyed at"):
            call(rwlck)


# What they have in common.


def test_everything_has_a_name(desk: Desk) -> None:
    mtx, cnd = erl_drv_mutex_create("m"), erl_drv_cond_create("c")
    rwlck, nameless = erl_drv_rwlock_create("r"), erl_drv_mutex_create(None)
    assert erl_drv_mutex_name(mtx) == "m"
    assert erl_drv_cond_name(cnd) == "c"
    assert erl_drv_rwlock_name(rwlck) == "r"
    assert erl_drv_mutex_name(nameless) == "unknown"
    assert erl_drv_mutex_name(None) is erl_drv_cond_name(None) is erl_drv_rwlock_name(None) is None
    assert repr(mtx) == "<ErlDrvMutex 'm'>"
    erl_drv_mutex_destroy(mtx)
    erl_drv_cond_destroy(cnd)
    erl_drv_rwlock_destroy(rwlck)
    erl_drv_mutex_destroy(nameless)


def test_what_is_never_given_back_is_a_leak(simulated: Desk) -> None:
    erl_drv_mutex_create("m")
    erl_drv_cond_create("c")
    erl_drv_rwlock_create("r")
    erl_drv_tsd_key_create("k", ErlDrvTSDKey())
    erl_drv_thread_opts_create("o")
    erl_drv_thread_create("worker", ErlDrvTid(), lambda _: None, None, None)
    with pytest.raises(Leak) as caught:
        simulated.ledger.check()
    assert [row.partition(" created at test_locks.py:")[0] for row in caught.value.blocks] == [
        "mutex 'm'",
        "condition 'c'",
        "rwlock 'r'",
        "tsd key 'k'",
        "thread options 'o'",
        "thread 'worker'",
    ]


WRONG: list[tuple[Callable[[Any], Any], str]] = [
    (erl_drv_mutex_unlock, "erl_drv_mutex_unlock: mtx must be an ErlDrvMutex, not 7"),
    (driver_pdl_unlock, "driver_pdl_unlock: pdl must be an ErlDrvPDL, not 7"),
    (erl_drv_mutex_create, "erl_drv_mutex_create: name must be a str or None, not 7"),
    (erl_drv_mutex_lock, "erl_drv_mutex_lock: mtx must be an ErlDrvMutex, not 7"),
    (erl_drv_cond_signal, "erl_drv_cond_signal: cnd must be an ErlDrvCond, not 7"),
    (erl_drv_rwlock_rlock, "erl_drv_rwlock_rlock: rwlck must be an ErlDrvRWLock, not 7"),
    (erl_drv_tsd_get, "erl_drv_tsd_get: key must be an ErlDrvTSDKey, not 7"),
    (
        lambda x: erl_drv_tsd_key_create("k", x),
        "erl_drv_tsd_key_create: key must be an ErlDrvTSDKey, not 7",
    ),
    (erl_drv_thread_name, "erl_drv_thread_name: tid must be an ErlDrvTid, not 7"),
    (
        lambda x: erl_drv_thread_create("t", x, str, 1, None),
        "erl_drv_thread_create: tid must be an ErlDrvTid, not 7",
    ),
    (
        lambda x: erl_drv_thread_create("t", ErlDrvTid(), x, 1, None),
        "erl_drv_thread_create: func must be a function of one argument, not 7",
    ),
    (
        lambda x: erl_drv_thread_create("t", ErlDrvTid(), str, 1, x),
        "erl_drv_thread_create: opts must be an ErlDrvThreadOpts, not 7",
    ),
    (driver_pdl_lock, "driver_pdl_lock: pdl must be an ErlDrvPDL, not 7"),
]


@pytest.mark.parametrize(
    ("call", "text"), WRONG, ids=[text.partition(" must")[0] for _, text in WRONG]
)
def test_a_wrong_type_is_a_type_error(desk: Desk, call: Callable[[Any], Any], text: str) -> None:
    with pytest.raises(TypeError) as caught:
        call(7)
    assert str(caught.value) == text


def test_there_must_be_an_emulator() -> None:
    for call in (lambda: erl_drv_mutex_create("m"), erl_drv_thread_self):
        with pytest.raises(Misuse, match="no emulator is running in this thread"):
            call()


def test_a_handle_belongs_to_its_emulator() -> None:
    first = opened(SimulatedThreads())
    mtx = erl_drv_mutex_create("m")
    first.threads.close()
    second = opened(SimulatedThreads())
    with pytest.raises(Misuse, match="erl_drv_mutex_lock: mutex 'm' belongs to another emulator"):
        erl_drv_mutex_lock(mtx)
    second.threads.close()
