"""The cases of `erl_drv_thread_SUITE`: threads, locks and thread-specific data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from retold import loaded
from scripted import do, scripted
from support import Kind, both

from driverref import Emulator, Struct, assert_outcomes
from driverref.erl_driver import (
    ErlDrvPort,
    ErlDrvTid,
    ErlDrvTSDKey,
    Pointer,
    driver_alloc,
    driver_free,
    erl_drv_cond_broadcast,
    erl_drv_cond_create,
    erl_drv_cond_destroy,
    erl_drv_cond_signal,
    erl_drv_cond_wait,
    erl_drv_equal_tids,
    erl_drv_mutex_create,
    erl_drv_mutex_destroy,
    erl_drv_mutex_lock,
    erl_drv_mutex_unlock,
    erl_drv_rwlock_create,
    erl_drv_rwlock_destroy,
    erl_drv_rwlock_rlock,
    erl_drv_rwlock_runlock,
    erl_drv_rwlock_rwlock,
    erl_drv_rwlock_rwunlock,
    erl_drv_rwlock_tryrlock,
    erl_drv_thread_create,
    erl_drv_thread_exit,
    erl_drv_thread_join,
    erl_drv_thread_opts_create,
    erl_drv_thread_opts_destroy,
    erl_drv_thread_self,
    erl_drv_tsd_get,
    erl_drv_tsd_key_create,
    erl_drv_tsd_key_destroy,
    erl_drv_tsd_set,
)

Story = Callable[[ErlDrvPort], object]


def told(story: Story) -> Callable[[Emulator], str]:
    """A scenario in which a callback tells the story."""

    def scenario(erl: Emulator) -> str:
        return do(erl, loaded(erl, scripted(story)), 0)

    return scenario


def started(function: Callable[[Any], Any], arg: object = None, name: str = "own") -> ErlDrvTid:
    """A thread that has been started."""
    tid = ErlDrvTid()
    assert erl_drv_thread_create(name, tid, function, arg, None) == 0
    return tid


def joined(tid: ErlDrvTid) -> Any:
    """What a thread has returned."""
    value = Pointer()
    assert erl_drv_thread_join(tid, value) == 0
    return value.value


class Monitor:
    """A mutex and a condition, and numbers that they guard."""

    def __init__(self) -> None:
        self._mutex, self._cond = (
            erl_drv_mutex_create("a mutex"),
            erl_drv_cond_create("a condition"),
        )
        assert self._mutex is not None
        assert self._cond is not None
        self.waiting = self.passed = 0

    def __enter__(self) -> None:
        erl_drv_mutex_lock(self._mutex)

    def __exit__(self, *error: object) -> None:
        erl_drv_mutex_unlock(self._mutex)

    def wait(self) -> None:
        erl_drv_cond_wait(self._cond, self._mutex)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.wait()

    def signal(self) -> None:
        erl_drv_cond_signal(self._cond)

    def broadcast(self) -> None:
        erl_drv_cond_broadcast(self._cond)

    def destroy(self) -> None:
        erl_drv_cond_destroy(self._cond)
        erl_drv_mutex_destroy(self._mutex)


# basic.


def signal_and_broadcast(port: ErlDrvPort) -> object:
    """Two threads wait twice each: one goes on with a signal, both with a broadcast."""
    inner, outer = Monitor(), Monitor()
    options = erl_drv_thread_opts_create("options")
    assert options is not None
    options.suggested_stack_size = 0

    def go(arg: str) -> str:
        for _ in range(2):
            with inner:
                # Said under the lock that the wait gives back: who hears it finds this waiting.
                with outer:
                    outer.waiting += 1
                    outer.broadcast()
                inner.wait()
            with outer:
                outer.passed += 1
                outer.broadcast()
        if arg == "exits":
            erl_drv_thread_exit(arg)
        return arg

    def all_wait(waiting: int) -> None:
        with outer:
            outer.wait_until(lambda: outer.waiting == waiting)
        with inner:
            pass

    def passed(number: int) -> int:
        with outer:
            outer.wait_until(lambda: outer.passed >= number)
            return outer.passed

    one, other = ErlDrvTid(), ErlDrvTid()
    assert erl_drv_thread_create("returns", one, go, "returns", options) == 0
    assert erl_drv_thread_create("exits", other, go, "exits", None) == 0
    me = erl_drv_thread_self()
    assert erl_drv_equal_tids(me, erl_drv_thread_self())
    assert not any(map(erl_drv_equal_tids, (one, other, one), (me, me, other)))
    seen = []
    # One of the two waits for the first time, then for the second; the other for the first.
    all_wait(2)
    with inner:
        inner.signal()
    seen.append(passed(1))
    all_wait(3)
    with inner:
        inner.broadcast()
    seen.append(passed(3))
    all_wait(4)
    with inner:
        inner.signal()
    seen += [passed(4), joined(one), joined(other)]
    # Without a thread that waits nothing happens.
    inner.signal()
    inner.broadcast()
    for monitor in (inner, outer):
        monitor.destroy()
    erl_drv_thread_opts_destroy(options)
    return seen


PASSED = "[1, 3, 4, 'returns', 'exits']"


@both
@pytest.mark.otp("erl_drv_thread_SUITE", "basic")
def test_a_signal_wakes_one_thread_and_a_broadcast_all(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        assert told(signal_and_broadcast)(erl) == PASSED


# rwlock.


def readers_and_writers(number: int) -> Story:
    """Threads read together once the writer is done, and then write one at a time."""

    def story(port: ErlDrvPort) -> object:
        lock, gate = erl_drv_rwlock_create("a lock"), Monitor()
        assert lock is not None
        written = [0]
        reading = [0]

        def go(arg: object) -> None:
            assert erl_drv_rwlock_tryrlock(lock), "the writer has it"
            with gate:
                gate.waiting += 1
                gate.broadcast()
            erl_drv_rwlock_rlock(lock)
            with gate:
                reading[0] += 1
                gate.broadcast()
                gate.wait_until(lambda: reading[0] == number)
            erl_drv_rwlock_runlock(lock)
            erl_drv_rwlock_rwlock(lock)
            before = written[0]
            written[0] = before + 1
            erl_drv_rwlock_rwunlock(lock)

        erl_drv_rwlock_rwlock(lock)
        tids = [started(go) for _ in range(number)]
        with gate:
            gate.wait_until(lambda: gate.waiting == number)
            before = reading[0]
        erl_drv_rwlock_rwunlock(lock)
        for tid in tids:
            joined(tid)
        gate.destroy()
        erl_drv_rwlock_destroy(lock)
        return [before, reading[0], written[0]]

    return story


@both
@pytest.mark.otp("erl_drv_thread_SUITE", "rwlock")
def test_readers_share_a_lock_and_a_writer_has_it_alone(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        assert told(readers_and_writers(17))(erl) == "[0, 17, 17]"


class Written(Struct):
    """What a lock guards.  Without it to read and to write would be a race."""

    number: int


def two_writers_and_a_reader(port: ErlDrvPort) -> object:
    lock, written = erl_drv_rwlock_create("a lock"), driver_alloc(Written)
    assert lock is not None
    assert written is not None
    written.number = 0

    def write(arg: object) -> None:
        erl_drv_rwlock_rwlock(lock)
        written.number += 1
        erl_drv_rwlock_rwunlock(lock)

    tids = [started(write), started(write)]
    erl_drv_rwlock_rlock(lock)
    read = written.number
    erl_drv_rwlock_runlock(lock)
    for tid in tids:
        joined(tid)
    seen = [read, written.number]
    driver_free(written)
    erl_drv_rwlock_destroy(lock)
    return seen


@pytest.mark.otp("erl_drv_thread_SUITE", "rwlock")
def test_no_write_is_lost_or_seen_by_halves_in_any_order() -> None:
    assert_outcomes(told(two_writers_and_a_reader), {"[0, 2]", "[1, 2]", "[2, 2]"})


# tsd.


def own_data(threads: int, keys: int) -> Story:
    """Each thread finds under each key what it has put there, and nothing of the others."""

    def story(port: ErlDrvPort) -> object:
        made = [ErlDrvTSDKey() for _ in range(keys)]

        def go(number: int) -> bool:
            for index, key in enumerate(made):
                erl_drv_tsd_set(key, (number, index))
            found = [erl_drv_tsd_get(key) for key in made]
            for key in made:
                erl_drv_tsd_set(key, None)
            return found == [(number, index) for index in range(keys)] and not any(
                erl_drv_tsd_get(key) for key in made
            )

        for index, key in enumerate(made):
            assert erl_drv_tsd_key_create(f"key {index}", key) == 0
            erl_drv_tsd_set(key, ("mine", index))
        tids = [started(go, number) for number in range(threads)]
        mine = [erl_drv_tsd_get(key) for key in made] == [("mine", i) for i in range(keys)]
        found = [joined(tid) for tid in tids]
        for key in made:
            erl_drv_tsd_set(key, None)
            erl_drv_tsd_key_destroy(key)
        return mine and all(found)

    return story


@both
@pytest.mark.otp("erl_drv_thread_SUITE", "tsd")
def test_each_thread_has_its_own_data(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        assert told(own_data(17, 200))(erl) == "True"
