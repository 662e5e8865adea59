"""What `load_driver` refuses before anything has happened, and what it must not refuse."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from functools import partial, wraps
from typing import Any

import pytest
from scripted import made_of
from support import Kind, both, opened

from driverref import Driver, Emulator
from driverref.erl_driver import ErlDrvPort, driver_output
from driverref.runtime.driver import CALLBACKS


def driver_with(**members: Any) -> Driver:
    """A driver whose class has these members."""
    driver = type("Square", (Driver,), {"driver_name": "square", **members})()
    assert isinstance(driver, Driver)
    return driver


def refusal(driver: Driver) -> str:
    """The sentence with which the driver is refused; nothing else has changed."""
    with Emulator() as erl:
        with pytest.raises(TypeError) as caught:
            erl.erl_ddll.load_driver(driver)
        assert erl.erl_ddll.loaded_drivers() == ("ok", [])
        assert erl.trace.order() == []
    return str(caught.value)


def load(driver: Driver) -> None:
    """Load the driver and unload it again."""
    with Emulator() as erl:
        assert erl.erl_ddll.load_driver(driver) == "ok"
        assert erl.erl_ddll.unload_driver(driver.driver_name) == "ok"


def helper(self: Any, *arguments: object) -> None:
    """A method of a driver."""


# A callback that a call does not run.


async def waits(self: Any, drv_data: object, buf: memoryview) -> None: ...


def yields(self: Any, drv_data: object, buf: memoryview) -> Iterator[int]:
    yield 1


async def waits_and_yields(self: Any, drv_data: object, buf: memoryview) -> AsyncGenerator[int]:
    yield 1


class CallsLater:
    """An object that can be called, and then waits to be awaited."""

    async def __call__(self, drv_data: object, buf: memoryview) -> None: ...


@pytest.mark.parametrize(
    "output",
    [waits, staticmethod(partial(waits, None)), CallsLater()],
    ids=["a method", "a partial", "an object"],
)
def test_a_callback_that_is_async_is_refused(output: object) -> None:
    assert refusal(driver_with(output=output)) == (
        "load_driver: Square.output must not be async, because nothing awaits it: have a job wait"
    )


@pytest.mark.parametrize("output", [yields, waits_and_yields])
def test_a_callback_that_yields_is_refused(output: object) -> None:
    assert refusal(driver_with(output=output)) == (
        "load_driver: Square.output must not yield, because a call would then run no line of it"
    )


def test_what_is_no_callback_may_be_async_and_may_yield() -> None:
    load(driver_with(work=waits, parts=yields, init=helper))


# A callback that cannot be called.


def no_self(drv_data: object, buf: memoryview) -> None: ...


def too_many(self: Any, drv_data: object, buf: memoryview, size: int) -> None: ...


def by_keyword(self: Any, drv_data: object, *, buf: memoryview) -> None: ...


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (no_self, "(self, drv_data, buf), not (drv_data, buf)"),
        (too_many, "(self, drv_data, buf), not (self, drv_data, buf, size)"),
        (by_keyword, "(self, drv_data, buf), not (self, drv_data, *, buf)"),
        (classmethod(no_self), "(self, drv_data, buf), not (drv_data, buf)"),
        (staticmethod(too_many), "(drv_data, buf), not (self, drv_data, buf, size)"),
        (staticmethod(partial(no_self, 1)), "(drv_data, buf), not (buf: 'memoryview')"),
        (staticmethod(lambda: None), "(drv_data, buf), not ()"),
    ],
)
def test_a_callback_that_takes_something_else_is_refused(output: object, expected: str) -> None:
    assert refusal(driver_with(output=output)) == (
        f"load_driver: Square.output must take {expected}"
    )


def test_a_callback_of_one_driver_object_is_looked_at_as_well() -> None:
    right = driver_with(output=helper)
    load(right)
    right.output = lambda drv_data: None  # type: ignore[method-assign, misc, assignment]
    assert refusal(right).endswith("Square.output must take (drv_data, buf), not (drv_data)")


def test_a_class_is_not_found_right_by_a_driver_object_with_a_callback_of_its_own() -> None:
    driver = driver_with(ouput=helper)
    driver.output = driver_output  # type: ignore[method-assign, assignment]
    load(driver)
    assert refusal(type(driver)()).startswith("load_driver: Square.ouput looks like")


def logged(function: Callable[..., object]) -> Callable[..., object]:
    @wraps(function)
    def wrapper(*arguments: object) -> object:
        return function(*arguments)

    return wrapper


def defaults(self: Any, drv_data: object, buf: memoryview, size: int = 0) -> None: ...


def default_by_keyword(self: Any, *both: object, size: int = 0) -> None: ...


class Handles:
    """An object that can be called."""

    def __call__(self, drv_data: object, buf: memoryview) -> None: ...


@pytest.mark.parametrize(
    "output",
    [
        helper,
        defaults,
        default_by_keyword,
        logged(too_many),
        classmethod(defaults),
        staticmethod(driver_output),
        staticmethod(no_self),
        staticmethod(partial(too_many, None, size=1)),
        lambda self, drv_data, buf: None,
        Handles(),
        staticmethod(max),  # says nothing of its parameters
        None,
    ],
)
def test_a_callback_that_can_be_called_is_not_refused(output: object) -> None:
    load(driver_with(output=output))


@both
def test_a_callback_may_come_from_a_class_that_is_no_driver(threads: Kind) -> None:
    class Echoes:
        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            return port

        def output(self, port: ErlDrvPort, buf: memoryview) -> None:
            driver_output(port, buf)

    class Echo(Echoes, Driver):
        driver_name = "echo"

    with Emulator(threads=threads) as erl:
        port = opened(erl, Echo())
        erl.port_command(port, b"hello")
        assert erl.receive() == (port, ("data", b"hello"))


# A misspelt callback.


def test_a_method_that_looks_like_a_callback_is_refused() -> None:
    assert refusal(driver_with(readyasync=helper)) == (
        "load_driver: Square.readyasync looks like the callback ready_async, which is not"
        " defined: name it ready_async, or begin its name with an underscore"
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("readyAsync", "ready_async"),
        ("Ready_Async", "ready_async"),
        ("on_ready_async", "ready_async"),
        ("onOutput", "output"),
        ("on_timeout", "timeout"),
        ("time_out", "timeout"),
        ("processExit", "process_exit"),
        ("proces_exit", "process_exit"),
        ("controll", "control"),
        ("stopp", "stop"),
        ("cal", "call"),
        ("strat", "start"),
        ("inti", "init"),
        ("sotp", "stop"),
        ("fulsh", "flush"),
        ("contorl", "control"),
        ("outupt", "output"),
        ("ouptutv", "outputv"),
        ("ready_asnyc", "ready_async"),
        ("ouput", "output"),
        ("timout", "timeout"),
        ("tiemeout", "timeout"),
        ("contrel", "control"),
        ("finsh", "finish"),
        ("ready_asyc", "ready_async"),
        ("redy_async", "ready_async"),
        ("process_exitt", "process_exit"),
    ],
)
def test_a_misspelling_is_recognised(name: str, meant: str) -> None:
    members: list[object] = [helper, staticmethod(helper), classmethod(helper)]
    for member in members:
        assert f"Square.{name} looks like the callback {meant}," in refusal(
            driver_with(**{name: member})
        )


HELPERS = """
    work started starts start_job start_timer restart stopped stops stop_all stop_timer step shop spot post
    opts stat star smart art calc calls caller callback call_later recall cell tall init_table initial inits
    unit exit outputs output1 output_all do_output write_output input outpost put controls controller
    control_all timeouts timer time_left set_timeout finished finishes finish_all fish flushed flush_all
    flash blush ready ready_now read_input read_output stop_selected process process_data process_exited
    process_text async_free free submit run reply answer close on_done on_close handle_call job result
