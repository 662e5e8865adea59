"""The picture and the table of a trace: what stands in them, where, and that they stay readable."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driverref.terms import Atom, Pid, Port, Tuple
from driverref.timeline import duration, lanes, links, svg, text
from driverref.timeline import picture as drawing
from driverref.trace import NAMES as EVENT_NAMES
from driverref.trace import Event, Trace

MS = 1_000_000
SVG = "{http://www.w3.org/2000/svg}"
PORT = Port(1)


def data(payload: bytes, port: Port = PORT) -> Tuple:
    return Tuple((port, Tuple((Atom("data"), payload))))


SQUARE = [
    Event(0, "scheduler 1", "output", PORT, None, b"7"),
    Event(0, "scheduler 1", "driver_async", PORT, 1),
    Event(0, "async 1", "async_invoke", PORT, 1),
    Event(20 * MS, "async 1", "async_return", PORT, 1),
    Event(20 * MS, "scheduler 1", "ready_async", PORT, 1),
    Event(20 * MS, "scheduler 1", "driver_output", PORT, None, b"49"),
    Event(20 * MS, "scheduler 1", "receive", None, None, data(b"49")),
]


TABLE = [
    " time  thread       event",
    '    0  scheduler 1  output #Port<0.1> <<"7">>',
    "    0  scheduler 1  driver_async job 1",
    "    0  async 1      async_invoke job 1",
    "20 ms  async 1      async_return job 1",
    "20 ms  scheduler 1  ready_async job 1",
    '20 ms  scheduler 1  driver_output #Port<0.1> <<"49">>',
    '20 ms  scheduler 1  receive {#Port<0.1>,{data,<<"49">>}}',
]


class Word(NamedTuple):
    """A `<text>` of a picture, and the room it takes."""

    words: str
    kinds: frozenset[str]
    x: float
    y: float

    @property
    def width(self) -> float:
        font = drawing.SMALL if "small" in self.kinds else drawing.FONT
        return sum(1 if c.isascii() or c == "…" else 2 for c in self.words) * font * drawing.EM

    @property
    def left(self) -> float:
        share = 1.0 if "end" in self.kinds else 0.5 if "middle" in self.kinds else 0.0
        return self.x - share * self.width


class Picture:
    """A picture, read back."""

    def __init__(self, source: str) -> None:
        self.root = ET.fromstring(source)
        self.width, self.height = map(float, self.root.attrib["viewBox"].split()[2:])
        self.words = [
            Word(
                "".join(element.itertext()),
                frozenset(element.attrib["class"].split()),
                float(element.attrib["x"]),
                float(element.attrib["y"]),
            )
            for element in self.root.iter(f"{SVG}text")
        ]

    def paths(self, kind: str) -> list[str]:
        found = self.root.iter(f"{SVG}path")
        return [path.attrib["d"] for path in found if path.attrib["class"] == kind]

    def links(self) -> list[str]:
        """Which row's event led to which: `driver_async 1 -> async_invoke 1`."""
        rows = {word.y - 4: word.words for word in self.words if "name" in word.kinds}
        found = []
        for path in self.paths("link"):
            start, end = re.findall(r"M(?:[-\d.]+) ([-\d.]+)", path)
            found.append(f"{rows[float(start)]} -> {rows[float(end) + drawing.BEND]}")
        return found

    def labels(self) -> list[str]:
        return [word.words for word in self.words if "name" in word.kinds]

    def times(self) -> list[str]:
        return [word.words for word in self.words if "end" in word.kinds]

    def heads(self) -> list[str]:
        """What stands over the lanes, from left to right, a word before the numbers under it."""
        top = [w for w in self.words if "middle" in w.kinds and w.y < drawing.HEAD and w.words]
        return [word.words for word in sorted(top, key=lambda word: (word.y, word.x))]


def read(events: list[Event]) -> Picture:
    return Picture(svg(events))


