"""The thread API of `erl_driver.h`: the same stories on simulated threads, under seeds, and on OS threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from errno import EBUSY, EINVAL
from typing import Any

import pytest

from driverref import Driver, Emulator
from driverref.erl_driver import (
    ErlDrvTid,
    ErlDrvTSDKey,
    Pointer,
    driver_async,
    driver_deq,
    driver_enq,
    driver_exit,
    driver_output,
    driver_pdl_create,
    driver_pdl_dec_refc,
    driver_pdl_get_refc,
    driver_pdl_inc_refc,
    driver_pdl_lock,
    driver_pdl_unlock,
    driver_sizeq,
    erl_drv_cond_broadcast,
    erl_drv_cond_create,
    erl_drv_cond_destroy,
    erl_drv_cond_name,
    erl_drv_cond_signal,
    erl_drv_cond_wait,
    erl_drv_equal_tids,
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
    erl_drv_thread_exit,
    erl_drv_thread_join,
    erl_drv_thread_name,
    erl_drv_thread_opts_create,
    erl_drv_thread_opts_destroy,
    erl_drv_thread_self,
    erl_drv_tsd_get,
    erl_drv_tsd_key_create,
    erl_drv_tsd_key_destroy,
    erl_drv_tsd_set,
)
from driverref.errors import Deadlock, Leak, Misuse, UseAfterFree
from driverref.memory import Ledger
from driverref.release import OTP_25
from driverref.threads import Threads, here
from driverref.threads.native import NativeThreads
from driverref.threads.simulated import SimulatedThreads


class Desk:
    """As much of an emulator as the thread API needs."""

    def __init__(self, threads: Threads) -> None:
        self.threads = threads
        self.release = OTP_25
        self.ledger = Ledger(threads)
        self.crashes: list[BaseException] = []

    def crash(self, error: BaseException) -> BaseException:
        self.crashes.append(error)
        return error


def opened(threads: Threads) -> Desk:
    desk = Desk(threads)
    threads.adopt("main").emulator = desk
    return desk


@pytest.fixture(
    params=[
        pytest.param(SimulatedThreads, id="simulated"),
        pytest.param(lambda: SimulatedThreads(seed=1), id="seed 1"),
        pytest.param(lambda: SimulatedThreads(seed=2), id="seed 2"),
        pytest.param(NativeThreads, id="native", marks=pytest.mark.native),
    ]
)
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    """Whatever a test creates, it has to give back."""
    desk = opened(request.param())
    yield desk
    desk.threads.close()
    assert desk.crashes == []
    desk.ledger.check()


@pytest.fixture
def simulated() -> Iterator[Desk]:
    """On simulated threads in the order of coming; leaks are the test's own business."""
    desk = opened(SimulatedThreads())
    yield desk
    desk.threads.close()


def begin(func: Callable[[Any], Any], arg: object = None, name: str = "worker") -> ErlDrvTid:
    tid = ErlDrvTid()
    assert erl_drv_thread_create(name, tid, func, arg, None) == 0
    return tid


def end(*tids: ErlDrvTid) -> list[Any]:
    """Join them all; what they returned."""
    values = []
    for tid in tids:
        value = Pointer()
        assert erl_drv_thread_join(tid, value) == 0
        values.append(value.value)
    return values


def elsewhere(func: Callable[[], Any]) -> Any:
    """What `func` returns on another thread."""
    return end(begin(lambda _: func()))[0]


# Threads.


def test_a_thread_returns_its_value_to_whoever_joins_it(desk: Desk) -> None:
    assert end(begin(lambda n: n + 1, 1), begin(lambda n: n + 1, 2)) == [2, 3]


def test_a_thread_may_exit_from_the_depth(desk: Desk) -> None:
    cleaned = []

    def deep() -> None:
        try:
            erl_drv_thread_exit("early")
        except Exception:  # a driver's own handler does not stop it
            cleaned.append("caught")
        finally:
            cleaned.append("finally")

    assert elsewhere(deep) == "early"
    assert cleaned == ["finally"]


def test_a_value_that_nobody_wants_is_dropped(desk: Desk) -> None:
    assert erl_drv_thread_join(begin(lambda _: "unwanted"), None) == 0


