"""The terms that crash an emulator: a small integer that is the whole term, and a big map of a thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scripted import Box, made_of
from support import Kind, both, opened

from driverref import Emulator, Pid, explore
from driverref.erl_driver import (
    ErlDrvPort,
    ErlDrvTid,
    driver_async,
    driver_caller,
    driver_deq,
    driver_enq,
    driver_output_term,
    driver_send_term,
    erl_drv_output_term,
    erl_drv_send_term,
    erl_drv_thread_create,
    erl_drv_thread_join,
)
from driverref.errors import Misuse
from driverref.release import RELEASES

Send = Callable[[ErlDrvPort, Pid, Any], int]

CALLS: dict[str, Send] = {
    "driver_output_term": lambda port, to, term: driver_output_term(port, term),
    "driver_send_term": driver_send_term,
    "erl_drv_output_term": lambda port, to, term: erl_drv_output_term(port.id, term),
    "erl_drv_send_term": lambda port, to, term: erl_drv_send_term(port.id, to, term),
}
ANY_THREAD = ("erl_drv_output_term", "erl_drv_send_term")

TODAY = [name for name, release in RELEASES.items() if release.bare_integer_crashes]


def sent(
    where: str, call: str, term: object, threads: Kind = "simulated", **options: Any
) -> object:
    """The message that came when a callback, a job or a thread of the driver's own has sent `term`.

    What the call raised is raised.
    """
    box = Box()

    def send(port: ErlDrvPort, to: Pid) -> None:
        try:
            box.put(CALLS[call](port, to, term))
        except Misuse as error:
            box.put(error)

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        to = driver_caller(port)
        if where == "callback":
            send(port, to)
        elif where == "job":
            driver_async(port, None, lambda _: send(port, to), None, None)
        else:
            tid = ErlDrvTid()
            erl_drv_thread_create("own", tid, lambda _: send(port, to), None, None)
            erl_drv_thread_join(tid, None)

    with Emulator(threads=threads, **options) as erl:
        driver = made_of(
            output=output, ready_async=lambda port, _: erl_drv_output_term(port.id, "done")
        )
        erl.port_command(opened(erl, driver), b"")
        message = erl.receive(timeout=None if where == "job" else 0)
    if isinstance(box.value, Misuse):
        raise box.value
    assert box.value == 1
    return message


# An integer that is the whole term.


@both
@pytest.mark.rule("flow.no-bare-integer")
@pytest.mark.parametrize("call", CALLS)
def test_a_bare_integer_is_misuse_in_a_callback(threads: Kind, call: str) -> None:
    told = rf"{call}: .* whole term, 42, .*: send it in a tuple"
    with pytest.raises(Misuse, match=told):
        sent("callback", call, 42, threads)


@both
@pytest.mark.rule("flow.no-bare-integer")
@pytest.mark.parametrize("call", ANY_THREAD)
@pytest.mark.parametrize("where", ["job", "thread"])
def test_a_bare_integer_is_misuse_on_any_thread(threads: Kind, where: str, call: str) -> None:
    with pytest.raises(Misuse, match="send it in a tuple"):
        sent(where, call, 0, threads)


@pytest.mark.rule("flow.no-bare-integer")
@pytest.mark.parametrize("release", TODAY)
def test_a_bare_integer_is_misuse_on_every_release_that_was_tried(release: str) -> None:
    with pytest.raises(Misuse, match=rf"\(OTP {release}\)"):
        sent("callback", "erl_drv_send_term", 1, release=release)


@pytest.mark.rule("flow.no-bare-integer")
@pytest.mark.parametrize("edge", [-(1 << 59), -1, (1 << 59) - 1])
def test_every_integer_that_takes_no_room_is_misuse(edge: int) -> None:
    with pytest.raises(Misuse, match=str(edge)):
        sent("callback", "erl_drv_output_term", edge)


@pytest.mark.rule("flow.no-bare-integer")
@pytest.mark.parametrize(
    "term",
    [-(1 << 59) - 1, 1 << 59, (7,), [7], {7: 7}, (), [], {}, 7.0, b"", "atom", Pid(1), True],
    ids=repr,
)
@pytest.mark.parametrize("where", ["callback", "job", "thread"])
def test_every_other_term_is_safe(where: str, term: object) -> None:
    """A big integer has room on the heap, as everything has that is no integer."""
    assert sent(where, "erl_drv_send_term", term) == term


@pytest.mark.rule("flow.no-bare-integer")
def test_on_r16b_a_bare_integer_is_sent() -> None:
    assert sent("job", "erl_drv_send_term", 7, release="R16B") == 7


@both
@pytest.mark.rule("flow.no-bare-integer")
def test_an_integer_that_is_not_delivered_breaks_nothing(threads: Kind) -> None:
    """A term is built only for a receiver that is there, and a port that may send."""
    answers: list[int] = []

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> None:
        answers.extend([call(port, me, 1) for call in CALLS.values()])
        driver_deq(port, 1)
        answers.append(erl_drv_send_term(port.id, Pid(99), 1))

    def stop(port: ErlDrvPort) -> None:
        answers.append(erl_drv_send_term(port.id, Pid(99), 1))

    with Emulator(threads=threads) as erl:
        me = erl.self()
        port = opened(erl, made_of(output=driver_enq, control=control, stop=stop))
        erl.port_command(port, b"x")
        erl.port_close(port)
        erl.port_control(port, 0, b"")
        assert answers == [0] * 6


# A big map of a thread that is no scheduler.


def numbered(size: int) -> dict[int, int]:
    return dict.fromkeys(range(size), 0)


@both
@pytest.mark.rule("flow.no-big-map")
@pytest.mark.parametrize("call", ANY_THREAD)
@pytest.mark.parametrize("where", ["job", "thread"])
def test_a_map_of_129_keys_is_misuse_off_the_schedulers(
    threads: Kind, where: str, call: str
) -> None:
    assert sent(where, call, numbered(128), threads) == numbered(128)
    with pytest.raises(Misuse, match=f"{call}: a map of more than 128 keys .*: send a list"):
        sent(where, call, numbered(129), threads)


@pytest.mark.rule("flow.no-big-map")
@pytest.mark.parametrize(
    "term",
    [("m", numbered(129)), [1, [numbered(129)]], {1: numbered(129)}, {1: {2: (numbered(129),)}}],
    ids=["tuple", "list", "map", "deep"],
)
def test_a_big_map_is_found_wherever_it_stands(term: object) -> None:
    with pytest.raises(Misuse, match="async 1 sends it, which is no scheduler"):
        sent("job", "erl_drv_output_term", term)


@pytest.mark.rule("flow.no-big-map")
@pytest.mark.parametrize("call", CALLS)
def test_a_callback_may_send_a_map_of_any_size(call: str) -> None:
    assert sent("callback", call, ("m", numbered(1000))) == ("m", numbered(1000))


@pytest.mark.rule("flow.no-big-map")
def test_many_small_maps_are_no_big_one() -> None:
    many = [numbered(100)] * 3
    assert sent("job", "erl_drv_output_term", many) == many


@pytest.mark.rule("flow.no-big-map")
@pytest.mark.parametrize(
    ("release", "crashes"),
    [("R16B", False), ("23", True), ("24", True), ("26", True), ("27", False), ("29", False)],
)
def test_from_27_on_a_job_may_send_a_big_map(release: str, crashes: bool) -> None:
    if crashes:
        with pytest.raises(Misuse, match=rf"\(OTP {release}\)"):
            sent("job", "erl_drv_send_term", numbered(129), release=release)
    else:
        assert sent("job", "erl_drv_send_term", numbered(129), release=release) == numbered(129)


@pytest.mark.rule("flow.no-bare-integer")
def test_the_crash_is_an_outcome_of_the_search() -> None:
    """Only where the message is delivered: after the close the job sends nothing."""

    def story(erl: Emulator) -> str:
        def output(port: ErlDrvPort, buf: memoryview) -> None:
            driver_async(port, None, lambda _: erl_drv_output_term(port.id, 7), None, None)

        port = opened(erl, made_of(output=output))
        erl.port_command(port, b"")
        erl.port_close(port)
        return "closed"

    outcomes = explore(story)
    assert [fault.name for fault in outcomes.faults] == ["Misuse"]
    assert "closed" in outcomes