# The table


def test_the_table_has_a_line_for_each_event() -> None:
    assert text(SQUARE).splitlines() == TABLE


def test_a_job_names_its_port_when_there_are_several() -> None:
    other = Event(0, "scheduler 1", "driver_async", Port(2), 2)
    assert "driver_async #Port<0.1> job 1" in text([*SQUARE, other])
    assert "driver_async #Port<0.1> job 1" not in text(SQUARE)


def test_printing_a_trace_gives_the_table() -> None:
    assert str(Trace(SQUARE)) == text(SQUARE)


def test_a_line_stays_a_line_whatever_it_says() -> None:
    table = text([Event(0, "a\nb", "output", None, None, Atom("c\ud800"))])
    assert table.splitlines()[1:] == [r"   0  a\x{A}b  output 'c\x{D800}'"]


@pytest.mark.parametrize(
    ("ns", "printed"),
    [
        (0, "0"),
        (7, "7 ns"),
        (1_000, "1 us"),
        (250_000, "250 us"),
        (1_050_000, "1.05 ms"),
        (20 * MS, "20 ms"),
        (1_500 * MS, "1.5 s"),
        (1_000_000_001, "1.000000001 s"),
        (100 * 1_000 * MS, "100 s"),
    ],
)
def test_times_print_in_a_unit_that_reads_well(ns: int, printed: str) -> None:
    assert duration(ns) == printed


@given(st.integers(0, 10**15))
def test_no_nanosecond_is_rounded_away(ns: int) -> None:
    number, _, unit = duration(ns).partition(" ")
    whole, _, decimals = number.partition(".")
    digits = {"": 0, "ns": 0, "us": 3, "ms": 6, "s": 9}[unit]
    assert int(whole + decimals.ljust(digits, "0")) == ns
    assert not decimals.endswith("0")


# The picture


def test_the_square_of_seven() -> None:
    picture = read(SQUARE)
    assert picture.heads() == ["scheduler", "async", "1", "1"]
    assert picture.labels() == [
        'output <<"7">>',
        "driver_async job 1",
        "async_invoke job 1",
        "async_return job 1",
        "ready_async job 1",
        'driver_output <<"49">>',
        "receive",  # and its message on a second line, because it is long
    ]
    assert '{#Port<0.1>,{data,<<"49">>}}' in [word.words for word in picture.words]
    assert picture.links() == [
        "driver_async job 1 -> async_invoke job 1",
        "async_return job 1 -> ready_async job 1",
        'driver_output <<"49">> -> receive',
    ]


def test_the_time_is_named_where_it_changes() -> None:
    assert read(SQUARE).times() == ["time", "0", "20 ms"]


def test_each_side_has_a_shape_and_the_legend_names_it() -> None:
    picture = read(SQUARE)
    names = {word.words for word in picture.words}
    # An event or two, and one in the legend.  A job is a bar and has no other mark.
    shapes = {kind: len(picture.paths(kind)) for kind in ("callback", "call", "Erlang", "job")}
    assert shapes == {"callback": 2 + 1, "call": 2 + 1, "Erlang": 1 + 1, "job": 1 + 1}
    assert {*shapes, "waiting", "message"} <= names
    assert "timer" not in names  # none was set


def test_three_jobs_on_one_thread_wait_in_tracks_of_their_own() -> None:
    events = [Event(0, "scheduler 1", "driver_async", PORT, job) for job in (1, 2, 3)]
    for job in (1, 2, 3):
        events.append(Event(job * MS, "async 1", "async_invoke", PORT, job))
        events.append(Event(job * MS, "async 1", "async_return", PORT, job))
    picture = read(events)
    assert len(picture.links()) == 3
    assert len({path.split()[0] for path in picture.paths("waiting")[:3]}) == 3


