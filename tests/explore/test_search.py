"""The search against the oracle: it misses nothing, does nothing twice, and does little besides.

The oracle runs every schedule.  The search is to find the same outcomes, and one run of each class of runs that
nobody can tell apart.  Where there are too many schedules for the oracle, random ones may show nothing new.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from dfs import (
    Seen,
    TooMany,
    every_schedule,
    on_emulator,
    on_threads,
    searched,
)
from hypothesis import HealthCheck, event, example, given, reject, settings
from hypothesis import strategies as st
from seam import Made, program, programs
from support import opened

import driverref.erl_driver as c
from driverref import Atomic, Driver, Emulator
from driverref.erl_driver import (
    ErlDrvPort,
    ErlDrvTid,
    ErlDrvTSDKey,
    driver_alloc,
    driver_free,
)
from driverref.errors import DriverFault
from driverref.explore import Scenario
from driverref.threads import WRITE
from driverref.threads.simulated import SimulatedThreads

pytestmark = pytest.mark.slow


THOROUGHNESS = int(os.environ.get("DRIVERREF_SOAK", "1"))

few = settings(
    deadline=None,
    max_examples=40 * THOROUGHNESS,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def hold(seen: Seen, truth: Seen) -> None:
    """The search has found what there is, and nothing twice."""
    assert set(seen.outcomes) == set(truth.outcomes)
    assert len(set(seen.classes)) == len(seen.classes) == seen.runs - seen.cut


# On the seam.


def alone(*lists: list[tuple[Any, ...]], joined: bool = True) -> Made:
    """A program whose first thread starts all the others."""
    others = range(1, len(lists))
    return Made(list(lists), dict.fromkeys(others, 0), dict.fromkeys(others, joined))


@settings(few, max_examples=100 * THOROUGHNESS)
@given(made=programs())
@example(made=alone([("acquire", 0), ("acquire", 1)], [("acquire", 1), ("acquire", 0)]))
@example(made=alone([("wait",)], [("notify",)], [("notify_all",)]))
@example(made=alone([("get", 0)], [("put", 0), ("get", 0), ("put", 0)]))
@example(made=alone([("close", 0)], [("send", 0)]))
@example(made=alone([("watch", 0, 1), ("reported",)], [("send", 1)], [("recv", 0, 2, 0)]))
@example(made=alone([("put", 1), ("get_until", 1, 0)], [("get_until", 0, 0)]))
@example(made=alone([], [("read", 0)], [("write", 0)], joined=False))
@example(
    made=Made(
        [[], [], [("read", 0)], [("write", 0)]], {1: 0, 2: 0, 3: 1}, {1: True, 2: True, 3: True}
    )
)
@example(made=alone([("get_until", 0, 2)], [("sleep", 1), ("put", 0)], [("crash",)]))
def test_of_any_program_the_search_finds_what_the_oracle_finds(made: Made) -> None:
    run = on_threads(program(made))
    try:
        truth = every_schedule(run, 300, classes=True)
    except TooMany:
        reject()
    seen = searched(run)
    hold(seen, truth)
    assert set(seen.classes) <= set(truth.classes)
    event(f"{len(seen.classes).bit_length()} bits of classes")
    to_the_end = all(made.joined.values()) and all(type(o) is tuple for o in truth.outcomes)
    if to_the_end:
        assert set(seen.classes) == set(truth.classes)


def classes(*lists: list[tuple[Any, ...]]) -> int:
    """How many schedules of a program differ."""
    run = on_threads(program(alone(*lists)))
    truth, seen = every_schedule(run, 5000, classes=True), searched(run)
    hold(seen, truth)
    assert set(seen.classes) == set(truth.classes)
    return len(seen.classes)


def test_steps_that_have_nothing_to_do_with_each_other_come_in_one_order() -> None:
    assert classes([], [("write", 0)], [("write", 1)]) == 1
    assert classes([], [("read", 0)], [("read", 0)], [("load", 1)]) == 1
    assert classes([], [("put", 0)], [("put", 1)]) == 1


def test_a_chance_is_tried_both_ways_wherever_it_stands() -> None:
    assert classes([], [("chance",)]) == 2
    assert classes([], [("chance",)], [("chance",)]) == 4
    assert classes([], [("chance",), ("chance",)], [("chance",)]) == 8
    assert classes([], [("chance",), ("write", 0)], [("write", 0), ("chance",)]) == 8


def test_steps_that_touch_one_thing_come_in_every_order() -> None:
    assert classes([], [("write", 0)], [("write", 0)]) == 2
    assert classes([], [("write", 0)], [("write", 0)], [("write", 0)]) == 6
    assert classes([], [("write", 0)], [("read", 0)], [("read", 0)]) == 4
    assert classes([], [("put", 0)], [("put", 0)]) == 2


def test_to_take_a_lock_changes_places_with_taking_it_and_not_with_giving_it_back() -> None:
    critical: list[tuple[Any, ...]] = [("acquire", 0), ("release", 0)]
    assert classes([], critical, critical) == 2
    assert classes([], critical, critical, critical) == 6


def test_to_get_what_must_have_been_put_comes_after_it() -> None:
    assert classes([("get", 0)], [("put", 0)]) == 1
    assert classes([("get_nowait", 0)], [("put", 0)]) == 2


def test_time_may_pass_before_or_after_whatever_has_to_do_with_it() -> None:
    assert classes([("read_clock",)], [("sleep", 1)]) == 2


def test_a_run_in_which_everybody_sleeps_is_cut_short() -> None:
    """Two orders of the writes; the third run would begin one of them again."""
    run = on_threads(
        program(alone([("read_clock",), ("get_until", 0, 1)], [("sleep", 1)], [("put", 0)]))
    )
    seen = searched(run)
    hold(seen, every_schedule(run, 5000))
    assert seen.cut > 0


def test_no_run_is_spent_on_a_race_that_another_step_lies_between() -> None:
    """The third thread was started after the others, so it has nothing to come before."""
    made = alone([], [("write", 0)], [("write", 0)], [("read", 1), ("put", 0)])
    seen = searched(on_threads(program(made)))
    hold(seen, every_schedule(on_threads(program(made)), 5000))
    assert (seen.runs, seen.cut) == (2, 0)


def test_the_threads_that_threads_start_are_told_apart() -> None:
    """Whichever of two starts its child first: the child is that of its parent."""

    def twice(threads: SimulatedThreads) -> object:
        thing, order = threads.new_id(), []

        def child(name: str) -> None:
            threads.step(thing, WRITE)
            order.append(name)

        def parent(name: str) -> None:
            threads.join(threads.start(name, lambda: child(name), lambda error: error))

        both = [
            threads.start(name, lambda name=name: parent(name), lambda error: error)  # type: ignore[misc]
            for name in ("a", "b")
        ]
        for thread in both:
            threads.join(thread)
        return "".join(order)

    seen = searched(on_threads(twice))
    hold(seen, every_schedule(on_threads(twice), 5000, classes=True))
    assert set(seen.outcomes) == {"ab", "ba"}


def test_what_is_touched_before_the_threads_are_given_up_comes_before_or_after() -> None:
    """Nobody waits for the other thread: it is left behind, before or after it has begun."""
    seen = searched(
        on_threads(program(alone([("write", 0)], [("write", 0), ("read", 0)], joined=False)))
    )
    assert set(seen.outcomes) == {((), ()), ((), ((1, 0),))}


# What a driver's own threads call.


class Calls(Driver):
    """Has lists of calls made, each on a thread of its own, and says what they returned."""

    driver_name = "calls"

    def __init__(self, lists: list[list[tuple[Any, ...]]]) -> None:
        self.lists = lists

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        self.port, self.id, owner = port, c.driver_mk_port(port), c.driver_connected(port)
        assert owner is not None
        self.owner = owner
        self.mutex, self.other = c.erl_drv_mutex_create("m"), c.erl_drv_mutex_create("n")
        self.condition = c.erl_drv_cond_create("c")
        self.rwlock = c.erl_drv_rwlock_create("rw")
        self.pdl = c.driver_pdl_create(port)
        self.binary, memory = c.driver_alloc_binary(2), driver_alloc(2)
        assert memory is not None
        memory[:] = b"ab"
        self.memory = memory
        self.count, self.key = Atomic(), ErlDrvTSDKey()
        c.erl_drv_tsd_key_create("k", self.key)
        return port

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        seen: list[list[object]] = [[] for _ in self.lists]
        tids = [ErlDrvTid() for _ in self.lists[1:]]
        for who, tid in enumerate(tids, 1):
            c.erl_drv_thread_create(f"{who}", tid, lambda who: self.live(who, seen[who]), who, None)
        self.live(0, seen[0])
        for tid in tids:
            c.erl_drv_thread_join(tid, None)
        c.driver_output_term(port, tuple(map(tuple, seen)))

    def live(self, who: int, seen: list[object]) -> None:
        try:
            for name, *arguments in self.lists[who]:
                if (result := getattr(self, name)(who, *arguments)) is not None:
                    seen.append(result)
        except DriverFault as fault:
            seen.append(str(fault))

    def stop(self, port: ErlDrvPort) -> None:
        undoings: list[Callable[[], object]] = [
            lambda: c.erl_drv_mutex_unlock(self.mutex),
            lambda: c.erl_drv_mutex_destroy(self.mutex),
            lambda: c.erl_drv_mutex_destroy(self.other),
            lambda: c.erl_drv_cond_destroy(self.condition),
            lambda: c.erl_drv_rwlock_destroy(self.rwlock),
            lambda: c.driver_free_binary(self.binary),
            lambda: driver_free(self.memory),
            lambda: c.erl_drv_tsd_key_destroy(self.key),
        ]
        for undo in undoings:
            try:
                undo()
            except DriverFault:
                pass  # somebody has done it, or done something that makes it impossible

    def lock(self, who: int) -> None:
        c.erl_drv_mutex_lock(self.mutex)

    def unlock(self, who: int) -> None:
        c.erl_drv_mutex_unlock(self.mutex)

    def trylock(self, who: int) -> int:
        return c.erl_drv_mutex_trylock(self.mutex)

    def destroy(self, who: int) -> None:
        c.erl_drv_mutex_destroy(self.mutex)

    def wait(self, who: int) -> None:
        c.erl_drv_cond_wait(self.condition, self.mutex)

    def signal(self, who: int) -> None:
        c.erl_drv_cond_signal(self.condition)

    def broadcast(self, who: int) -> None:
        c.erl_drv_cond_broadcast(self.condition)

    def destroy_condition(self, who: int) -> None:
        c.erl_drv_cond_destroy(self.condition)

    def rw(self, who: int, what: str) -> object:
        return getattr(c, f"erl_drv_rwlock_{what}")(self.rwlock)

    def pdl_do(self, who: int, what: str) -> object:
        return getattr(c, f"driver_pdl_{what}")(self.pdl)

    def enq(self, who: int) -> None:
        c.driver_enq(self.port, b"x")

    def deq(self, who: int) -> int:
        return c.driver_deq(self.port, 1)

    def refc(self, who: int, what: str) -> int:
        return getattr(c, f"driver_binary_{what}_refc")(self.binary)  # type: ignore[no-any-return]

    def free_binary(self, who: int) -> None:
        c.driver_free_binary(self.binary)

    def read(self, who: int, index: int) -> int:
        return self.memory[index]

    def write(self, who: int, index: int) -> None:
        self.memory[index] = who

    def free(self, who: int) -> None:
        driver_free(self.memory)

    def add(self, who: int) -> int:
        return self.count.fetch_add(1)

    def load(self, who: int) -> int:
        return self.count.load()

    def output_term(self, who: int) -> int:
        return c.erl_drv_output_term(self.id, (who,))

    def send_term(self, who: int) -> int:
        return c.erl_drv_send_term(self.id, self.owner, (who,))

    def tsd(self, who: int) -> object:
        c.erl_drv_tsd_set(self.key, who)
        return c.erl_drv_tsd_get(self.key)

    def destroy_tsd(self, who: int) -> None:
        c.erl_drv_tsd_key_destroy(self.key)


def calling(lists: list[list[tuple[Any, ...]]]) -> Scenario:
    """A scenario in which these calls are made."""

    def scenario(erl: Emulator) -> tuple[object, ...]:
        erl.port_command(opened(erl, Calls(lists)), b"")
        messages = []
        while (message := erl.receive(timeout=0)) is not None:
            messages.append(message[1])
        return tuple(map(str, messages))

    return scenario


def _calls(names: str) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.sampled_from([(name,) for name in names.split()])


CALLS = {
    "mutexes": _calls("lock lock unlock unlock trylock destroy"),
    "conditions": _calls("lock lock unlock wait signal broadcast destroy_condition"),
    "rwlocks": st.tuples(
        st.just("rw"),
        st.sampled_from(
            "rlock rlock tryrlock runlock rwlock rwlock tryrwlock rwunlock destroy".split()
        ),
    ),
    "port data locks": st.tuples(
        st.just("pdl_do"), st.sampled_from("lock unlock get_refc inc_refc dec_refc".split())
    )
    | _calls("enq deq"),
    "binaries": st.tuples(st.just("refc"), st.sampled_from(["get", "inc", "dec"]))
    | _calls("free_binary"),
    "memory": st.tuples(st.sampled_from(["read", "write"]), st.integers(0, 1)) | _calls("free"),
    "atomics": _calls("add load"),
    "messages": _calls("output_term send_term"),
    "tsd": _calls("tsd destroy_tsd"),
}


@st.composite
def lists_of_calls(draw: st.DrawFn) -> list[list[tuple[Any, ...]]]:
    threads = draw(st.integers(2, 3))
    kinds = st.sampled_from(sorted(CALLS))
    calls = st.one_of(
        [CALLS[name] for name in draw(st.lists(kinds, min_size=1, max_size=2, unique=True))]
    )
    longest = {2: 4, 3: 2}[threads]
    return [draw(st.lists(calls, max_size=longest)) for _ in range(threads)]


@few
@given(lists=lists_of_calls())
@example(lists=[[("trylock",)], [("destroy",)]])
@example(lists=[[("free_binary",)], [("refc", "inc")]])
@example(lists=[[("read", 0), ("free",), ("read", 0)], [("free",)]])
@example(lists=[[("lock",), ("wait",)], [("lock",), ("signal",), ("unlock",)]])
def test_of_any_calls_of_a_drivers_threads_the_search_finds_what_the_oracle_finds(
    lists: list[list[tuple[Any, ...]]],
) -> None:
    run = on_emulator(calling(lists))
    try:
        truth = every_schedule(run, 400)
    except TooMany:
        reject()
    hold(searched(run), truth)
