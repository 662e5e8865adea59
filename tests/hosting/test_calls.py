"""Each function of `erl_driver.h` that the model has, called from C; each callback, called with what C gets."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
from book import DOCS
from cc import needs_compiler

from driverref import Emulator, Port, erl_driver
from driverref.errors import ErlangError, InvalidFree, Misuse
from driverref.hosting import CDriver, Unmodelled, c_driver
from driverref.hosting.building import IN_C, declared
from driverref.hosting.host import HANDLERS
from driverref.hosting.tools import header_folder
from driverref.terms import ImproperList

pytestmark = [pytest.mark.slow, needs_compiler]

NOT_IN_C = {"set_errno"}
"""What `driverref.erl_driver` has for an assignment of C's."""


@cache
def every_call() -> CDriver:
    return c_driver(Path(__file__).with_name("every_call_drv.c"))


def opened(erl: Emulator, command: str = "every_call", *options: str) -> Port:
    erl.process_flag("trap_exit", True)
    assert erl.erl_ddll.load_driver(every_call()()) == "ok"
    return erl.open_port(("spawn_driver", command), ("binary", *options))


def data(erl: Emulator) -> object:
    """The data of the next message."""
    match erl.receive(timeout=5000):
        case (_, ("data", data)):
            return data
        case other:
            raise AssertionError(f"{other}")


def test_every_function_of_the_model_that_the_header_declares_has_a_handler() -> None:
    functions = {
        name
        for name in vars(erl_driver)
        if isinstance(getattr(erl_driver, name), FunctionType)
        and name.startswith(("driver_", "erl_", "set_", "get_"))
    } - NOT_IN_C
    header = set(declared(header_folder()))
    assert len(header) > 100
    assert functions & header <= HANDLERS.keys() | IN_C
    assert not header & HANDLERS.keys() - functions


OUTPUT, TERM, QUEUE, BINARY, PORT, MONITOR, THREAD, LOCK, SYSTEM = range(9)
END = 100


@pytest.mark.parametrize("group", range(9))
def test_the_calls_do_in_c_what_they_do_in_python(group: int) -> None:
    with Emulator(async_threads=1) as erl:
        port = opened(erl)
        assert erl.port_control(port, group, b"") == b"ok"
        if group == SYSTEM:
            assert erl.port_info(port, "os_pid") == ("os_pid", 4242)
        if group == LOCK:  # its job uses the port's state
            assert data(erl) == b"job"
        erl.port_close(port)


def test_what_is_sent_arrives() -> None:
    with Emulator(async_threads=1) as erl:
        port = opened(erl)
        erl.port_control(port, OUTPUT, b"")
        assert data(erl) == b"one"
        assert data(erl) == ImproperList([*b"h", b"two"])
        assert data(erl) == b"xy"
        assert data(erl) == ImproperList([*b"h", b"b", b"wxyz"])
        erl.port_control(port, TERM, b"")
        owner = erl.self()
        assert erl.receive() == (
            *("all", -3, 3, port, owner, 3.25, -7, 1 << 63, b"in", b"buf"),
            *([*b"str"], [*b"cons"], [1, 2], {"key": 9}, 5),
        )
        assert [erl.receive() for _ in range(3)] == ["all"] * 3
        erl.port_close(port)


def test_a_job_and_a_timer_come_back() -> None:
    with Emulator(async_threads=1) as erl:
        port = opened(erl)
        assert erl.port_control(port, LOCK, b"") == b"ok"
        assert data(erl) == b"job"
        assert erl.port_control(port, PORT, b"") == b"ok"
        assert data(erl) == b"timeout"
        erl.port_close(port)


def test_a_process_that_is_monitored_ends() -> None:
    with Emulator(async_threads=1) as erl:
        me = erl.self()
        erl.erl_ddll.load_driver(every_call()())

        def owner() -> None:
            port = erl.open_port(("spawn_driver", "every_call"), ("binary",))
            assert erl.port_control(port, MONITOR, b"") == b"ok"
            erl.port_connect(port, me)
            erl.unlink(port)

        erl.spawn(owner)
        assert data(erl) == b"exit"


@pytest.mark.parametrize(
    ("which", "reason"),
    [(0, "normal"), (1, "broken"), (2, "enoent"), (3, -5)],
)
def test_a_driver_ends_its_port(which: int, reason: object) -> None:
    with Emulator(async_threads=1) as erl:
        port = opened(erl)
        erl.port_control(port, END + which, b"")
        assert erl.receive(timeout=10) == ("EXIT", port, reason)


def test_a_driver_exits_without_a_signal_to_its_owner() -> None:
    with Emulator(async_threads=1) as erl:
        port = opened(erl)
        erl.port_control(port, END + 4, b"")
        assert erl.receive(timeout=10) is None


def test_the_calls_on_a_port_that_is_gone_say_so() -> None:
    with Emulator(async_threads=1) as erl:
        erl.port_control(opened(erl), END + 5, b"")
        with pytest.raises(ErlangError, match="badarg"):
            erl.open_port(("spawn_driver", "every_call gone"))


