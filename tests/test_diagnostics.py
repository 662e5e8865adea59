"""Places and values in messages: they say the same in every run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import driverref
from driverref.diagnostics import caller, defined, message, raised, shown, standing, where
from driverref.terms import Atom, Pid, Tuple, erlang

HERE = Path(__file__).name
PACKAGE = Path(driverref.__file__).parent


def here() -> str:
    """The place of this call."""
    return where(caller())


def compiled(source: str, file: Path | str, **names: Any) -> dict[str, Any]:
    """The names that `source` defines, as if it stood in `file`."""
    exec(compile(source, str(file), "exec"), names)
    return names


# Places.


def test_a_place_is_a_file_without_its_folder_a_line_and_a_function() -> None:
    assert here() == f"{HERE}:{here.__code__.co_firstlineno + 2} in here"
    at_top_level = compiled(
        "place = where(caller())", "/home/me/drv.py", where=where, caller=caller
    )
    assert at_top_level["place"] == "drv.py:1"


def test_an_example_of_a_docstring_has_the_place_of_its_page() -> None:
    names = compiled("place = where(caller())", "<doctest page.md[7]>", where=where, caller=caller)
    assert names["place"] == "page.md:1"


@pytest.mark.parametrize("file", [PACKAGE / "runtime/own.py", Path(json.__file__)])
def test_the_package_and_the_standard_library_are_passed_over(file: Path) -> None:
    call = compiled("def call(function): return function()", file)["call"]
    assert where(call(caller)).endswith(
        "in test_the_package_and_the_standard_library_are_passed_over"
    )
    with ExitStack() as end:
        places: list[str] = []
        end.callback(lambda: places.append(here()))
    assert places[0].endswith("in here")


def test_what_is_installed_beside_the_standard_library_is_a_program() -> None:
    installed = Path(json.__file__).parents[1] / "site-packages/theirs.py"
    call = compiled("def call(function): return function()", installed)["call"]
    assert where(call(caller)) == "theirs.py:1 in call"


@pytest.mark.parametrize(
    "room", ["explore/run.py", "conformance.py", "command/x.py", "__main__.py"]
)
def test_the_program_that_explores_a_scenario_is_not_the_scenario(room: str) -> None:
    run = compiled("def run(scenario): return scenario()", PACKAGE / room)["run"]
    assert run(caller) is None
    assert where(run(lambda: [caller()])[0]).endswith(" in <lambda>")


def test_no_place_is_the_emulator_s_own_doing() -> None:
    assert standing(None) is None
    assert where(None) == "the emulator's own doing"


def test_an_exception_has_the_place_of_the_innermost_line_of_the_program() -> None:
    def parse() -> None:
        json.loads("{")

    with pytest.raises(json.JSONDecodeError) as caught:
        parse()
    assert where(raised(caught.value)) == f"{HERE}:{parse.__code__.co_firstlineno + 1} in parse"
    assert raised(ValueError("never raised")) is None


class Drivers:
    def method(self) -> None: ...
    @staticmethod
    def static() -> None: ...


@pytest.mark.parametrize(
    "function", [here, Drivers().method, Drivers.static, partial(partial(here), 1)]
)
def test_a_function_has_the_place_of_its_definition(function: Callable[..., object]) -> None:
    assert where(defined(function)).startswith(f"{HERE}:")


def test_what_is_not_written_in_python_has_none() -> None:
    assert defined([].append) is None


# Values.


class Secret:
    pass


class Failing:
    def __repr__(self) -> str:
        raise ArithmeticError("no")


CYCLE: list[object] = [1]
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Secret(), "<test_diagnostics.Secret object>"),
        (here, "<function here>"),
        ([lambda: 0, 1], "[<function <lambda>>, 1]"),
        (memoryview(b"x"), "<memory>"),
        ({"b", "a", "c"}, "{'a', 'b', 'c'}"),
        (frozenset({2, "x"}), "frozenset({'x', 2})"),
        ((frozenset(), set(), (1,), ()), "(frozenset(), set(), (1,), ())"),
        ({"k": {Secret()}}, "{'k': {<test_diagnostics.Secret object>}}"),
        ("a word at 0x7f1234567890>", "'a word at 0x7f1234567890>'"),
        (CYCLE, "[1, [...]]"),
        (Failing(), "<Failing>"),
        ([Failing()], "<list>"),
        (Atom("ok"), "ok"),
        ((Pid(1), Tuple((Atom("a"), b"b"))), '(<0.1.0>, {a,<<"b">>})'),
    ],
)
def test_a_value_is_shown_without_what_changes_from_run_to_run(value: object, text: str) -> None:
    assert shown(value) == text


def test_a_number_of_more_digits_than_python_prints_is_shown_by_its_type() -> None:
    assert shown(10**5000) == "<int>"


def test_a_long_value_is_cut() -> None:
    assert shown("x" * 100, 60) == "'" + "x" * 56 + "..."
    assert len(shown([object()] * 100, 60)) == 60


def test_a_set_is_shown_alike_under_every_seed_of_the_hash() -> None:
    """The order of a set of strings is that of their hashes, which differ from process to process."""
    words = [f"w{i}" for i in range(50)]
    assert shown(set(words)) == "{" + ", ".join(sorted(map(repr, words))) + "}"


def test_what_is_no_term_is_shown_in_the_trace_without_its_address() -> None:
    assert erlang((Atom("data"), Secret())) == "{data,<test_diagnostics.Secret object>}"
    assert "0x" in repr(Secret())


def test_a_place_keeps_nothing_of_its_frame_alive() -> None:
    class Large:
        pass

    def take() -> Any:
        large = Large()
        before = sys.getrefcount(large)
        place = caller()
        assert sys.getrefcount(large) == before
        return place

    assert where(take()).endswith(" in take")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError(), ""),
        (ValueError("plain"), "plain"),
        (ValueError(f"of {Secret()}"), "of <test_diagnostics.Secret object>"),
        (ValueError({"b", "a"}), "{'a', 'b'}"),
        (LookupError(Secret(), 1), "(<test_diagnostics.Secret object>, 1)"),
        (KeyError("of", {"b", "a"}), "('of', {'a', 'b'})"),
        (KeyError("key"), "'key'"),
        (KeyError(Secret()), "<test_diagnostics.Secret object>"),
        (OSError(2, "No such file"), "[Errno 2] No such file"),
    ],
)
def test_the_message_of_an_exception_is_its_own_without_what_changes(
    error: Exception, text: str
) -> None:
    assert message(error) == text
