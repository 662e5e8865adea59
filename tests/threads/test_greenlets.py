"""Coroutines: each has a stack of its own, and those that are left behind unwind."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import pairwise

import greenlet
import pytest

from driverref.threads import OUTSIDE, running_thread
from driverref.threads.coroutine import Coroutine
from driverref.threads.simulated import SimulatedThreads


def seen(error: BaseException) -> BaseException:
    return error


def alone(story: Callable[[], None]) -> None:
    """Run the story in an OS thread of its own, where no other coroutine has been."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            story()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert failures == []


def greenlets() -> list[greenlet.greenlet]:
    """Those that there are in the process."""
    gc.collect()
    return [each for each in gc.get_objects() if isinstance(each, greenlet.greenlet)]


def room() -> int:
    """How many calls fit on the running stack."""
    try:
        return 1 + room()
    except RecursionError:
        return 0


def at_depth(calls: int, function: Callable[[], None]) -> None:
    """Call the function from so many calls."""
    if calls:
        at_depth(calls - 1, function)
    else:
        function()


def test_those_left_behind_unwind_without_going_on() -> None:
    threads, order = SimulatedThreads(), []
    threads.adopt("main")
    queue = threads.queue("nothing")

    def work() -> None:
        try:
            queue.get()
            order.append("went on")
        finally:
            order.append(f"{threads.now()} unwound")

    threads.start("worker", work, seen)
    threads.sleep(1)
    threads.start("never begun", lambda: order.append("began"), seen)
    threads.close()
    assert order == ["1 unwound"]
    assert running_thread.get() is OUTSIDE


def test_what_happens_while_unwinding_is_nobodys_business() -> None:
    threads, order, crashes = SimulatedThreads(), [], []
    threads.adopt("main")
    queue = threads.queue("nothing")

    def crashed(error: BaseException) -> BaseException:
        crashes.append(error)
        return error

    def swallow() -> None:
        with suppress(BaseException):
            queue.get()
        order.append("swallowed")

    def fail() -> None:
        try:
            queue.get()
        finally:
            order.append("failed")
            raise ValueError("while unwinding")

    def touch() -> None:
        try:
            queue.get()
        finally:
            queue.put("another step")
            order.append("went on")

    def end() -> None:
        try:
            queue.get()
        finally:
            order.append("ended")

    for work in (swallow, fail, touch, end):
        threads.start(work.__name__, work, crashed)
    threads.sleep(1)
    threads.close()
    assert order == ["swallowed", "failed", "ended"]
    assert crashes == []


def test_a_coroutine_that_nobody_refers_to_unwinds() -> None:
    order = []

    def story() -> None:
        outside = Coroutine()

        def body() -> None:
            try:
                outside.switch()
            finally:
                order.append("unwound")

        inside = Coroutine(body)
        inside.switch()
        del inside
        order.append("over")

    alone(story)
    assert order == ["unwound", "over"]


def test_a_coroutine_may_be_made_in_another_and_outlive_it() -> None:
    order = []

    def story() -> None:
        outside = Coroutine()
        inner: list[Coroutine] = []

        def body() -> None:
            inner.append(Coroutine(lambda: order.append("inner")))
            inner[0].finish_into(outside)

        outer = Coroutine(body)
        outer.finish_into(outside)
        outer.switch()
        inner[0].switch()
        order.append("over")

    alone(story)
    assert order == ["inner", "over"]


def test_a_coroutine_gets_the_stack_of_one_that_has_ended() -> None:
    outside = Coroutine()
    order: list[int] = []
    for number in range(3):
        inside = Coroutine(partial(order.append, number))
        inside.finish_into(outside)
        inside.switch()
    assert order == [0, 1, 2]


