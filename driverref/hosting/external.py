"""The external term format: what a term is as bytes, for `call` and for `ERL_DRV_EXT2TERM`.

A driver in C reads and writes it with `ei`.  Source: the chapter "External Term Format" of the ERTS
User's Guide.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from driverref.errors import Misuse
from driverref.terms import Atom, Pid, Port, Ref, Tuple

VERSION = 131
NODE = "nonode@nohost"


def encode(term: object) -> bytes:
    """The bytes of a term, the version first.  `TypeError` for what is no term."""
    return bytes((VERSION,)) + _encode(term)


def _encode(term: object) -> bytes:  # noqa: C901 - a case a tag
    match term:
        case bool():
            return _atom("true" if term else "false")
        case int() if 0 <= term < 256:
            return struct.pack(">BB", 97, term)
        case int() if -(2**31) <= term < 2**31:
            return struct.pack(">Bi", 98, term)
        case int():
            size = (abs(term).bit_length() + 7) // 8
            return struct.pack(">BBB", 110, size, term < 0) + abs(term).to_bytes(size, "little")
        case float():
            return struct.pack(">Bd", 70, term)
        case str():
            return _atom(term)
        case bytes() | bytearray() | memoryview():
            return struct.pack(">BI", 109, len(term)) + bytes(term)
        case tuple():
            head = struct.pack(">BB", 104, len(term)) if len(term) < 256 else None
            head = head or struct.pack(">BI", 105, len(term))
            return head + b"".join(map(_encode, term))
        case []:
            return b"\x6a"
        case list() if len(term) < 65536 and all(type(i) is int and 0 <= i < 256 for i in term):
            return struct.pack(">BH", 107, len(term)) + bytes(term)
        case list():
            return struct.pack(">BI", 108, len(term)) + b"".join(map(_encode, term)) + b"\x6a"
        case dict():
            pairs = b"".join(_encode(key) + _encode(value) for key, value in term.items())
            return struct.pack(">BI", 116, len(term)) + pairs
        case Pid():
            return b"\x58" + _atom(NODE) + struct.pack(">III", term.number, 0, 0)
        case Port():
            return b"\x59" + _atom(NODE) + struct.pack(">II", term.number, 0)
        case Ref():
            return struct.pack(">BH", 90, 1) + _atom(NODE) + struct.pack(">II", 0, term.number)
    raise TypeError(f"{term!r} is no Erlang term")


def _atom(name: str) -> bytes:
    data = name.encode()
    return struct.pack(">BB", 119, len(data)) + data


class _Reader:
    """The bytes of a term, from the first to the last."""

    def __init__(self, call: str, data: bytes) -> None:
        self.call, self.data, self.at = call, data, 0

    def take(self, size: int) -> bytes:
        """The next bytes.  `Misuse` if there are too few."""
        self.at += size
        if self.at > len(self.data):
            raise Misuse(f"{self.call}: the bytes end in the middle of a term")
        return self.data[self.at - size : self.at]

    def number(self, size: int) -> int:
        """The next number, of so many bytes."""
        return int.from_bytes(self.take(size), "big")

    def terms(self, count: int) -> list[object]:
        """The next terms."""
        return [self.term() for _ in range(count)]

    def term(self) -> object:
        """The next term."""
        tag = self.number(1)
        read = _READ.get(tag)
        if read is None:
            raise Misuse(f"{self.call}: {tag} is no tag of the external term format")
        return read(self)


def _big(reader: _Reader, size: int) -> int:
    negative = reader.number(1)
    value = int.from_bytes(reader.take(size), "little")
    return -value if negative else value


def _name(reader: _Reader, size: int, encoding: str) -> object:
    name = reader.take(size).decode(encoding)
    return {"true": True, "false": False}.get(name, Atom(name))


def _list(reader: _Reader) -> list[object]:
    items = reader.terms(reader.number(4))
    if reader.term() != []:
        raise Misuse(f"{reader.call}: a list that does not end in [] is no term of this model")
    return items


def _dict(reader: _Reader) -> dict[object, object]:
    flat = reader.terms(2 * reader.number(4))
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _pid(reader: _Reader, rest: int) -> Pid:
    reader.term()
    pid = Pid(reader.number(4))
    reader.take(rest)
    return pid


def _port(reader: _Reader, rest: int) -> Port:
    reader.term()
    port = Port(reader.number(4))
    reader.take(rest)
    return port


def _ref(reader: _Reader, creation: int) -> Ref:
    count = reader.number(2)
    reader.term()
    reader.take(creation)
    first, *_ = [reader.number(4) for _ in range(count)]
    return Ref(first)


_READ: dict[int, Callable[[_Reader], object]] = {
    70: lambda r: struct.unpack(">d", r.take(8))[0],
    97: lambda r: r.number(1),
    98: lambda r: int.from_bytes(r.take(4), "big", signed=True),
    100: lambda r: _name(r, r.number(2), "latin-1"),
    115: lambda r: _name(r, r.number(1), "latin-1"),
    118: lambda r: _name(r, r.number(2), "utf-8"),
    119: lambda r: _name(r, r.number(1), "utf-8"),
    104: lambda r: Tuple(r.terms(r.number(1))),
    105: lambda r: Tuple(r.terms(r.number(4))),
    106: lambda r: [],
    107: lambda r: list(r.take(r.number(2))),
    108: _list,
    109: lambda r: r.take(r.number(4)),
    110: lambda r: _big(r, r.number(1)),
    111: lambda r: _big(r, r.number(4)),
    116: _dict,
    88: lambda r: _pid(r, 8),
    103: lambda r: _pid(r, 5),
    89: lambda r: _port(r, 4),
    102: lambda r: _port(r, 1),
    90: lambda r: _ref(r, 4),
    114: lambda r: _ref(r, 1),
}
"""By tag, how to read what follows."""


def decode(call: str, data: bytes) -> object:
    """The term that the bytes are.  `Misuse`, in the name of `call`, if they are none."""
    reader = _Reader(call, data)
    if reader.number(1) != VERSION:
        raise Misuse(f"{call}: the bytes do not begin with {VERSION}, so they are no term")
    return reader.term()