def test_start_may_refuse_with_an_errno() -> None:
    with Emulator(async_threads=1) as erl:
        erl.erl_ddll.load_driver(every_call()())
        with pytest.raises(ErlangError, match="enoent"):
            erl.open_port(("spawn_driver", "every_call refuse"))


def test_control_replies_in_the_room_in_a_binary_with_nothing_or_not_at_all() -> None:
    with Emulator(async_threads=1) as erl:
        port = opened(erl)
        assert erl.port_control(port, QUEUE, b"") == b"ok"
        assert erl.port_control(port, QUEUE, b"b") == b"ok"
        assert erl.port_control(port, QUEUE, b"n") == b""
        with pytest.raises(ErlangError, match="badarg"):
            erl.port_control(port, 200, b"")
        erl.port_close(port)


def test_what_is_wrong_with_a_reply_is_told_at_the_callback_that_returned_it() -> None:
    wrong = c_driver(DOCS / "symptoms" / "control.c", flags=["-DWRONG"])

    def ask(erl: Emulator) -> None:
        erl.erl_ddll.load_driver(wrong())
        erl.port_control(erl.open_port(("spawn_driver", "control")), 1, b"")

    with (
        pytest.raises(InvalidFree, match=r"called at control\.c:\d+ in control$"),
        Emulator() as erl,
    ):
        ask(erl)


TERMS: list[Any] = [
    0,
    255,
    -1,
    2**31,
    -(2**70),
    1.5,
    True,
    b"bytes",
    [],
    [1, 2],
    [1000, b"x"],
    ("a", ("b",)),
    {"k": [1]},
    tuple(range(300)),
]


@pytest.mark.parametrize("command", [1, 2, 3])
def test_a_term_goes_through_call_and_back(command: int) -> None:
    with Emulator(async_threads=1) as erl:
        port = opened(erl)
        for term in TERMS:
            if command != 2 or len(repr(term)) < 100:
                assert erl.port_call(port, command, term) == term
        assert erl.port_call(port, command, (erl.self(), port)) == (erl.self(), port)
        with pytest.raises(ErlangError, match="badarg"):
            erl.port_call(port, 0, 1)
        erl.port_close(port)


def test_outputv_gets_the_vector_that_a_driver_in_python_gets() -> None:
    with Emulator(async_threads=1) as erl:
        port = opened(erl)
        erl.port_command(port, [b"head", b"x" * 100, [1, 2], b""])
        # An empty element 0; a large binary by itself; a binary of the emulator's for all others.
        assert data(erl) == b"4 elements, 106 bytes: 0-, 4+0, 100+0, 2+4"
        assert data(erl) == ImproperList([b"head", b"x" * 100, b"\1\2"])
        erl.port_close(port)


def test_flush_empties_the_queue_of_a_port_that_closes() -> None:
    with Emulator(async_threads=1) as erl:
        port = opened(erl)
        erl.port_control(port, END + 6, b"")
        erl.port_close(port)
        assert [*erl.trace.select("flush", "stop").order()] == ["flush", "stop"]


def test_two_loads_are_of_one_driver_and_a_new_load_begins_anew() -> None:
    with Emulator(async_threads=1) as erl:
        first = every_call()()
        erl.erl_ddll.load_driver(first)
        assert every_call()() is first
        assert erl.erl_ddll.load_driver(every_call()()) == "ok"
        for _ in range(2):
            erl.erl_ddll.unload_driver("every_call")
        assert every_call()() is not first


def test_a_driver_in_c_is_made_for_one_emulator() -> None:
    with pytest.raises(Misuse, match="call it in the scenario"):
        every_call()()
    with Emulator() as erl:
        old = every_call()()
        assert erl.system_info("schedulers") == 1
    with Emulator() as erl, pytest.raises(Misuse, match="make another"):
        erl.erl_ddll.load_driver(old)
    with Emulator(threads="native") as erl, pytest.raises(Misuse, match="simulated"):
        every_call()()


def test_what_the_model_does_not_have_is_told_by_name(tmp_path: Path) -> None:
    source = tmp_path / "select_drv.c"
    source.write_text(
        """
#include <erl_driver.h>
static ErlDrvData start(ErlDrvPort port, char *command)
{ driver_select(port, (ErlDrvEvent)(long)1, ERL_DRV_READ, 1); return 0; }
static ErlDrvEntry entry = {.driver_name = "select_drv", .start = start,
    .extended_marker = ERL_DRV_EXTENDED_MARKER, .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION};
DRIVER_INIT(select_drv) { return &entry; }
"""
    )
    driver = c_driver(source)

    def play() -> None:
        with Emulator() as erl:
            erl.erl_ddll.load_driver(driver())
            erl.open_port(("spawn_driver", "select_drv"))

    with pytest.raises(Unmodelled, match="driver_select"):
        play()
