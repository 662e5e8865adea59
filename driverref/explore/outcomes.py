"""What an exploration has found: outcomes, how many schedules lead to each, and a witness.

A `Tally` counts while the runs are made.  `Outcomes` is what `explore` returns: the counts, the
table that `print` shows, and `replay`, which makes the run of a witness again.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal, Unpack

from driverref.diagnostics import shown
from driverref.emulator import Emulator
from driverref.errors import wrong_type
from driverref.explore.run import (
    Experiment,
    Fault,
    Order,
    Scenario,
    experiment_of,
)
from driverref.explore.schedules import FIRST_COME
from driverref.explore.search import PATIENCE
from driverref.explore.witness import SHORT, RunOptions, agreed, shortened
from driverref.threads import OUTSIDE, running
from driverref.threads.watch import watching


@dataclass(frozen=True)
class Found:
    """How often an outcome came about, and how."""

    count: int
    """How many schedules led to it: different ones, or, if they were drawn at random, any."""
    witness: str
    """The shortest of these schedules, with the options of the run, as a string for `replay`."""


class Tally:
    """The counts of an exploration while it goes on.  Tallies of a search's parts are added up."""

    def __init__(self) -> None:
        self.found: dict[Hashable, Found] = {}
        self.schedules = 0
        """How many runs were made."""
        self.cut = 0
        """How many of them were cut short, because they would have repeated another."""
        self.took_turns = False
        """Whether a thread of some run polled so long that another had to go on."""

    def count(self, outcome: Hashable, witness: str, times: int = 1) -> None:
        """Count an outcome: that of one run, or the same one of several."""
        old = self.found.get(outcome)
        if old is None:
            self.found[outcome] = Found(times, witness)
            return
        best = min(old.witness, witness, key=_length)
        if best != old.witness:
            # Equal faults may have different texts.  The one that the witness leads to is shown.
            self.found = {
                outcome if known == outcome else known: found for known, found in self.found.items()
            }
        self.found[outcome] = Found(old.count + times, best)

    def add(self, other: Tally) -> None:
        """Add the counts of another tally to this one."""
        self.schedules += other.schedules
        self.cut += other.cut
        self.took_turns |= other.took_turns
        for outcome, found in other.found.items():
            self.count(outcome, found.witness, found.count)


def _length(witness: str) -> tuple[bool, int, int, str]:
    """Return a key to sort witnesses by: fewest deviations, then length, then the text.

    The options, which may have commas too, are the same in all witnesses of an exploration.
    """
    return not witness.startswith(FIRST_COME), witness.count(","), len(witness), witness


def replay(scenario: Scenario, witness: str, **options: Unpack[RunOptions]) -> Emulator:
    """Run a scenario under the schedule of a witness, and return the emulator with its trace.

    The emulator has been stopped.  A fault of the driver is not raised: the trace ends with it.

    `witness` is a string as `explore` gives it.  It names the options of the run as well:
    `async_threads`, `schedulers`, `release`, `observe`, `step_limit`, `failing_allocations`.
    `options` need not repeat them, and may not contradict them.  With `""` for a witness the run is
    that of a plain `Emulator` with these `options`.

    Raises `TypeError` for wrong arguments.  Raises `ValueError` for a text that is no witness, and
    for a witness that `options` contradict or that the scenario cannot follow.  Raises `Misuse` in
    a thread that already runs an emulator.
    """
    return follow(scenario, witness, options)[0]


def follow(scenario: Scenario, witness: str, given: RunOptions) -> tuple[Emulator, Fault | None]:
    """Do as `replay`, and return the fault in which the run ended as well."""
    if not callable(scenario):
        raise wrong_type("replay", "scenario", "a function of an Emulator", scenario)
    experiment = experiment_of("replay", scenario, agreed(witness, given))
    with watching():
        return experiment.follow(witness)