def test_a_thread_has_the_name_it_was_given(desk: Desk) -> None:
    def names() -> tuple[str, str, str]:
        return erl_drv_thread_name(erl_drv_thread_self()), here.get().name, here.get().lane

    assert elsewhere(names) == ("worker", "worker", "worker")
    nameless = ErlDrvTid()
    erl_drv_thread_create(None, nameless, lambda _: None, None, None)
    assert erl_drv_thread_name(nameless) == "unknown"
    assert erl_drv_thread_name(erl_drv_thread_self()) == "unknown"  # not started by a driver
    assert repr(nameless) == "<ErlDrvTid of unknown>"
    end(nameless)


def test_identifiers_are_equal_if_the_thread_is_the_same(desk: Desk) -> None:
    one, other = begin(lambda _: erl_drv_thread_self()), begin(lambda _: None)
    mine = erl_drv_thread_self()
    assert erl_drv_equal_tids(mine, erl_drv_thread_self()) == 1
    assert erl_drv_equal_tids(one, other) == erl_drv_equal_tids(one, mine) == 0
    found = end(one, other)[0]
    assert erl_drv_equal_tids(found, one) == 1


def test_only_a_drivers_thread_can_be_joined(desk: Desk) -> None:
    assert erl_drv_thread_join(erl_drv_thread_self(), None) == EINVAL


def test_joining_twice_is_misuse(desk: Desk) -> None:
    tid = begin(lambda _: None)
    end(tid)
    with pytest.raises(
        Misuse, match=r"erl_drv_thread_join: thread 'worker' was joined at .*in end"
    ):
        erl_drv_thread_join(tid, None)


def test_joining_oneself_is_misuse(desk: Desk) -> None:
    def join_self() -> str:
        with pytest.raises(Misuse, match="worker would wait for its own end") as caught:
            erl_drv_thread_join(erl_drv_thread_self(), None)
        return str(caught.value)

    assert elsewhere(join_self).startswith("erl_drv_thread_join: ")


def test_only_a_drivers_thread_can_exit(desk: Desk) -> None:
    with pytest.raises(Misuse, match="main is not a thread that a driver has started"):
        erl_drv_thread_exit(None)


def test_an_empty_identifier_is_no_thread(desk: Desk) -> None:
    empty = ErlDrvTid()
    assert repr(empty) == "ErlDrvTid()"
    for call in (
        lambda: erl_drv_thread_join(empty, None),
        lambda: erl_drv_thread_name(empty),
        lambda: erl_drv_equal_tids(erl_drv_thread_self(), empty),
    ):
        with pytest.raises(Misuse, match="identifies no thread"):
            call()


def test_what_leaves_a_thread_goes_to_the_emulator() -> None:
    desk = opened(SimulatedThreads())

    def fail(_: object) -> None:
        raise ValueError("broken")

    tid = begin(fail)
    with pytest.raises(ValueError, match="broken"):
        desk.threads.sleep(1)
    assert [str(error) for error in desk.crashes] == ["broken"]
    assert end(tid) == [None]
    desk.threads.close()


def test_options_are_created_changed_and_destroyed(desk: Desk) -> None:
    opts = erl_drv_thread_opts_create("opts")
    assert opts.suggested_stack_size == -1
    opts.suggested_stack_size = 64
    tid = ErlDrvTid()
    assert erl_drv_thread_create("worker", tid, str, 1, opts) == 0
    erl_drv_thread_opts_destroy(opts)
    assert end(tid) == ["1"]
    for call in (
        lambda: erl_drv_thread_opts_destroy(opts),
        lambda: erl_drv_thread_create("worker", tid, str, 1, opts),
    ):
        with pytest.raises(Misuse, match="thread options 'opts' was destroyed at"):
            call()


def test_a_pointer_shows_its_value() -> None:
    assert repr(Pointer(7)) == "Pointer(7)"
    assert Pointer().value is None


# Thread specific data.


def test_each_thread_has_a_value_of_its_own(desk: Desk) -> None:
    key, other = ErlDrvTSDKey(), ErlDrvTSDKey()
    assert repr(key) == "ErlDrvTSDKey()"
    assert erl_drv_tsd_key_create("buffer", key) == erl_drv_tsd_key_create(None, other) == 0
    assert (repr(key), repr(other)) == ("<ErlDrvTSDKey 'buffer'>", "<ErlDrvTSDKey 'unknown'>")

    def keep(value: object) -> object:
        before = erl_drv_tsd_get(key)
        erl_drv_tsd_set(key, value)
        return before, erl_drv_tsd_get(key), erl_drv_tsd_get(other)

    assert keep("mine") == (None, "mine", None)
    assert end(begin(keep, 1), begin(keep, 2)) == [(None, 1, None), (None, 2, None)]
    assert keep(None) == ("mine", None, None)
    erl_drv_tsd_key_destroy(key)
    erl_drv_tsd_key_destroy(other)


