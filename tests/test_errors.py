"""Errors: whose fault, and what the text says."""

from __future__ import annotations

import inspect
import pickle

import pytest

import driverref
from driverref import errors
from driverref.errors import (
    Deadlock,
    DriverFault,
    EmulatorHang,
    EmulatorStopped,
    ErlangError,
    Interrupted,
    Leak,
    Nondeterministic,
    ProcessExit,
    badarg,
    wrong_type,
    wrong_value,
)
from driverref.terms import Atom

CLASSES = [
    c for _, c in inspect.getmembers(errors, inspect.isclass) if c.__module__ == errors.__name__
]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_says_what_to_make_of_it(kind: type[BaseException]) -> None:
    assert issubclass(kind, Exception) or kind is Interrupted
    assert kind.__doc__


def test_what_a_bif_raises_stands_beside_the_terms() -> None:
    assert driverref.ErlangError is ErlangError
    assert driverref.Atom is Atom


def test_what_the_driver_did_wrong_can_be_caught_as_one() -> None:
    others = {
        ErlangError,
        ProcessExit,
        EmulatorHang,
        EmulatorStopped,
        Nondeterministic,
        Interrupted,
    }
    assert {kind for kind in CLASSES if not issubclass(kind, DriverFault)} == others


def test_a_leak_has_a_row_a_block() -> None:
    leak = Leak(["Job allocated at drv.py:3", "mutex 'm' created at drv.py:9"])
    assert leak.blocks == ("Job allocated at drv.py:3", "mutex 'm' created at drv.py:9")
    assert str(leak) == (
        "2 blocks never freed:\n  Job allocated at drv.py:3\n  mutex 'm' created at drv.py:9"
    )
    assert str(Leak(["Job"])) == "1 block never freed:\n  Job"


def test_a_deadlock_has_a_row_a_thread() -> None:
    deadlock = Deadlock(["async 1 waits for a job", "scheduler 1 waits for work"])
    assert deadlock.waiting == ("async 1 waits for a job", "scheduler 1 waits for work")
    assert str(deadlock).splitlines() == [
        "no thread can go on:",
        "  async 1 waits for a job",
        "  scheduler 1 waits for work",
    ]


def test_an_erlang_error_has_a_reason_and_may_explain_it() -> None:
    assert str(ErlangError("einval")) == ErlangError("einval").reason == "einval"
    explained = ErlangError("badarg", "port_command: the port is closed")
    assert explained.reason == "badarg"
    assert str(explained) == "badarg: port_command: the port is closed"


def test_the_end_of_a_process_has_a_reason() -> None:
    assert ProcessExit("normal").reason == str(ProcessExit("normal")) == "normal"


@pytest.mark.parametrize(
    "error",
    [
        Leak(["Job allocated at drv.py:3"]),
        Deadlock(["async 1 waits for a job", "scheduler 1 waits for work"]),
        ErlangError("badarg", "port_command: the port is closed"),
        ProcessExit((Atom("shutdown"), 7)),
        Nondeterministic("it ended at step 3"),
    ],
)
def test_an_error_that_comes_from_another_process_says_the_same(error: Exception) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (wrong_type("f", "t", "an int", "soon"), TypeError, "f: t must be an int, not 'soon'"),
        (wrong_value("f", "t", "0 or more", -1), ValueError, "f: t must be 0 or more, not -1"),
        (badarg("f", "t", "a port", 7), ErlangError, "badarg: f: t must be a port, not 7"),
    ],
)
def test_a_bad_argument_is_named_and_shown(
    error: Exception, kind: type[Exception], text: str
) -> None:
    assert type(error) is kind
    assert str(error) == text


def test_a_long_argument_is_cut() -> None:
    shown = str(wrong_type("f", "t", "an int", "x" * 1000)).partition(", not ")[2]
    assert len(shown) == 60
    assert shown.endswith("xxx...")
