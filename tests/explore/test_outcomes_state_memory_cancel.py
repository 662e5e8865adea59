"""What six pages and the tutorial read out of their tables: each scenario of theirs has these outcomes and no others.

A page shows the names of its faults, and the build draws its table; the sentences below the table are held here.
Beside most mistakes that a page explores stands the driver done right, which no schedule breaks.
The last tests are of what keeps two threads apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from _ext import pages
from book import DOCS

from driverref import Atom, Atomic, Driver, Emulator, Port, Struct, explore
from driverref.erl_driver import (
    ErlDrvTid,
    driver_alloc,
    driver_async,
    driver_free,
    driver_output,
    driver_system_info,
    erl_drv_cond_create,
    erl_drv_cond_destroy,
    erl_drv_cond_signal,
    erl_drv_cond_wait,
    erl_drv_mutex_create,
    erl_drv_mutex_destroy,
    erl_drv_mutex_lock,
    erl_drv_mutex_unlock,
    erl_drv_thread_create,
    erl_drv_thread_join,
)
from driverref.errors import DataRace
from driverref.explore import Order, assert_outcomes
from driverref.explore.run import Scenario
from driverref.posix import usleep

pytestmark = pytest.mark.slow


PORT = Port(1)
EXIT = (Atom("EXIT"), PORT, Atom("normal"))


@cache
def namespace(page: str) -> dict[str, Any]:
    """What a page's blocks have defined."""
    run = pages.Run(DOCS / f"{page}.md")
    run.finish()
    return run.namespace


def scenario(question: str, name: str) -> Scenario:
    """A scenario of a question's page."""
    found: Scenario = namespace(f"questions/{question}/index")[name]
    return found


def data(text: bytes, port: Port = PORT) -> tuple[Port, tuple[Atom, bytes]]:
    """The message of a port."""
    return port, (Atom("data"), text)


def order(*events: str) -> Order:
    """An order of events."""
    return Order(events)


def names(outcomes: Any) -> set[str]:
    """The names of the faults."""
    return {fault.name for fault in outcomes.faults}


# Where does a port keep its state?


COUNTS = {(b"1 of 1", b"1 of 2"), (b"1 of 2", b"1 of 1")}
"""What the first port and the second answer: the second count is of what they share."""


@pytest.mark.rule("state.shared-needs-lock", "state.globals-shared")
def test_under_port_locks_a_lock_of_the_driver_s_own_orders_what_its_ports_share() -> None:
    assert_outcomes(scenario("state", "with_a_lock"), COUNTS, schedulers=2, async_threads=1)


@pytest.mark.rule("state.shared-needs-lock")
def test_under_port_locks_a_shared_count_is_a_race_in_every_schedule() -> None:
    outcomes = explore(scenario("state", "without_a_lock"), schedulers=2, async_threads=1)
    assert outcomes.complete
    assert names(outcomes) == {"DataRace"}
    assert set(outcomes) == set(outcomes.faults)


@pytest.mark.rule("state.driver-lock", "state.globals-shared")
def test_the_driver_lock_orders_what_the_ports_share() -> None:
    page = namespace("questions/state/index")

    base: Any = page["NoLock"]

    class Locked(base):  # type: ignore[misc]
        driver_flags = 0

    def locked(erl: Emulator) -> object:
        return page["two_ports"](erl, Locked())

    assert_outcomes(locked, COUNTS, schedulers=2, async_threads=1)


@pytest.mark.rule("state.job-against-stop")
def test_a_job_that_borrows_the_state_is_right_only_if_it_is_back_before_the_close() -> None:
    outcomes = explore(
        scenario("state", "the_job_has_the_state"),
        observe=("ready_async", "stop"),
        async_threads=1,
    )
    assert outcomes.complete
    assert names(outcomes) == {"DataRace", "UseAfterFree"}
    assert set(outcomes) - set(outcomes.faults) == {order("ready_async(1)", "stop")}


@pytest.mark.rule("state.job-against-stop")
def test_a_job_that_has_a_copy_is_right_in_every_order() -> None:
    outcomes = explore(
        scenario("state", "the_job_has_a_copy"), observe=("ready_async", "stop"), async_threads=1
    )
    assert outcomes.complete
    assert set(outcomes) == {order("ready_async(1)", "stop"), order("stop")}