def test_of_many_coroutines_that_are_unwound_only_some_greenlets_are_kept() -> None:
    """Begun or not: an OS thread keeps a bounded number of greenlets for the next coroutines."""
    before = len(greenlets())

    def story() -> None:
        outside = Coroutine()
        crowd = [Coroutine(outside.switch) for _ in range(200)]
        for each in crowd[100:]:
            each.switch()
        for each in crowd:
            each.unwind()
        crowd.clear()
        assert len(greenlets()) - before < 100

    alone(story)


def test_ctrl_c_in_a_coroutine_reaches_the_program_and_later_ones_run() -> None:
    """A thread's body catches what its target raises.  So Ctrl-C leaves it only at its very end."""
    order: list[str] = []

    def interrupted() -> None:
        raise KeyboardInterrupt

    def body(outside: Coroutine, name: str) -> None:
        try:
            outside.switch()
        finally:
            order.append(name)

    def story() -> None:
        outside = Coroutine()
        waiting, ended = Coroutine(partial(body, outside, "earlier")), Coroutine(interrupted)
        waiting.switch()
        with pytest.raises(KeyboardInterrupt):
            ended.switch()
        ended.unwind()  # does nothing
        later = Coroutine(partial(body, outside, "later"))
        later.finish_into(outside)
        later.switch()
        waiting.unwind()
        later.switch()
        order.append("over")

    alone(story)
    assert order == ["earlier", "later", "over"]


def test_each_coroutine_has_a_whole_stack_however_deep_it_was_made_and_entered() -> None:
    rooms: list[int] = []

    def story() -> None:
        outside = Coroutine()

        def body(generation: int) -> None:
            rooms.append(room())
            if generation:
                inner = Coroutine(partial(body, generation - 1))
                inner.finish_into(outside)
                at_depth(100, inner.switch)

        first = Coroutine(partial(body, 20))
        first.finish_into(outside)
        at_depth(500, first.switch)

    alone(story)
    assert len(rooms) == 21
    assert min(rooms) > sys.getrecursionlimit() - 100


def test_a_program_may_have_greenlets_of_its_own() -> None:
    """The first coroutine of the OS thread is made in one that ends before the next is made."""
    order: list[str] = []

    def emulate(name: str) -> None:
        outside = Coroutine()
        inside = Coroutine(partial(order.append, name))
        inside.finish_into(outside)
        inside.switch()

    def story() -> None:
        for name in ("first", "second"):
            greenlet.greenlet(partial(emulate, name)).switch()
        emulate("outermost")

    alone(story)
    assert order == ["first", "second", "outermost"]


def test_any_number_of_coroutines_may_be_there_begun_or_not() -> None:
    """None of them ends before the last is made, so none gets the stack of another."""
    order: list[str] = []

    def story() -> None:
        before = len(greenlets())
        outside = Coroutine()

        def body(number: int) -> None:
            outside.switch()
            order.append(f"ended {number}")

        many = [Coroutine(partial(body, number)) for number in range(1_000)]
        for coroutine in many[:500]:
            coroutine.switch()
        # The last of those that have begun is followed by one that has not.
        for coroutine, follower in pairwise(many[:501]):
            coroutine.finish_into(follower)
        at_depth(300, many[0].switch)
        assert order == [f"ended {number}" for number in range(500)]
        del many, coroutine, follower
        assert len(greenlets()) - before < 100

    alone(story)


def test_an_os_thread_leaves_no_greenlet_behind() -> None:
    left: list[weakref.ref[greenlet.greenlet]] = []

    def story() -> None:
        before = greenlets()
        threads = SimulatedThreads()
        threads.adopt("main")
        for _ in range(3):
            threads.start("worker", lambda: None, seen)
        threads.sleep(1)
        threads.close()
        # The outermost is greenlet's own, and goes when the thread does, not when it is joined.
        before.append(greenlet.getcurrent())
        left.extend(weakref.ref(each) for each in greenlets() if each not in before)

    alone(story)
    assert len(left) > 3
    assert [ref() for ref in left] == [None] * len(left)
