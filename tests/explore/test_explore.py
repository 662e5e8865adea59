"""`explore` and what it gives: the outcomes, their witnesses, and what it says to whoever uses it wrongly."""

from __future__ import annotations

import io
import itertools
import random
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from html import escape
from typing import Any

import pytest
from scripted import made_of
from support import Worker, new_job, opened

from driverref import Emulator, Struct, explore, replay
from driverref.erl_driver import (
    ErlDrvPort,
    driver_alloc,
    driver_async,
    driver_free,
    driver_output,
    driver_set_timer,
)
from driverref.errors import EmulatorStopped, ErlangError, Interrupted, Misuse, Nondeterministic
from driverref.explore import Fault, Found, Order, Outcomes, assert_outcomes, compare
from driverref.explore.outcomes import Tally, label


class Pair(Worker):
    """Two jobs for two threads."""

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        for key, text in enumerate((b"one", b"two")):
            driver_async(port, key, self.work, new_job(text), self.async_free)


def dead_heat(erl: Emulator) -> tuple[bytes, ...]:
    """Which job answers first."""
    erl.port_command(opened(erl, Pair()), b"")
    return erl.receive()[1][1], erl.receive()[1][1]


ONE_TWO, TWO_ONE = (b"one", b"two"), (b"two", b"one")


class Shared(Struct):
    """A port's state, which a job should not touch."""

    text: bytes


def close_early(erl: Emulator) -> str:
    """The job reads what `stop` frees."""

    def start(port: ErlDrvPort, command: str) -> tuple[ErlDrvPort, Shared]:
        state = driver_alloc(Shared)
        assert state is not None
        state.text = b"text"
        return port, state

    driver = made_of(
        start=start,
        output=lambda state, buf: driver_async(state[0], None, lambda s: s.text, state[1]),
        stop=lambda state: driver_free(state[1]),
    )
    port = opened(erl, driver)
    erl.port_command(port, b"")
    erl.port_close(port)
    return "closed"


# What is found.


def test_the_names_of_the_package_are_found_on_the_function_as_well() -> None:
    import driverref
    import driverref.explore as ex
    import driverref.explore.outcomes as module
    from driverref.explore import assert_outcomes

    assert driverref.explore.assert_outcomes is assert_outcomes  # type: ignore[attr-defined]
    assert ex.assert_outcomes is driverref.assert_outcomes is assert_outcomes
    package = sys.modules["driverref.explore"]
    for name in package.__all__:
        assert getattr(driverref.explore, name) is getattr(package, name)
    assert module is sys.modules["driverref.explore.outcomes"]


def test_every_outcome_with_its_count_and_a_witness() -> None:
    found = explore(dead_heat, async_threads=2)
    assert isinstance(found, Outcomes)
    assert set(found) == {ONE_TWO, TWO_ONE}
    assert len(found) == 2
    assert found[ONE_TWO].witness == "first-come/async_threads=2"
    assert found[TWO_ONE].witness != found[ONE_TWO].witness
    assert sum(one.count for one in found.values()) == found.inequivalent <= found.schedules
    assert found.complete
    assert found.stopped is None
    assert found.faults == []
    assert found == explore(dead_heat, async_threads=2), "and always the same"
    with pytest.raises(KeyError):
        found["something else"]


def test_with_one_thread_there_is_one_outcome() -> None:
    found = explore(dead_heat, async_threads=1)
    assert dict(found) == {ONE_TWO: Found(found.inequivalent, "first-come")}


def test_a_fault_is_an_outcome() -> None:
    found = explore(close_early)
    assert {fault.name for fault in found.faults} == {"DataRace", "UseAfterFree"}
    assert all(isinstance(fault, Fault) and fault in found for fault in found.faults)
    for fault in found.faults:
        assert str(fault) == f"{fault.name}: {fault.text}"
        assert "Shared" in fault.text
        assert "in <lambda>" in fault.text, "the use"
        assert "in close_early" not in fault.text
    assert str(Fault("Bare", "")) == "Bare"