# Which header does a driver with threads include?


def test_the_header_s_question_has_one_outcome_and_one_schedule() -> None:
    page = namespace("questions/header/index")

    def version(erl: Emulator) -> object:
        erl.erl_ddll.load_driver(page["Version"]())
        port = erl.open_port(("spawn_driver", "version_drv"))
        erl.port_command(port, b"version?")
        return erl.receive()

    outcomes = assert_outcomes(version, {data(b"3.3")}, async_threads=16, schedulers=2)
    assert outcomes.inequivalent == 1


@pytest.mark.rule("header.any-thread")
def test_the_system_says_the_same_on_every_thread() -> None:
    class Asking(Driver):
        driver_name = "asking"

        def start(self, port: Any, command: str) -> Any:
            return port

        def output(self, port: Any, buf: memoryview) -> None:
            driver_async(port, None, self.work, [driver_system_info()])

        def work(self, infos: list[Any]) -> None:
            infos.append(driver_system_info())
            tid = ErlDrvTid()
            erl_drv_thread_create(
                "own", tid, lambda _: infos.append(driver_system_info()), None, None
            )
            erl_drv_thread_join(tid, None)

        def ready_async(self, port: Any, infos: list[Any]) -> None:
            assert len(infos) == 3
            driver_output(port, b"%d" % all(vars_of(info) == vars_of(infos[0]) for info in infos))

    def vars_of(info: Any) -> list[object]:
        return [getattr(info, name) for name in dir(info) if name[0] != "_"]

    def ask(erl: Emulator) -> object:
        erl.erl_ddll.load_driver(Asking())
        port = erl.open_port(("spawn_driver", "asking"))
        erl.port_command(port, b"")
        return erl.receive()

    assert_outcomes(ask, {data(b"1")}, async_threads=1)


# Which call gives memory, and is it cleared?


@pytest.mark.rule("memory.ownership", "memory.alloc-free-pair")
def test_whenever_the_port_closes_one_callback_gets_the_block() -> None:
    assert_outcomes(
        scenario("memory", "close_at_once"),
        {order("stop", "async_free(1)"), order("ready_async(1)", "stop")},
        observe=("stop", "ready_async", "async_free"),
        async_threads=1,
    )


@pytest.mark.rule("memory.stop-leaves-jobs")
def test_a_stop_that_frees_the_job_s_block_is_right_only_after_ready_async() -> None:
    outcomes = explore(
        scenario("memory", "freed_in_stop"), observe=("ready_async", "stop"), async_threads=1
    )
    assert outcomes.complete
    assert names(outcomes) == {"DataRace", "UseAfterFree"}
    assert set(outcomes) - set(outcomes.faults) == {order("ready_async(1)", "stop")}


# Which thread calls ready_async when a job is done?


@pytest.mark.rule("flow.close-loses-answer", "port.nothing-after-stop")
def test_the_answer_is_there_only_if_ready_async_came_before_stop() -> None:
    begin, end, ready = "async_invoke(1)", "async_return(1)", "ready_async(1)"
    assert_outcomes(
        scenario("flow", "close_any_time"),
        {
            (data(b"49"), order(begin, end, ready, "stop")),
            (EXIT, order(begin, end, "stop")),
            (EXIT, order(begin, "stop", end)),
            (EXIT, order("stop", begin, end)),
        },
        observe=("async_invoke", "async_return", "ready_async", "stop"),
        async_threads=1,
    )


@pytest.mark.rule("flow.write-before-call")
def test_what_is_written_after_the_call_is_wrong_in_every_schedule() -> None:
    outcomes = explore(scenario("flow", "late"), async_threads=1)
    assert outcomes.complete
    assert sorted(fault.name for fault in outcomes.faults) == ["DataRace", "Uninitialised"]
    assert set(outcomes) == set(outcomes.faults)


