"""Erlang terms: Python's own types where they fit, and small ones where they do not.

| Erlang | here |
|---|---|
| integer, float, list, map | `int`, `float`, `list`, `dict` |
| improper list | `ImproperList`, a `list` whose last element is the tail |
| binary | `bytes`; a part that shares the bytes of a larger one is a `SubBinary` |
| atom | `Atom`, a `str`; `True` and `False` are the atoms `true` and `false` |
| port, pid, reference | `Port`, `Pid`, `Ref` |
| tuple | `tuple`; in a received message a `Tuple`, which prints in Erlang's syntax |

A string pattern matches an atom and a tuple pattern matches a message, so
`case (_, ("data", data))` reads as it would in Erlang.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from operator import is_

from driverref.diagnostics import shown

_PLAIN_ATOM = re.compile(r"[a-z][a-zA-Z0-9_@]*")
_RESERVED = frozenset(
    "after and andalso band begin bnot bor bsl bsr bxor case catch cond div end fun if let"
    " maybe not of or orelse receive rem try when xor".split()
)


class Atom(str):
    """An atom.  It equals the `str` of its name, so `"data"` in a pattern matches it."""

    __slots__ = ()

    def __repr__(self) -> str:
        if _PLAIN_ATOM.fullmatch(self) and self not in _RESERVED:
            return str(self)
        return _quoted(self, "'")


class String(str):
    """A string of Erlang's, which is a list of characters there.  It equals the `str`."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, order=True, repr=False)
class Port:
    """A port identifier: `Port(7)` is `#Port<0.7>`.  A closed port's number is not used again."""

    number: int

    def __repr__(self) -> str:
        return f"#Port<0.{self.number}>"

    def _repr_html_(self) -> str:
        from driverref.notebook import identifier

        return identifier(self)


@dataclass(frozen=True, slots=True, order=True, repr=False)
class Pid:
    """A process identifier: `Pid(1)` is `<0.1.0>`."""

    number: int

    def __repr__(self) -> str:
        return f"<0.{self.number}.0>"


@dataclass(frozen=True, slots=True, order=True, repr=False)
class Ref:
    """A reference, which a monitor returns: `Ref(3)` is `#Ref<0.0.0.3>`."""

    number: int

    def __repr__(self) -> str:
        return f"#Ref<0.0.0.{self.number}>"


class Tuple(tuple[object, ...]):
    """A tuple that prints in Erlang's syntax.  Otherwise it behaves as a `tuple`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return erlang(self)


class ImproperList(list[object]):
    """A list that does not end in `[]`: `ImproperList([1, 2, b"x"])` is `[1,2|<<"x">>]`.

    The last element is the tail, and there is one before it.  It equals no proper list.
    """

    def __init__(self, items: Iterable[object]) -> None:
        super().__init__(items)
        if len(self) < 2:
            raise ValueError(f"ImproperList: at least an element and a tail, not {list(self)}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ImproperList) and list.__eq__(self, other)

    # A list compares for this by itself, and not by `__eq__`.
    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # a list has none, and a class with `__eq__` says so again

    def __repr__(self) -> str:
        return erlang(self)


class SubBinary(bytes):
    """A part of a larger binary that shares its bytes: what `binary_part` returns.

    `whole` is the larger binary, and `start` the part's place in it.  It is `bytes` in all else.
    """

    whole: bytes
    start: int


def binary_part(subject: bytes, start: int, length: int) -> SubBinary:
    """The `length` bytes of `subject` from `start` on, not copied; with `length` < 0 those before.

    A slice of `bytes` is a binary of its own.  Only a driver can tell the two apart, by the
    binaries that `outputv` is lent.  Raises `ValueError` outside of `subject`.  Any thread.  Stands
    for `erlang:binary_part/3`.
    """
    first, last = sorted((start, start + length))
    if not 0 <= first <= last <= len(subject):
        raise ValueError(f"binary_part: {len(subject)} bytes have no part ({start}, {length})")
    part = SubBinary(subject[first:last])
    # The part of a part shares the bytes of the first binary, as in Erlang.
    part.whole, part.start = subject, first
    if isinstance(subject, SubBinary):
        part.whole, part.start = subject.whole, subject.start + first
    return part


class NoTerm(ValueError):
    """A value that no Erlang term stands for.  The text says which part of it, and why."""


MOST_NESTED = 200
"""How deep a term may be nested that is copied.

