"""What a run of the emulator under a tool has left in its log: the plays, and the reports about the driver.

AddressSanitizer, ThreadSanitizer and valgrind write to the emulator's standard error, `scenes.erl` its own lines into
the same file.  So a report belongs to the play that had begun before it; one that comes after the last play, such as a
leak's, belongs to none.  The emulator is not compiled for the tools, and they say much about it: only a report that
has a line of the driver in one of its stacks counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

MARK = re.compile(r"^#(play|seen|end)\b ?(\d*) ?(.*)$")
FRAME = re.compile(
    r"^(?: +#\d+ |==\d+== +(?:at|by) 0x).*?(?:\b(\w+_drv)\.c:(\d+)|<null> \(.*\b(\w+_drv)\.so\+0x(\w+))"
)
"""A line of a stack.  A sanitizer that has said something before the driver was loaded does not find its lines any
more, and tells how far it is into the driver's library.
"""
SANITIZER = re.compile(
    r"(?:==\d+==ERROR|WARNING): (?:Address|Thread)Sanitizer: (?:attempting )?(?P<kind>[\w() -]*?)"
    r"(?: on (?:unknown )?address.*| on 0x.*| \(.*| 0x.*|)$"
    r"|^(?P<leak>Direct|Indirect) leak of "
)
VALGRIND = re.compile(r"^==\d+==(?: |$)")
LEAK = re.compile("leak|blocks are ")
"""What is alive when the emulator dies has not leaked."""
EMULATORS = ("signal handler spoils errno",)
"""What ThreadSanitizer says of the emulator's handlers, with the line that the signal came to."""


@dataclass
class Report:
    """What a tool said once."""

    kind: str
    """In the tool's words."""
    lines: set[int] = field(default_factory=set)
    """The driver's lines in its stacks."""
    play: int | None = None


@dataclass
class Log:
    """What is in the log of one emulator."""

    begun: list[int] = field(default_factory=list)
    seen: dict[int, str] = field(default_factory=dict)
    """What a play has seen, of those that came to their end."""
    ended: bool = False
    """Whether the last play was over and the emulator was asked to end."""
    reports: list[Report] = field(default_factory=list)


def read(text: str, driver: str, line_at: Callable[[int], int]) -> Log:
    """Read a log.

    `driver` is the name of the driver's file without its ending, and `line_at` tells the line of a
    place in its library; 0 if it has none.
    """
    reader = Reader(driver, line_at)
    for line in text.splitlines():
        if mark := MARK.match(line):
            reader.mark(*mark.groups())
        else:
            reader.begin(line)
            reader.frame(line)
    log = reader.log
    log.reports = [one for one in log.reports if one.lines and one.kind not in EMULATORS]
    if not log.ended:
        log.reports = [one for one in log.reports if not LEAK.match(one.kind)]
    return log


@dataclass
class Reader:
    """Reads a log line by line."""

    driver: str
    line_at: Callable[[int], int]
    log: Log = field(default_factory=Log)
    play: int | None = None
    report: Report | None = None
    """The one that the next line may belong to."""

    def mark(self, what: str, number: str, rest: str) -> None:
        """Read a line of `scenes.erl`."""
        if what == "play":
            self.play = int(number)
            self.log.begun.append(self.play)
        elif what == "seen":
            self.log.seen[int(number)] = rest
        else:
            self.log.ended, self.play = True, None

    def begin(self, line: str) -> None:
        """Begin a report if this is its first line; those of valgrind end at an empty line."""
        if begins := SANITIZER.search(line):
            kind = "leak" if begins["leak"] else begins["kind"].strip()
            self.add("bad-free" if kind == "free" else kind)
        elif VALGRIND.match(line):
            said = VALGRIND.sub("", line)
            if not said.strip():
                self.report = None
            elif not said.startswith((" ", "Thread ", "Warning: ")):
                self.add(_plain(said))

    def add(self, kind: str) -> None:
        """Begin a report."""
        self.report = Report(kind, play=self.play)
        self.log.reports.append(self.report)

    def frame(self, line: str) -> None:
        """Add the driver's line that a line of a stack has."""
        if self.report is None or not (frame := FRAME.match(line)):
            return
        name, number, library, offset = frame.groups()
        at = int(number) if name == self.driver else 0
        if library == self.driver:
            at = self.line_at(int(offset, 16))
        if at:
            self.report.lines.add(at)


def _plain(said: str) -> str:
    """A first line of valgrind's, without the numbers of this run."""
    said = re.sub(r" in loss record .*", "", said)
    said = re.sub(r"^[\d,]+ (\([^)]*\) )?bytes in [\d,]+ blocks are", "blocks are", said)
    return re.sub(r" of size \d+", "", said).strip()
