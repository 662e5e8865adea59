"""Events and the sequence of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from driverref import timeline
from driverref.diagnostics import defined, where
from driverref.terms import Atom, Port
from driverref.trace import Event, Trace


@pytest.fixture
def trace() -> Trace:
    port = Port(1)
    return Trace(
        [
            Event(0, "scheduler 1", "output", port, None, b"7"),
            Event(0, "scheduler 1", "driver_async", port, 1),
            Event(5, "async 2", "async_invoke", port, 1),
            Event(9, "async 2", "async_return", port, 1),
            Event(9, "scheduler 1", "stop", port),
        ]
    )


def test_times_count_from_the_moment_at_which_the_trace_began() -> None:
    trace = Trace()
    record = trace.begin(1000)
    assert record is not None
    record((1000, "scheduler 1", "start", 1, None, None))
    record((1070, "async 1", "async_invoke", 1, 4, Atom("x")))
    assert list(trace) == [
        Event(0, "scheduler 1", "start", Port(1)),
        Event(70, "async 1", "async_invoke", Port(1), 4, Atom("x")),
    ]
    assert all(isinstance(event, Event) for event in trace)


def test_with_a_clock_a_trace_knows_places_and_when_a_callback_returned() -> None:
    trace = Trace()
    record = trace.begin(1000, lambda: 1020)
    assert record is not None

    def stop() -> str:
        record((1010, "scheduler 1", "send", None, None, None))
        return "stopped"

    record((1000, "scheduler 1", "stop", 1, None, None))
    assert trace.watched(stop)() == "stopped"
    assert trace.returned(0) == (2, 20)
    assert trace.returned(1) is None
    assert where(trace.place(0)) == where(defined(stop))
    assert where(trace.place(1)).endswith("in stop")


def test_a_callback_that_is_not_the_programs_has_the_place_that_led_to_it() -> None:
    trace = Trace()
    record = trace.begin(0, lambda: 0)
    assert record is not None
    record((0, "scheduler 1", "async_free", 1, 1, None))
    trace.watched(timeline.duration)(5)
    trace.at(None)
    assert "in test_a_callback_that" in where(trace.place(0))
    assert trace.watched(None) is None


def test_a_callback_that_has_not_returned_lasts_as_long_as_the_trace() -> None:
    trace = Trace()
    record = trace.begin(0, lambda: 9)
    assert record is not None
    record((0, "scheduler 1", "stop", 1, None, None))
    with pytest.raises(ZeroDivisionError):
        trace.watched(lambda: 1 // 0)()
    returned = trace.returned(0)
    assert returned is not None
    assert returned.before > len(trace)
    assert returned.time == 0


def test_a_trace_grows_under_its_reader() -> None:
    trace = Trace()
    record = trace.begin(0)
    assert record is not None
    assert not trace
    record((0, "main", "halt", None, None, None))
    assert len(trace) == 1
    assert trace[0].name == "halt"


def test_a_trace_is_a_sequence(trace: Trace) -> None:
    assert len(trace) == 5
    assert trace[-1] == Event(9, "scheduler 1", "stop", Port(1))
    assert isinstance(trace[1:3], Trace)
    assert [event.name for event in trace[1:3]] == ["driver_async", "async_invoke"]
    assert trace[0] in trace
    assert trace.index(trace[3]) == 3
    with pytest.raises(IndexError):
        trace[5]


def test_events_are_selected_by_name(trace: Trace) -> None:
    chosen = trace.select("stop", "output")
    assert isinstance(chosen, Trace)
    assert [event.name for event in chosen] == ["output", "stop"]
    assert len(trace.select()) == 0


def test_the_order_is_told_in_short_strings(trace: Trace) -> None:
    assert trace.order("driver_async", "async_return", "stop") == [
        "driver_async(1)",
        "async_return(1)",
        "stop",
    ]
    assert trace.order()[0] == "output"
    assert len(trace.order()) == len(trace)


def test_an_event_prints_on_one_line(trace: Trace) -> None:
    assert [str(event) for event in trace[:2]] == [
        'output #Port<0.1> <<"7">>',
        "driver_async #Port<0.1> job 1",
    ]
    assert str(Event(0, "main", "halt", detail=Atom("abort"))) == "halt abort"


def test_a_trace_prints_as_its_table_and_shows_as_its_picture(trace: Trace) -> None:
    assert repr(trace) == "<Trace of 5 events>"
    assert str(trace) == timeline.text(trace)
    assert trace._repr_html_() == timeline.svg(trace)


@pytest.mark.parametrize("look", [Trace.select, Trace.order])
def test_a_name_that_no_event_has_is_an_error(look: Callable[..., object]) -> None:
    trace = Trace([Event(0, "async 1", "async_free"), Event(0, "async 1", "of my own")])
    with pytest.raises(
        ValueError, match=r"^Trace: 'asnyc_free' is no event; did you mean async_free\?$"
    ):
        look(trace, "stop", "asnyc_free")
    with pytest.raises(ValueError, match="^Trace: 'xyzzy' is no event; events are async_free, "):
        look(trace, "xyzzy")
    assert list(look(trace, "stop")) == []  # type: ignore[call-overload]  # an event that has not happened
    assert len(look(trace, "of my own")) == 1  # type: ignore[arg-type]
