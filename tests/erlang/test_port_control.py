"""`port_control` and `port_call`: what arrives, and what is replied."""

from __future__ import annotations

from typing import Any

import pytest
from scripted import made_of
from support import (
    Kind,
    both,
    opened,
    refused,
)

from driverref import Driver, Emulator
from driverref.erl_driver import (
    PORT_CONTROL_FLAG_BINARY,
    ErlDrvBinary,
    ErlDrvPort,
    driver_alloc,
    driver_alloc_binary,
    memset,
    set_port_control_flags,
)
from driverref.errors import ErlangError

# Control and call.


@both
def test_control_replies_a_list_or_a_binary(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:

        def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
            set_port_control_flags(port, command)
            return bytes(buf)[::-1]

        port = opened(erl, made_of(control=control))
        assert erl.port_control(port, 0, [b"ab", 99]) == [99, 98, 97]
        assert erl.port_control(port, PORT_CONTROL_FLAG_BINARY, b"abc") == b"cba"


@both
def test_what_control_allocates_for_its_reply_the_emulator_frees(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:

        def control(port: ErlDrvPort, command: int, buf: memoryview) -> object:
            if command == 0:
                binary = driver_alloc_binary(2)
                assert binary is not None
                binary.orig_bytes[:] = b"bi"
                return binary
            if command == 1:
                return memset(driver_alloc(2), 7, 2)
            return None

        port = opened(erl, made_of(control=control))
        assert erl.port_control(port, 0, b"") == list(b"bi")
        assert erl.port_control(port, 1, b"") == [7, 7]
        assert erl.port_control(port, 2, b"") == []
        erl.stop()  # without a Leak


@both
def test_control_refuses_with_a_negative_number_or_by_not_being_there(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, made_of(control=lambda port, command, buf: -1))
        with refused() as caught:
            erl.port_control(port, 0, b"")
        assert str(caught.value) == "badarg: port_control: driver 'd' refused it"
        bare = opened(erl, made_of("bare"))
        with refused():
            erl.port_control(bare, 0, b"")
        with refused():
            erl.port_call(bare, 0, b"")
        assert erl.trace.order("control", "call") == ["control"]


def test_a_reply_that_is_no_data_stops_the_emulator_with_a_reason() -> None:
    def story() -> None:
        with Emulator() as erl:
            port = opened(erl, made_of(control=lambda port, command, buf: 1))
            erl.port_control(port, 0, b"")

    with pytest.raises(TypeError, match="control: the reply must be bytes, .* not 1$"):
        story()


@both
def test_operations_are_32_bits(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        seen = []
        driver = made_of(
            control=lambda port, command, buf: seen.append(command),
            call=lambda port, command, term: command,
        )
        port = opened(erl, driver)
        erl.port_control(port, 2**32 - 1, b"")
        assert erl.port_call(port, 2**32 - 1, []) == 2**32 - 1
        for operation in (-1, 2**32, True, 1.0, "1"):
            for bif in (erl.port_control, erl.port_call):
                with refused() as caught:
                    bif(port, operation, b"")  # type: ignore[arg-type]
                assert "operation must be an int from 0 to 2^32-1, not" in str(caught.value)
        assert seen == [2**32 - 1]


@both
def test_call_takes_a_term_and_replies_one(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:

        def call(port: ErlDrvPort, command: int, term: Any) -> object:
            return ("got", command, term) if term != "refuse" else None

        port = opened(erl, made_of(call=call))
        assert repr(erl.port_call(port, 3, [1, b"x"])) == '{got,3,[1,<<"x">>]}'
        with refused():
            erl.port_call(port, 3, "refuse")


# What is asked of a port.


@both
def test_control_replies_with_a_list_or_a_binary_as_the_driver_says(threads: Kind) -> None:
    class Replies(Driver):
        driver_name = "replies"

        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            return port

        def control(
            self, port: ErlDrvPort, command: int, buf: memoryview
        ) -> bytes | ErlDrvBinary | int | None:
            set_port_control_flags(port, PORT_CONTROL_FLAG_BINARY if command else 0)
            match bytes(buf):
                case b"refuse":
                    return -1
                case b"nothing":
                    return None
                case b"binary":
                    binary = driver_alloc_binary(3)
                    assert binary is not None
                    binary.orig_bytes[:] = b"bin"
                    return binary
                case other:
                    return other

    with Emulator(threads=threads) as erl:
        port = opened(erl, Replies())
        assert erl.port_control(port, 0, b"ab") == [97, 98]
        assert erl.port_control(port, 1, b"ab") == b"ab"
        assert erl.port_control(port, 1, [b"a", [98]]) == b"ab"
        assert erl.port_control(port, 1, b"nothing") == b""
        assert erl.port_control(port, 1, b"binary") == b"bin"  # and its reference is given back
        with pytest.raises(ErlangError, match="badarg"):
            erl.port_control(port, 0, b"refuse")


@both
def test_call_replies_with_a_term(threads: Kind) -> None:
    class Calls(Driver):
        driver_name = "calls"

        def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
            return port

        def call(self, port: ErlDrvPort, command: int, term: object) -> object:
            return None if term == "refuse" else (command, term) if command else [term]

    with Emulator(threads=threads) as erl:
        port = opened(erl, Calls())
        assert str(erl.port_call(port, 5, b"x")) == '{5,<<"x">>}'
        assert erl.port_call(port, 0, b"x") == [b"x"]
        with pytest.raises(ErlangError, match="badarg"):
            erl.port_call(port, 0, "refuse")


@both
def test_a_block_that_control_replies_is_freed(threads: Kind) -> None:
    def control(port: ErlDrvPort, command: int, buf: memoryview) -> object:
        block = driver_alloc(2)
        assert block is not None
        block[:] = b"ab"
        return block

    with Emulator(threads=threads) as erl:
        assert erl.port_control(opened(erl, made_of(control=control)), 0, b"") == [97, 98]
