"""A port that was opened with `{line, N}`: what its driver sends arrives in lines.

The pieces and the lines are those of OTP 25, with N = 4.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import made_of
from support import Kind, both

from driverref import Emulator
from driverref.erl_driver import (
    ErlDrvPort,
    driver_alloc_binary,
    driver_enq,
    driver_failure_atom,
    driver_failure_eof,
    driver_free_binary,
    driver_output,
    driver_output2,
    driver_output_binary,
)
from driverref.runtime.lines import EOL, NOEOL, Lines
from driverref.terms import ImproperList

SEEN: list[tuple[list[bytes], list[tuple[str, bytes]]]] = [
    ([b"ab\ncdefgh\ni"], [("eol", b"ab"), ("noeol", b"cdef"), ("eol", b"gh")]),
    ([b"abcd\n"], [("eol", b"abcd")]),
    ([b"abcd"], []),
    ([b"abcde"], [("noeol", b"abcd")]),
    ([b"abcd", b"\n"], [("eol", b"abcd")]),
    ([b"abcd", b"e\n"], [("noeol", b"abcd"), ("eol", b"e")]),
    ([b"\n\n"], [("eol", b""), ("eol", b"")]),
    ([b"ab\r\ncd"], [("eol", b"ab")]),
    ([b"ab", b"cd", b"ef\n"], [("noeol", b"abcd"), ("eol", b"ef")]),
    ([b"abcdefghijkl"], [("noeol", b"abcd"), ("noeol", b"efgh")]),
    ([b"a\rb\n"], [("eol", b"a\rb")]),
    ([b"a\r\r\n"], [("eol", b"a\r")]),
    ([b"ab\r", b"\n"], [("eol", b"ab")]),
    ([b"abcd\r\n"], [("eol", b"abcd")]),
    ([b"abcd\r", b"\n"], [("eol", b"abcd")]),
    ([b"abcd\r", b"e\n"], [("noeol", b"abcd"), ("eol", b"\re")]),
    ([b"abcd\re\n"], [("noeol", b"abcd"), ("eol", b"\re")]),
    ([b"abc\rd\n"], [("noeol", b"abc\r"), ("eol", b"d")]),
    ([b"\r\n"], [("eol", b"")]),
    ([b""], []),
]


@pytest.mark.rule("port.lines")
@pytest.mark.parametrize(("pieces", "lines"), SEEN)
def test_data_is_cut_as_on_otp_25(pieces: list[bytes], lines: list[tuple[str, bytes]]) -> None:
    found = Lines(4)
    assert [line for piece in pieces for line in found.add(piece)] == lines


@given(st.lists(st.binary(max_size=6)), st.integers(1, 5))
def test_no_byte_is_lost_and_no_part_is_too_long(pieces: list[bytes], size: int) -> None:
    lines = Lines(size)
    found = [line for piece in pieces for line in lines.add(piece)]
    found += lines.rest()
    assert all(len(part) <= size for _, part in found)
    assert all(b"\n" not in part for _, part in found)
    whole = b"".join(part + b"\n" * (end == EOL) for end, part in found)
    # All that is taken away is one return before a newline.
    assert whole.replace(b"\r", b"") == b"".join(pieces).replace(b"\r", b"")
    assert whole.count(b"\r") >= b"".join(pieces).replace(b"\r\n", b"").count(b"\r")


@given(st.binary(max_size=20), st.integers(1, 5), st.data())
def test_it_does_not_matter_how_the_data_comes(data: bytes, size: int, draw: Any) -> None:
    cut = draw.draw(st.integers(0, len(data)))
    whole, parts = Lines(size), Lines(size)
    assert list(whole.add(data)) == [*parts.add(data[:cut]), *parts.add(data[cut:])]
    assert list(whole.rest()) == list(parts.rest())


# What a port does with them.


def output(port: ErlDrvPort, buf: memoryview) -> None:
    """The first byte says what is done with the others."""
    what, data = bytes(buf[:1]), bytes(buf[1:])
    if what == b"o":
        driver_output(port, data)
    elif what == b"2":
        driver_output2(port, b"HH", data)
    elif what == b"b":
        binary = driver_alloc_binary(len(data))
        assert binary is not None
        binary.orig_bytes[:] = data
        driver_output_binary(port, b"H", binary, 0, len(data))
        driver_free_binary(binary)
    elif what == b"q":
        driver_enq(port, data)
    elif what == b"e":
        driver_failure_eof(port)
    else:
        driver_failure_atom(port, "broken")


def arrived(threads: Kind, options: list[object], commands: list[bytes]) -> list[object]:
    """What the owner gets after some commands: the data of a message, or the message's name."""
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        erl.erl_ddll.load_driver(made_of(output=output))
        port = erl.open_port(("spawn_driver", "d"), options)
        for command in commands:
            erl.port_command(port, command)
        if erl.port_info(port) is not None:
            erl.port_close(port)
        found: list[Any] = []
        while (message := erl.receive(timeout=0)) is not None:
            found.append(message[2] if message[0] == "EXIT" else message[1])
    return [item[1] if item[0] == "data" else item for item in found]


@both
def test_each_line_is_a_message(threads: Kind) -> None:
    assert arrived(threads, [("line", 4), "binary"], [b"oab\ncdefgh\ni"]) == [
        ("eol", b"ab"),
        ("noeol", b"cdef"),
        ("eol", b"gh"),
        "normal",
    ]


@both
def test_without_binary_a_line_is_a_list_of_bytes(threads: Kind) -> None:
    assert arrived(threads, ["line"], [b"oab\nc"]) == [("eol", [97, 98]), "normal"]


@both
def test_a_header_stands_before_each_line(threads: Kind) -> None:
    got = arrived(threads, [("line", 4), "binary"], [b"2ab\ncdefgh\n"])
    assert got == [
        ("eol", ImproperList([72, 72, b"ab"])),
        ("noeol", ImproperList([72, 72, b"cdef"])),
        ("eol", ImproperList([72, 72, b"gh"])),
        "normal",
    ]


@both
def test_a_driver_binary_is_not_cut(threads: Kind) -> None:
    got = arrived(threads, [("line", 4), "binary"], [b"oab", b"bxy\nz", b"oc\n"])
    assert got == [ImproperList([72, b"xy\nz"]), ("eol", b"abc"), "normal"]


@pytest.mark.rule("port.last-line")
@both
def test_what_is_left_comes_at_the_end_of_file(threads: Kind) -> None:
    options: list[object] = [("line", 4), "binary"]
    assert arrived(threads, options, [b"oab", b"e"]) == [("noeol", b"ab"), "normal"]
    assert arrived(threads, [*options, "eof"], [b"oab", b"e", b"oc\n"]) == [
        ("noeol", b"ab"),
        "eof",
        ("eol", b"c"),
        "normal",
    ]


@pytest.mark.rule("port.last-line")
@both
def test_and_is_lost_at_any_other_end(threads: Kind) -> None:
    assert arrived(threads, [("line", 4)], [b"oab", b"f"]) == ["broken"]
    assert arrived(threads, [("line", 4)], [b"oab"]) == ["normal"]


def test_a_return_behind_a_full_part_is_a_part_of_its_own_at_the_end() -> None:
    lines = Lines(4)
    assert list(lines.add(b"abcd\r")) == []
    assert list(lines.rest()) == [(NOEOL, b"abcd"), (NOEOL, b"\r")]