@pytest.mark.parametrize("error", [KeyError("key"), AssertionError(), ArithmeticError("by zero")])
def test_whatever_the_scenario_raises_is_an_outcome(error: Exception) -> None:
    def scenario(erl: Emulator) -> None:
        raise error

    (fault,) = explore(scenario).faults
    assert fault.name == type(error).__name__
    place = f"test_explore.py:{scenario.__code__.co_firstlineno + 1} in scenario"
    assert fault.text == "; ".join(filter(None, (str(error), f"raised at {place}")))
    assert fault.places == (place,)


def test_what_the_drivers_end_raises_is_an_outcome() -> None:
    def leaves_a_block(erl: Emulator) -> None:
        opened(erl, made_of(stop=lambda port: driver_alloc(4)))

    def fails_in_finish(erl: Emulator) -> None:
        def finish() -> None:
            raise LookupError("late")

        opened(erl, made_of(finish=finish))

    assert [fault.name for fault in explore(leaves_a_block).faults] == ["Leak"]
    (fault,) = explore(fails_in_finish).faults
    assert str(fault).startswith("LookupError: late; raised at test_explore.py:")
    assert fault.text.endswith(" in finish")


def test_who_waits_for_ever_is_an_outcome() -> None:
    (fault,) = explore(lambda erl: erl.receive())
    assert isinstance(fault, Fault)
    assert fault.name == "Deadlock"
    assert "process <0.1.0> waits for a message" in fault.text


def test_the_order_of_observed_events_is_the_outcome_of_who_returns_none() -> None:
    def scenario(erl: Emulator) -> None:
        dead_heat(erl)

    found = explore(scenario, observe=["ready_async"], async_threads=2)
    assert set(found) == {
        ("ready_async(1)", "ready_async(2)"),
        ("ready_async(2)", "ready_async(1)"),
    }
    assert all(isinstance(outcome, Order) for outcome in found)
    assert "ready_async(1) ready_async(2)" in str(found)


def test_the_order_of_observed_events_stands_beside_what_is_returned() -> None:
    found = explore(dead_heat, observe=("ready_async",), async_threads=2)
    assert set(found) == {
        (ONE_TWO, Order(("ready_async(1)", "ready_async(2)"))),
        (TWO_ONE, Order(("ready_async(2)", "ready_async(1)"))),
    }
    assert "(b'one', b'two')  ready_async(1) ready_async(2)" in str(found)


def test_what_is_observed_is_explored() -> None:
    """The two beginnings touch nothing in common; who looks at them wants both orders."""

    def scenario(erl: Emulator) -> None:
        erl.port_command(opened(erl, Pair()), b"")

    orders = explore(scenario, observe=["async_invoke"], async_threads=2)
    assert set(orders) == {
        ("async_invoke(1)", "async_invoke(2)"),
        ("async_invoke(2)", "async_invoke(1)"),
    }


def test_nothing_observed_is_an_empty_order() -> None:
    assert list(explore(lambda erl: None, observe=["flush"])) == [Order()]
    assert str(Order()) == "(no event)"
    assert repr(Order(("stop",))) == "Order(('stop',))"
    assert list(explore(lambda erl: None)) == [None]


def test_the_trace_of_a_scenario_holds_what_is_observed() -> None:
    def scenario(erl: Emulator) -> object:
        dead_heat(erl)
        return tuple(erl.trace.order("driver_async"))

    found = explore(scenario, observe=["driver_async"])
    assert list(found) == [
        (("driver_async(1)", "driver_async(2)"), ("driver_async(1)", "driver_async(2)"))
    ]
    (fault,) = explore(scenario)
    assert isinstance(fault, Fault)
    assert fault.text.startswith(
        "explore: the scenario looks at driver_async in its trace; name it in observe=,"
        " so that its order is explored; raised at test_explore.py:"
    )


def test_a_trace_that_is_not_asked_for_holds_nothing() -> None:
    assert list(explore(lambda erl: (dead_heat(erl), len(erl.trace))[1])) == [0]


# Limits, and schedules that are drawn.


