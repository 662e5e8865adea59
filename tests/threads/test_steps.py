"""Steps: what is declared of each, whose turn it is, and what a script has to say about that."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driverref.errors import Livelock, Nondeterministic
from driverref.threads import ACQUIRE, AWAIT, READ, WRITE, Thread
from driverref.threads.choice import TIME, other_way, thread_of
from driverref.threads.schedule import FirstCome
from driverref.threads.simulated import SimulatedThreads
from driverref.threads.steps import CLOCK, EXPIRY, TURN, Access, Steps


class Scripted(FirstCome):
    """A script first, then first come; the footprints are kept."""

    logs = True

    def __init__(self, *numbers: int) -> None:
        super().__init__()
        self.script = list(reversed(numbers))


def adopted(*script: int) -> SimulatedThreads:
    threads = SimulatedThreads(schedule=Scripted(*script))
    threads.adopt("main")
    return threads


def seen(error: BaseException) -> BaseException:
    return error


def footprint(threads: SimulatedThreads, use: Callable[[], object]) -> list[Access]:
    """What is declared while `use` runs."""
    threads.log.clear()
    use()
    return list(threads.log)


# What is declared.


def test_a_step_declares_its_resource_when_it_is_made() -> None:
    threads = adopted()
    assert footprint(threads, lambda: threads.step("it", WRITE)) == [("it", WRITE)]
    assert footprint(threads, lambda: threads.step("it", READ)) == [("it", READ)]
    threads.close()


def test_a_deadline_is_a_use_of_the_clock_before_the_wait_and_after_it() -> None:
    threads = adopted()
    uses = footprint(threads, lambda: threads.step("it", READ, deadline=5))
    assert uses == [(CLOCK, READ), ("it", READ), (CLOCK, READ)]
    # Only time can end a sleep: the two cannot change places.
    slept = footprint(threads, lambda: threads.sleep(5))
    mine = (EXPIRY, threads.main.number)
    assert slept == [(CLOCK, READ), (CLOCK, WRITE), (mine, WRITE), (None, READ), (mine, AWAIT)]
    threads.close()


def test_what_is_possible_after_the_deadline_is_done_all_the_same() -> None:
    threads = adopted(TIME, 0, TIME, 0)
    assert threads.step("it", READ, lambda: threads.time == 7, 7)
    assert not threads.step("it", READ, lambda: False, 9)
    assert threads.time == 9
    threads.close()


def test_a_lock_that_was_tried_is_written_and_then_acquired() -> None:
    threads = adopted()
    mutex = threads.mutex("m")
    modes = [mode for _, mode in footprint(threads, lambda: mutex.acquire(False))]
    assert modes == [WRITE, ACQUIRE]
    modes = [mode for _, mode in footprint(threads, lambda: mutex.acquire(False))]
    assert modes == [WRITE]
    threads.close()


def test_putting_at_one_end_of_a_queue_has_nothing_in_common_with_getting_at_the_other() -> None:
    threads = adopted()
    queue = threads.queue("q")
    queue.put("old")
    put = {resource for resource, _ in footprint(threads, lambda: queue.put("new"))}
    got = {resource for resource, _ in footprint(threads, queue.get)}
    late = {resource for resource, _ in footprint(threads, queue.get)}
    assert not put & got
    assert len(put & late) == 1
    threads.close()


@given(st.lists(st.sampled_from("ab"), max_size=10))
def test_what_a_thread_makes_has_the_same_ids_whatever_other_threads_make(order: list[str]) -> None:
    threads = SimulatedThreads()
    threads.adopt("main")
    turns, ids = {name: threads.queue(name) for name in "ab"}, dict[str, list[int]](a=[], b=[])
    done = threads.queue("done")

    def make(name: str) -> Callable[[], None]:
        def body() -> None:
            while turns[name].get():
                ids[name].append(threads.new_id())
                done.put(name)

        return body

    makers = [threads.start(name, make(name), seen) for name in "ab"]
    for name in order:
        turns[name].put(True)
        done.get()
    for name, maker in zip("ab", makers, strict=True):
        turns[name].put(False)
        threads.join(maker)
    threads.close()
    for number, name in enumerate("ab", 1):
        first = (number << 32) + 1
        assert ids[name] == list(range(first, first + order.count(name)))


# Whose turn it is.


def two_writers(threads: SimulatedThreads) -> str:
    """Two threads write down their names, each in three steps; thread 0 waits for them."""
    order: list[str] = []

    def write(name: str) -> Callable[[], None]:
        def body() -> None:
            for _ in range(3):
                threads.step("the order", WRITE)
                order.append(name)

        return body

    started: list[Thread] = [threads.start(name, write(name), seen) for name in "ab"]
    for thread in started:
        threads.join(thread)
    threads.close()
    return "".join(order)


def test_a_script_says_which_thread_makes_the_next_step() -> None:
    """The first step of a thread is its beginning, up to the first call of `step`."""
    assert two_writers(adopted(1, 2, 1, 2, 1, 2, 1, 2)) == "ababab"
    assert two_writers(adopted(2, 2, 1, 2, 1, 2, 1, 1)) == "bbabaa"


def test_without_a_script_the_running_thread_goes_on_until_it_has_to_wait() -> None:
    threads = SimulatedThreads()
    threads.adopt("main")
    assert two_writers(threads) == "aaabbb"


def test_a_script_that_names_a_thread_that_cannot_go_on_ends_the_run_for_good() -> None:
    threads = adopted(1)
    with pytest.raises(Nondeterministic, match="at step 1 thread 1 could not go on"):
        threads.step()
    with pytest.raises(Nondeterministic, match="thread 1"):  # no `except` in a program can hide it
        threads.step()
    threads.close()


def test_a_script_may_let_time_pass_only_where_there_is_a_deadline() -> None:
    threads = adopted(TIME)
    with pytest.raises(Nondeterministic, match="at step 1 time could not go on"):
        threads.step()
    threads.close()


def test_time_does_not_go_back_for_a_deadline_in_the_past() -> None:
    threads = adopted()
    threads.sleep(10)
    assert not threads.step("it", READ, lambda: False, 3)
    assert threads.time == 10
    threads.close()


# Turns, a bound on the steps, and chances.


@pytest.mark.parametrize("seed", [None, 1])
def test_a_thread_that_polls_lets_the_thread_go_on_that_it_polls_for(seed: int | None) -> None:
    threads = SimulatedThreads(seed)
    threads.adopt("main")
    found: list[str] = []
    threads.start("writer", lambda: found.append("it"), seen)
    while not found:
        threads.step("it", READ)
    threads.close()
    assert seed or threads.made == TURN


def test_a_thread_that_is_alone_has_one_turn_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Steps] = []
    choose = FirstCome.choose

    def ask(schedule: FirstCome, steps: Steps) -> int | None:
        asked.append(steps)
        return choose(schedule, steps)

    monkeypatch.setattr(FirstCome, "choose", ask)
    threads = SimulatedThreads()
    threads.adopt("main")
    for _ in range(3 * TURN):
        threads.step("it", READ)
    threads.close()
    assert len(asked) == 3  # once a turn, and not at each step from the first on


def test_a_run_that_makes_too_many_steps_is_a_livelock_that_says_what_each_thread_waits_for() -> (
    None
):
    threads = adopted()
    threads.schedule.step_limit = 50
    threads.start("sleeper", lambda: threads.sleep(10**9), seen, settle=True)

    def poll() -> None:
        while True:
            threads.step("it", READ)

    with pytest.raises(Livelock) as caught:
        poll()
    lines = [re.sub(r":\d+", "", line) for line in str(caught.value).splitlines()]
    assert lines == [
        "the run has made 50 steps (step_limit) and has not ended:",
        "  main goes on; it stands at test_steps.py in poll",
        "  sleeper waits for time to pass; it stands at test_steps.py in <lambda>",
    ]
    assert [place.rpartition(" ")[2] for place in caught.value.places] == ["<lambda>", "poll"]
    assert threads.stuck is caught.value
    with pytest.raises(Livelock):  # a program that catches it gets it again
        threads.step()
    threads.close()


def chances(*script: int) -> list[bool]:
    """What a thread finds at three chances under this script."""
    threads = adopted(*script)
    threads.schedule.chances = frozenset({"rain"})
    found = [threads.chance(kind) for kind in ("rain", "snow", "rain")]
    threads.close()
    return found


def test_a_chance_has_two_ways_and_only_the_kind_that_is_tried() -> None:
    assert chances(0, 0) == [False, False, False]
    assert chances(other_way(0), 0) == [True, False, False]
    assert chances(0, other_way(0)) == [False, False, True]


def test_a_script_may_choose_the_other_way_only_where_there_is_one() -> None:
    threads = adopted(other_way(0))
    with pytest.raises(Nondeterministic, match="step 1 the other way of thread 0 could not go on"):
        threads.step()
    threads.close()


@pytest.mark.parametrize("number", [0, 1, 7])
def test_the_other_way_of_a_thread_is_a_number_that_leads_back_to_it(number: int) -> None:
    assert other_way(other_way(number)) == number
    assert thread_of(number) == thread_of(other_way(number)) == number
    assert thread_of(TIME) == TIME
    assert other_way(number) not in (TIME, number)