def test_a_key_that_does_not_exist_is_misuse(desk: Desk) -> None:
    key = ErlDrvTSDKey()
    calls: list[Callable[[], Any]] = [
        lambda: erl_drv_tsd_get(key),
        lambda: erl_drv_tsd_set(key, 1),
        lambda: erl_drv_tsd_key_destroy(key),
    ]
    for call in calls:
        with pytest.raises(Misuse, match="the key has not been created"):
            call()
    erl_drv_tsd_key_create("buffer", key)
    erl_drv_tsd_key_destroy(key)
    for call in calls:
        with pytest.raises(Misuse, match="tsd key 'buffer' was destroyed at"):
            call()


# Mutexes.


def test_a_mutex_lets_one_in(desk: Desk) -> None:
    mtx, inside, most = erl_drv_mutex_create("m"), [0], [0]

    def enter(_: object) -> None:
        for _ in range(20):
            erl_drv_mutex_lock(mtx)
            inside[0] += 1
            desk.threads.touch(inside, True)
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
    assert caught.value.waiting == (
        "main waits for mutex 'other', held by poller",
        "poller waits for mutex 'one', held by main",
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
    with pytest.raises(Misuse, match="erl_drv_cond_destroy: 1 threads wait for condition 'c'"):
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
            desk.threads.touch(writers, False)
            seen.add(("reading", writers[0]))
            erl_drv_rwlock_runlock(rwlck)

    def write(_: object) -> None:
        for _ in range(10):
            erl_drv_rwlock_rwlock(rwlck)
            writers[0] += 1
            desk.threads.touch(writers, True)
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
    begin(lambda _: None)
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


# Port data locks, on a whole emulator.


@pytest.fixture(params=["simulated", pytest.param("native", marks=pytest.mark.native)])
def erl(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    with Emulator(async_threads=1, threads=request.param) as erl:
        yield erl


class Plain(Driver):
    """A driver whose `control` does what the test says."""

    driver_name = "plain"

    def start(self, port: Any, command: object) -> Any:
        return port

    def control(self, port: Any, command: int, buf: memoryview) -> bytes:
        self.result = self.script(port)
        return b""

    script: Callable[[Any], Any]
    result: Any = None


def in_control(erl: Emulator, script: Callable[[Any], Any]) -> Any:
    """What `script(port)` returns in a callback of a port, which is then closed."""
    driver = Plain()
    driver.script = script
    erl.erl_ddll.load_driver(driver)
    port = erl.open_port(("spawn_driver", "plain"))
    erl.port_control(port, 1, b"")
    erl.port_close(port)
    return driver.result


def test_a_port_has_one_data_lock(erl: Emulator) -> None:
    def script(port: Any) -> tuple[object, ...]:
        pdl = driver_pdl_create(port)
        assert pdl is not None
        assert port.pdl is pdl
        return (
            driver_pdl_create(port),
            driver_pdl_get_refc(pdl),
            str(pdl) == f"port data lock of {port.id}",
        )

    assert in_control(erl, script) == (None, 1, True)


def test_references_keep_the_lock_and_the_last_one_frees_it(erl: Emulator) -> None:
    def script(port: Any) -> Any:
        pdl = driver_pdl_create(port)
        assert pdl is not None
        assert driver_pdl_inc_refc(pdl) == 2
        driver_pdl_lock(pdl)
        assert driver_pdl_get_refc(pdl) == 3  # the lock itself is one while it is held
        driver_pdl_unlock(pdl)
        return pdl

    pdl = in_control(erl, script)
    assert driver_pdl_get_refc(pdl) == 1  # the port is gone and its reference with it
    assert driver_pdl_dec_refc(pdl) == 0
    for call in (
        driver_pdl_lock,
        driver_pdl_unlock,
        driver_pdl_get_refc,
        driver_pdl_inc_refc,
        driver_pdl_dec_refc,
    ):
        with pytest.raises(
            UseAfterFree, match=f"{call.__name__}: port data lock of .* was freed at"
        ):
            call(pdl)


def test_a_lock_freed_while_held_lives_until_it_is_unlocked(erl: Emulator) -> None:
    def script(port: Any) -> Any:
        pdl = driver_pdl_create(port)
        assert pdl is not None
        driver_pdl_lock(pdl)
        return pdl

    pdl = in_control(erl, script)
    driver_pdl_unlock(pdl)
    with pytest.raises(UseAfterFree):
        driver_pdl_get_refc(pdl)


def test_a_data_lock_has_one_holder(erl: Emulator) -> None:
    def script(port: Any) -> None:
        pdl = driver_pdl_create(port)
        assert pdl is not None
        with pytest.raises(Misuse, match=r"driver_pdl_unlock: .* does not hold port data lock of"):
            driver_pdl_unlock(pdl)
        driver_pdl_lock(pdl)
        with pytest.raises(Misuse, match=r"driver_pdl_lock: .* holds port data lock of .* already"):
            driver_pdl_lock(pdl)
        driver_pdl_unlock(pdl)
        assert driver_pdl_get_refc(pdl) == 1

    in_control(erl, script)


def test_a_reference_too_many_is_a_leak() -> None:
    def script(port: Any) -> None:
        pdl = driver_pdl_create(port)
        assert pdl is not None
        driver_pdl_inc_refc(pdl)

    lock = r"port data lock of #Port<0\.1> created at test_locks\.py"
    with pytest.raises(Leak, match=lock), Emulator() as erl:
        in_control(erl, script)


class Buffered(Driver):
    """Its job waits for `go`, then looks at the driver data and uses the driver queue."""

    driver_name = "buffered"

    def __init__(self) -> None:
        self.seen: list[object] = []

    def init(self) -> None:
        self.go = erl_drv_mutex_create("go")

    def finish(self) -> None:
        erl_drv_mutex_destroy(self.go)

    def start(self, port: Any, command: object) -> dict[str, Any]:
        return {"port": port, "pdl": driver_pdl_create(port), "alive": True}

    def control(self, data: dict[str, Any], command: int, buf: memoryview) -> bytes:
        erl_drv_mutex_lock(self.go)
        driver_async(data["port"], None, self.work, data, None)
        refc = driver_pdl_get_refc(data["pdl"])
        if command:
            driver_exit(data["port"], 0)  # runs stop
        erl_drv_mutex_unlock(self.go)
        return bytes([refc])

    def work(self, data: dict[str, Any]) -> None:
        erl_drv_mutex_lock(self.go)
        erl_drv_mutex_unlock(self.go)
        driver_pdl_lock(data["pdl"])
        port = data["port"]
        used = driver_enq(port, b"abc"), driver_sizeq(port), driver_deq(port, 3)
        driver_pdl_unlock(data["pdl"])
        self.seen.append((data["alive"], *used))

    def ready_async(self, data: dict[str, Any], same: object) -> None:
        driver_output(data["port"], b"done")

    def stop(self, data: dict[str, Any]) -> None:
        data["alive"] = False


@pytest.mark.rule("locks.pdl-protects-queue-only")
def test_the_data_lock_protects_the_queue_and_not_the_driver_data(erl: Emulator) -> None:
    driver = Buffered()
    erl.erl_ddll.load_driver(driver)
    refcs = []
    for close in (False, True):
        port = erl.open_port(("spawn_driver", "buffered"))
        refcs.append(erl.port_control(port, int(close), b""))
        if not close:
            assert erl.receive() == (port, ("data", b"done"))
    erl.stop()
    assert refcs == [[2], [2]]  # the port's reference and the job's
    assert driver.seen == [
        (True, 0, 3, 0),  # the port is open: any thread that holds the lock may use the queue
        (False, -1, -1, -1),  # stop has run: the lock is still there, what it was to protect is not
    ]


def test_without_the_data_lock_the_queue_is_the_callbacks(erl: Emulator) -> None:
    def script(port: Any) -> None:
        driver_pdl_create(port)
        tid = begin(lambda _: refused(port))
        assert end(tid)[0].startswith("driver_enq: ")

    def refused(port: Any) -> str:
        with pytest.raises(Misuse) as caught:
            driver_enq(port, b"abc")
        return str(caught.value)

    in_control(erl, script)
