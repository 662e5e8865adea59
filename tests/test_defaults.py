"""The defaults: whatever runs a scenario and is not told on what emulator takes the same one.

What runs a scenario is found here by itself: each public function with a parameter `scenario`, and
each command with a file.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import click
import pytest
from command_line import given

from driverref import Emulator, conformance, explore
from driverref.__main__ import main
from driverref.emulator import DEFAULTS, EmulatorOptions
from driverref.explore.strategy import ExploreOptions
from driverref.explore.witness import READ, RUN_DEFAULTS, RunOptions
from driverref.release import RELEASES

MODULES = (sys.modules["driverref.explore"], conformance)

FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: function
    for module in MODULES
    for name in module.__all__
    if inspect.isfunction(function := getattr(module, name))
    and "scenario" in inspect.signature(function).parameters
}

COMMANDS: dict[str, click.Command] = {
    name: command
    for name, command in main.commands.items()
    if "target" in [parameter.name for parameter in command.params]
}

NEEDED: dict[str, Any] = {"witness": "", "events": (), "observe": ()}
"""What some of the functions have to be given beside the scenario."""

Size = tuple[Any, ...]


def size(erl: Emulator) -> Size:
    """What the emulator was started with."""
    items = ("thread_pool_size", "schedulers", "otp_release")
    return tuple(erl.system_info(item) for item in items)


def plain(**options: Any) -> Size:
    """The size of an `Emulator` of these options."""
    with Emulator(**options) as erl:
        return size(erl)


def ran(function: Callable[..., Any], **options: Any) -> set[Size]:
    """The sizes of the emulators on which a function runs a scenario."""
    sizes: set[Size] = set()
    parameters = inspect.signature(function).parameters.values()
    needed = {
        p.name: NEEDED[p.name] for p in parameters if p.default is p.empty and p.name in NEEDED
    }
    function(lambda erl: sizes.add(size(erl)), **needed, **options)
    return sizes


def test_what_runs_a_scenario_is_found() -> None:
    assert {"explore", "compare", "replay", "assert_outcomes"} <= FUNCTIONS.keys()
    assert {"explore", "compare", "timeline"} <= COMMANDS.keys()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_runs_a_scenario_on_a_plain_emulator(name: str) -> None:
    sizes = ran(FUNCTIONS[name])
    # A comparison runs it on every era: on today's as the others do.
    today = {size for size in sizes if size[2] == DEFAULTS["release"]}
    assert today == {plain()}
    assert name == "compare" or sizes == today


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "compare"])
def test_on_an_older_release_as_well(name: str, release: str) -> None:
    assert ran(FUNCTIONS[name], release=release) == {plain(release=release)}


@pytest.mark.parametrize("release", [None, *RELEASES])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_does_as_the_functions(
    name: str, release: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if release is not None and "release" not in [p.name for p in COMMANDS[name].params]:
        return
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    Path("size.py").write_text(
        "import json\n"
        "def scenario(erl):\n"
        "    items = 'thread_pool_size', 'schedulers', 'otp_release'\n"
        "    with open('sizes', 'a') as file:\n"
        "        print(json.dumps([erl.system_info(item) for item in items]), file=file)\n"
    )
    words = [] if release is None else ["--release", release]
    assert given(name, "size.py", *words).exit_code == 0
    sizes = {tuple(json.loads(line)) for line in Path("sizes").read_text().splitlines()}
    expected = plain(release=release or DEFAULTS["release"])
    assert {size for size in sizes if size[2] == expected[2]} == {expected}


@pytest.mark.parametrize("function", [Emulator, *FUNCTIONS.values()])
def test_a_default_in_a_signature_is_that_of_the_option(function: Callable[..., Any]) -> None:
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in RUN_DEFAULTS and parameter.default is not parameter.empty:
            assert parameter.default == RUN_DEFAULTS[parameter.name]  # type: ignore[literal-required]


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_of_a_command_has_the_default_of_the_function(name: str) -> None:
    function = inspect.signature(FUNCTIONS.get(name, explore)).parameters
    for option, value in COMMANDS[name].make_context(name, ["size.py"]).params.items():
        if option in RUN_DEFAULTS:
            assert value is None, "it is not handed on, so the function's default holds"
        elif option in function:
            assert value == function[option].default


def test_every_option_has_a_default_and_can_be_given_everywhere() -> None:
    emulator, run = get_type_hints(EmulatorOptions).keys(), get_type_hints(RunOptions).keys()
    assert emulator == DEFAULTS.keys()
    assert run == RUN_DEFAULTS.keys() == READ.keys()
    assert emulator <= inspect.signature(Emulator).parameters.keys()
    assert run <= get_type_hints(ExploreOptions).keys()
    for name in ("explore", "timeline"):
        assert run <= {option.name for option in COMMANDS[name].params}