Erlang has no such limit.  A list that contains itself is deeper than any, and is no term.
"""

# What nothing can change, so that a copy of it is the same object.
_FIXED = frozenset({Atom, String, bytes, SubBinary, int, bool, Port, Pid, Ref})


def copied(
    term: object, otherwise: Callable[[object], object] | None = None, depth: int = 0
) -> object:
    """A copy of `term`, as it reaches another process or a driver: they share nothing.

    A `str` stands for an atom, and a tuple becomes a `Tuple`.  What cannot be changed is not
    copied.  `otherwise` gives the term for a value that is none.  Raises `NoTerm` without it, or if
    the term is nested deeper than `MOST_NESTED`.  Any thread.
    """
    if type(term) in _FIXED:
        return term
    if depth > MOST_NESTED:
        raise NoTerm(f"nested deeper than {MOST_NESTED}, or contains itself")

    if isinstance(term, tuple | list | dict):
        return _rebuilt(term, lambda part: copied(part, otherwise, depth + 1))
    # Erlang has no infinity and no "not a number".
    if isinstance(term, float) and isfinite(term):
        return float(term)
    # Erlang has no type for text.  A bare `str` is taken for the shorthand of an atom.
    if isinstance(term, str):
        return Atom(term)
    if isinstance(term, int):
        return int(term)
    if otherwise is not None:
        return otherwise(term)
    if isinstance(term, bytes | bytearray | memoryview):
        return bytes(term)
    hint = "; the atom is Atom('undefined')" if term is None else ""
    raise NoTerm(f"{shown(term, 60)} is no Erlang term{hint}")


def _rebuilt(
    term: tuple[object, ...] | list[object] | dict[object, object], copy: Callable[[object], object]
) -> object:
    """A container of its own with a copy of each part.  A tuple that needs no copy is itself."""
    if isinstance(term, dict):
        return {copy(key): copy(value) for key, value in term.items()}
    if isinstance(term, ImproperList):
        return ImproperList(map(copy, term))
    if isinstance(term, list):
        # Mostly the bytes of a port's data, of which there may be millions.
        return list(term) if _FIXED.issuperset(map(type, term)) else list(map(copy, term))
    parts = tuple(map(copy, term))
    return term if type(term) is Tuple and all(map(is_, parts, term)) else Tuple(parts)


def holds_bytes(message: object) -> bool:
    """Whether it is `{Port, {data, Binary}}`: what a port mostly sends, and nothing can change."""
    return (
        type(message) is Tuple
        and len(message) == 2
        and type(message[1]) is tuple
        and len(message[1]) == 2
        and type(message[1][1]) is bytes
    )


NORMAL = Atom("normal")
KILL = Atom("kill")
KILLED = Atom("killed")
NOPROC = Atom("noproc")
DATA = Atom("data")
EXIT = Atom("EXIT")
DOWN = Atom("DOWN")


def erlang(term: object) -> str:
    """Return `term` in Erlang's syntax.  What is no term is shown by its `repr`.  Any thread.

    >>> print(erlang((Port(1), (Atom("data"), b"49"))))
    {#Port<0.1>,{data,<<"49">>}}
    """
    # Subclasses first: `bool` is an `int` to Python, and `Atom` a `str`.
    match term:
        case bool():
            return "true" if term else "false"
        case Atom():
            return repr(term)
        case str():
            return _quoted(term, '"')
        case float():
            return _float(term)
        case bytes() | bytearray() | memoryview():
            return _binary(bytes(term))
        case tuple():
            return "{" + ",".join(map(erlang, term)) + "}"
        case ImproperList():
            return f"[{','.join(map(erlang, term[:-1]))}|{erlang(term[-1])}]"
        case list():
            return "[" + ",".join(map(erlang, term)) + "]"
        case dict():
            return "#{" + ",".join(f"{erlang(k)} => {erlang(v)}" for k, v in term.items()) + "}"
        case None:
            return "undefined"
        case _:
            return shown(term)


def brief(term: object, most: int) -> str:
    """`erlang(term)`, cut to `most` characters.  It takes no longer for a longer term.  Any thread.

    >>> print(brief(bytes(10_000_000), 20))
    <<0,0,0,0,0,0,0,0...
    """
    text = erlang(_beginning(term, most))
    return text if len(text) <= most else text[: most - 3] + "..."


def _beginning(term: object, most: int) -> object:
    """As much of a term as its first `most` characters are made of; else it is the same."""
    match term:
        case bytes() | bytearray() | memoryview():
            return bytes(term[: most + 1])
        case str() if len(term) > most:
            return type(term)(term[: most + 1])
        case tuple():
            return tuple(_beginning(part, most) for part in term[: most + 1])
        case ImproperList() if len(term) <= most:
            return ImproperList(_beginning(part, most) for part in term)
        case list():
            return [_beginning(part, most) for part in term[: most + 1]]
        case dict():
            pairs = islice(term.items(), most + 1)
            return {_beginning(key, most): _beginning(value, most) for key, value in pairs}
    return term


def _quoted(text: str, quote: str) -> str:
    escapes: dict[str, str | int | None] = {
        "\\": r"\\",
        quote: "\\" + quote,
        "\n": r"\n",
        "\r": r"\r",
        "\t": r"\t",
    }
    return quote + text.translate(str.maketrans(escapes)) + quote


def _float(number: float) -> str:
    # Erlang's syntax needs a point before an exponent: `1.0e20`, where Python has `1e+20`.
    digits, exponent, power = repr(number).partition("e")
    if not exponent:
        return digits
    return f"{digits if '.' in digits else digits + '.0'}e{int(power)}"


def _binary(data: bytes) -> str:
    if data and all(32 <= byte < 127 for byte in data):
        return "<<" + _quoted(data.decode("ascii"), '"') + ">>"
    return "<<" + ",".join(map(str, data)) + ">>"


def iolist_to_binary(data: object) -> bytes:
    """The bytes of `data`: a binary, or a list of bytes (0 to 255), binaries and such lists.

    Lists may be nested to any depth, and their tail may be a binary.  Raises a `ValueError` that
    names the part that is not iodata.  Any thread.  Stands for `erlang:iolist_to_binary/1`.
    """
    return data if isinstance(data, bytes) else b"".join(iodata_parts(data))


_END = object()

Part = bytes | bytearray
"""A part of iodata: `bytes` are a binary, and a `bytearray` is a run of bytes from lists."""


def iodata_parts(data: object) -> list[Part]:
    """The parts of `data`, in order.

    The bytes of lists that stand side by side are one part.  Takes what `iolist_to_binary` takes,
    with the same `ValueError`.  Any thread.
    """
    if not isinstance(data, bytes | bytearray | memoryview | list):
        raise ValueError(f"{erlang(data)} is neither a binary nor a list")
    parts: list[Part] = []
    gathered = bytearray()
    # A stack of our own, because a list may be nested deeper than Python can recurse.
    pending: list[object] = [data]
    # The lists that the one at hand stands in.  `_END` is where the innermost of them ends.
    around: dict[int, None] = {}
    while pending:
        match pending.pop():
            case list() as items:
                if id(items) in around:
                    raise ValueError("a list in it contains itself")
                around[id(items)] = None
                pending.append(_END)
                if isinstance(items, ImproperList) and isinstance(items[-1], int):
                    raise ValueError(f"{erlang(items[-1])} is not a binary, and it ends a list")
                pending.extend(reversed(items))
            case int() as byte if not isinstance(byte, bool) and 0 <= byte <= 255:
                gathered.append(byte)
            case bytes() | bytearray() | memoryview() as binary:
                if gathered:
                    parts.append(gathered)
                    gathered = bytearray()
                # A `SubBinary` stays one: it knows whose bytes it shares.
                part = binary if isinstance(binary, bytes) else bytes(binary)
                # An empty binary in a list is no bytes of the list.  One by itself is a binary.
                parts.append(part if part or binary is data else bytearray())
            case item if item is _END:
                around.popitem()
            case item:
                raise ValueError(f"{erlang(item)} is not a byte, a binary or a list of these")
    return [*parts, gathered] if gathered else parts