@pytest.mark.rule("flow.write-before-call", "race.job-handover")
def test_what_is_written_before_the_call_is_there_for_the_job_and_the_way_back() -> None:
    page = namespace("questions/flow/index")

    base: Any = page["Trip"]

    class Early(base):  # type: ignore[misc]
        def output(self, port: Any, buf: memoryview) -> None:
            job = driver_alloc(page["Job"])
            job.number = buf[0]
            driver_async(port, None, page["work"], job, driver_free)

    def early(erl: Emulator) -> object:
        erl.erl_ddll.load_driver(Early())
        port = erl.open_port(("spawn_driver", "trip_drv"))
        erl.port_command(port, b"\x07")
        return erl.receive()

    assert_outcomes(early, {data(b"49")}, async_threads=1)


# What if a second command arrives before the first is done?


@pytest.mark.rule("busy.not-tagged", "busy.accepted")
def test_two_commands_are_answered_in_either_order() -> None:
    assert_outcomes(
        scenario("busy", "two_commands"),
        {
            (b"ab", order("output", "output", "ready_async(1)", "ready_async(2)")),
            (b"ba", order("output", "output", "ready_async(2)", "ready_async(1)")),
            (b"ab", order("output", "ready_async(1)", "output", "ready_async(2)")),
        },
        observe=("output", "ready_async"),
        async_threads=2,
    )


@pytest.mark.rule("busy.resumed-or-told", "busy.close-resumes", "busy.suspends")
def test_whoever_is_suspended_is_resumed_by_the_driver_or_by_the_close() -> None:
    assert_outcomes(
        scenario("busy", "close_while_busy"),
        {
            ("badarg", order()),
            ("badarg", order("suspended", "resumed")),
            (True, order()),
            (True, order("suspended", "resumed")),
        },
        observe=("suspended", "resumed"),
        async_threads=1,
    )


@pytest.mark.rule("busy.count-in-callbacks")
def test_a_job_that_counts_races_with_the_callbacks() -> None:
    outcomes = explore(scenario("busy", "count_two"), observe=("output",), async_threads=1)
    assert outcomes.complete
    assert names(outcomes) == {"DataRace"}
    (fine,) = set(outcomes) - set(outcomes.faults)
    events = outcomes.replay(fine).trace.order("output", "ready_async")
    assert events == ["output", "ready_async(1)", "output", "ready_async(2)"]


@pytest.mark.rule("busy.count-in-callbacks")
def test_ready_async_may_count() -> None:
    page = namespace("questions/busy/index")

    base: Any = page["Counting"]

    class Counting(base):  # type: ignore[misc]
        def count(self, state: Any) -> None:
            pass

        def ready_async(self, state: Any, data: object) -> None:
            state.open -= 1
            super().ready_async(state, data)

    def count(erl: Emulator) -> object:
        erl.erl_ddll.load_driver(Counting())
        port = erl.open_port(("spawn_driver", "tagged_drv"))
        erl.port_command(port, b"a")
        erl.port_command(port, b"b")
        return erl.receive(), erl.receive()

    none, one = data(b"0"), data(b"1")
    assert_outcomes(count, {(one, none), (none, none)}, async_threads=1)


# Can a job be cancelled once it has been submitted?


@pytest.mark.rule("cancel.one-answer", "cancel.flag")
def test_a_cancel_gets_one_answer_whenever_it_comes() -> None:
    assert_outcomes(
        scenario("cancel", "cancel_any_time"),
        {
            ((b"cancelled", None), order("control", "async_return(1)")),
            ((b"cancelled", None), order("async_return(1)", "control")),
            ((b"too late", data(b"done")), order("async_return(1)", "control")),
        },
        observe=("control", "async_return"),
        async_threads=1,
    )


@pytest.mark.rule("cancel.flag")
def test_the_flag_is_seen_at_each_look_or_not_at_all() -> None:
    assert_outcomes(
        scenario("cancel", "tell"),
        {
            *((b"cancelled", b"%d left" % steps) for steps in range(3)),
            (b"too late", b"0 left"),
        },
        async_threads=1,
    )