def test_a_limit_ends_the_search() -> None:
    found = explore(dead_heat, limit=1, async_threads=2)
    assert (found.schedules, found.complete) == (1, False)
    assert found.stopped == "stopped at the limit of 1"
    assert str(found).endswith("then stopped at the limit of 1; there may be others")
    assert explore(dead_heat, limit=10_000, async_threads=2).complete


@pytest.mark.parametrize("strategy", ["random", "pct"])
def test_schedules_are_drawn_with_a_seed(strategy: Any) -> None:
    found = explore(dead_heat, strategy=strategy, limit=60, async_threads=2)
    assert set(found) == {ONE_TWO, TWO_ONE}
    assert (found.schedules, found.complete) == (60, False)
    assert str(found).endswith("2 ways seen in 60 schedules drawn at random; there may be others")
    again = explore(dead_heat, strategy=strategy, limit=60, async_threads=2)
    assert dict(found) == dict(again)
    assert dict(explore(dead_heat, strategy=strategy, limit=60, seed=1, async_threads=2)) != dict(
        found
    )
    for outcome in found:
        assert found.replay(outcome).trace.order("ready_async")


def test_a_seeds_first_schedules_stay_the_same() -> None:
    few = explore(dead_heat, strategy="random", limit=3, async_threads=2)
    more = explore(dead_heat, strategy="random", limit=30, async_threads=2)
    assert all(more[outcome].count >= found.count for outcome, found in few.items())


@pytest.mark.parametrize("strategy", ["all", "random", "pct"])
@pytest.mark.parametrize("early", [True, False])
def test_ctrl_c_ends_the_search_and_keeps_what_was_found(early: bool, strategy: Any) -> None:
    runs = itertools.count()

    def scenario(erl: Emulator) -> tuple[bytes, ...]:
        last = next(runs) == 3
        if last and early:
            raise KeyboardInterrupt
        heat = dead_heat(erl)
        if last:
            raise KeyboardInterrupt
        return heat

    with pytest.raises(KeyboardInterrupt) as stopped:
        explore(scenario, async_threads=3, strategy=strategy, limit=99)
    assert isinstance(stopped.value, Interrupted)
    found = stopped.value.found
    assert str(stopped.value) == found.summary()
    assert found.stopped == "interrupted"
    assert found.schedules == found.inequivalent <= 3  # the one that was interrupted does not count
    assert not found.complete
    assert 0 < sum(one.count for one in found.values()) <= 3
    assert "then interrupted; there may be others" in str(found)
    with Emulator():
        pass  # nothing is left of the run that was interrupted


def test_ctrl_c_while_the_witnesses_are_tried_again_keeps_what_was_found() -> None:
    runs = itertools.count()

    def scenario(erl: Emulator) -> tuple[bytes, ...]:
        if next(runs) == last:
            raise KeyboardInterrupt
        return dead_heat(erl)

    last = -1
    whole = explore(scenario, async_threads=2)
    last = next(runs) - 1
    runs = itertools.count()
    with pytest.raises(Interrupted) as stopped:
        explore(scenario, async_threads=2)
    assert stopped.value.found.stopped == "interrupted"
    assert dict(stopped.value.found) == dict(whole)


def test_ctrl_c_goes_through_a_test_and_ends_a_comparison_at_once() -> None:
    def scenario(erl: Emulator) -> str:
        begun.append(erl.system_info("otp_release"))
        if len(begun) == last:
            raise KeyboardInterrupt
        return "done"

    begun: list[str] = []
    last = 1
    with pytest.raises(KeyboardInterrupt):
        assert_outcomes(scenario)
    begun, last = [], 8
    with pytest.raises(Interrupted) as stopped:
        compare(scenario)
    found = stopped.value.found
    assert len(begun) == last
    assert [outcomes.complete for outcomes in found.values()] == [True] * (len(found) - 1) + [False]
    assert len(found) < 7
    assert f"; there may be other outcomes of {list(found)[-1]} (interrupted)" in str(stopped.value)


# Witnesses.


