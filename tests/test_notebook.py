"""What a notebook shows of an emulator, a port, a fault, a comparison and a trace."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

from scripted import made_of
from support import handle_of, opened

from driverref import Emulator, Port, compare, explore, replay
from driverref.erl_driver import ErlDrvPort, driver_alloc, driver_enq, driver_output
from driverref.explore import Fault
from driverref.notebook import LAST
from driverref.trace import Event, Trace


def cells(html: str) -> list[list[str]]:
    """The text of each cell, row by row, of all tables."""
    page = ET.fromstring(f"<page>{html}</page>")
    return [
        ["".join(cell.itertext()) for cell in row if cell.tag in ("th", "td")]
        for row in page.iter("tr")
    ]


def pictures(html: str) -> int:
    page = ET.fromstring(f"<page>{html}</page>")
    return sum(1 for _ in page.iter("{http://www.w3.org/2000/svg}svg"))


HEAD = ["port", "driver", "state", "owner", "jobs", "bytes queued"]


def test_an_emulator_shows_its_ports_its_processes_and_what_happened() -> None:
    with Emulator(schedulers=2) as erl:
        driver = made_of("a<b", output=lambda port, buf: driver_enq(port, bytes(buf)))
        port = opened(erl, driver, "of mine")
        erl.register("me", erl.self())
        erl.port_command(port, b"x" * 2_000)
        html = erl._repr_html_()
        handle_of(erl, port).queue.value.clear()
        line = test_an_emulator_shows_its_ports_its_processes_and_what_happened.__code__
    assert (
        f"&lt;Emulator +A 1 +S 2, running&gt;, made at test_notebook.py:{line.co_firstlineno + 1}"
        in html
    )
    assert cells(html) == [
        HEAD,
        ["#Port<0.1>", "a<b of mine", "connected", "<0.1.0>", "0", "2,000"],
        ["process", "name", "runs on"],
        ["<0.1.0>", "me", "scheduler 1"],
    ]
    assert pictures(html) == 1


def test_one_that_has_stopped_is_shown_too() -> None:
    with Emulator() as erl:
        opened(erl, made_of())
    assert "it has stopped" in erl._repr_html_()
    assert HEAD not in cells(erl._repr_html_())


def test_a_port_is_shown_by_its_handle_and_by_its_identifier() -> None:
    handles: list[ErlDrvPort] = []

    def start(port: ErlDrvPort, command: str) -> ErlDrvPort:
        handles.append(port)
        return port

    with Emulator() as erl:
        port = opened(erl, made_of(start=start))
        assert cells(handles[0]._repr_html_())[1][:3] == ["#Port<0.1>", "d ", "connected"]
        assert port._repr_html_() == handles[0]._repr_html_()
        assert Port(9)._repr_html_() == "<code>#Port&lt;0.9&gt;</code>"
    assert port._repr_html_() == "<code>#Port&lt;0.1&gt;</code>"
    assert cells(handles[0]._repr_html_())[1][2] == "closed"


def test_what_a_run_has_left_says_that_it_is_over() -> None:
    kept: list[Any] = []

    def scenario(erl: Emulator) -> None:
        opened(erl, made_of(start=lambda port, command: kept.append(port)))
        kept.append(erl)

    explore(scenario, limit=1)
    handle, erl = kept[0], kept[1]
    assert handle._repr_html_() == "<code>&lt;ErlDrvPort #Port&lt;0.1&gt; of d, closed&gt;</code>"
    assert erl._repr_html_().startswith("<code>&lt;Emulator, it belonged to one run")


def leaks(erl: Emulator) -> None:
    opened(erl, made_of(output=lambda port, buf: driver_alloc(1)))
    erl.port_command(Port(1), b"")


def test_a_fault_shows_its_text_and_its_places() -> None:
    (fault,) = explore(leaks)
    assert isinstance(fault, Fault)
    html = ET.fromstring(f"<page>{fault._repr_html_()}</page>")
    assert html.findtext("p/b") == "Leak"
    assert html.findtext("pre") == fault.text
    assert [place.text for place in html.iter("code")] == list(fault.places)
    assert Fault("Stop<", "")._repr_html_() == "<p><b>Stop&lt;</b></p>"


def test_a_comparison_is_a_table_whose_faults_open() -> None:
    comparison = compare(leaks)
    rows = cells(comparison._repr_html_())
    assert rows[0] == ["emulator", "outcome", "schedules"]
    assert [row[0] for row in rows[1:]] == [first for first, _, _ in comparison.rows()]
    for (_, label, count), row in zip(comparison.rows(), rows[1:], strict=True):
        assert row[1].startswith(label)
        assert row[2] == count
    assert comparison.summary() in comparison._repr_html_()


def test_a_long_trace_shows_its_last_events() -> None:
    events = [Event(0, "scheduler 1", "stop", Port(number)) for number in range(1, LAST + 11)]
    assert Trace(events[:LAST])._repr_html_().startswith("<svg")
    html = Trace(events)._repr_html_()
    assert html.startswith(f"<p>the last {LAST} of {LAST + 10} events</p><svg")
    assert "#Port&lt;0.11&gt;" in html
    assert "#Port&lt;0.10&gt;" not in html


def test_a_big_message_makes_no_big_picture_and_no_big_text() -> None:
    def scenario(erl: Emulator) -> None:
        port = opened(erl, made_of(output=lambda port, buf: driver_output(port, bytes(buf))))
        listed = erl.open_port(("spawn_driver", "d"), [])
        for to in (port, listed):
            erl.port_command(to, bytes(1_000_000))
            erl.send(erl.self(), erl.receive())
            erl.receive()

    erl = replay(scenario, "")
    for shown in (erl.trace._repr_html_(), erl._repr_html_(), str(erl.trace)):
        assert len(shown) < 40_000
    assert max(len(line) for line in str(erl.trace).splitlines()) < 300
    assert max(len(str(event)) for event in erl.trace) < 300