""".split()


@pytest.mark.parametrize("name", HELPERS)
def test_a_helper_is_not_taken_for_a_callback(name: str) -> None:
    load(driver_with(**{name: helper}))


@pytest.mark.parametrize("name", CALLBACKS)
def test_a_misspelling_of_a_callback_that_is_defined_is_a_helper(name: str) -> None:
    members = {name: staticmethod(lambda *_: None), name.upper(): helper, f"on_{name}": helper}
    load(driver_with(**members))


def test_a_method_that_another_one_mentions_is_a_helper() -> None:
    def output(self: Any, drv_data: object, buf: memoryview) -> None:
        self.on_timeout()

    load(driver_with(on_timeout=helper, output=output))
    assert "Square.on_timeout looks like" in refusal(driver_with(on_timeout=helper))


@pytest.mark.parametrize(
    "members",
    [
        {"_ouput": helper},
        {"__ouput": helper},
        {"ouput": 5},
        {"ouput": property(helper)},
        {"Stop": type("Stop", (Exception,), {})},
        {"on_ready_input": helper, "readyOutput": helper, "stop_slect": helper},
    ],
    ids=["an underscore", "two", "a number", "a property", "a class", "what helpers are called"],
)
def test_what_is_no_public_method_for_a_callback_of_the_model_is_not_refused(
    members: dict[str, object],
) -> None:
    load(driver_with(**members))


def test_a_driver_that_was_repaired_is_loaded() -> None:
    with Emulator() as erl:
        with pytest.raises(TypeError, match="looks like"):
            erl.erl_ddll.load_driver(driver_with(strat=helper))
        assert erl.erl_ddll.load_driver(made_of("square")) == "ok"
        assert erl.open_port(("spawn_driver", "square")) in erl.ports()


# The version that a driver was compiled for.


@pytest.mark.rule("header.version-on-load")
@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ({}, "ok"),
        ({"major_version": 3, "minor_version": 3}, "ok"),
        ({"major_version": 3, "minor_version": 0}, "ok"),
        ({"major_version": 2, "minor_version": 9}, "ok"),
        ({"minor_version": 4}, "driver_incorrect_version"),
        ({"major_version": 4, "minor_version": 0}, "driver_incorrect_version"),
        ({"major_version": 1, "minor_version": 5}, "driver_incorrect_version"),
        ({"extended_marker": 0}, "driver_incorrect_version"),
        ({"extended_marker": 1}, "driver_incorrect_version"),
    ],
)
def test_a_driver_that_was_compiled_for_another_emulator_is_not_loaded(
    version: dict[str, int], expected: str
) -> None:
    initialised: list[int] = []
    driver = driver_with(init=lambda self: initialised.append(1), **version)
    with Emulator() as erl:
        answer = erl.erl_ddll.load_driver(driver)
        assert answer == (expected if expected == "ok" else ("error", expected))
        # A driver that is refused is asked for nothing.
        assert bool(initialised) is (expected == "ok")
        assert erl.erl_ddll.loaded_drivers() == ("ok", ["square"] * (expected == "ok"))


PLAIN = {"extended_marker": 0, "driver_flags": 0}
"""An entry of before R11B-3: nothing but 0 where the marker and the version would be."""


@pytest.mark.rule("era.plain-entry")
@pytest.mark.parametrize(
    ("release", "entry", "loads"),
    [
        ("R7B-3", {"major_version": 9}, True),
        ("R11B-5", {}, True),
        ("R11B-5", {"major_version": 1, "minor_version": 0}, True),
        ("R11B-5", {"major_version": 1, "minor_version": 4}, False),
        ("R11B-5", {"major_version": 0, "minor_version": 9}, False),
        ("R14B04", {"major_version": 2, "minor_version": 0}, False),
        ("R14B04", PLAIN, True),
        ("R14B04", PLAIN | {"minor_version": 1}, False),
        ("R14B04", PLAIN | {"driver_flags": 1}, False),
        ("R14B04", PLAIN | {"process_exit": lambda self, data, monitor: None}, False),
        ("R14B04", PLAIN | {"extended_marker": 5}, False),
        ("R16B", {"major_version": 2, "minor_version": 2}, True),
        ("R16B", {"major_version": 1, "minor_version": 5}, False),
        ("R16B", {"major_version": 3, "minor_version": 0}, False),
        ("R16B", PLAIN, False),
    ],
)
def test_each_era_loads_what_was_compiled_for_it(
    release: str, entry: dict[str, Any], loads: bool
) -> None:
    with Emulator(release=release) as erl:
        answer = erl.erl_ddll.load_driver(driver_with(**entry))
        assert answer == ("ok" if loads else ("error", "driver_incorrect_version"))
