"""NULL: for every pointer of every call of `erl_driver.h` the model does what real emulators did.

The record is `tests/beam/nulls.json`, written by `make beam`.  Without Erlang the record is checked;
with it, each call is made again.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent / "beam"))
import nulls
from otp import Missing, tools

from driverref import erl_driver

RECORD: dict[str, Any] = json.loads(nulls.RECORD.read_text("utf-8"))

NO_POINTERS = ("int", "Pid", "Port")
"""The types of parameters that are no pointers in C: numbers, and terms."""

EXCEPT = {
    "driver_alloc.size": "a number of bytes",
    "sizeof.block": "no function of C",
    "driver_select.event": "a descriptor, a number",
    "erl_drv_tsd_key_destroy.key": "a number",
    "erl_drv_tsd_set.key": "a number",
    "erl_drv_tsd_get.key": "a number",
    "driver_create_port.drv_data": "any driver data, NULL too",
    "erl_drv_init_ack.res": "any driver data, NULL too",
    "erl_drv_thread_exit.exit_value": "any pointer, and the call does not return",
    "driver_async_cancel.id": "a number, and the call is gone",
}
"""What has no pointer to be NULL, although its type does not say so."""


def functions() -> dict[str, inspect.Signature]:
    """Every call of the header that the model has."""
    found = inspect.getmembers(erl_driver, inspect.isfunction)
    return {name: inspect.signature(function) for name, function in found if name[0] != "_"}


def test_every_pointer_of_every_call_is_in_the_record() -> None:
    pointers = {
        f"{name}.{parameter.name}"
        for name, signature in functions().items()
        for parameter in signature.parameters.values()
        if parameter.annotation not in NO_POINTERS
    }
    assert pointers - EXCEPT.keys() == set(RECORD["said"]) == set(nulls.names())
    assert len(nulls.names()) == len(set(nulls.names()))
    assert nulls.RIGHT.keys() | {"driver_async_cancel"} == functions().keys()


@pytest.mark.parametrize("release", RECORD["emulators"])
@pytest.mark.rule("header.null")
def test_the_model_does_with_null_what_the_emulator_did(release: str) -> None:
    """Where the emulator crashed it is `Misuse`, and else the same result."""
    said = {what: answers[release] for what, answers in RECORD["said"].items()}
    models = {what: nulls.model(what, release) for what in said}
    assert [what for what in said if not nulls.same(what, said[what], models[what])] == []


def test_the_record_is_of_three_emulators_and_readable() -> None:
    assert list(RECORD["emulators"]) == ["25", "27", "29"]
    assert nulls.readable(RECORD) == nulls.RECORD.read_text("utf-8")
    differ = [what for what, answers in RECORD["said"].items() if len(set(answers.values())) > 1]
    assert differ == ["erl_drv_thread_create.name"]
    trust = (Path(__file__).parents[1] / "docs" / "trust.md").read_text("utf-8")
    assert f"each of the {len(RECORD['said'])} pointers" in trust


@pytest.mark.rule("header.null")
@pytest.mark.parametrize(
    ("what", "release", "text"),
    [
        ("driver_enqv.ev", "25", "driver_enqv: ev is NULL: the emulator would crash"),
        ("driver_output.port", "25", "driver_output: port is NULL: the emulator would crash"),
        ("driver_pdl_lock.pdl", "25", "driver_pdl_lock: pdl is NULL: the emulator would crash"),
        ("erl_drv_thread_create.name", "26", "opts is given, but name is NULL: the emulator would"),
    ],
)
def test_a_null_that_crashes_is_named(what: str, release: str, text: str) -> None:
    calls = nulls.Calls(what)
    assert nulls.said_by(calls, release) == "crash"
    assert text in str(calls.error)


@pytest.mark.slow
def test_a_pointer_of_the_header_is_in_the_record(tmp_path: Path) -> None:
    """The declarations themselves are read, where they are installed."""
    try:
        header = (tools("read", tmp_path).include / "erl_driver.h").read_text("utf-8")
    except Missing as missing:
        pytest.skip(str(missing))
    header = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    filled_in = {"driver_peekq": 1, "driver_peekqv": 1, "driver_monitor_process": 1}
    filled_in |= {"driver_system_info": 1, "driver_get_now": 1}
    found = 0
    for name, rest in re.findall(r"EXTERN[^;(]*?\b(\w+)\s*\(([^;]*)\)[^;]*;", header):
        if name not in functions():
            continue
        # A parameter that is a function has brackets, and commas within them.
        parameters = re.sub(r"\(\s*\*\s*\w*\s*\)\s*\([^)]*\)", "*", rest).split(",")
        pointers = [p for p in parameters if re.search(r"\*|\bErlDrv(Port|PDL|Tid)\b", p)]
        known = [what for what in RECORD["said"] if what.startswith(f"{name}.")]
        if name != "erl_drv_thread_exit":
            assert len(pointers) == len(known) + filled_in.get(name, 0), (name, pointers, known)
        found += 1
    assert found > 80


@pytest.mark.slow
def test_the_emulator_does_now_what_the_record_says(tmp_path: Path) -> None:
    try:
        found = tools("asked about NULL", tmp_path)
    except Missing as missing:
        pytest.skip(str(missing))
    if found.release not in RECORD["emulators"]:
        pytest.skip(f"the record is not of OTP {found.release}")
    # One of those that crash takes a while, so only a part is asked here, and all by `make beam`.
    some = nulls.names()[::6]
    said = nulls.ask(tmp_path, found, some)
    assert said == {what: RECORD["said"][what][found.release] for what in some}