def test_a_track_is_used_again_when_it_is_free() -> None:
    picture = read(SQUARE[1:3] + [e._replace(job=2) for e in SQUARE[1:3]])
    first, second = (path.split()[0] for path in picture.paths("waiting")[:2])
    assert first == second


def test_a_job_that_has_not_returned_is_open_below() -> None:
    assert [bar[-1] for bar in read(SQUARE).paths("job")] == ["Z", "z"]
    assert not read(SQUARE[:3]).paths("job")[0].endswith("Z")


def test_a_job_whose_beginning_was_cut_off_is_a_short_bar() -> None:
    picture = read(SQUARE[3:])
    assert len(picture.paths("job")) == 1 + 1
    assert picture.links()[0] == "async_return job 1 -> ready_async job 1"


def test_work_done_after_the_port_closed_ends_in_async_free() -> None:
    events = [
        *SQUARE[1:3],
        Event(MS, "scheduler 1", "port_close", PORT),
        Event(MS, "scheduler 1", "stop", PORT),
        *SQUARE[3:4],
        Event(20 * MS, "scheduler 1", "async_free", PORT, 1),
    ]
    assert read(events).links()[-1] == "async_return job 1 -> async_free job 1"


def test_a_timer_leads_to_its_timeout() -> None:
    timer = [
        Event(0, "scheduler 1", "driver_set_timer", PORT, None, 5),
        Event(5 * MS, "scheduler 1", "timeout", PORT),
    ]
    assert read(timer).links() == ["driver_set_timer 5 ms -> timeout"]
    assert len(read(timer).paths("timer")) == 1 + 1


@pytest.mark.parametrize("name", ["driver_set_timer", "driver_cancel_timer"])
def test_a_port_has_one_timer(name: str) -> None:
    events = [
        Event(0, "scheduler 1", "driver_set_timer", PORT, None, 5),
        Event(1 * MS, "scheduler 1", name, PORT),
        Event(2 * MS, "scheduler 1", "driver_set_timer", PORT, None, 9),
        Event(11 * MS, "scheduler 1", "timeout", PORT),
    ]
    assert read(events).links() == ["driver_set_timer 9 ms -> timeout"]


def test_another_ports_timeout_is_not_mine() -> None:
    events = [
        Event(0, "scheduler 1", "driver_set_timer", PORT, None, 5),
        Event(5 * MS, "scheduler 1", "timeout", Port(2)),
    ]
    assert read(events).links() == []


def test_a_suspended_sender_waits_for_the_port() -> None:
    events = [
        Event(0, "scheduler 1", "suspended", PORT, None, Pid(1)),
        Event(0, "scheduler 2", "resumed", PORT, None, Pid(1)),
    ]
    assert read(events).links() == ["suspended <0.1.0> -> resumed <0.1.0>"]


def test_a_message_is_known_by_its_port_or_by_itself() -> None:
    tick = Tuple((Atom("tick"), 1))
    events = [
        Event(0, "scheduler 1", "driver_output", PORT, None, b"a"),
        Event(0, "async 1", "erl_drv_send_term", PORT, None, tick),
        Event(0, "scheduler 1", "driver_output", PORT, None, b"b"),
        Event(0, "scheduler 1", "receive", None, None, tick),
        Event(0, "scheduler 1", "receive", None, None, data(b"a")),
        Event(0, "scheduler 1", "receive", None, None, Atom("from_elsewhere")),
        Event(0, "scheduler 1", "driver_send_term", PORT, None, Atom("tock")),
        Event(0, "scheduler 1", "receive", None, None, Atom("tock")),
    ]
    assert read(events).links() == [
        'driver_output <<"a">> -> receive',
        "erl_drv_send_term {tick,1} -> receive {tick,1}",
        "driver_send_term tock -> receive tock",
    ]


def test_whatever_the_picture_knows_can_happen() -> None:
    assert {*links.KIND, *links.CAUSES, *links.EFFECTS} <= EVENT_NAMES


