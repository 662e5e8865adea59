"""Coroutines: those that are left behind unwind without going on."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial

from driverref.threads import OUTSIDE, running_thread
from driverref.threads.coroutine import Coroutine
from driverref.threads.simulated import SimulatedThreads


def seen(error: BaseException) -> BaseException:
    return error


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

    def story() -> None:  # in an OS thread of its own, where no other coroutine has been
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

    thread = threading.Thread(target=story)
    thread.start()
    thread.join()
    assert order == ["unwound", "over"]


def test_a_coroutine_may_be_made_in_another_and_outlive_it() -> None:
    order = []

    def story() -> None:  # in an OS thread of its own, where no stack is kept
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

    thread = threading.Thread(target=story)
    thread.start()
    thread.join()
    assert order == ["inner", "over"]


def test_a_coroutine_gets_the_stack_of_one_that_has_ended() -> None:
    outside = Coroutine()
    order: list[int] = []
    for number in range(3):
        inside = Coroutine(partial(order.append, number))
        inside.finish_into(outside)
        inside.switch()
    assert order == [0, 1, 2]


def test_unwinding_a_coroutine_that_has_ended_does_nothing() -> None:
    order: list[str] = []
    coroutine = Coroutine(lambda: order.append("ran"))
    coroutine.switch()
    coroutine.unwind()
    assert order == ["ran"]
