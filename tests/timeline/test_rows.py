"""What a picture and a table have beside the events: how long a callback ran, where a job's data is, after which row
the driver data is gone, and the lines of the program."""

from __future__ import annotations

import re
from typing import Any

import pytest

from driverref import Driver, Emulator
from driverref.erl_driver import driver_async, driver_output
from driverref.posix import usleep
from driverref.terms import Port
from driverref.timeline import rows, svg, text
from driverref.timeline.rows import rows_of
from driverref.trace import NAMES, Event, Trace

PORT = Port(1)
MS = 1_000_000


def work(job: list[int]) -> None:
    usleep(50_000)


def free(job: list[int]) -> None:
    pass


class Slow(Driver):
    driver_name = "slow_drv"

    def start(self, port: Any, command: str) -> object:
        return port

    def output(self, port: Any, buf: memoryview) -> None:
        usleep(20_000)
        driver_async(port, None, work, [1], free)

    def ready_async(self, port: Any, job: list[int]) -> None:
        driver_output(port, b"done")

    def stop(self, port: Any) -> None:
        pass


def run(close: bool = False) -> Trace:
    with Emulator(async_threads=1) as erl:
        erl.erl_ddll.load_driver(Slow())
        port = erl.open_port(("spawn_driver", "slow_drv"))
        erl.port_command(port, b"")
        if close:
            erl.port_close(port)
        else:
            erl.receive()
    return erl.trace


def test_a_callback_that_took_time_has_a_row_where_it_returns() -> None:
    table = text(run(), notes=True)
    assert [line.split("  ")[-1].split()[0] for line in table.splitlines() if "output" in line] == [
        *("output", "output", "driver_output")
    ]
    assert "\n20 ms  scheduler 1  output returns #Port<0.1>\n" in table
    assert "start returns" not in table
    assert "returns" not in text(run())


def test_a_callback_is_a_bar_as_far_as_it_ran() -> None:
    found = rows_of(run())
    bars = {row.event.name: found[row.last].event.name for row in found if row.last is not None}
    assert bars == {
        "start": "start",
        "output": "output returns",
        "ready_async": "driver_output",
        "stop": "stop",
    }
    assert svg(run()).count('class="runs"') == 2


def test_a_callback_that_never_returns_is_a_bar_to_the_end() -> None:
    class Stuck(Slow):
        def output(self, port: Any, buf: memoryview) -> None:
            driver_output(port, b"now")
            raise RuntimeError("left by an exception")

    with Emulator() as erl:
        erl.erl_ddll.load_driver(Stuck())
        port = erl.open_port(("spawn_driver", "slow_drv"))
        with pytest.raises(RuntimeError, match="left by"):
            erl.port_command(port, b"")
    found = rows_of(erl.trace)
    assert found[2].event.name == "output"
    assert found[2].last == len(found) - 1
    assert "returns" not in text(erl.trace, notes=True)


def test_without_more_knowledge_a_callback_lasts_until_its_last_call() -> None:
    events = [
        Event(0, "scheduler 1", "output", PORT),
        Event(0, "async 1", "async_invoke", PORT, 7),
        Event(0, "scheduler 1", "driver_async", PORT, 1),
        Event(0, "scheduler 1", "set_busy_port", PORT),
        Event(5, "scheduler 1", "receive"),
        Event(5, "scheduler 1", "driver_output", PORT),
    ]
    assert [row.last for row in rows_of(events)] == [3, None, None, None, None, None]
    assert rows_of(events[:1])[0].last == 0


def test_events_that_are_left_out_leave_the_bars_as_they_are() -> None:
    chosen = run().select("output", "async_invoke", "async_return")
    assert [row.event.name for row in rows_of(chosen)] == [
        *("output", "output returns", "async_invoke", "async_return")
    ]
    assert [row.last for row in rows_of(chosen)] == [1, None, None, None]
    assert [row.event.name for row in rows_of(chosen[1:])] == ["async_invoke", "async_return"]
    backwards = rows_of(run()[::-1])
    assert "output returns" not in [row.event.name for row in backwards]


def test_a_row_of_a_job_says_what_has_its_data() -> None:
    held = [(row.event.name, row.held) for row in rows_of(run(close=True)) if row.held]
    assert held == [
        ("driver_async", "emulator"),
        ("async_invoke", "job"),
        ("async_return", "emulator"),
        ("async_free", "driver"),
    ]
    assert set(rows.HELD) <= NAMES
    words = re.findall(r">(emulator|job|driver)</text>", svg(run(close=True)))
    assert words[:4] == ["emulator", "job", "emulator", "driver"]


def test_after_stop_the_driver_data_is_gone() -> None:
    trace = run(close=True)
    late = [row.event.name for row in rows_of(trace) if row.after_stop]
    assert late[-2:] == ["async_return", "async_free"]
    picture = svg(trace)
    assert picture.count(">driver data gone</text>") == 1
    assert picture.count('class="gone"') == 1
    table = text(trace, notes=True).splitlines()
    assert table[0].endswith("  data held by")
    assert [line for line in table if line.endswith("driver data gone")] == [
        next(line for line in table if " stop " in line)
    ]
    assert "driver data gone" not in text(trace)


def test_with_several_ports_only_rows_of_the_closed_one_come_after_its_stop() -> None:
    events = [
        Event(0, "scheduler 1", "stop", PORT),
        Event(0, "scheduler 1", "output", Port(2)),
        Event(0, "scheduler 1", "async_free", PORT, 1),
        Event(0, "scheduler 1", "receive"),
    ]
    assert [row.after_stop for row in rows_of(events)] == [False, False, True, False]
    assert [row.after_stop for row in rows_of(events[2:3] + events[:1] + events[3:])] == [
        *(False, False, True)
    ]


def test_the_line_of_the_program_stands_beside_an_event_once() -> None:
    lines = re.findall(r'class="small quiet line"[^>]*>([^<]*)<', svg(run(close=True)))
    assert [line for line in lines if not line.startswith("def ")] == [
        *("erl.erl_ddll.load_driver(Slow())", "driver_async(port, None, work, [1], free)"),
        "erl.port_close(port)",
    ]
    assert lines.count("erl.port_close(port)") == 1  # it makes three events in a row
    assert "def free(job: list[int]) -&gt; None:" in lines


def test_the_events_are_as_wide_as_without_lines_and_the_lines_stand_beside_them() -> None:
    trace = run()
    bare, full = svg(list(trace)), svg(trace)

    def width(picture: str, name: str) -> float:
        return float(re.search(rf"--{name}:([\d.]+)", picture)[1])  # type: ignore[index]

    assert width(bare, "wide") == width(bare, "core") == width(full, "core")
    assert width(full, "wide") > width(full, "core")
    assert "line of the program" in full
    assert "line of the program" not in bare


def test_a_remark_at_the_end_of_a_line_is_left_out() -> None:
    lines = ["driver_async(port,  None)      # called by the scheduler\n"] * 200
    assert ">driver_async(port, None)</text>" in svg(run(), sources=lambda _: ("x.py", lines))


def test_a_line_that_cannot_be_found_is_left_out() -> None:
    for sources in (lambda _: None, lambda _: ("short.py", ["x"])):
        assert "line of the program" not in svg(run(), sources=sources)


def test_on_os_threads_nothing_is_noted() -> None:
    with Emulator(threads="native") as erl:
        erl.erl_ddll.load_driver(Slow())
        erl.open_port(("spawn_driver", "slow_drv"))
    assert not erl.trace.detailed
    assert erl.trace.place(0) is None
    assert erl.trace.returned(0) is None
    assert "line of the program" not in svg(erl.trace)
