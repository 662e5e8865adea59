"""Erlang's syntax, and iodata."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driverref.terms import (
    Atom,
    ImproperList,
    Pid,
    Port,
    Ref,
    SubBinary,
    Tuple,
    binary_part,
    brief,
    erlang,
    iodata_parts,
    iolist_to_binary,
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
def test_parts_keep_binaries_apart_and_gather_the_bytes_of_lists(data: object) -> None:
    kinds = "".join("i" if isinstance(item, int) else "B" for item in flattened(data))
    parts = iodata_parts(data)
    assert b"".join(parts) == iolist_to_binary(data)
    assert len(parts) == len(re.findall("i+|B", kinds))
    for part, kind in zip(parts, re.findall("i+|B", kinds), strict=True):
        assert type(part) is (bytes if kind == "B" and (part or data == b"") else bytearray)
    binaries = [item for item in flattened(data) if isinstance(item, bytes) and item]
    assert [part for part in parts if type(part) is bytes and part] == binaries


def test_an_empty_binary_is_a_part_of_its_own_only_by_itself() -> None:
    """In a list it adds no byte to those around it, and stands between them all the same."""
    assert [type(part) for part in iodata_parts(b"")] == [bytes]
    assert [type(part) for part in iodata_parts([b""])] == [bytearray]
    assert iodata_parts([1, b"", 2]) == [bytearray(b"\1"), bytearray(), bytearray(b"\2")]
    assert iodata_parts([[], []]) == []


def test_what_holds_bytes_is_a_binary() -> None:
    assert iolist_to_binary(bytearray(b"a")) == iolist_to_binary(memoryview(b"a")) == b"a"
    assert iolist_to_binary([bytearray(b"a"), memoryview(b"b")]) == b"ab"
    assert [type(part) for part in iodata_parts([memoryview(b"a"), bytearray(b"b")])] == [bytes] * 2


def test_a_list_may_be_as_deep_as_it_likes() -> None:
    deep: object = b"x"
    for _ in range(100_000):
        deep = [deep]
    assert iolist_to_binary(deep) == b"x"
    assert iodata_parts(deep) == [b"x"]
    while isinstance(deep, list):  # a list this deep is taken apart by hand
        deep = deep.pop()


def test_an_improper_list_has_its_tail_last_and_is_no_proper_list() -> None:
    improper = ImproperList([1, 2, b"x"])
    assert repr((improper, [1])) == '([1,2|<<"x">>], [1])'
    assert erlang([improper]) == '[[1,2|<<"x">>]]'
    assert improper == ImproperList([1, 2, b"x"])
    assert improper != [1, 2, b"x"]
    assert improper not in ([1, 2, b"x"], [[1, 2, b"x"]])
    assert iolist_to_binary(improper) == b"\1\2x"
    assert iolist_to_binary(ImproperList([1, ImproperList([2, b"x"])])) == b"\1\2x"
    for too_short in ([], [1]):
        with pytest.raises(ValueError, match="ImproperList: at least an element and a tail, not"):
            ImproperList(too_short)


def test_a_byte_ends_no_list_in_iodata() -> None:
    with pytest.raises(ValueError, match="^2 is not a binary, and it ends a list$"):
        iolist_to_binary([b"fine", ImproperList([1, 2])])


def test_a_part_of_a_binary_knows_the_whole() -> None:
    whole = bytes(range(100))
    part = binary_part(whole, 10, 80)
    assert part == whole[10:90]
    assert (part.whole is whole, part.start) == (True, 10)
    inner = binary_part(part, 5, 70)
    assert (inner, inner.whole is whole, inner.start) == (whole[15:85], True, 15)
    assert binary_part(whole, 90, -80) == part
    assert iodata_parts([part]) == [part]
    assert isinstance(iodata_parts([part])[0], SubBinary)
    assert iolist_to_binary([part, 1]) == whole[10:90] + b"\1"
    assert erlang(binary_part(b"hello", 1, 3)) == '<<"ell">>'
    for start, length in [(0, 101), (-1, 2), (101, 0), (5, -6)]:
        with pytest.raises(ValueError, match="binary_part: 100 bytes have no part"):
            binary_part(whole, start, length)


@pytest.mark.parametrize("data", [7, "text", None, (1, 2), {}, 1.0])
def test_what_is_no_iodata_is_refused(data: object) -> None:
    for convert in (iolist_to_binary, iodata_parts):
        with pytest.raises(ValueError, match=re.escape(f"{erlang(data)} is neither a binary nor")):
            convert(data)


@pytest.mark.parametrize("part", [256, -1, True, "text", None, (1, 2), 1.0])
def test_what_is_no_part_of_iodata_is_named(part: object) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{erlang(part)} is not a byte")):
        iolist_to_binary([b"fine", [1, part]])
    with pytest.raises(ValueError, match=f"^{re.escape(erlang(part))} is n"):
        iodata_parts([b"fine", [1, part]])


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


SHORT_AND_LONG = [
    (b"", 10),
    (b"ab", 10),
    (bytes(1_000), 20),
    (b"x" * 1_000, 20),
    (bytearray(1_000), 20),
    ("x" * 1_000, 20),
    (Atom("x" * 200), 20),
    (list(range(1_000)), 20),
    (tuple(range(1_000)), 20),
    (Tuple([b"x" * 1_000] * 3), 20),
    (ImproperList([1, b"x" * 1_000]), 20),
    (ImproperList(range(1_000)), 20),
    ({number: bytes(1_000) for number in range(1_000)}, 20),
    ([[[b"deep" * 100]]], 20),
    (None, 20),
]


@pytest.mark.parametrize(("term", "most"), SHORT_AND_LONG)
def test_a_brief_text_is_the_beginning_of_the_whole_one(term: object, most: int) -> None:
    whole, text = erlang(term), brief(term, most)
    if len(whole) <= most:
        assert text == whole
    else:
        assert text == whole[: most - 3] + "..."


@given(st.recursive(st.binary() | st.integers(), lambda inner: st.lists(inner) | st.tuples(inner)))
def test_a_brief_text_is_never_longer(term: object) -> None:
    whole = erlang(term)
    assert brief(term, 30) == (whole if len(whole) <= 30 else whole[:27] + "...")


def test_a_brief_text_looks_at_no_more_than_it_shows() -> None:
    class Counted(list[object]):
        asked = 0

        def __getitem__(self, index: Any) -> Any:
            assert isinstance(index, slice)
            Counted.asked += len(range(*index.indices(len(self))))
            return super().__getitem__(index)

        def __iter__(self) -> Any:
            raise AssertionError("the whole of it is looked at")

    assert brief(Counted(range(100_000)), 30).startswith("[0,1,2,")
    assert Counted.asked <= 31