def test_lanes_stand_in_the_order_of_the_emulator() -> None:
    names = ["reader", "async 10", "async 2", "scheduler 2", "Async 1", "scheduler 1", "async x"]
    events = [Event(0, name, "call") for name in names]
    assert lanes(events) == [
        *("scheduler 1", "scheduler 2", "async 2", "async 10", "reader", "Async 1", "async x")
    ]
    assert read(events).heads() == [
        *("scheduler", "async", "reader", "Async", "async x"),
        *("1", "2", "2", "10", "1"),
    ]


def test_two_threads_with_names_too_long_keep_a_head_each() -> None:
    events = [Event(0, f"a_thread_with_a_name_{which}", "call") for which in "ab"]
    assert read(events).heads() == ["a_thread_w…", "a_thread_w…"]


def test_a_long_detail_is_clipped_and_a_long_name_is_not() -> None:
    name = "driver_" + "x" * 60
    long = Event(0, "scheduler 1", "output", PORT, None, b"y" * 1000)
    picture = read([long, Event(0, "scheduler 1", name, PORT)])
    assert name in picture.labels()
    clipped = next(word for word in picture.words if word.words.startswith('<<"yy'))
    assert clipped.words.endswith("…")
    assert clipped.left + clipped.width <= picture.width


def test_no_events_make_a_small_picture_that_says_so() -> None:
    picture = read([])
    assert [word.words for word in picture.words] == ["no events"]
    assert picture.height < 200
    assert text([]) == "no events"
    assert picture.root.findtext(f"{SVG}desc") == "No events."


# For those who do not see it, and for the page around it


def test_a_screen_reader_hears_title_and_description() -> None:
    root = read(SQUARE).root
    assert root.attrib["role"] == "img"
    named = root.attrib["aria-labelledby"].split()
    told = {e.attrib["id"]: e.text for e in root if "id" in e.attrib}
    assert [told[name] for name in named] == [
        "Timeline",
        'Events: 7, threads: 2, jobs: 1. In order: on scheduler 1 output <<"7">>, driver_async job 1;'
        " on async 1 async_invoke job 1, async_return job 1; on scheduler 1 ready_async job 1,"
        ' driver_output <<"49">>, receive {#Port<0.1>,{data,<<"49">>}}.',
    ]


def test_the_author_may_say_it_better() -> None:
    root = Picture(svg(SQUARE, title="Seven & all", description="<One> job\ncomes back.")).root
    assert root.findtext(f"{SVG}title") == "Seven & all"
    assert root.findtext(f"{SVG}desc") == r"<One> job\x{A}comes back."


def test_pictures_on_one_page_do_not_share_ids_and_builds_repeat() -> None:
    pictures = [svg(SQUARE), svg(SQUARE[1:]), svg(SQUARE, title="x"), svg(SQUARE, description="x")]
    ids = [name for source in pictures for name in re.findall(r' id="([^"]+)"', source)]
    assert len(set(ids)) == len(ids) == 8
    assert svg(iter(SQUARE)) == pictures[0]


