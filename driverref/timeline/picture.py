"""A trace as a picture.

The picture is read from the top down.  It has one row for each event, in the order of the trace,
and one where a callback returns that took time (`rows`).
The height does not show the time, because most events of a run have the same virtual time.  The
time stands on the left, in each row where it changes.  A row is

    time | a lane for each thread | the event's name, its details | where the data is | line

so text and lines never cross, and without the line of the program the picture is narrow enough for
a telephone: `--core` is its width then, and `--wide` the whole, for a page that scrolls.

An event is a mark on the lane of its thread.  The shape of the mark tells a callback, a call of the
driver, an event of Erlang's side and a job apart.  A job is a bar from its `async_invoke` to its
`async_return`, and a callback is one as far as it ran.  The lanes are shaded after `stop`.

A line goes from a cause to its effect (`links.WAITS`).  Its long vertical part is the waiting.  It
runs beside the lane of the effect, on the side that the line comes from, in a track of its own.  No
two events share a row, so no two lines cover each other.

Widths are computed and not measured: the text is monospaced, and `EM` is the width of the widest
such fonts.  Text and lines have the page's own colour (`currentColor`).  Three accents, which stand
out on a light and on a dark ground, can be set by the page: `--timeline-callback`, `--timeline-job`
and `--timeline-erlang`.
"""

from __future__ import annotations

import hashlib
import html
import re
from dataclasses import dataclass, field
from itertools import accumulate, groupby, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING

from driverref.diagnostics import Sources, from_files, line
from driverref.timeline.links import Link, links_of
from driverref.timeline.rows import Row, rows_of, several_ports
from driverref.timeline.words import HELD_BY, describe, duration, label, lanes, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from driverref.trace import Event


SHAPES = {  # the rest of an SVG path that starts in the middle of the mark
    "callback": "m-4.5-4.5h9v9h-9z",
    "call": "m-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z",
    "Erlang": "m0-6l6 6l-6 6l-6-6z",
    "job": "m-4.5-7h9v14h-9z",
} | dict.fromkeys(("waiting", "timer", "message"), "m0-6v12")

LEGEND = (("callback", "call", "Erlang", "job"), ("waiting", "timer", "message"))

# Lengths are in units of the picture, of which 16 make a rem at full size.
ROW, LINE, HEAD, PAD = 24.0, 17.0, 44.0, 6.0
FONT, SMALL, EM = 13, 11, 0.62
MARK, BAR, GAP, TRACK, BEND = 6.0, 9.0, 9.0, 6.0, 4.0
COLUMN = 30  # characters of an event's text; longer details go to a second line
LEAST = 330.0  # the width of the legend
HOLDER = len(HELD_BY) * SMALL * EM
FULL, LINE_LEAST = 752.0, 24  # the width with the lines of the program, and how long these may be

# Where the data of a job is, by a mark that the picture has for it anyway, and by a word.
HOLDERS = {"emulator": "waiting", "job": "job", "driver": "callback"}

STYLE = """
& { display: block; width: 100%; height: auto }
& text { fill: currentColor; font-size: 13px;
  font-family: var(--font-stack--monospace, ui-monospace, Menlo, Consolas, monospace) }
& .small { font-size: 11px } & .quiet { opacity: .72 }
& .middle { text-anchor: middle } & .end { text-anchor: end }
& path { fill: none; stroke: currentColor } & .rule { opacity: .14 } & .lane { opacity: .3 }
& .leader { opacity: .28; stroke-dasharray: 1 3 } & .waiting { stroke-dasharray: 4 3 }
& .timer { stroke-width: 1.6; stroke-dasharray: .1 4; stroke-linecap: round }
& .link, & .message, & .waiting { opacity: .75 } & .tip { fill: currentColor; stroke: none }
& .call { fill: var(--color-background-primary, none); stroke-width: 1.6 }
& .runs { fill: var(--timeline-callback, #3f7fd0); fill-opacity: .25;
  stroke: var(--timeline-callback, #3f7fd0); stroke-width: 1.2 }
& .gone { fill: currentColor; stroke: none; opacity: .11 }
& .callback { fill: var(--timeline-callback, #3f7fd0); stroke: none }
& .Erlang { fill: var(--timeline-erlang, #c2567a); stroke: none }
& .job { fill: var(--timeline-job, #3d8b5a); fill-opacity: .2;
  stroke: var(--timeline-job, #3d8b5a); stroke-width: 1.4 }
""".replace("&", ".driverref-timeline")


