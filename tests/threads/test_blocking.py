"""A driver that uses what stops every simulated thread is warned of it, before it runs."""

from __future__ import annotations

import inspect
import queue
import threading
import time
import time as clock
import warnings
from collections.abc import Callable
from pathlib import Path
from time import sleep as nap
from typing import Any

import pytest
from scripted import made_of

from driverref import Driver, Emulator, explore
from driverref.threads import blocking
from driverref.threads.blocking import INSTEAD, uses

LOCK = threading.Lock()


def used(program: object) -> list[str]:
    return [use.name for use in uses(program)]


def by_module() -> None:
    time.sleep(0)


def by_another_name() -> None:
    nap(0)


def by_the_module_s_other_name() -> None:
    clock.sleep(0)


def by_an_import_of_its_own() -> None:
    import time as t

    t.sleep(0)


def by_a_name_of_its_own() -> None:
    from time import sleep

    sleep(0)


def by_a_lock_that_is_there() -> None:
    with LOCK:
        pass


def by_a_helper() -> None:
    helper()


def helper() -> None:
    queue.Queue[int]()


def by_a_function_within() -> Callable[[], object]:
    def inner() -> object:
        return threading.Event()

    return inner


@pytest.mark.rule("explore.warned-of-blocking")
@pytest.mark.parametrize(
    ("program", "names"),
    [
        (by_module, ["time.sleep"]),
        (by_another_name, ["time.sleep"]),
        (by_the_module_s_other_name, ["time.sleep"]),
        (by_an_import_of_its_own, ["time.sleep"]),
        (by_a_name_of_its_own, ["time.sleep"]),
        (by_a_lock_that_is_there, ["threading.Lock"]),
        (by_a_helper, ["queue.Queue"]),
        (by_a_function_within, ["threading.Event"]),
    ],
)
def test_a_use_is_found_whatever_it_is_called(program: object, names: list[str]) -> None:
    assert used(program) == names
    assert used(program) == [], "it is told once"


def test_a_use_is_found_through_a_closure_and_a_method() -> None:
    def napper() -> None:
        nap(0)

    class Sleepy(Driver):
        driver_name = "sleepy"

        class Inner:
            pass

        def output(self, port: Any, buf: memoryview) -> None:
            napper()

        @staticmethod
        def other() -> None:
            later()

    assert used(Sleepy) == ["time.sleep"]
    assert used(Sleepy) == []

    def later() -> None:
        pass


def test_what_is_not_the_program_s_is_not_looked_through() -> None:
    def harmless() -> object:
        threading.current_thread()
        time.monotonic()
        inspect.signature(len)
        return queue.Empty, threading.local()

    assert used(harmless) == []
    assert used(len) == used(threading.Timer) == used(3) == []


@pytest.mark.parametrize("name", sorted({name for name, _ in INSTEAD.values()}))
def test_each_of_them_is_found_by_its_name(name: str) -> None:
    names: dict[str, Any] = {"queue": queue, "threading": threading, "time": time}
    exec(compile(f"def uses_it():\n    return {name}", f"{name}.py", "exec"), names)
    assert used(names["uses_it"]) == [name]


# When it is warned.


def a_driver() -> Driver:
    def output(port: Any, buf: memoryview) -> None:
        nap(0)

    class Sleepy(Driver):
        driver_name = "sleepy"

        def output(self, port: Any, buf: memoryview) -> None:
            output(port, buf)

    return Sleepy()


@pytest.fixture(autouse=True)
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was looked through before."""
    monkeypatch.setattr(blocking, "_read", set())
    monkeypatch.setattr(blocking, "_read_classes", set())
    globals().pop("__warningregistry__", None)


@pytest.mark.rule("explore.warned-of-blocking")
def test_it_is_warned_when_the_driver_is_loaded_with_the_line_and_what_to_do() -> None:
    with Emulator() as erl, pytest.warns(RuntimeWarning) as seen:
        erl.erl_ddll.load_driver(a_driver())
    (warning,) = seen
    assert str(warning.message) == (
        "time.sleep stops every simulated thread, because they share one thread of Python's; a"
        " driver uses usleep, which takes virtual time"
    )
    line = Path(warning.filename).read_text("utf-8").splitlines()[warning.lineno - 1]
    assert line.strip() == "nap(0)"


def test_it_is_warned_once_in_a_search_and_of_the_scenario_too() -> None:
    def scenario(erl: Emulator) -> None:
        erl.erl_ddll.load_driver(a_driver())
        time.sleep(0)

    with pytest.warns(RuntimeWarning) as seen:
        explore(scenario)
    assert len({warning.lineno for warning in seen}) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explore(scenario)


def test_on_threads_of_the_operating_system_it_is_right_to_use_them() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Emulator(threads="native") as erl:
            erl.erl_ddll.load_driver(a_driver())


def test_a_driver_without_them_is_not_warned() -> None:
    with Emulator() as erl:
        erl.erl_ddll.load_driver(made_of(output=lambda port, buf: None))
