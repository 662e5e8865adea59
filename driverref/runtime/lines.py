"""The lines of a port that was opened with `{line, N}`.

Such a port cuts what its driver sends into lines.  Each goes to the owner in a message of its own:
`{eol, Line}`, or `{noeol, Part}` if a line is longer than N bytes.  What comes after the last
newline waits for the rest of its line.

Source: `io.c:read_linebuf`, `deliver_linebuf_message`.
"""

from __future__ import annotations

from collections.abc import Iterator

from driverref.terms import Atom

EOL, NOEOL = Atom("eol"), Atom("noeol")


class Lines:
    """The line of one port that is not complete yet.  Used under the port's lock."""

    __slots__ = ("_held", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._held = b""

    def add(self, data: bytes) -> Iterator[tuple[Atom, bytes]]:
        """Take data, and yield the lines and the parts of long lines that are complete by then."""
        self._held += data
        while self._held:
            text, newline, after = self._held.partition(b"\n")
            line = text.removesuffix(b"\r") if newline else text
            if len(line) > self.size:
                # A part that is full waits for the next byte, which may be the newline.  So does
                # one with a return behind it: a return belongs to the newline that follows.
                if not newline and text[self.size :] == b"\r":
                    return
                self._held = self._held[self.size :]
                yield NOEOL, text[: self.size]
            elif newline:
                self._held = after
                yield EOL, line
            else:
                return

    def rest(self) -> Iterator[tuple[Atom, bytes]]:
        """Yield what is left, at the end of file."""
        held, self._held = self._held, b""
        # A return may stand behind a part that is full.
        for start in range(0, len(held), self.size):
            yield NOEOL, held[start : start + self.size]