def svg(
    trace: Iterable[Event],
    *,
    title: str = "Timeline",
    description: str | None = None,
    sources: Sources = from_files,
) -> str:
    """Return the events as an `<svg>` element, for a page or, with `as_file`, for a file.

    A screen reader reads `title` and `description` aloud.  Without a `description` one is made from
    the events.  `sources` finds the lines of the program.  Equal arguments give equal text.
    """
    picture = _Picture(rows_of(trace), sources)
    heading = _escaped(one_line(title))
    summary = _escaped(one_line(describe(picture.rows) if description is None else description))
    body = "\n".join(picture.draw())
    # A page may hold many pictures, and an id must not occur twice in it.  The hash differs between
    # pictures and stays the same from one build of the book to the next.
    name = "timeline-" + hashlib.sha256(f"{heading}\n{summary}\n{body}".encode()).hexdigest()[:12]
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" class="driverref-timeline" role="img" \
viewBox="0 0 {picture.width:g} {picture.height:g}" width="100%" \
style="max-width:{picture.width / 16:g}rem;--wide:{picture.width / 16:g};\
--core:{picture.core / 16:g}" aria-labelledby="{name}-title {name}-desc">
<title id="{name}-title">{heading}</title>
<desc id="{name}-desc">{summary}</desc>
<style>{STYLE}</style>
{body}
</svg>"""


def _cells(words: str) -> int:
    """The width in characters; one outside ASCII counts as two, because it may be that wide."""
    return sum(1 if c.isascii() else 2 for c in words)


def _width(words: str) -> float:
    return _cells(words) * SMALL * EM


def _clip(words: str, cells: int) -> str:
    if _cells(words) <= cells:
        return words
    widths = accumulate(map(_cells, words))
    return "".join(c for c, width in zip(words, widths, strict=True) if width < cells - 1) + "…"


def _lines(rows: Sequence[Row], sources: Sources) -> list[str]:
    """Return the line of the program of each row, or `""`: also if the row above has the same."""
    found, above = [], None
    for row in rows:
        source = None if row.place is None else sources(row.place[0])
        number = None if row.place is None else line(row.place)
        text = ""
        if source is not None and number is not None and number <= len(source[1]):
            # Without the remark at its end; a picture shows several spaces as one.
            code = re.sub(r"\s{2,}#.*", "", source[1][number - 1].rstrip("\n"))
            text = one_line(" ".join(code.split()))
        same = (row.event.thread, row.place) == above
        found.append("" if same else text)
        above = row.event.thread, row.place
    return found


def _path(kind: str, d: str) -> str:
    return f'<path class="{kind}" d="{d}"/>'


def _escaped(words: str) -> str:
    return html.escape(words, quote=False)


def _text(x: float, y: float, words: str, kind: str, more: str = "") -> str:
    words = _escaped(words)
    if more:
        words += f' <tspan class="quiet">{_escaped(more)}</tspan>'
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{words}</text>'


@dataclass
class _Lane:
    order: int
    word: str
    number: str
    bars: list[Link]
    half: float  # half as wide as its widest bar, or as a mark
    x: float = 0.0
    tracks: dict[int, list[int]] = field(default_factory=lambda: {-1: [], 1: []})
    """The tracks on the left (-1) and on the right (1), the nearest first.

    A track is the row where its last link ends; a link that begins below it may use the track too.
    """

    def reach(self, side: int) -> float:
        return self.half + GAP + TRACK * len(self.tracks[side])

    def group(self) -> tuple[str, int]:
        return self.word, -1 if self.number else self.order


class _Picture:
    """The layout of a picture, which `__init__` computes, and `draw`, which draws it.

    SVG paints in the order of the text, so what lies below the rest is drawn first.
    """

    def __init__(self, rows: Sequence[Row], sources: Sources) -> None:
        self.rows = rows
        self.events = events = [row.event for row in rows]
        self.links = links_of(events)
        self.kinds = [row.kind for row in rows]
        self.jobs = ["" if event.job is None else str(event.job) for event in events]
        several = several_ports(events)
        self.labels = [label(event, with_port=several) for event in events]
        self.times = [duration(event.time) for event in events]
        self.gutter = PAD + max(_width(time) for time in ("time", *self.times))
        self.place_lanes()
        self.place_columns(sources)
        self.place_rows()

    def place_columns(self, sources: Sources) -> None:
        """Find the widths of the event, of what has the data of its job, and of its line."""
        lengths = [_cells(" ".join(label).strip()) for label in self.labels]
        names = [_cells(name) for name, _ in self.labels]
        self.column = max([*names, min(COLUMN, max(lengths, default=0))])
        self.fits = [cells <= self.column for cells in lengths]
        held = [i for i, row in enumerate(self.rows) if row.held]
        end = self.margin + self.column * FONT * EM
        # It stands at the right, and where no longer event is, above the room of such a one.
        self.held = self.margin + GAP + FONT * EM * max((lengths[i] for i in held), default=0)
        if held:
            end = max(end, self.held + HOLDER)
        self.core = self.width = max(LEAST, end + PAD)
        self.lines = _lines(self.rows, sources)
        longest = max(map(_cells, self.lines), default=0)
        self.source = self.core + 2 * PAD
        if longest:
            room = int((FULL - self.source - PAD) / SMALL / EM)
            self.shown = min(longest, max(LINE_LEAST, room))
            self.width = self.source + self.shown * SMALL * EM + PAD

    def place_lanes(self) -> None:
        self.lanes: dict[str, _Lane] = {}
        for order, thread in enumerate(lanes(self.events)):
            found = re.fullmatch("(.+) ([0-9]{1,4})", thread)
            word, number = found.groups() if found else (thread, "")
            jobs = (link for link in self.links if link.drawn == "job")
            bars = [link for link in jobs if self.events[link.cause].thread == thread]
            half = max([MARK, *(_width(self.jobs[bar.cause]) / 2 + 5 for bar in bars)])
            self.lanes[thread] = _Lane(order, _clip(one_line(word), 12), number, bars, half)
        self.lane = [self.lanes[event.thread] for event in self.events]
        self.links = [link for link in self.links if link.drawn != "job"]
        self.place_links()
        x = self.gutter + PAD
        # "scheduler 1" and "scheduler 2" share one word over both lanes: the word, and its middle.
        self.groups: list[tuple[str, float]] = []
        for (word, _), group in groupby(self.lanes.values(), _Lane.group):
            members = list(group)
            span = sum(a.reach(1) + b.reach(-1) for a, b in pairwise(members))
            # A word that is wider than its lanes needs room on both sides.
            least = (_width(word) + GAP - span) / 2
            x += max(0.0, least - members[0].reach(-1))
            for lane in members:
                lane.x = x + lane.reach(-1)
                x = lane.x + lane.reach(1)
            x += max(0.0, least - members[-1].reach(1))
            self.groups.append((word, (members[0].x + members[-1].x) / 2))
        self.margin = x + PAD  # where the text begins

    def place_links(self) -> None:
        """Give each link the nearest free track beside the lane where it ends."""
        for link in self.links:
            lane = self.lane[link.effect]
            side = 1 if self.lane[link.cause].order > lane.order else -1
            free = (at for at, until in enumerate(lane.tracks[side]) if until < link.cause)
            track = next(free, len(lane.tracks[side]))
            lane.tracks[side][track : track + 1] = [link.effect]
            link.offset = side * (lane.half + GAP + TRACK * track)

    def place_rows(self) -> None:
        self.y: list[float] = []
        self.top = [HEAD]
        for row, fits in zip(self.rows, self.fits, strict=True):
            self.y.append(self.top[-1] + ROW / 2)
            self.top.append(self.top[-1] + ROW + LINE * ((not fits) + bool(row.note)))
        bottom = self.top[-1]
        self.foot = bottom + PAD
        self.y.append(self.foot - BAR)  # the row after the last, where unfinished jobs end
        self.height = self.foot + ROW * (len(LEGEND) + 0.5)

    def edge(self, row: int, side: int) -> float:
        """The x at which a line meets the mark or the bar of an event."""
        lane = self.lane[row]
        return lane.x + side * (lane.half if self.kinds[row] == "job" else MARK)

    def draw(self) -> Iterator[str]:
        if not self.events:
            yield _text(self.width / 2, self.height / 2, "no events", "middle quiet")
            return
        yield _text(self.gutter, HEAD - 10, "time", "small quiet end")
        yield _text(self.margin, HEAD - 10, "event", "small quiet")
        if any(row.held for row in self.rows):
            yield _text(self.held, HEAD - 10, HELD_BY, "small quiet")
        if any(self.lines):
            yield _text(self.source, HEAD - 10, "line of the program", "small quiet")
        yield from self.draw_shade()
        for word, x in self.groups:
            yield _text(x, HEAD - 25, word, "small middle")
        for lane in self.lanes.values():
            yield from self.draw_lane(lane)
        yield from self.draw_callbacks()
        for link in self.links:
            yield from self.draw_link(link)
        for row in range(len(self.events)):
            yield from self.draw_event(row)
        yield from self.draw_legend()

    def draw_shade(self) -> Iterator[str]:
        """Shade what comes after the `stop` of its port, on all lanes, as one where it goes on."""
        left, right = self.gutter + PAD, self.margin - PAD
        rows = ((row.after_stop, at) for at, row in enumerate(self.rows))
        for after, group in groupby(rows, key=itemgetter(0)):
            if after:
                members = [at for _, at in group]
                top, bottom = self.top[members[0]], self.top[members[-1] + 1]
                yield _path("gone", f"M{left:g} {top:g}H{right:g}V{bottom:g}H{left:g}Z")

    def draw_callbacks(self) -> Iterator[str]:
        """Draw a bar for each callback that ran for more than a row."""
        for at, row in enumerate(self.rows):
            if row.last is not None and row.last > at:
                x, top, bottom = self.lane[at].x, self.y[at], self.y[row.last]
                bottom += 0 if self.kinds[row.last] == "return" else BAR
                yield _path("runs", f"M{x - 6:g} {top:g}H{x + 6:g}V{bottom:g}H{x - 6:g}Z")

    def draw_lane(self, lane: _Lane) -> Iterator[str]:
        yield _text(lane.x, HEAD - 10, lane.number, "small middle")
        line = f"M{lane.x:g} {HEAD - 3:g}"
        left, right = lane.x - lane.half, lane.x + lane.half
        for bar in lane.bars:
            top, bottom = self.y[bar.cause] - BAR, self.y[bar.effect] + BAR
            # The bar of a job that has not returned stays open at the bottom.
            close = "Z" if bar.effect < len(self.events) else ""
            yield _path("job", f"M{left:g} {bottom:g}V{top:g}H{right:g}V{bottom:g}{close}")
            yield _text(lane.x, self.y[bar.cause] + 4, self.jobs[bar.cause], "small middle")
            line += f"V{top:g}M{lane.x:g} {bottom:g}"
        yield _path("lane", f"{line}V{self.foot:g}")

    def draw_link(self, link: Link) -> Iterator[str]:
        top, bottom = self.y[link.cause], self.y[link.effect]
        x = self.lane[link.effect].x + link.offset
        away = 1 if x > self.lane[link.cause].x else -1
        side = 1 if link.offset > 0 else -1
        start, tip = self.edge(link.cause, away), self.edge(link.effect, side)
        out, back = away * BEND, -side * BEND
        leaves = f"M{start:g} {top:g}H{x - out:g}q{out:g} 0 {out:g} {BEND:g}"
        arrives = f"M{x:g} {bottom - BEND:g}q0 {BEND:g} {back:g} {BEND:g}H{tip:g}"
        yield _path("link", leaves + arrives)
        yield _path(link.drawn, f"M{x:g} {top + BEND:g}V{bottom - BEND:g}")
        yield _path("tip", f"M{tip:g} {bottom:g}l{5 * side} -3v6z")

    def draw_event(self, row: int) -> Iterator[str]:
        y, (name, details) = self.y[row], self.labels[row]
        if row == 0 or self.times[row] != self.times[row - 1]:
            yield _text(self.gutter, y + 4, self.times[row], "small quiet end")
            yield _path("rule", f"M{PAD:g} {y - ROW / 2:g}H{self.width - PAD:g}")
        yield _path("leader", f"M{self.edge(row, 1):g} {y:g}H{self.margin - 4:g}")
        kind = self.kinds[row]
        if kind not in ("job", "return"):
            yield _path(kind, f"M{self.lane[row].x:g} {y:g}{SHAPES[kind]}")
        yield _text(self.margin, y + 4, name, "name", details if self.fits[row] else "")
        if not self.fits[row]:
            yield _text(self.margin, y + 4 + LINE, _clip(details, self.column), "quiet")
        if held := self.rows[row].held:
            mark = HOLDERS[held]
            yield _path(f"{mark} held", f"M{self.held + 5:g} {y:g}{SHAPES[mark]}")
            yield _text(self.held + 14, y + 4, held, "small")
        if note := self.rows[row].note:
            below = y + 4 + LINE * (1 + (not self.fits[row]))
            yield _text(self.margin, below, note, "small")
        if line := self.lines[row]:
            yield _text(self.source, y + 4, _clip(line, self.shown), "small quiet line")

    def draw_legend(self) -> Iterator[str]:
        present = {*self.kinds, *(link.drawn for link in self.links)}
        present.discard("return")
        for number, kinds in enumerate(LEGEND, 1):
            x, y = 2 * PAD, self.foot + number * 0.9 * ROW
            for kind in filter(present.__contains__, kinds):
                yield _path(kind, f"M{x:g} {y:g}{SHAPES[kind]}")
                yield _text(x + 12, y + 4, kind, "small quiet")
                x += 30 + _width(kind)
