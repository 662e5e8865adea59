"""The switch in a browser, on a loop that plays the browser's."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType
from typing import Any

import fake_browser
import pytest
from plays import closes

from driverref import Emulator, explore
from driverref.diagnostics import where
from driverref.errors import Deadlock, Misuse
from driverref.player import game
from driverref.threads import OUTSIDE, running, running_thread, simulated, steps
from driverref.threads.thread import Thread


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ModuleType, fake_browser.Loop]]:
    yield fake_browser.enter(monkeypatch)
    gc.enable()


@pytest.fixture
def switching(browser: tuple[ModuleType, fake_browser.Loop]) -> Any:
    return browser[0]


@pytest.fixture
def loop(browser: tuple[ModuleType, fake_browser.Loop]) -> fake_browser.Loop:
    return browser[1]


@pytest.fixture
def package(switching: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have simulated threads switch so."""
    for module in simulated, steps:
        monkeypatch.setattr(module, "Unwound", switching.Unwound)
    monkeypatch.setattr(simulated, "Coroutine", switching.Coroutine)


def test_a_stack_goes_on_where_it_was_left(switching: Any) -> None:
    order: list[str] = []
    outside = switching.Coroutine()

    def body() -> None:
        order.append("begins")
        outside.switch()
        order.append("goes on")

    inside = switching.Coroutine(body)
    inside.finish_into(outside)
    assert outside.is_running()
    inside.switch()
    order.append("outside")
    assert not inside.is_running()
    inside.switch()
    assert order == ["begins", "outside", "goes on"]


def test_the_running_thread_is_the_one_that_goes_on(switching: Any) -> None:
    outside, inside = switching.Coroutine(), None

    def body() -> None:
        running_thread.set(Thread("inside"))
        outside.switch()

    inside = switching.Coroutine(body)
    inside.switch()
    assert running() is OUTSIDE
    inside.unwind()


def test_a_body_gets_the_stack_of_one_that_has_ended(
    switching: Any, loop: fake_browser.Loop
) -> None:
    outside, order = switching.Coroutine(), list[int]()
    for number in range(3):
        inside = switching.Coroutine(partial(order.append, number))
        inside.finish_into(outside)
        inside.switch()
        inside.unwind()  # does nothing
    assert order == [0, 1, 2]
    assert len(loop.begun) == 1


def test_a_crowd_is_unwound_and_some_of_its_stacks_are_kept(
    switching: Any, loop: fake_browser.Loop
) -> None:
    """Those that were begun, and those that were not."""
    outside, unwound = switching.Coroutine(), list[int]()

    def body(number: int) -> None:
        try:
            outside.switch()
        finally:
            unwound.append(number)

    crowd = [switching.Coroutine(partial(body, number)) for number in range(200)]
    for each in crowd[:100]:
        each.switch()
    for each in crowd:
        each.unwind()
    last = switching.Coroutine(partial(unwound.append, 100))
    last.finish_into(outside)
    last.switch()
    assert unwound == list(range(101))
    assert len(loop.begun) == 200
    assert sum(stack.dead for stack in loop.begun) == 200 - switching._KEPT


def test_what_leaves_a_body_is_raised_outside(switching: Any) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    ended = switching.Coroutine(interrupted)
    with pytest.raises(KeyboardInterrupt):
        ended.switch()
    ended.unwind()  # does nothing


def test_a_stack_says_where_it_stands(switching: Any) -> None:
    outside = switching.Coroutine()
    inside: Any = None

    def body() -> None:
        assert where(inside.standing()).endswith("in body")
        outside.switch()

    inside = switching.Coroutine(body)
    assert inside.standing() is None
    inside.finish_into(outside)
    inside.switch()
    for _ in range(2):
        assert where(inside.standing()).endswith(f":{body.__code__.co_firstlineno + 2} in body")
        assert outside.is_running()
    inside.switch()
    assert inside.standing() is None


def test_only_the_stack_that_made_an_emulator_may_call_it(switching: Any) -> None:
    outside = switching.Coroutine()

    def body() -> None:
        outside.check_running()

    inside = switching.Coroutine(body)
    with pytest.raises(Misuse, match="called on another stack"):
        inside.switch()
    outside.check_running()


def test_the_collector_is_called_from_time_to_time_and_never_runs_by_itself(
    switching: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not gc.isenabled()
    collected: list[int] = []
    monkeypatch.setattr(switching, "_COLLECT", 3)
    monkeypatch.setattr(gc, "collect", lambda: collected.append(1))
    for _ in range(7):
        switching.Coroutine(lambda: None).unwind()
    assert len(collected) == 2


def test_a_baton_need_not_be_awaited(switching: Any) -> None:
    with pytest.raises(NotImplementedError):
        switching._Baton().__await__()


@pytest.mark.usefixtures("package")
def test_an_exploration_and_its_game_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    found = explore(closes)
    here = str(found), game(found)
    monkeypatch.undo()
    found = explore(closes)
    assert here == (str(found), game(found))


@pytest.mark.usefixtures("package")
def test_a_deadlock_says_where_each_thread_stands() -> None:
    others: list[object] = []

    def story() -> None:
        with Emulator() as erl:
            others.append(erl.spawn(lambda: print(erl.receive())))
            erl.receive()

    with pytest.raises(Deadlock) as caught:
        story()
    text = str(caught.value)
    assert text.count("waits for a message to") == 2
    assert text.count("test_stack_switching.py:") == 2
    assert str(others[0]) in text


def test_a_python_in_a_browser_has_this_switch(
    browser: object, monkeypatch: pytest.MonkeyPatch, load: Callable[[], ModuleType]
) -> None:
    assert load().Coroutine.__module__ == "driverref.threads.greenlets"
    monkeypatch.setattr(sys, "platform", "emscripten")
    assert load().Coroutine.__module__ == fake_browser.SWITCHING
    assert load().Unwound.__module__ == fake_browser.SWITCHING


@pytest.fixture
def load() -> Callable[[], ModuleType]:
    """Load the module that chooses, once more."""
    from importlib.util import module_from_spec, spec_from_file_location

    from driverref.threads import coroutine

    def chosen() -> ModuleType:
        spec = spec_from_file_location("chosen", coroutine.__file__)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return chosen