@pytest.mark.parametrize("strategy", ["all", "random", "pct"])
def test_a_witness_leads_to_its_outcome(strategy: Any) -> None:
    found = explore(
        dead_heat, observe=["ready_async"], strategy=strategy, limit=200, async_threads=2
    )
    for outcome in found:
        for erl in (
            found.replay(outcome),
            replay(dead_heat, found[outcome].witness),
        ):
            assert erl.trace.order("ready_async") == list(outcome[1])  # type: ignore[index]
            assert erl.trace.order("output") == ["output"], "the trace is complete"
            assert "stopped" in repr(erl)


def test_a_replay_of_a_fault_ends_with_it_and_does_not_raise() -> None:
    found = explore(close_early)
    for fault in found.faults:
        erl = found.replay(fault)
        assert f"it crashed with {fault.name}" in repr(erl) or "left by an exception" in repr(erl)
        with pytest.raises(EmulatorStopped):
            erl.self()


def test_the_empty_witness_is_the_schedule_of_a_plain_emulator() -> None:
    with Emulator(async_threads=2) as erl:
        dead_heat(erl)
    assert replay(dead_heat, "", async_threads=2).trace.order() == erl.trace.order()


@pytest.mark.parametrize(
    ("wrong", "part"),
    [("x", "x"), ("1", "1"), ("1:", "1:"), ("1:2,", ""), ("3:1,2:1", "2:1"), ("1:T", "1:T")],
)
def test_what_is_no_witness_is_refused(wrong: str, part: str) -> None:
    with pytest.raises(ValueError, match="is no witness") as refused:
        replay(dead_heat, wrong)
    assert str(refused.value) == (
        f"replay: {wrong!r} is no witness: {part!r} should be STEP:THREAD, such as 14:2, or"
        " STEP:t for time, in order; without such steps it is first-come"
    )


def test_a_witness_is_a_string() -> None:
    with pytest.raises(TypeError, match="witness must be a str, as explore gives it, not 7"):
        replay(dead_heat, 7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("witness", "why"),
    [
        ("2:7", "at step 2 thread 7 cannot go on"),
        ("2:t", "at step 2 time cannot go on"),
        ("2:0", "at step 2 thread 0 goes on in any case"),
        ("9999:0", r"the run has only \d+ steps"),
    ],
)
def test_a_witness_of_something_else_is_refused(witness: str, why: str) -> None:
    of = "the witness is of another scenario, or of this one before it was changed"
    with pytest.raises(ValueError, match=f"cannot follow '{witness}': {why}; {of}"):
        replay(dead_heat, witness)


def against_the_clock(erl: Emulator) -> object:
    """Which comes first: the timer, or the job."""

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        driver_set_timer(port, 1)
        driver_async(port, None, lambda data: None, None)

    driver = made_of(
        output=output,
        timeout=lambda port: driver_output(port, b"late"),
        ready_async=lambda port, data: driver_output(port, b"done"),
    )
    erl.port_command(opened(erl, driver), b"")
    return erl.receive()[1][1]


def test_time_is_a_step_of_a_witness() -> None:
    found = explore(against_the_clock)
    assert set(found) == {b"late", b"done"}
    assert ":t" in found[b"late"].witness


@pytest.mark.parametrize("strategy", ["random", "pct"])
def test_time_may_pass_in_a_drawn_schedule(strategy: Any) -> None:
    assert set(explore(against_the_clock, strategy=strategy, limit=100)) == {b"late", b"done"}
    (fault,) = explore(lambda erl: erl.receive(), strategy=strategy, limit=3)
    assert isinstance(fault, Fault)
    assert fault.name == "Deadlock"


# What does not repeat.


def test_a_random_number_is_not_explored() -> None:
    with pytest.raises(
        Nondeterministic, match="not deterministic: when .* was run again, .*a random number"
    ):
        explore(lambda erl: random.random())