@pytest.mark.rule("cancel.flag-is-atomic")
def test_a_flag_under_a_mutex_does_as_well_as_an_atomic() -> None:
    page = namespace("questions/cancel/index")

    base: Any = page["Plain"]

    class Locked(base):  # type: ignore[misc]
        def init(self) -> None:
            self.mutex = erl_drv_mutex_create("flag")

        def output(self, state: Any, buf: memoryview) -> None:
            job = driver_alloc(page["PlainJob"])
            job.steps, job.cancelled = buf[0], False
            state.job = job
            driver_async(state.port, None, self.work, job, driver_free)

        def work(self, job: Any) -> None:
            while job.steps > 0 and not self.cancelled(job):
                usleep(10_000)
                job.steps -= 1

        def cancelled(self, job: Any) -> bool:
            erl_drv_mutex_lock(self.mutex)
            cancelled = bool(job.cancelled)
            erl_drv_mutex_unlock(self.mutex)
            return cancelled

        def control(self, state: Any, command: int, buf: memoryview) -> bytes:
            erl_drv_mutex_lock(self.mutex)
            said: bytes = super().control(state, command, buf)
            erl_drv_mutex_unlock(self.mutex)
            return said

        def finish(self) -> None:
            erl_drv_mutex_destroy(self.mutex)

    def scenario(erl: Emulator) -> object:
        return page["command_and_cancel"](erl, Locked(), 1)

    assert_outcomes(scenario, {b"cancelled", b"too late"}, async_threads=1)


@pytest.mark.rule("cancel.flag-is-atomic")
def test_a_plain_flag_is_a_race_unless_the_cancel_comes_too_late() -> None:
    outcomes = explore(scenario("cancel", "plain_flag"), async_threads=1)
    assert outcomes.complete
    assert names(outcomes) == {"DataRace"}
    assert set(outcomes) - set(outcomes.faults) == {b"too late"}


def test_to_free_a_job_s_data_is_right_only_when_there_is_nothing_to_free() -> None:
    outcomes = explore(
        scenario("cancel", "free_any_time"), observe=("ready_async", "control"), async_threads=1
    )
    assert outcomes.complete
    assert names(outcomes) == {"DataRace", "UseAfterFree"}
    (fine,) = set(outcomes) - set(outcomes.faults)
    assert fine == (b"too late", order("ready_async(1)", "control"))


# The tutorial


def test_the_tutorial_s_driver_survives_every_schedule() -> None:
    assert_outcomes(
        namespace("survive")["close_any_time"],
        {data(b"done"), data(b"timeout"), EXIT},
        async_threads=1,
    )


def test_a_flag_in_the_state_is_a_race_or_a_use_after_free() -> None:
    outcomes = explore(namespace("survive")["close_reaching"], async_threads=1)
    assert outcomes.complete
    assert names(outcomes) == {"DataRace", "UseAfterFree"}


# How the runtime works


class Cell(Struct):
    """What two threads touch."""

    value: int


class Handing(Driver):
    """A thread of the driver's own writes a cell, and a job reads it."""

    driver_name = "handing"

    def start(self, port: Any, command: str) -> Any:
        return port

    def output(self, port: Any, buf: memoryview) -> None:
        self.cell: Any = driver_alloc(Cell)
        self.mutex = erl_drv_mutex_create("cell")
        self.cond = erl_drv_cond_create("cell")
        self.done = Atomic(False)
        self.writer: Any = ErlDrvTid()
        erl_drv_thread_create("writer", self.writer, self.write, None, None)
        driver_async(port, None, self.read, None)

    def write(self, _: object) -> None:
        self.cell.value = 1
        self.hand_over()

    def read(self, _: object) -> None:
        if self.take_over():
            assert self.cell.value == 1

    def ready_async(self, port: Any, _: object) -> None:
        if self.writer is not None:
            erl_drv_thread_join(self.writer, None)
        erl_drv_cond_destroy(self.cond)
        erl_drv_mutex_destroy(self.mutex)
        driver_free(self.cell)
        driver_output(port, b"done")

    def hand_over(self) -> None:
        """After the write."""

    def take_over(self) -> bool:
        """Before the read: whether the cell has been written."""
        raise NotImplementedError


class ByThreadEnd(Handing):
    def take_over(self) -> bool:
        erl_drv_thread_join(self.writer, None)
        self.writer = None
        return True


