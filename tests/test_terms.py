"""Erlang's syntax, and iodata."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driverref.terms import (
    Atom,
    Pid,
    Port,
    Ref,
    Tuple,
    erlang,
    iolist_to_binary,
    iolist_to_iovec,
)


@pytest.mark.parametrize(
    ("term", "text"),
    [
        (1, "1"),
        (-7, "-7"),
        (True, "true"),
        (False, "false"),
        (None, "undefined"),
        (0.5, "0.5"),
        (1e20, "1.0e20"),
        (-1.5e300, "-1.5e300"),
        (1e-7, "1.0e-7"),
        (b"", "<<>>"),
        (b"49", '<<"49">>'),
        (b'a"\\b', r'<<"a\"\\b">>'),
        (b"\x00\xff", "<<0,255>>"),
        (bytearray(b"x"), '<<"x">>'),
        (memoryview(b"x"), '<<"x">>'),
        ("text", '"text"'),
        ('a "quote"\n\r\t\\', r'"a \"quote\"\n\r\t\\"'),
        ((), "{}"),
        ((1, (2, b"x")), '{1,{2,<<"x">>}}'),
        ([], "[]"),
        ([1, [Atom("a")]], "[1,[a]]"),
        ({Atom("a"): 1, b"k": []}, '#{a => 1,<<"k">> => []}'),
        (Port(1), "#Port<0.1>"),
        (Pid(2), "<0.2.0>"),
        (Ref(3), "#Ref<0.0.0.3>"),
        ((Port(1), (Atom("data"), b"49")), '{#Port<0.1>,{data,<<"49">>}}'),
    ],
)
def test_a_term_prints_as_erlang_prints_it(term: object, text: str) -> None:
    assert erlang(term) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data", "data"),
        ("node@host_1", "node@host_1"),
        ("EXIT", "'EXIT'"),
        ("two words", "'two words'"),
        ("", "''"),
        ("receive", "'receive'"),
        ("9lives", "'9lives'"),
        ("it's\\", r"'it\'s\\'"),
        ("a\n", r"'a\n'"),
    ],
)
def test_an_atom_is_quoted_where_erlang_needs_it(name: str, text: str) -> None:
    assert erlang(Atom(name)) == repr(Atom(name)) == text


def test_patterns_of_plain_python_match_a_message() -> None:
    match Tuple((Port(1), (Atom("data"), b"49"))):
        case (Port(number=1), ("data", data)):
            assert data == b"49"
        case _:
            pytest.fail("no match")


def test_a_tuple_prints_in_erlangs_syntax_and_is_a_tuple() -> None:
    message = Tuple((Atom("EXIT"), Port(1), Atom("normal")))
    assert repr(message) == str(message) == "{'EXIT',#Port<0.1>,normal}"
    assert message == ("EXIT", Port(1), "normal")


@pytest.mark.parametrize("kind", [Port, Pid, Ref])
def test_an_identifier_is_a_value(kind: type[Port | Pid | Ref]) -> None:
    assert kind(3) == kind(3) != kind(4)
    assert {kind(3): "found"}[kind(3)] == "found"
    assert sorted([kind(2), kind(1)]) == [kind(1), kind(2)]


def test_identifiers_of_different_kinds_differ() -> None:
    assert len({Port(1), Pid(1), Ref(1)}) == 3


# Iodata, against a model that says what it is and no more.

iodata = st.recursive(
    st.binary(max_size=4),
    lambda inner: st.lists(st.integers(0, 255) | inner, max_size=5),
    max_leaves=20,
)


def flattened(data: object) -> list[int | bytes]:
    if isinstance(data, list):
        return [part for item in data for part in flattened(item)]
    assert isinstance(data, int | bytes)
    return [data]


@given(iodata)
def test_iodata_becomes_the_bytes_that_it_holds(data: object) -> None:
    parts = (bytes([part]) if isinstance(part, int) else part for part in flattened(data))
    assert iolist_to_binary(data) == b"".join(parts)


@given(iodata)
def test_a_vector_keeps_binaries_apart_and_gathers_bytes(data: object) -> None:
    text = "".join("i" if isinstance(part, int) else "B" for part in flattened(data))
    vector = iolist_to_iovec(data)
    assert b"".join(vector) == iolist_to_binary(data)
    assert len(vector) == len(re.findall("i+|B", text))
    assert [p for p in flattened(data) if isinstance(p, bytes)] == [
        element
        for element, kind in zip(vector, re.findall("i+|B", text), strict=True)
        if kind == "B"
    ]


def test_what_holds_bytes_is_a_binary() -> None:
    assert iolist_to_binary(bytearray(b"a")) == iolist_to_binary(memoryview(b"a")) == b"a"
    assert iolist_to_binary([bytearray(b"a"), memoryview(b"b")]) == b"ab"
    assert iolist_to_iovec(memoryview(b"a")) == [b"a"]


def test_a_list_may_be_as_deep_as_it_likes() -> None:
    deep: object = b"x"
    for _ in range(100_000):
        deep = [deep]
    assert iolist_to_binary(deep) == b"x"
    assert iolist_to_iovec(deep) == [b"x"]
    while isinstance(deep, list):  # a list this deep is taken apart by hand
        deep = deep.pop()


@pytest.mark.parametrize("data", [7, "text", None, (1, 2), {}, 1.0])
def test_what_is_no_iodata_is_refused(data: object) -> None:
    for convert in (iolist_to_binary, iolist_to_iovec):
        with pytest.raises(ValueError, match=re.escape(f"{erlang(data)} is neither a binary nor")):
            convert(data)


@pytest.mark.parametrize("part", [256, -1, True, "text", None, (1, 2), 1.0])
def test_what_is_no_part_of_iodata_is_named(part: object) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{erlang(part)} is not a byte")):
        iolist_to_binary([b"fine", [1, part]])
    with pytest.raises(ValueError, match=f"^{re.escape(erlang(part))} is n"):
        iolist_to_iovec([b"fine", [1, part]])


# The syntax, read back.


def read(text: str) -> tuple[object, str]:
    """The term that `text` begins with, and the rest.  A small part of Erlang's grammar."""
    if found := re.match(r"-?\d+\.\d+(e-?\d+)?", text):
        return float(found[0]), text[found.end() :]
    if found := re.match(r"-?\d+", text):
        return int(found[0]), text[found.end() :]
    if found := re.match(r'<<"((?:[^"\\]|\\.)*)">>', text):
        return unescaped(found[1]).encode("ascii"), text[found.end() :]
    if found := re.match(r"<<((?:\d+(?:,\d+)*)?)>>", text):
        return bytes(map(int, found[1].split(","))) if found[1] else b"", text[found.end() :]
    if found := re.match(r"'((?:[^'\\]|\\.)*)'", text):
        return Atom(unescaped(found[1])), text[found.end() :]
    if found := re.match(r"[a-z][a-zA-Z0-9_@]*", text):
        words: dict[str, object] = {"true": True, "false": False}
        return words.get(found[0], Atom(found[0])), text[found.end() :]
    brackets = {"{": ("}", tuple), "[": ("]", list)}
    close, kind = brackets[text[0]]
    items: list[object] = []
    text = text[1:]
    while not text.startswith(close):
        item, text = read(text.removeprefix(","))
        items.append(item)
    return kind(items), text[1:]


def unescaped(text: str) -> str:
    meaning = {"n": "\n", "r": "\r", "t": "\t"}
    return re.sub(r"\\(.)", lambda found: meaning.get(found[1], found[1]), text)


atoms = st.text(max_size=6).filter(lambda name: name not in {"true", "false"}).map(Atom)
terms = st.recursive(
    st.integers()
    | st.booleans()
    | st.binary()
    | st.floats(allow_nan=False, allow_infinity=False)
    | atoms,
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple),
    max_leaves=10,
)


@given(terms)
def test_what_is_printed_can_be_read_back(term: object) -> None:
    read_back, rest = read(erlang(term))
    assert rest == ""
    assert read_back == term
    assert type(read_back) is type(term)
