"""A term as a C driver writes it: an array of tagged words.

The array is read from left to right, and each entry pushes a term; a tuple, a list and a map take
theirs from what was pushed before.  One term is left.  Source: the manual page `erl_driver(3)`,
`erl_drv_output_term`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from driverref.errors import Misuse, OutOfBounds
from driverref.hosting.external import decode
from driverref.hosting.library import WHOLE

if TYPE_CHECKING:
    from driverref.hosting.run import Run


class Words:
    """The words of one array, and the terms made of them."""

    def __init__(self, run: Run, call: str, address: int, count: int) -> None:
        self.run, self.call, self.at = run, call, 0
        self.words = struct.unpack(f"<{count}Q", run.read(address, 8 * count))
        self.stack: list[Any] = []

    def term(self) -> object:
        """The term that the array describes.  `Misuse` if it is not one."""
        while self.at < len(self.words):
            tag = self.word()
            if tag not in _TAGS:
                raise Misuse(f"{self.call}: {tag} is no tag of a term")
            _TAGS[tag](self)
        if len(self.stack) != 1:
            raise Misuse(f"{self.call}: the array describes {len(self.stack)} terms and not one")
        return self.stack[0]

    def word(self) -> int:
        """The next word."""
        if self.at == len(self.words):
            raise Misuse(f"{self.call}: the array ends in the middle of a term")
        self.at += 1
        word: int = self.words[self.at - 1]
        return word

    def data(self) -> bytes:
        """The bytes that the next two words tell of."""
        address, size = self.word(), self.word()
        return self.run.read(address, size, WHOLE)

    def last(self, count: int) -> list[Any]:
        """The last terms, taken back."""
        if count > len(self.stack):
            raise Misuse(f"{self.call}: {count} terms are taken and there are {len(self.stack)}")
        taken = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return taken


def _signed(word: int) -> int:
    return word - (1 << 64) if word >> 63 else word


def _given(words: Words) -> object:
    return words.run.thing(words.call, words.word(), "an atom, port or pid of the term")


def _binary(words: Words) -> bytes:
    address, size, offset = words.word(), words.word(), words.word()
    binary = words.run.binary(words.call, address)
    if offset + size > binary.orig_size:
        part = f"bytes {offset} to {offset + size}"
        raise OutOfBounds(f"{words.call}: {part} are outside of {binary!r}")
    return bytes(binary.orig_bytes[offset : offset + size])


def _list(words: Words) -> list[object]:
    *items, tail = words.last(words.word())
    return [*items, *tail]


def _string_cons(words: Words) -> list[object]:
    data = words.data()
    return [*data, *words.last(1)[0]]


def _map(words: Words) -> dict[object, object]:
    flat = words.last(2 * words.word())
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _at(words: Words, kind: str) -> Any:
    return struct.unpack(kind, words.run.read(words.word(), 8))[0]


_TAGS: dict[int, Callable[[Words], None]] = {
    tag: lambda words, make=make: words.stack.append(make(words))  # type: ignore[misc]
    for tag, make in {
        1: lambda words: [],
        2: _given,
        3: lambda words: _signed(words.word()),
        4: _given,
        5: _binary,
        6: lambda words: list(words.data()),
        7: lambda words: tuple(words.last(words.word())),
        8: _list,
        9: _string_cons,
        10: _given,
        11: lambda words: _at(words, "<d"),
        12: lambda words: decode(words.call, words.data()),
        13: lambda words: words.word(),
        14: lambda words: words.data(),
        15: lambda words: _at(words, "<q"),
        16: lambda words: _at(words, "<Q"),
        17: _map,
    }.items()
}
"""By tag, `ERL_DRV_NIL` to `ERL_DRV_MAP`, what it pushes."""


def term(run: Run, call: str, address: int, count: int) -> object:
    """The term that an array of words describes."""
    return Words(run, call, address, count).term()
