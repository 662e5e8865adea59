"""What a fault or an error says is the same in every run: no address, no `id`, no order of a set.

Every class of fault is raised, and every call of the header and every BIF is called wrongly, with plain Python objects as arguments.
All of it is done twice, with other objects, and compared.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
from scripted import made_of
from support import opened
from wrong import CASES

from driverref import Emulator, Struct, erl_driver, errors, explore
from driverref.diagnostics import shown
from driverref.erlang.erl_ddll import ErlDdll
from driverref.errors import DriverFault
from driverref.explore import Fault

# What is called here is called wrongly, so the type checker is kept out.
c: Any = erl_driver

ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}|\b[0-9]{12,}\b")


class Mine:
    """A class of the driver's author."""


ODD: list[Callable[[], Any]] = [
    object,
    Mine,
    lambda: lambda: 0,
    lambda: memoryview(bytearray(b"lent")),
    lambda: {"b", "a", Mine()},
    lambda: frozenset({("x", object())}),
    lambda: [{"k": Mine()}],
    lambda: Mine().__eq__,
]
"""Each call makes another object, which `repr` would show in another way."""

odd = pytest.mark.parametrize("make", ODD, ids=lambda make: shown(make(), 30))


class Box(Struct):
    """A block that holds anything."""

    thing: object
    other: object


def block(thing: object) -> Any:
    """A block that holds `thing`."""
    made = c.driver_alloc(Box)
    made.thing = thing
    return made


def free(made: Any) -> None:
    """A field of it is read, so that what it holds is used."""
    assert made.thing
    c.driver_free(made)


# A driver whose `output` does something with a plain object.

Act = Callable[[Any, Any], object]


def in_a_job(work: Callable[[Any], object], free: Any = None) -> Act:
    """Have a job of the object done."""
    return lambda port, thing: c.driver_async(port, None, work, thing, free)


def twice_freed(port: Any, thing: Any) -> None:
    made = block(thing)
    c.driver_free(made)
    c.driver_free(made)


LENT: list[memoryview] = []
"""The buffer that the last command was lent."""


def kept_buffer(port: Any, thing: Any) -> None:
    (lent,) = LENT
    c.driver_async(port, None, lambda thing: bytes(lent), thing)


def raced(port: Any, thing: Any) -> None:
    made = block(thing)
    c.driver_async(port, None, lambda made: made.thing, made, c.driver_free)
    made.thing = thing


def deadlocked(port: Any, thing: Any) -> None:
    mutex = c.erl_drv_mutex_create("m")
    c.driver_async(port, None, lambda thing: c.erl_drv_mutex_lock(mutex), thing)
    cond = c.erl_drv_cond_create("c")
    c.erl_drv_mutex_lock(mutex)
    c.erl_drv_cond_wait(cond, mutex)


def raises(kind: type[Exception]) -> Act:
    def act(port: Any, thing: Any) -> None:
        raise kind("of", thing)

    return act


def nests(port: Any, thing: Any) -> None:
    """Call itself without end."""
    nests(port, thing)


def missing(port: Any, thing: Any) -> object:
    there: dict[object, object] = {}
    return there[thing if not isinstance(thing, set | list) else "key"]


FAULTS: dict[str, tuple[Act, str]] = {
    "a function calls itself without end": (nests, "StackOverflow"),
    "a block is freed twice": (twice_freed, "DoubleFree"),
    "what was never allocated is freed": (lambda port, thing: c.driver_free(thing), "InvalidFree"),
    "a job frees it": (in_a_job(c.driver_free), "InvalidFree"),
    "its free callback frees it": (in_a_job(lambda thing: 0, c.driver_free), "InvalidFree"),
    "a binary is asked for": (lambda port, thing: c.driver_free_binary(thing), "InvalidFree"),
    "a buffer is used too late": (kept_buffer, "UseAfterFree"),
    "a field is read that is freed": (
        lambda port, thing: [made := block(thing), c.driver_free(made), made.thing],
        "UseAfterFree",
    ),
    "a field is read that was not written": (
        lambda port, thing: block(thing).other,
        "Uninitialised",
    ),
    "a byte outside is written": (
        lambda port, thing: c.driver_alloc(1).__setitem__(2, 0),
        "OutOfBounds",
    ),
    "a block is forgotten": (lambda port, thing: block(thing), "Leak"),
    "two threads use a field": (raced, "DataRace"),
    "a job sends it": (
        lambda port, thing: c.driver_async(
            port, None, lambda thing: c.driver_output_term(port, 1), thing
        ),
        "Misuse",
    ),
    "two wait for each other": (deadlocked, "Deadlock"),
    "an exception of the driver's own": (raises(ValueError), "ValueError"),
    "another": (raises(AssertionError), "AssertionError"),
    "one of nothing but the object": (
        lambda port, thing: (_ for _ in ()).throw(LookupError(thing)),
        "LookupError",
    ),
    "a key is missing": (missing, ""),
    "a wrong argument": (c.driver_set_timer, "TypeError"),
    "in a job": (in_a_job(lambda thing: thing + 1), "TypeError"),
}


def test_every_class_of_fault_is_among_them() -> None:
    # A `Livelock` takes as many steps as a run may have: tests/threads/test_steps.py.
    kinds = {
        kind.__name__
        for kind in vars(errors).values()
        if isinstance(kind, type)
        and issubclass(kind, DriverFault)
        and kind not in (DriverFault, errors.Livelock)
    }
    assert kinds <= {name for _, name in FAULTS.values()}