def test_nor_is_a_number_that_decides_what_is_done() -> None:
    def scenario(erl: Emulator) -> None:
        port = opened(erl, Worker())
        for _ in range(next(runs)):
            erl.port_command(port, b"x")

    runs = itertools.count(1)
    with pytest.raises(Nondeterministic, match=r"it touched|it made more steps|at step"):
        explore(scenario)
    runs = iter(range(9, 0, -1))  # type: ignore[assignment]
    with pytest.raises(Nondeterministic, match=r"it touched|it ended|at step|other"):
        explore(scenario)


def test_nor_a_driver_that_is_kept_from_one_run_to_the_next() -> None:
    driver = Worker()

    def scenario(erl: Emulator) -> int:
        port = opened(erl, driver)
        erl.port_command(port, b"x")
        driver.runs = getattr(driver, "runs", 0) + 1  # type: ignore[attr-defined]
        return int(driver.runs)  # type: ignore[attr-defined]

    with pytest.raises(Nondeterministic, match="it ended with 2 and not with 1"):
        explore(scenario)


def test_nor_an_address() -> None:
    with pytest.raises(Nondeterministic, match="it ended with"):
        explore(lambda erl: id(kept.setdefault(len(kept), object())))


kept: dict[int, object] = {}


def test_nor_one_more_step_at_its_end() -> None:
    runs = itertools.count()

    def scenario(erl: Emulator) -> None:
        for _ in range(1 + next(runs)):
            opened(erl, made_of("d", start=lambda port, command: None))

    with pytest.raises(Nondeterministic):
        explore(scenario)


def test_nor_what_starts_fewer_processes_when_it_is_run_again() -> None:
    runs = itertools.count()

    def scenario(erl: Emulator) -> None:
        number = next(runs)
        for _ in range(2 if number < 4 else 1):
            erl.spawn(dead_heat, erl)
        erl.receive(timeout=1)

    with pytest.raises(Nondeterministic, match=r"at step \d+|it ended|it made more steps"):
        explore(scenario)


@pytest.mark.parametrize("last", [1, 2, 3, 4])
def test_nor_what_ends_early_in_some_later_run(last: int) -> None:
    runs = itertools.count()

    def scenario(erl: Emulator) -> object:
        if next(runs) >= last:
            return None
        return dead_heat(erl)

    with pytest.raises(Nondeterministic):
        explore(scenario, async_threads=3)


def test_what_changes_only_later_is_noticed_as_well() -> None:
    """The first two runs are alike; the witnesses are run once more at the end."""
    runs = itertools.count()

    def scenario(erl: Emulator) -> object:
        number = next(runs)
        heat = dead_heat(erl)
        return number if number > 2 else heat

    with pytest.raises(Nondeterministic):
        explore(scenario, async_threads=2)


def test_a_drawn_schedule_that_does_not_repeat_is_noticed() -> None:
    with pytest.raises(Nondeterministic, match="it ended with"):
        explore(lambda erl: random.random(), strategy="random", limit=3)


# Wrong arguments.


@pytest.mark.parametrize(
    ("arguments", "kind", "says"),
    [
        ({"limit": 0}, ValueError, "explore: limit must be None, or 1 or more schedules, not 0"),
        (
            {"limit": True},
            ValueError,
            "explore: limit must be None, or 1 or more schedules, not True",
        ),
        (
            {"strategy": "best"},
            ValueError,
            """explore: strategy must be "all", "random" or "pct", not 'best'""",
        ),
        (
            {"strategy": "pct"},
            ValueError,
            "explore: limit must be how many schedules to draw at random, not None",
        ),
        (
            {"executor": 2},
            TypeError,
            "explore: executor must be a concurrent.futures.Executor, not 2",
        ),
        (
            {"observe": "stop"},
            TypeError,
            "explore: observe must be a sequence of event names, not 'stop'",
        ),
        ({"observe": 3}, TypeError, "explore: observe must be a sequence of event names, not 3"),
        ({"threads": "native"}, TypeError, "explore: threads is not for the caller to choose"),
        ({"trace": False}, TypeError, "explore: trace is not for the caller to choose"),
        (
            {"async_threads": -1},
            ValueError,
            "Emulator: async_threads must be from 0 to 1024, not -1",
        ),
        ({"schedulers": "2"}, TypeError, "Emulator: schedulers must be an int, not '2'"),
    ],
)
def test_a_wrong_argument_is_named(
    arguments: dict[str, Any], kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind) as wrong:
        explore(dead_heat, **arguments)
    assert str(wrong.value) == says


