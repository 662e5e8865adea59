"""Which line of the driver an address belongs to, and which variable.

The compiler writes a table of lines into the object (`-g`), and the linker one of symbols.
`readelf` and `nm`, of binutils, print them.  That is done once, when the driver is compiled.

A return address is the address behind a call, which may be that of the next line.  So a line is
looked up one byte before.

A `Line` makes a function of Python's that seems to stand there.  A request of the driver is served
through it, so all that asks which line of the program has led to it, such as a fault, the ledger
and a traceback, finds the line in C.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from types import CodeType
from typing import NamedTuple

from driverref.diagnostics import where
from driverref.hosting.tools import call

_LINE = re.compile(r"(\S.*?)\s+(\d+|-)\s+0x([0-9a-f]+)\b")


_SERVE = "lambda handler, run, a: handler(run, a)"

NO_LINE: CodeType = compile(_SERVE, __file__, "eval").co_consts[0]
"""As `Line.code`, for what is no line of the driver: it seems to stand in this package."""


class Line(NamedTuple):
    """A line of the driver."""

    file: str
    """The path of the file, or its name if it is none of the driver's own."""
    number: int
    function: str

    @property
    def code(self) -> CodeType:
        """A function of Python's that calls a handler, and has this file, line and name."""
        name = self.function
        return NO_LINE.replace(
            co_filename=self.file, co_name=name, co_qualname=name, co_firstlineno=self.number
        )

    def __str__(self) -> str:
        return where((self.code, 0))


class Table:
    """The lines, functions and variables of one object, by address in the object."""

    def __init__(
        self,
        lines: list[tuple[int, str, int]],
        functions: list[tuple[int, int, str, int]],
        variables: list[tuple[int, int, str]],
    ) -> None:
        self.lines, self.functions, self.variables = lines, functions, variables
        self._at = [row[0] for row in lines]

    @classmethod
    def read(cls, file: Path, sources: Sequence[Path]) -> Table:
        """Return the table of an object that was compiled from `sources`, headers included."""
        paths = {source.name: str(source) for source in sources}
        lines: dict[int, tuple[int, str, int]] = {}
        first: dict[int, int] = {}
        for row in call(["readelf", "-W", "--debug-dump=decodedline", str(file)]).splitlines():
            if match := _LINE.match(row):
                name = Path(match[1]).name
                number = 0 if match[2] == "-" else int(match[2])
                first.setdefault(int(match[3], 16), number)
                # Of several lines for one address the last is the one that the address executes.
                if number or int(match[3], 16) not in lines:
                    lines[int(match[3], 16)] = (int(match[3], 16), paths.get(name, name), number)
        functions, variables = [], []
        for row in call(["nm", "-S", "-C", "--defined-only", str(file)]).splitlines():
            match row.split(maxsplit=3):
                case [start, size, kind, name] if kind in "tTwW":
                    at, name = int(start, 16), name.partition("(")[0]
                    functions.append((at, int(size, 16), name, first.get(at, 0)))
                case [start, size, kind, name] if kind in "bBdD":
                    variables.append((int(start, 16), int(size, 16), name))
        return cls(sorted(lines.values()), sorted(functions), sorted(variables))

    @classmethod
    def load(cls, file: Path) -> Table:
        """Return a table that was saved."""
        parts = json.loads(file.read_text())
        return cls(*([tuple(row) for row in part] for part in parts))

    def save(self, file: Path) -> None:
        """Write the table to a file."""
        file.write_text(json.dumps([self.lines, self.functions, self.variables]))

    def line(self, address: int) -> Line | None:
        """Return the line whose code a return address follows; `None` if it is not the driver's."""
        at = bisect_right(self._at, address - 1) - 1
        if at < 0 or not self.lines[at][2]:
            return None
        _, file, line = self.lines[at]
        function = _within(self.functions, address - 1)
        return Line(file, line, function[2] if function else "?")

    def start(self, address: int) -> Line | None:
        """Return the line at which the function begins that the address lies in."""
        function = _within(self.functions, address - 1)
        line = self.line(address)
        return line._replace(number=function[3]) if function and line else None

    def variable(self, address: int) -> tuple[str, int] | None:
        """Return the global variable that an address lies in or just behind, and the byte in it."""
        at = bisect_right(self.variables, (address, 1 << 62)) - 1
        if at < 0:
            return None
        start, _, name = self.variables[at]
        return name, address - start


def _within(
    rows: list[tuple[int, int, str, int]], address: int
) -> tuple[int, int, str, int] | None:
    """Return the function whose range has the address in it."""
    at = bisect_right(rows, (address, 1 << 62)) - 1
    if at < 0 or address >= rows[at][0] + rows[at][1]:
        return None
    return rows[at]
