"""Threads of a driver and their own data, on simulated threads, under seeds, and on OS threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from errno import EAGAIN, EINVAL
from typing import Any

import pytest
from desk import ON_EACH, Desk, begin, elsewhere, end, given_back, opened

from driverref.erl_driver import (
    ErlDrvTid,
    ErlDrvTSDKey,
    Pointer,
    erl_drv_equal_tids,
    erl_drv_thread_create,
    erl_drv_thread_exit,
    erl_drv_thread_join,
    erl_drv_thread_name,
    erl_drv_thread_opts_create,
    erl_drv_thread_opts_destroy,
    erl_drv_thread_self,
    erl_drv_tsd_get,
    erl_drv_tsd_key_create,
    erl_drv_tsd_key_destroy,
    erl_drv_tsd_set,
)
from driverref.errors import Misuse
from driverref.threads import running_thread
from driverref.threads.native import NativeThreads
from driverref.threads.simulated import SimulatedThreads


@pytest.fixture(params=ON_EACH)
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    yield from given_back(request.param())


# Threads.


def test_a_thread_returns_its_value_to_whoever_joins_it(desk: Desk) -> None:
    assert end(begin(lambda n: n + 1, 1), begin(lambda n: n + 1, 2)) == [2, 3]


def test_a_thread_may_exit_from_the_depth(desk: Desk) -> None:
    cleaned = []

    def deep() -> None:
        try:
            erl_drv_thread_exit("early")
        except Exception:  # a driver's own handler does not stop it
            cleaned.append("caught")
        finally:
            cleaned.append("finally")

    assert elsewhere(deep) == "early"
    assert cleaned == ["finally"]


def test_a_value_that_nobody_wants_is_dropped(desk: Desk) -> None:
    assert erl_drv_thread_join(begin(lambda _: "unwanted"), None) == 0


@pytest.mark.native
def test_a_thread_that_the_system_refuses_is_not_there() -> None:
    """What would be left of it would be a leak when the desk is given back."""
    for _ in given_back(NativeThreads()):
        tid, before = ErlDrvTid(), threading.stack_size(1 << 47)  # more than there are addresses
        try:
            assert erl_drv_thread_create("worker", tid, lambda _: None, None, None) == EAGAIN
        finally:
            threading.stack_size(before)
        assert repr(tid) == "ErlDrvTid()"
        assert end(begin(lambda _: "there")) == ["there"]


def test_a_thread_has_the_name_it_was_given(desk: Desk) -> None:
    def names() -> tuple[str | None, str, str]:
        return (
            erl_drv_thread_name(erl_drv_thread_self()),
            running_thread.get().name,
            running_thread.get().lane,
        )

    assert elsewhere(names) == ("worker", "worker", "worker")
    nameless = ErlDrvTid()
    erl_drv_thread_create(None, nameless, lambda _: None, None, None)
    assert erl_drv_thread_name(nameless) == "unknown"
    assert erl_drv_thread_name(erl_drv_thread_self()) == "unknown"  # not started by a driver
    assert repr(nameless) == "<ErlDrvTid of unknown>"
    end(nameless)


def test_identifiers_are_equal_if_the_thread_is_the_same(desk: Desk) -> None:
    one, other = begin(lambda _: erl_drv_thread_self()), begin(lambda _: None)
    mine = erl_drv_thread_self()
    assert erl_drv_equal_tids(mine, erl_drv_thread_self()) == 1
    assert erl_drv_equal_tids(one, other) == erl_drv_equal_tids(one, mine) == 0
    found = end(one, other)[0]
    assert erl_drv_equal_tids(found, one) == 1


def test_only_a_drivers_thread_can_be_joined(desk: Desk) -> None:
    assert erl_drv_thread_join(erl_drv_thread_self(), None) == EINVAL


def test_joining_twice_is_misuse(desk: Desk) -> None:
    tid = begin(lambda _: None)
    end(tid)
    with pytest.raises(
        Misuse, match=r"erl_drv_thread_join: thread 'worker' was joined at .*in end"
    ):
        erl_drv_thread_join(tid, None)


def test_joining_oneself_is_misuse(desk: Desk) -> None:
    def join_self() -> str:
        with pytest.raises(Misuse, match="worker would wait for its own end") as caught:
            erl_drv_thread_join(erl_drv_thread_self(), None)
        return str(caught.value)

    assert elsewhere(join_self).startswith("erl_drv_thread_join: ")


def test_only_a_drivers_thread_can_exit(desk: Desk) -> None:
    with pytest.raises(Misuse, match="main is not a thread that a driver has started"):
        erl_drv_thread_exit(None)


def test_an_empty_identifier_is_no_thread(desk: Desk) -> None:
    empty = ErlDrvTid()
    assert repr(empty) == "ErlDrvTid()"
    for call in (
        lambda: erl_drv_thread_join(empty, None),
        lambda: erl_drv_thread_name(empty),
        lambda: erl_drv_equal_tids(erl_drv_thread_self(), empty),
    ):
        with pytest.raises(Misuse, match="identifies no thread"):
            call()


def test_what_leaves_a_thread_goes_to_the_emulator() -> None:
    desk = opened(SimulatedThreads())

    def fail(_: object) -> None:
        raise ValueError("broken")

    tid = begin(fail)
    with pytest.raises(ValueError, match="broken"):
        desk.threads.sleep(1)
    assert [str(error) for error in desk.crashes] == ["broken"]
    assert end(tid) == [None]
    desk.threads.close()


def test_options_are_created_changed_and_destroyed(desk: Desk) -> None:
    opts = erl_drv_thread_opts_create("opts")
    assert opts is not None
    assert opts.suggested_stack_size == -1
    opts.suggested_stack_size = 64
    tid = ErlDrvTid()
    assert erl_drv_thread_create("worker", tid, str, 1, opts) == 0
    erl_drv_thread_opts_destroy(opts)
    assert end(tid) == ["1"]
    for call in (
        lambda: erl_drv_thread_opts_destroy(opts),
        lambda: erl_drv_thread_create("worker", tid, str, 1, opts),
    ):
        with pytest.raises(Misuse, match="thread options 'opts' was destroyed at"):
            call()


def test_a_pointer_shows_its_value() -> None:
    assert repr(Pointer(7)) == "Pointer(7)"
    assert Pointer().value is None


# Thread specific data.


def test_each_thread_has_a_value_of_its_own(desk: Desk) -> None:
    key, other = ErlDrvTSDKey(), ErlDrvTSDKey()
    assert repr(key) == "ErlDrvTSDKey()"
    assert erl_drv_tsd_key_create("buffer", key) == erl_drv_tsd_key_create(None, other) == 0
    assert (repr(key), repr(other)) == ("<ErlDrvTSDKey 'buffer'>", "<ErlDrvTSDKey 'unknown'>")

    def keep(value: object) -> object:
        before = erl_drv_tsd_get(key)
        erl_drv_tsd_set(key, value)
        return before, erl_drv_tsd_get(key), erl_drv_tsd_get(other)

    assert keep("mine") == (None, "mine", None)
    assert end(begin(keep, 1), begin(keep, 2)) == [(None, 1, None), (None, 2, None)]
    assert keep(None) == ("mine", None, None)
    erl_drv_tsd_key_destroy(key)
    erl_drv_tsd_key_destroy(other)


def test_a_key_that_does_not_exist_is_misuse(desk: Desk) -> None:
    key = ErlDrvTSDKey()
    calls: list[Callable[[], Any]] = [
        lambda: erl_drv_tsd_get(key),
        lambda: erl_drv_tsd_set(key, 1),
        lambda: erl_drv_tsd_key_destroy(key),
    ]
    for call in calls:
        with pytest.raises(Misuse, match="the key has not been created"):
            call()
    erl_drv_tsd_key_create("buffer", key)
    erl_drv_tsd_key_destroy(key)
    for call in calls:
        with pytest.raises(Misuse, match="tsd key 'buffer' was destroyed at"):
            call()