def test_schedules_are_drawn_on_one_core() -> None:
    with (
        ThreadPoolExecutor(1) as executor,
        pytest.raises(ValueError, match="executor must be None with the strategy 'pct', not <"),
    ):
        explore(dead_heat, strategy="pct", limit=3, executor=executor)


def test_an_event_that_there_is_not_is_named_with_those_there_are() -> None:
    with pytest.raises(
        ValueError, match="observe has 'jump', which is no event; events are .*, stop, "
    ):
        explore(dead_heat, observe=["jump"])


def test_a_scenario_is_a_function() -> None:
    with pytest.raises(
        TypeError, match="explore: scenario must be a function of an Emulator, not 'dead"
    ):
        explore("dead heat")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="replay: scenario must be a function of an Emulator, not"):
        replay("dead heat", "")  # type: ignore[arg-type]


def test_an_outcome_can_be_hashed() -> None:
    with pytest.raises(
        TypeError, match=r"explore: the scenario returned \[1\], which cannot be counted: return"
    ):
        explore(lambda erl: [1])


def test_not_from_inside_an_emulator() -> None:
    with Emulator():
        with pytest.raises(Misuse, match="this thread already runs an emulator"):
            explore(dead_heat)
        with pytest.raises(Misuse, match="this thread already runs an emulator"):
            replay(dead_heat, "")


def test_a_scenario_may_catch_whatever_is_raised() -> None:
    """Even the signal that ends a run which would only repeat another."""

    def scenario(erl: Emulator) -> object:
        try:
            return dead_heat(erl)
        except BaseException:
            return "caught"

    found = explore(scenario, async_threads=2, schedulers=2)
    assert set(found) == set(explore(dead_heat, async_threads=2, schedulers=2))


# How it looks.


def test_outcomes_print_as_a_table() -> None:
    found = explore(dead_heat, async_threads=2)
    lines = str(found).splitlines()
    assert lines[0].split() == ["outcome", "schedules", "witness"]
    assert any(
        line.startswith("(b'one', b'two')") and line.endswith("first-come/...") for line in lines
    )
    assert lines[-2] == "... is async_threads=2"
    assert lines[-1] == found.summary()
    assert repr(found) == str(found)
    assert found.summary() == (
        f"2 ways to end; {found.inequivalent} different schedules, {found.schedules} run,"
        " and there are no others"
    )
    assert "1 way to end; 1 different schedule" in str(explore(lambda erl: None))


def test_outcomes_are_a_table_in_a_notebook() -> None:
    html = explore(lambda erl: "<b>").table()
    assert html.startswith("<table>")
    assert "&lt;b&gt;" in html
    assert "<b>" not in html


def test_a_long_fault_is_one_line_of_the_table_and_stands_whole_below_it() -> None:
    assert label(Fault("Leak", "two:\n  one\n  other")) == "Leak: two: one; other"
    assert len(label(Fault("Leak", "x" * 500))) == 100
    assert label(7) == "7"
    found = explore(close_early)
    table = str(found)
    _, *rows = table.splitlines()[: 1 + len(found)]
    assert [row.split("  ")[0].rstrip() for row in rows] == [label(outcome) for outcome in found]
    long = [fault for fault in found.faults if len(str(fault)) > 100]
    assert len(long) == 2
    assert table.endswith("\n".join([found.summary(), "", *map(str, long)]))
    html = found.table()
    for fault in long:
        whole = f'<pre style="white-space: pre-wrap">{escape(str(fault))}</pre></details>'
        assert f"<details><summary>{escape(label(fault))}</summary>{whole}" in html
    assert "&#x27;closed&#x27;" in html
    assert html.count("<details>") == 2