class Outcomes(Mapping[Hashable, Found]):
    """Every outcome of a scenario.

    A mapping from the outcome to its `Found`, the most frequent first.

    A key is what the scenario returned; or the `Order` of the observed events, or a pair of both;
    or a `Fault`, which is one mistake: its text is that of the shortest witness.  `print` shows a
    table, and so does a notebook.  Below it stands the whole text of each outcome that a row cuts.
    """

    def __init__(
        self, tally: Tally, stopped: str | None, experiment: Experiment, strategy: str
    ) -> None:
        by_count = sorted(tally.found, key=lambda outcome: -tally.found[outcome].count)
        self._found = {outcome: tally.found[outcome] for outcome in by_count}
        self.experiment = experiment
        """The scenario and the options of its runs."""
        self.scenario = experiment.scenario
        """What was explored."""
        self.observe = experiment.observe
        """The names of the events whose order belongs to the outcomes."""
        self.strategy = strategy
        """How the schedules were found: `"all"`, `"random"` or `"pct"`."""
        self.schedules = tally.schedules
        """How many schedules were run, those that were cut short included."""
        self.inequivalent = tally.schedules - tally.cut
        """How many were run to their end; with the strategy `all` no two of them are equivalent."""
        self.took_turns = tally.took_turns
        """Whether a thread of some run polled so long that another had to go on."""
        self.stopped = stopped
        """Why the search did not come to its end; `None` if it did."""
        self.complete = stopped is None and strategy == "all"
        """Whether there are no other outcomes."""

    def __getitem__(self, outcome: Hashable) -> Found:
        return self._found[outcome]

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def tally(self) -> Tally:
        """Return the counts, to go on counting."""
        tally = Tally()
        tally.found, tally.took_turns = dict(self._found), self.took_turns
        tally.schedules, tally.cut = self.schedules, self.schedules - self.inequivalent
        return tally

    @property
    def faults(self) -> list[Fault]:
        """The outcomes that are faults."""
        return [outcome for outcome in self._found if isinstance(outcome, Fault)]

    def replay(self, outcome: Hashable) -> Emulator:
        """Run the outcome's witness again, and return the emulator, stopped, with its whole trace.

        Raises `KeyError` if there is no such outcome, `Misuse` in a thread that already runs an
        emulator.
        """
        with watching():
            return self.experiment.follow(self._found[outcome].witness)[0]

    def again(self, outcome: Hashable) -> str:
        """Return the call that runs the outcome's witness again: `replay(scenario, "14:2")`."""
        return self.call(self._found[outcome].witness)

    def call(self, witness: str) -> str:
        """Return the call that makes the run of a witness of this exploration."""
        name = getattr(self.experiment.scenario, "__name__", "")
        scenario = name if name.isidentifier() else "scenario"
        return f'replay({scenario}, "{witness}")'

    def rows(self) -> list[tuple[str, str, str]]:
        """Return the rows of the table: outcome, count, witness.

        A long outcome is shortened.  So is each witness, since all have the same options: `legend`.
        """
        return [
            (label(outcome), f"{found.count:,}", shortened(found.witness))
            for outcome, found in self._found.items()
        ]

    def legend(self) -> list[str]:
        """Return the line that says what `...` in the rows stands for; none if it is not there."""
        options = self.experiment.ending.removeprefix("/")
        return [f"{SHORT} is {options}"] if options else []

    def summary(self) -> str:
        """Return the table's last line: how many schedules there were, and whether that is all."""
        ways = "way" if len(self) == 1 else "ways"
        then = "" if self.stopped is None else f", then {self.stopped}"
        if self.strategy != "all":
            drawn = f"{self.schedules:,} schedules drawn at random{then}"
            return f"{len(self)} {ways} seen in {drawn}; there may be others"
        several = "" if self.inequivalent == 1 else "s"
        runs = f"{self.inequivalent:,} different schedule{several}, {self.schedules:,} run"
        if then:
            return f"{len(self)} {ways} seen; {runs}{then}; there may be others"
        others = "and there are no others"
        if self.took_turns:
            others += f" if no thread polls for more than {PATIENCE} steps in a row"
        return f"{len(self)} {ways} to end; {runs}, {others}"

    def below(self) -> list[str]:
        """Return what stands below the table: the text of each outcome that a row cuts."""
        return uncut(self)

    def __str__(self) -> str:
        head = ("outcome", "schedules", "witness")
        table = columns([head, *self.rows()], ">")
        return "\n".join([*table, *self.legend(), self.summary(), *self.below()])

    __repr__ = __str__

    # `player` makes the runs again, so this module imports `player` only when it is asked to show
    # itself.

    def _repr_html_(self) -> str:
        # An emulator that this thread still runs would refuse the runs.
        if running() is not OUTSIDE:
            return self.table()
        from driverref.player import in_page

        return in_page(self.table(), self)

    def table(self) -> str:
        """Return the table as HTML, with what stands below it."""
        head = "".join(f"<th>{name}</th>" for name in ("outcome", "schedules", "witness"))
        body = "".join(
            f"<tr><td>{_folded(outcome)}</td><td>{count}</td><td>{escape(witness)}</td></tr>"
            for outcome, (_, count, witness) in zip(self, self.rows(), strict=True)
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        below = [f"<p>{escape(line)}</p>" for line in (*self.legend(), self.summary())]
        return "".join([table, *below])


def columns(rows: Sequence[tuple[str, str, str]], align: Literal["<", ">"]) -> list[str]:
    """Return the lines of a table of three columns, of which the second is aligned so."""
    first, second = (max(len(row[i]) for row in rows) for i in (0, 1))
    return [f"{a:<{first}}  {b:{align}{second}}  {c}".rstrip() for a, b, c in rows]


WIDTH = 100
"""How many characters of a fault stand in a row of a table."""

WIDEST = 300
"""How many characters of another outcome stand there."""

LONGEST = 10_000
"""How many characters of a text stand below a table."""


def in_one_line(outcome: Hashable) -> str:
    """Return the text of an outcome.  A fault may have several lines, which are joined."""
    if isinstance(outcome, Fault):
        head, *lines = map(str.strip, str(outcome).splitlines())
        return f"{head} {'; '.join(lines)}" if lines else head
    if isinstance(outcome, tuple) and len(outcome) == 2 and isinstance(outcome[1], Order):
        return f"{shown(outcome[0])}  {outcome[1]}"
    return str(outcome) if isinstance(outcome, Order) else shown(outcome)


def label(outcome: Hashable) -> str:
    """Return the text of an outcome in a row of a table, which cuts a long one."""
    text, width = in_one_line(outcome), WIDTH if isinstance(outcome, Fault) else WIDEST
    return text[: width - 3] + "..." if len(text) > width else text


def whole(outcome: Hashable) -> str:
    """Return the text of an outcome below a table, which has the lines of a fault."""
    text = str(outcome) if isinstance(outcome, Fault) else in_one_line(outcome)
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}... ({len(text) - LONGEST:,} more characters)"


def uncut(outcomes: Iterable[Hashable]) -> list[str]:
    """Return the whole text of each outcome that a row cuts, behind an empty line."""
    cut = [whole(outcome) for outcome in outcomes if label(outcome) != in_one_line(outcome)]
    return ["", *cut] if cut else []


def _folded(outcome: Hashable) -> str:
    """Return the cell of an outcome, as HTML: one that is cut opens and shows the whole text."""
    if label(outcome) == in_one_line(outcome):
        return escape(label(outcome))
    text = f'<pre style="white-space: pre-wrap">{escape(whole(outcome))}</pre>'
    return f"<details><summary>{escape(label(outcome))}</summary>{text}</details>"
