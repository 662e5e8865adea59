"""The external term format: what is written is read again, and what is none is told."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driverref.errors import Misuse
from driverref.hosting.external import decode, encode
from driverref.terms import Atom, Pid, Port, Ref, Tuple

atoms = st.text("abc_ åØ", min_size=1, max_size=9).map(Atom)
small = st.one_of(
    st.integers(-(2**80), 2**80),
    st.floats(allow_nan=False),
    st.booleans(),
    st.binary(max_size=9),
    atoms,
    st.builds(Pid, st.integers(0, 2**20)),
    st.builds(Port, st.integers(0, 2**20)),
    st.builds(Ref, st.integers(0, 2**20)),
)
terms = st.recursive(
    small,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(Tuple),
        st.dictionaries(atoms, inner, max_size=3),
    ),
    max_leaves=12,
)


@given(terms)
def test_what_is_written_is_read_again(term: object) -> None:
    assert decode("call", encode(term)) == term


@pytest.mark.parametrize(
    ("data", "term"),
    [
        (b"\x64\0\2ok", "ok"),
        (b"\x73\2ok", "ok"),
        (b"\x76\0\2ok", "ok"),
        (b"\x69\0\0\0\1\x61\1", (1,)),
        (b"\x6f\0\0\0\1\1\5", -5),
        (b"\x67\x73\1n" + struct.pack(">IIB", 7, 0, 0), Pid(7)),
        (b"\x66\x73\1n" + struct.pack(">IB", 7, 0), Port(7)),
        (b"\x72\0\2\x73\1n\0" + struct.pack(">II", 7, 0), Ref(7)),
    ],
)
def test_older_forms_are_read_as_well(data: bytes, term: object) -> None:
    assert decode("call", b"\x83" + data) == term


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "in the middle"),
        (b"\x61\1", "do not begin with 131"),
        (b"\x83\x01", "1 is no tag"),
        (b"\x83\x62\0", "in the middle of a term"),
        (b"\x83\x6c\0\0\0\1\x61\1\x61\2", "does not end in"),
    ],
)
def test_what_is_no_term_is_told(data: bytes, words: str) -> None:
    with pytest.raises(Misuse, match=f"call: .*{words}"):
        decode("call", data)


def test_a_tuple_may_be_large_and_an_object_is_no_term() -> None:
    large: Any = tuple(range(300))
    assert decode("call", encode(large)) == large
    with pytest.raises(TypeError, match="no Erlang term"):
        encode(object())