def test_it_goes_with_the_page_in_light_and_dark() -> None:
    source = svg(SQUARE)
    assert "currentColor" in source
    for colour in re.findall(r"#[0-9a-f]{6}", source):
        for ground in ("#ffffff", "#131416"):
            assert contrast(colour, ground) >= 3  # what WCAG asks of graphics; no text has a colour
    assert set(re.findall(r"(?:fill|stroke): (#|[a-z]+\b\()", source)) == {"var("}


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [
            ((part + 0.055) / 1.055) ** 2.4 if part > 0.04 else part / 12.92 for part in parts
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_a_notebook_shows_the_picture() -> None:
    assert Trace(SQUARE)._repr_html_() == svg(SQUARE)


def test_two_lanes_stay_legible_on_a_telephone() -> None:
    column = 360 - 2 * 16
    assert drawing.FONT * min(1, column / read(SQUARE).width) >= 9


# Whatever the events


NAMES = st.sampled_from([*links.KIND, *links.CAUSES, *links.EFFECTS, "driver_cancel_timer"])
THREADS = st.one_of(
    st.builds("{} {}".format, st.sampled_from(["scheduler", "async"]), st.integers(1, 1024)),
    st.sampled_from(["scheduler 1", "scheduler 2", "async 1", "async 2"]),
    st.text(min_size=1, max_size=30),
)
DETAILS = st.recursive(
    st.none() | st.integers() | st.binary(max_size=50) | st.text(max_size=50).map(Atom),
    lambda terms: st.lists(terms, max_size=3) | st.tuples(terms, terms),
    max_leaves=5,
)
PORTS = st.none() | st.builds(Port, st.integers(1, 3))
JOBS = st.none() | st.integers(1, 4)
EVENTS = st.builds(Event, st.integers(0, 10**10), THREADS, NAMES, PORTS, JOBS, DETAILS)


@given(st.lists(EVENTS, max_size=12))
def test_every_picture_is_sound(events: list[Event]) -> None:
    picture = read(events)
    labels = picture.labels()
    assert len(labels) == len(events)
    for event, label in zip(events, labels, strict=True):
        assert label.split()[0] == event.name
    for word in picture.words:
        assert word.left >= 0, word
        assert word.left + word.width <= picture.width + 1e-6, word
        assert 0 < word.y < picture.height, word
    rows = [word.y for word in picture.words if "name" in word.kinds]
    assert all(b - a >= drawing.ROW for a, b in itertools.pairwise(rows))
    ids = [element.attrib["id"] for element in picture.root.iter() if "id" in element.attrib]
    assert len(set(ids)) == len(ids) == 2


@given(st.lists(EVENTS, max_size=12))
def test_lanes_and_text_do_not_touch(events: list[Event]) -> None:
    picture = read(events)
    margin = min((w.x for w in picture.words if "name" in w.kinds), default=picture.width)
    xs = [float(x) for path in picture.paths("lane") for x in re.findall(r"^M([-\d.]+)", path)]
    assert xs == sorted(xs)
    assert len(xs) == len(lanes(events))
    assert all(a + drawing.MARK < b for a, b in itertools.pairwise([0.0, *xs, margin]))


@given(st.lists(EVENTS, max_size=12))
def test_a_line_leads_downwards_and_no_two_share_a_track(events: list[Event]) -> None:
    spans: dict[float, list[tuple[float, float]]] = {}
    picture = read(events)
    for kind in ("waiting", "timer", "message"):
        for path in picture.paths(kind):
            if found := re.fullmatch(r"M([-\d.]+) ([-\d.]+)V([-\d.]+)", path):  # not the legend's
                x, top, bottom = map(float, found.groups())
                assert top < bottom
                spans.setdefault(x, []).append((top, bottom))
    for column in spans.values():
        assert all(a[1] < b[0] for a, b in itertools.pairwise(sorted(column)))


@given(st.lists(EVENTS, max_size=12))
def test_every_table_has_a_line_for_each_event(events: list[Event]) -> None:
    lines = text(events).split("\n")
    assert len(lines) == len(events) + 1 if events else lines == ["no events"]
    for event, line in zip(events, lines[1:], strict=True):
        assert event.name in line.split()


def test_a_message_with_lists_and_maps_is_known_by_its_parts() -> None:
    term = Tuple((PORT, [1, {Atom("key"): [b"long" * 1_000]}]))
    other = Tuple((PORT, [1, {Atom("key"): [b"long" * 1_000, 2]}]))
    events = [
        Event(0, "scheduler 1", "erl_drv_output_term", PORT, None, sent) for sent in (other, term)
    ]
    events.append(Event(0, "scheduler 1", "receive", None, None, term))
    assert [(link.cause, link.effect) for link in links.links_of(events)] == [(1, 2)]