class ByAtomic(Handing):
    def hand_over(self) -> None:
        self.done.store(True)

    def take_over(self) -> bool:
        return bool(self.done.load())


class ByLock(Handing):
    written = False

    def hand_over(self) -> None:
        erl_drv_mutex_lock(self.mutex)
        self.written = True
        erl_drv_mutex_unlock(self.mutex)

    def take_over(self) -> bool:
        erl_drv_mutex_lock(self.mutex)
        written = self.written
        erl_drv_mutex_unlock(self.mutex)
        return written


class ByCondition(ByLock):
    def hand_over(self) -> None:
        super().hand_over()
        erl_drv_cond_signal(self.cond)

    def take_over(self) -> bool:
        erl_drv_mutex_lock(self.mutex)
        while not self.written:
            erl_drv_cond_wait(self.cond, self.mutex)
        erl_drv_mutex_unlock(self.mutex)
        return True


class ByPatience(Handing):
    def take_over(self) -> bool:
        usleep(1_000_000)
        return True


def handing(kind: type[Handing]) -> Scenario:
    """One command to a driver of this kind."""

    def scenario(erl: Emulator) -> object:
        erl.erl_ddll.load_driver(kind())
        port = erl.open_port(("spawn_driver", "handing"))
        erl.port_command(port, b"")
        return erl.receive()

    return scenario


@pytest.mark.rule("race.what-orders")
@pytest.mark.parametrize("kind", [ByThreadEnd, ByAtomic, ByLock, ByCondition])
def test_what_orders_two_threads_keeps_a_write_and_a_read_apart(kind: type[Handing]) -> None:
    assert_outcomes(handing(kind), {data(b"done")}, async_threads=1)


@pytest.mark.rule("race.what-orders")
def test_time_that_has_passed_orders_nothing() -> None:
    with pytest.raises(DataRace), Emulator(async_threads=1) as erl:
        handing(ByPatience)(erl)


@pytest.mark.rule("race.job-handover")
def test_a_job_s_data_is_in_one_thread_s_hands_at_a_time() -> None:
    class Passing(Handing):
        """The cell goes to the job, and from it to `ready_async` or, after a close, to the free function."""

        def output(self, port: Any, buf: memoryview) -> None:
            cell: Any = driver_alloc(Cell)
            cell.value = 0
            driver_async(port, None, self.read, cell, self.free)

        def read(self, cell: Any) -> None:
            cell.value += 1

        def ready_async(self, port: Any, cell: Any) -> None:
            self.free(cell)

        def free(self, cell: Any) -> None:
            cell.value += 1
            assert cell.value == 2
            driver_free(cell)

    def close(erl: Emulator) -> None:
        erl.erl_ddll.load_driver(Passing())
        port = erl.open_port(("spawn_driver", "handing"))
        erl.port_command(port, b"")
        erl.port_close(port)

    ends = {order("async_free(1)"), order("ready_async(1)")}
    assert_outcomes(close, ends, observe=("ready_async", "async_free"), async_threads=1)


def test_a_search_costs_what_the_page_says() -> None:
    page = namespace("every-outcome")

    square: Any = page["Square"]

    class Sleeping(square):  # type: ignore[misc]
        def work(self, job: list[int]) -> None:
            usleep(1000)
            super().work(job)

    def jobs(n: int, driver: Callable[[], Any]) -> Scenario:
        def scenario(erl: Emulator) -> object:
            erl.erl_ddll.load_driver(driver())
            port = erl.open_port(("spawn_driver", "square"))
            for number in range(n):
                erl.port_command(port, b"%d" % number)
            return tuple(erl.receive() for _ in range(n))

        return scenario

    text = (DOCS / "every-outcome.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d)[^|]* \| (\d) \| (\d+) \|$", text, re.MULTILINE)
    assert len(rows) == 4
    for n, threads, said in rows:
        outcomes = explore(jobs(int(n), square), async_threads=int(threads))
        assert outcomes.complete
        assert outcomes.inequivalent == int(said)
    sleeping = explore(jobs(3, Sleeping), async_threads=2)
    assert f"two async threads have {sleeping.inequivalent} different schedules" in text