def test_a_fault_that_fits_its_row_is_said_once() -> None:
    def scenario(erl: Emulator) -> None:
        raise ArithmeticError("short")

    found = explore(scenario)
    assert str(found).count("short") == found.table().count("short") == 1


def test_the_shortest_witness_is_kept() -> None:
    tally = Tally()
    for witness in ("10:1,20:2", "30:1", "5:1", "5:1,6:1"):
        tally.count("x", witness)
    assert tally.found == {"x": Found(4, "5:1")}
    tally.count("x", "first-come")
    assert tally.found == {"x": Found(5, "first-come")}


@pytest.mark.rule("explore.one-mistake-one-row")
def test_one_mistake_is_one_row_with_the_text_of_the_shortest_witness() -> None:
    tally = Tally()
    for number, witness in ((1, "10:1,20:2"), (2, "5:1"), (3, "30:1")):
        tally.count(Fault("Misuse", f"not on async {number}", ("d.py:1 in f", "d.py:9")), witness)
        tally.count(Fault("Misuse", f"not on async {number}", ("d.py:2 in f", "d.py:9")), witness)
    assert [(str(fault), found) for fault, found in tally.found.items()] == [
        ("Misuse: not on async 2", Found(3, "5:1"))
    ] * 2
    assert Fault("Leak", "", ("d.py:1",)) != Fault("Misuse", "", ("d.py:1",))
    assert Fault.of(ErlangError("badarg")) != Fault.of(ErlangError("einval"))


# The helper for tests.


def test_what_is_expected_passes() -> None:
    assert set(assert_outcomes(dead_heat, async_threads=2)) == {ONE_TWO, TWO_ONE}
    assert_outcomes(dead_heat, {ONE_TWO, TWO_ONE}, async_threads=2)


def failed(*arguments: Any, **options: Any) -> str:
    with pytest.raises(AssertionError) as failure:
        assert_outcomes(*arguments, **options)
    return str(failure.value)


def test_a_fault_fails_with_the_table_and_a_timeline() -> None:
    said = failed(close_early)
    assert said.startswith("a fault: ")
    assert "outcome" in said
    assert "came about:" in said
    timeline = said.partition("came about:")[2]
    assert "output" in timeline
    assert "port_close" in timeline or "async_invoke" in timeline


def test_an_outcome_that_nobody_expected_fails() -> None:
    said = failed(dead_heat, {ONE_TWO}, async_threads=2)
    assert said.startswith("an unexpected outcome: (b'two', b'one')\n")
    assert "how (b'two', b'one') came about:" in said


def test_an_outcome_that_never_comes_fails() -> None:
    said = failed(dead_heat, {ONE_TWO, TWO_ONE, "never"}, async_threads=2)
    assert said.startswith("never seen: 'never'\n")
    assert "came about" not in said


def test_a_search_that_was_cut_short_fails() -> None:
    assert "not all schedules were run: stopped at the limit of 1" in failed(
        dead_heat, limit=1, async_threads=2
    )


# The bar.


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, wanted: bool | None, call: Any = explore) -> str:
    """What a terminal shows while there is something to explore."""
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    # Here, because pytest puts its own there before each test.
    monkeypatch.setattr(sys, "stderr", terminal)
    call(dead_heat, async_threads=2, progress=wanted)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue())


def test_a_bar_shows_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, True)
    assert "dead_heat/async_threads=2" in text
    assert " schedules, 2 outcomes" in text


@pytest.mark.rule("explore.told-from-the-first-run")
def test_a_bar_shows_from_the_first_run_if_there_is_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert " 0 schedules, 0 outcomes" in shown(monkeypatch, None)


def test_a_comparison_has_a_bar_for_each_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, None, compare)
    assert "dead_heat/release=R7B-3 " in text
    assert "dead_heat/async_threads=2 " in text


def test_no_bar_shows_if_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, False) == ""


def test_no_bar_shows_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    explore(dead_heat, async_threads=2)
    assert capsys.readouterr().err == ""
