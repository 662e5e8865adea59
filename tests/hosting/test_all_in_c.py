"""Every C driver of the book and of the tests is hosted, unchanged and silent, or it is said here why not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from broken import BOOK, CASES, commands
from cc import needs_compiler

from driverref import Emulator, ErlangError, explore
from driverref.hosting import c_driver

pytestmark = [pytest.mark.slow, needs_compiler]

ROOT = BOOK.parents[1]

ELSEWHERE = {
    "docs/questions/wake/waker_drv.c": "test_select_in_c.py hosts it: it has a thread of its own",
    "docs/questions/wake/wake_drv.c": "test_select_in_c.py hosts it: it has a thread of its own",
    "docs/questions/timeout/socket_drv.c": "test_sockets_in_c.py hosts it: its far end is a stand-in",
    "docs/counts_drv.c": "it shows the counts of the real emulator: the model sends a copy",
    "docs/debugging/caps_drv.c": "test_debugging_page.py checks it, wrong and right",
    "docs/lookup_drv.c": "test_check.py hosts it: it is wrong on purpose",
    "tests/beam/judge_log.c": "it keeps the log of the other drivers, on locks of the real machine",
    "tests/beam/judge_drv.c": "test_judge_hosted.py hosts it: its log is a stand-in",
    "tests/hosting/every_call_drv.c": "test_calls.py hosts it",
    "tests/hosting/store/store_drv.c": "test_store.py hosts it: it needs zlib",
    "tests/beam/vectors_drv.c": "it keeps the vectors that it is lent, to be looked at: that is a leak",
    "tests/beam/nulls_drv.c": "it gives NULL to each call on purpose",
    "tests/beam/values/values_drv.c": "it gives each call values that are wrong on purpose",
}
"""The drivers that are not among the scenes of `test_broken.py`, nor here."""

CHECKED = ("docs/symptoms/", "docs/first/")
"""The drivers of the page of symptoms, each wrong and right: `test_symptoms.py` checks them; and the
steps of the tutorial, which `test_first_driver.py` checks."""

HERE = {
    "docs/copying_drv.c",
    "docs/counting_drv.c",
    "docs/queueing_drv.c",
    "docs/spool_drv.c",
    "docs/waiting_drv.c",
    "docs/questions/busy/tagged_drv.c",
    "docs/questions/cancel/steps_drv.c",
    "docs/questions/flow/slow_drv.c",
    "docs/questions/flow/trip_drv.c",
    "docs/questions/free/sleeper_drv.c",
    "docs/questions/header/version_drv.c",
    "docs/questions/memory/shout_drv.c",
    "docs/questions/state/counter_drv.c",
    "docs/questions/timeout/in_time_drv.c",
    "docs/capitals_drv.c",
    "docs/questions/key/turns_drv.c",
    "docs/first_drv.c",
    "docs/square_drv.c",
    "tests/beam/bench_drv.c",
    "tests/beam/blast_drv.c",
}


def test_no_driver_is_left_out() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in ("docs", "tests")
        for path in (ROOT / folder).rglob("*.c")
        if "DRIVER_INIT(" in path.read_text("utf-8")
    }
    found = {name for name in found if not name.startswith(CHECKED)}
    scenes = {f"docs/questions/{case.scene.driver}" for case in CASES}
    known = [*scenes, *ELSEWHERE, *HERE]
    assert len(known) == len(set(known))
    assert found == set(known)


def outcomes(file: str, play: Callable[[Emulator], object]) -> set[object]:
    """What comes of a scenario with a driver, in every order."""
    driver = c_driver(ROOT / file)

    def scenario(erl: Emulator) -> object:
        erl.process_flag("trap_exit", True)
        erl.erl_ddll.load_driver(driver())
        return play(erl)

    found = explore(scenario, async_threads=1, limit=4000, progress=False)
    assert found.complete, found
    assert not found.faults, found
    return {*found}


@pytest.mark.rule("hosting.same-outcomes")
@pytest.mark.parametrize(
    ("source", "name", "data"),
    [
        ("docs/first_drv.c", "first_drv", b"\x00"),
        ("docs/square_drv.c", "square_drv", b"7"),
        ("docs/capitals_drv.c", "capitals_drv", b"x"),
        ("docs/questions/flow/trip_drv.c", "trip_drv", b"\x07"),
        ("docs/questions/free/sleeper_drv.c", "sleeper_drv", b"\x05"),
        ("docs/questions/busy/tagged_drv.c", "tagged_drv", b"a\x05"),
        ("docs/questions/header/version_drv.c", "version_drv", b"version?"),
        ("docs/questions/memory/shout_drv.c", "shout_drv", b"hi"),
        ("docs/questions/state/counter_drv.c", "counter_drv", b"next"),
        ("docs/copying_drv.c", "copying_drv 3", b"\x05"),
        ("docs/counting_drv.c", "counting_drv 3", b"\x05"),
        ("docs/queueing_drv.c", "queueing_drv 3", b"\x05"),
        ("docs/waiting_drv.c", "waiting_drv 3", b"\x05"),
        ("docs/questions/key/turns_drv.c", "turns_drv", b"\x05"),
        ("docs/spool_drv.c", "spool_drv", b"ab"),
        ("tests/beam/bench_drv.c", "bench_drv", b"x"),
        ("tests/beam/blast_drv.c", "blast_drv 2", b"x"),
    ],
)
def test_the_drivers_of_the_first_pages_and_of_the_benchmark_are_silent(
    source: str, name: str, data: bytes
) -> None:
    assert outcomes(source, commands(name, data, data)) == {None}


@pytest.mark.rule("hosting.same-outcomes")
def test_a_driver_with_a_timer_answers_each_command_once() -> None:
    def ask(erl: Emulator) -> object:
        port = erl.open_port(("spawn_driver", "in_time_drv"))
        erl.port_command(port, b"\x01")
        message: Any = erl.receive()
        return bytes(message[1][1])

    assert outcomes("docs/questions/timeout/in_time_drv.c", ask) == {b"done", b"timeout"}


@pytest.mark.rule("hosting.same-outcomes")
def test_a_driver_that_cancels_says_cancelled_or_answers() -> None:
    def cancel(erl: Emulator) -> object:
        port = erl.open_port(("spawn_driver", "steps_drv"))
        erl.port_command(port, b"\x01")
        said: Any = erl.port_control(port, 1, b"")
        if bytes(said) == b"too late":
            erl.receive()
        return bytes(said)

    assert outcomes("docs/questions/cancel/steps_drv.c", cancel) == {b"cancelled", b"too late"}


def read_whole(path: object) -> Callable[[Emulator], object]:
    """Do as `slow_drv.erl`: open a port for a file, read it, and close the port."""

    def play(erl: Emulator) -> object:
        try:
            port = erl.open_port(("spawn_driver", f"slow_drv {path}"))
        except ErlangError as error:
            return str(error.reason)
        some: Any = erl.port_control(port, 1, (1).to_bytes(4, "big") + (3).to_bytes(4, "big"))
        erl.port_close(port)
        return bytes(some)

    return play


@pytest.mark.rule("port.init-ack", "hosting.same-outcomes")
def test_a_driver_that_acknowledges_late_opens_when_the_file_is_read(tmp_path: Path) -> None:
    slow = "docs/questions/flow/slow_drv.c"
    file = tmp_path / "file"
    file.write_bytes(b"abcdef")
    assert outcomes(slow, read_whole(file)) == {b"bcd"}
    assert outcomes(slow, read_whole(tmp_path / "gone")) == {"enoent"}
    assert outcomes(slow, read_whole(tmp_path)) == {"einval"}

    def opener_killed(erl: Emulator) -> object:
        pid = erl.spawn(lambda: read_whole(file)(erl))
        monitor = erl.monitor("process", pid)
        erl.exit(pid, "kill")
        message = erl.receive()
        assert message[1] == monitor
        return str(message[-1])

    assert outcomes(slow, opener_killed) <= {"killed", "normal", "noproc"}
