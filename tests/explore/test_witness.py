"""The text that names a run: it is all that a replay needs, and a replay says where it does not fit."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import Worker, opened

from driverref import Emulator, explore, replay
from driverref.explore import assert_outcomes
from driverref.explore.schedules import parse
from driverref.explore.witness import READ, RUN_DEFAULTS, RunOptions, agreed, ending
from driverref.release import OTP_25, R7B_3, RELEASES
from driverref.trace import NAMES


def size(erl: Emulator) -> tuple[Any, ...]:
    """What the emulator was started with."""
    items = ("thread_pool_size", "schedulers", "otp_release")
    return tuple(erl.system_info(item) for item in items)


def closing(erl: Emulator) -> str:
    """A command and a close: the job comes back, or it does not."""
    port = opened(erl, Worker())
    erl.port_command(port, b"x")
    erl.port_close(port)
    return "delivered" if erl.receive(timeout=0) else "lost"


OPTIONS: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {},
    optional={
        "async_threads": st.none() | st.integers(0, 256),
        "schedulers": st.integers(1, 1024),
        "release": st.sampled_from(sorted(RELEASES) + list(RELEASES.values())),
        "observe": st.lists(st.sampled_from(sorted(NAMES)), max_size=4)
        | st.lists(st.sampled_from(sorted(NAMES)), max_size=4).map(tuple),
    },
)
SCHEDULES = st.sampled_from(["first-come", "14:2", "14:2,20:t"])


# What a witness has in it.


def test_where_all_is_default_the_witness_is_the_schedule_alone() -> None:
    found = explore(closing)
    assert found["delivered"].witness != found["lost"].witness
    assert "/" not in found["delivered"].witness + found["lost"].witness
    assert found.legend() == []
    said = explore(closing, async_threads=1, schedulers=1, release=OTP_25, observe=[])
    assert dict(said) == dict(found)


@pytest.mark.parametrize(
    ("options", "end"),
    [
        ({"async_threads": 2}, "/async_threads=2"),
        ({"schedulers": 3}, "/schedulers=3"),
        ({"release": "R7B-3"}, "/release=R7B-3"),
        ({"release": "R16B", "async_threads": 10}, "/release=R16B"),
        ({"release": R7B_3, "async_threads": 1}, "/async_threads=1/release=R7B-3"),
        ({"observe": ["stop", "ready_async", "stop"]}, "/observe=ready_async,stop"),
        ({"observe": ("stop",), "schedulers": 2}, "/schedulers=2/observe=stop"),
    ],
)
def test_a_witness_has_the_options_that_are_not_the_default(
    options: dict[str, Any], end: str
) -> None:
    found = explore(size, **options)
    (outcome,) = found
    assert found[outcome].witness == f"first-come{end}"
    assert found.legend() == [f"... is {end[1:]}"]
    assert str(found).splitlines()[1].endswith("first-come/...")
    assert str(found).splitlines()[-2:] == [*found.legend(), found.summary()]
    assert f"<p>... is {end[1:]}</p>" in found.table()


@given(OPTIONS, SCHEDULES)
def test_a_witness_is_enough_whatever_the_options(options: RunOptions, schedule: str) -> None:
    witness = schedule + ending(options)
    alone = agreed(witness, {})
    assert ending(alone) == ending(options)
    assert ending(agreed(witness, options)) == ending(options), "and may be given with them"
    assert parse(witness) == parse(schedule)
    assert shlex.quote(witness) == witness, "and a shell takes it as it is"
    assert alone.keys() <= READ.keys() == RUN_DEFAULTS.keys()


@pytest.mark.parametrize(
    "options",
    [
        {"async_threads": 2, "schedulers": 2},
        {"observe": ["async_invoke", "stop", "ready_async"]},
        {"release": "R11B-5", "async_threads": 1, "observe": ["stop"]},
    ],
)
@pytest.mark.rule("explore.witness-is-enough")
def test_a_witness_leads_to_its_outcome_with_nothing_beside_it(options: dict[str, Any]) -> None:
    found = explore(closing, **options)
    for outcome in found:
        there, again = found.replay(outcome), replay(closing, found[outcome].witness)
        assert str(again.trace) == str(there.trace)
        assert repr(again) == repr(there)


@pytest.mark.parametrize("strategy", ["random", "pct"])
def test_how_a_schedule_was_drawn_is_not_needed_to_run_it_again(strategy: Any) -> None:
    found = explore(closing, strategy=strategy, seed=7, limit=40, schedulers=2)
    for outcome in found:
        assert str(replay(closing, found[outcome].witness).trace) == str(
            found.replay(outcome).trace
        )


def test_a_failing_test_ends_with_the_call_that_runs_the_fault_again() -> None:
    with pytest.raises(AssertionError) as failed:
        assert_outcomes(closing, {"delivered"}, schedulers=2, observe=["stop"])
    call = str(failed.value).splitlines()[-1].removeprefix("to run it again: ")
    assert call.startswith('replay(closing, "')
    assert call.endswith('/schedulers=2/observe=stop")')
    erl = eval(call, {"replay": replay, "closing": closing})
    assert str(erl.trace) in str(failed.value)


def test_a_scenario_without_a_name_is_called_scenario() -> None:
    assert explore(lambda erl: 1).again(1) == 'replay(scenario, "first-come")'

    class Called:
        def __call__(self, erl: Emulator) -> int:
            return 2

    assert explore(Called()).again(2) == 'replay(scenario, "first-come")'


# What is given beside it.


def test_without_a_witness_the_run_is_that_of_a_plain_emulator_with_these_options() -> None:
    erl = replay(size, "", schedulers=2, release="R16B")
    with Emulator(schedulers=2, release="R16B") as plain:
        running = repr(plain)
    assert repr(erl).partition(",")[0] == running.partition(",")[0]


@pytest.mark.parametrize(
    ("witness", "options", "said"),
    [
        ("first-come", {"schedulers": 2}, "of schedulers=1, and schedulers=2 was given"),
        ("first-come", {"async_threads": 2}, "of async_threads=1, and async_threads=2 was given"),
        ("first-come/release=R16B", {"async_threads": 1}, "of async_threads=10, and async_thr"),
        ("first-come/async_threads=2", {"async_threads": None}, "=2, and async_threads=1 was g"),
        ("first-come/release=R7B-3", {"release": "25"}, "of release=R7B-3, and release=25 was gi"),
        ("first-come/release=R7B-3", {"schedulers": 2}, "schedulers=1, and schedulers=2 was given"),
        ("first-come", {"observe": ["stop"]}, r"of observe=\(\), and observe=stop was given"),
        (
            "first-come/observe=stop",
            {"observe": ()},
            r"of observe=stop, and observe=\(\) was given",
        ),
    ],
)
def test_an_option_that_contradicts_the_witness_is_refused(
    witness: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        replay(size, witness, **options)
    assert str(refused.value).startswith(f"replay: the witness {witness!r} is of ")
    assert str(refused.value).endswith(" was given with it: leave the option out")


@given(OPTIONS, OPTIONS)
def test_options_agree_with_a_witness_exactly_if_it_has_them(
    options: RunOptions, others: RunOptions
) -> None:
    witness = f"first-come{ending(options)}"
    both: RunOptions = {**agreed(witness, {}), **others}
    if ending(both) == ending(options):
        assert agreed(witness, others) == both
    else:
        with pytest.raises(ValueError, match="leave the option out"):
            agreed(witness, others)


def test_a_witness_from_a_table_needs_the_options_that_stand_below_it() -> None:
    short = "first-come/..."
    with pytest.raises(ValueError, match="is not the whole witness: ... stands for options; give"):
        replay(size, short)
    found = explore(size, schedulers=2)
    assert found.rows()[0][2] == short
    (legend,) = found.legend()
    whole = short.replace("...", legend.removeprefix("... is "))
    for erl in (replay(size, whole), replay(size, short, schedulers=2)):
        assert "+S 2" in repr(erl)


def test_a_release_of_ones_own_is_given_beside_the_witness() -> None:
    own = replace(OTP_25, ready_async_batch=1)
    witness = explore(size, release=own)[1, 1, "25"].witness
    assert witness == "first-come/release=own"
    assert replay(size, witness, release=own).runtime.release == own
    for others in ({}, {"release": "25"}, {"release": OTP_25}):
        with pytest.raises(ValueError, match="is of a Release of your own: give it as release="):
            replay(size, witness, **others)
    with pytest.raises(ValueError, match="of release=25, and release=own was given with it"):
        replay(size, "first-come", release=own)


# What does not fit.


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        ("14:2/", ""),
        ("14:2/colour=red", "colour=red"),
        ("14:2/schedulers", "schedulers"),
        ("14:2/schedulers=", "schedulers="),
        ("14:2/schedulers=two", "schedulers=two"),
        ("14:2/schedulers=2/schedulers=2", "schedulers=2"),
        ("14:2/schedulers=2/...", "..."),
    ],
)
def test_what_is_no_option_of_a_witness_is_refused(wrong: str, part: str) -> None:
    with pytest.raises(ValueError, match="is no witness") as refused:
        replay(size, wrong)
    assert str(refused.value) == (
        f"replay: {wrong!r} is no witness: {part!r} should be OPTION=VALUE; options are"
        " async_threads, schedulers, release, observe, step_limit, failing_allocations, each at most once"
    )


@pytest.mark.parametrize(
    ("witness", "said"),
    [
        ("first-come/schedulers=0", "schedulers must be from 1 to 1024, not 0"),
        ("first-come/release=R99", "release must be one of R7B-3"),
        ("first-come/observe=jump", "observe has 'jump', which is no event"),
    ],
)
def test_a_value_that_cannot_be_is_refused(witness: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replay(size, witness)


@pytest.mark.parametrize("wrong", [{"observe": "stop"}, {"schedulers": "1"}])
def test_a_value_of_another_type_is_refused_although_it_reads_the_same(wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"{next(iter(wrong))} must be "):
        replay(size, "first-come/observe=stop", **wrong)
    with pytest.raises(ValueError, match="of observe=stop, and observe=1 was given with it"):
        replay(size, "first-come/observe=stop", observe=[1])  # type: ignore[list-item]


def test_a_witness_of_another_scenario_is_told_as_such() -> None:
    found = explore(closing, schedulers=2)
    other = found["delivered"].witness
    assert not other.startswith("first-come")
    with pytest.raises(ValueError, match="the witness is of another scenario, or of this one bef"):
        replay(size, other)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("async_thread", "there is no option async_thread; did you mean async_threads?"),
        ("zzz", "there is no option zzz; options are async_threads, schedulers, release"),
        ("threads", "threads is not for the caller to choose"),
        ("trace", "trace is not for the caller to choose"),
    ],
)
def test_an_option_that_there_is_not_is_named(option: str, said: str) -> None:
    with pytest.raises(TypeError, match=f"explore: {said}"):
        explore(size, **{option: 1})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=f"replay: {said}"):
        replay(size, "first-come", **{option: 1})  # type: ignore[arg-type]