@pytest.mark.parametrize("make", ODD[1:6:2], ids=lambda make: shown(make(), 30))
@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_says_the_same_whatever_objects_are_in_it(
    what: str, make: Callable[[], Any]
) -> None:
    act, name = FAULTS[what]

    def output(port: Any, buf: memoryview) -> None:
        LENT[:] = [buf]
        act(port, make())

    def scenario(erl: Emulator) -> None:
        erl.port_command(opened(erl, made_of(output=output)), b"lent")

    one, other = explore(scenario), explore(scenario)
    assert one.complete
    assert [fault.name for fault in one.faults if name in ("", fault.name)]
    assert dict(one) == dict(other)
    assert [str(fault) for fault in one] == [str(fault) for fault in other]
    assert str(one) == str(other)
    assert not ADDRESS.search(str(one))
    for fault in one.faults:
        assert str(one.replay(fault).trace) == str(other.replay(fault).trace)


@pytest.mark.parametrize("how", ["output", "control", "outputv", "in a job"])
def test_a_driver_that_frees_the_buffer_it_was_lent_gets_invalid_free(how: str) -> None:
    def outputv(port: Any, ev: Any) -> None:
        c.driver_free(ev.iov[-1])

    def scenario(erl: Emulator) -> None:
        callbacks: dict[str, Any] = {
            "output": lambda port, buf: c.driver_free(buf),
            "control": lambda port, command, buf: c.driver_free(buf),
        }
        if how == "outputv":
            callbacks["outputv"] = outputv
        if how == "in a job":
            callbacks["output"] = lambda port, buf: c.driver_async(port, None, c.driver_free, buf)
        port = opened(erl, made_of(**callbacks))
        if how == "control":
            erl.port_control(port, 1, b"lent")
        else:
            erl.port_command(port, b"lent")

    outcomes = explore(scenario)
    (fault,) = outcomes
    assert isinstance(fault, Fault)
    assert fault.name == "InvalidFree"
    assert fault.text.startswith("driver_free takes a Block, not <")
    assert outcomes.complete


def test_each_fault_of_the_catalogue_says_the_same_twice() -> None:
    for case in CASES[::4]:
        scenario = case.scenario(case.wrong, case.jobs)
        one, other = (explore(scenario, **case.emulator) for _ in range(2))
        assert str(one) == str(other)
        assert not ADDRESS.search(str(one))


# Every call of the header, every BIF.


def parameters(function: Callable[..., object]) -> list[str]:
    """The names of the parameters that a call must give."""
    return [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    ]


CALLS = [
    name
    for name in c.__all__
    if inspect.isfunction(getattr(c, name)) and parameters(getattr(c, name))
]


def said(call: Callable[[], object]) -> str:
    """What a call raises, or that it raises nothing."""
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def told_by_the_calls(make: Callable[[], Any]) -> dict[str, str]:
    """What each call says to the object in the place of each of its arguments, and of all."""
    told: dict[str, str] = {}

    def control(port: Any, command: int, buf: memoryview) -> bytes:
        for name in CALLS:
            function, names = getattr(c, name), parameters(getattr(c, name))
            right = [port if each == "port" else None for each in names]
            for index, each in enumerate(names):
                args = [make() if i == index else right[i] for i in range(len(names))]
                told[f"{name}: {each}"] = said(lambda f=function, a=args: f(*a))  # type: ignore[misc]
            told[f"{name}: all"] = said(lambda f=function, n=names: f(*(make() for _ in n)))  # type: ignore[misc]
        return b""

    with Emulator() as erl:
        port = opened(erl, made_of(control=control, process_exit=lambda port, monitor: None))
        erl.port_control(port, 0, b"")
        erl.halt(flush=False)
    return told


@odd
def test_every_call_of_the_header_says_the_same_of_a_wrong_argument(
    make: Callable[[], Any],
) -> None:
    one, other = told_by_the_calls(make), told_by_the_calls(make)
    assert len(one) > 150
    assert one == other
    assert not [text for text in one.values() if ADDRESS.search(text)]
    refused = {key.partition(":")[0] for key, text in one.items() if text != "nothing"}
    assert refused == set(CALLS)


def told_by_the_bifs(make: Callable[[], Any]) -> dict[str, str]:
    """What each BIF says to the object in the place of each of its arguments."""
    told: dict[str, str] = {}
    with Emulator() as erl:
        opened(erl, made_of())
        erl.process_flag("trap_exit", True)  # of a bad signal
        for owner in (erl, erl.erl_ddll):
            for name, function in inspect.getmembers(owner, inspect.ismethod):
                # Those that wait, that end the emulator or the process, or that start one.
                if name[0] == "_" or name in ("receive", "halt", "stop", "spawn", "exit"):
                    continue
                names = parameters(function)
                for index in range(len(names)):
                    args = [make() if i == index else erl.ports()[0] for i in range(len(names))]
                    told[f"{name}: {names[index]}"] = said(lambda f=function, a=args: f(*a))  # type: ignore[misc]
        erl.halt(flush=False)
    return told


@odd
def test_every_bif_says_the_same_of_a_wrong_argument(make: Callable[[], Any]) -> None:
    one, other = told_by_the_bifs(make), told_by_the_bifs(make)
    assert len(one) > 25
    assert one == other
    assert not [text for text in one.values() if ADDRESS.search(text)]
    assert {key for key in one if key.startswith("load_driver")}, ErlDdll


def test_a_plain_object_for_a_reason_is_refused_without_its_address() -> None:
    outcomes = explore(lambda erl: erl.exit(Mine()))
    (fault,) = outcomes
    assert isinstance(fault, Fault)
    assert "<test_same_every_run.Mine object> is no Erlang term" in fault.text
    assert not ADDRESS.search(str(outcomes))
