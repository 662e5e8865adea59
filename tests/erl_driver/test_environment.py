"""The environment: a driver and Erlang have one, and what a buffer is too small for."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from scripted import Box, made_of
from support import Kind, both, opened

from driverref import Emulator, explore
from driverref.erl_driver import Key, driver_alloc, driver_async, driver_free
from driverref.erl_driver import erl_drv_getenv as getenv
from driverref.erl_driver import erl_drv_putenv as putenv
from driverref.errors import Misuse, OutOfBounds


def found(key: str, size: int) -> tuple[int, int, bytes]:
    """What `erl_drv_getenv` returns, and what it has written."""
    value, value_size = bytearray(b"#" * size), Key(size)
    return getenv(key, value, value_size), value_size.value, bytes(value)


@both
@pytest.mark.rule("header.environment")
def test_a_driver_and_erlang_have_one_environment(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, made_of(output=lambda port, buf: putenv("ANSWER", "42")))
        assert erl.os_getenv("ANSWER") is False
        erl.port_command(port, b"")
        assert erl.os_getenv("ANSWER") == "42"
        box = Box()
        port = opened(erl, made_of("e", output=lambda port, buf: box.put(found("QUESTION", 4))))
        assert erl.os_putenv("QUESTION", "\u03c0") is True
        erl.port_command(port, b"")
        assert box.value == (0, 2, b"\xcf\x80\0#")


@pytest.mark.rule("header.environment")
def test_it_is_the_emulator_s_own() -> None:
    with Emulator() as erl:
        name = next(iter(os.environ))
        assert erl.os_getenv(name) is False
        erl.os_putenv("DRIVERREF_TEST", "1")
    assert "DRIVERREF_TEST" not in os.environ
    with Emulator() as erl:
        assert erl.os_getenv("DRIVERREF_TEST") is False


@pytest.mark.rule("header.environment")
@pytest.mark.parametrize(
    ("key", "size", "told"),
    [
        ("PX", 8, (0, 5, b"hello\0##")),
        ("PX", 6, (0, 5, b"hello\0")),
        ("PX", 5, (1, 4, b"#####")),
        ("PX", 1, (1, 0, b"#")),
        ("PX", 0, (1, 2**32 - 1, b"")),
        ("NOPE", 8, (-1, 7, b"#" * 8)),
        ("NOPE", 0, (-1, 2**32 - 1, b"")),
        ("PE", 4, (0, 0, b"\0###")),
        ("PE", 1, (0, 0, b"\0")),
        ("PE", 0, (1, 2**32 - 1, b"")),
        ("", 4, (0, 1, b"x\0##")),
        ("A=B", 4, (0, 1, b"x\0##")),
        ("A", 4, (-1, 3, b"####")),
    ],
)
def test_getenv_answers_as_the_emulator(key: str, size: int, told: object) -> None:
    """What OTP 25, 27 and 29 were seen to do.  A `size_t` has 64 bits there, and 32 in a `Key`."""
    with Emulator():
        for name, value in (("PX", "hello"), ("PE", ""), ("", "x"), ("A=B", "x")):
            assert putenv(name, value) == 0
        assert found(key, size) == told


@pytest.mark.rule("era.getenv-size")
@pytest.mark.parametrize("release", ["R13B", "R14B04", "R16B"])
def test_the_size_that_is_needed_was_told_once(release: str) -> None:
    with Emulator(release=release):
        putenv("PX", "hello")
        assert found("PX", 5) == (1, 6, b"#####")
        assert found("PX", 0) == (1, 6, b"")
        assert found("NOPE", 8) == (-1, 8, b"#" * 8)
        assert found("PX", 6) == (0, 5, b"hello\0")


@both
def test_a_job_may_ask_too(threads: Kind) -> None:
    box = Box()
    with Emulator(threads=threads) as erl:
        erl.os_putenv("PX", "hello")
        driver = made_of(
            output=lambda port, buf: driver_async(
                port, None, lambda job: box.put(found("PX", 6)), None
            )
        )
        erl.port_command(opened(erl, driver), b"")
    assert box.value == (0, 5, b"hello\0")


def test_a_race_for_a_variable_has_two_outcomes() -> None:
    def scenario(erl: Emulator) -> object:
        driver = made_of(
            output=lambda port, buf: driver_async(
                port, None, lambda job: putenv("WHO", "job"), None
            )
        )
        port = opened(erl, driver)
        erl.port_command(port, b"")
        erl.os_putenv("WHO", "erlang")
        erl.stop()
        return erl.runtime.environment["WHO"]

    assert set(explore(scenario, async_threads=1)) == {"job", "erlang"}


@pytest.mark.parametrize(
    ("value", "size", "error", "text"),
    [
        (None, 8, Misuse, "value is NULL: the emulator would crash"),
        (bytearray(5), 8, OutOfBounds, "value_size is 8, but value has 5 bytes"),
    ],
)
def test_a_buffer_that_is_not_there_is_a_fault(
    value: bytearray | None, size: int, error: type[Exception], text: str
) -> None:
    with Emulator():
        putenv("PX", "hello")
        with pytest.raises(error, match=text):
            getenv("PX", value, Key(size))


def test_a_value_that_does_not_fit_is_not_written_so_the_buffer_may_be_null() -> None:
    with Emulator():
        putenv("PX", "hello")
        assert getenv("PX", None, Key(0)) == 1
        assert getenv("NOPE", None, Key(8)) == -1


def test_a_block_is_a_buffer() -> None:
    def read() -> bytes:
        block = driver_alloc(6)
        assert block is not None
        assert getenv("PX", block, Key(6)) == 0
        text = bytes(block[:5])
        driver_free(block)
        return text

    assert in_output(read) == b"hello"


def in_output(function: Callable[[], object]) -> object:
    box = Box()
    with Emulator() as erl:
        erl.os_putenv("PX", "hello")
        port = opened(erl, made_of(output=lambda port, buf: box.put(function())))
        erl.port_command(port, b"")
    return box.value


def test_outside_an_emulator_there_is_no_environment() -> None:
    with pytest.raises(Misuse, match="erl_drv_putenv: no emulator is running"):
        putenv("A", "b")
    with pytest.raises(Misuse, match="erl_drv_getenv: no emulator is running"):
        getenv("A", bytearray(1), Key(1))
