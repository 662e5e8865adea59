"""One run: what its outcome is, when the scenario, or the driver, catches what has gone wrong."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from scripted import made_of
from support import Job, Worker, both, new_job, opened
from wrong import CASES
from wrong.case import Wrong

from driverref import Emulator, compare, explore, replay
from driverref.diagnostics import shown
from driverref.erl_driver import (
    ErlDrvPort,
    ErlDrvTid,
    Key,
    Pointer,
    driver_alloc,
    driver_alloc_binary,
    driver_async,
    driver_free,
    driver_mk_port,
    driver_set_timer,
    erl_drv_mutex_create,
    erl_drv_thread_create,
    erl_drv_thread_join,
)
from driverref.errors import (
    DataRace,
    Deadlock,
    EmulatorStopped,
    ErlangError,
    Leak,
    Misuse,
    Nondeterministic,
    UseAfterFree,
)
from driverref.explore import Fault, assert_outcomes
from driverref.explore.run import Experiment

# What is caught is not gone.


def boom(*_: object) -> None:
    raise ArithmeticError("boom")


def in_a_callback(erl: Emulator) -> None:
    erl.port_command(opened(erl, made_of(output=boom)), b"")


def in_a_job(erl: Emulator) -> None:
    driver = made_of(output=lambda port, buf: driver_async(port, None, boom, None))
    erl.port_command(opened(erl, driver), b"")
    erl.receive()


def in_a_timeout(erl: Emulator) -> None:
    driver = made_of(output=lambda port, buf: driver_set_timer(port, 1), timeout=boom)
    erl.port_command(opened(erl, driver), b"")
    erl.receive()


def in_a_process(erl: Emulator) -> None:
    erl.spawn(boom)
    erl.receive()


def in_a_callback_that_a_process_has_called(erl: Emulator) -> None:
    port = opened(erl, made_of(output=boom))

    def careless() -> None:
        with suppress(ArithmeticError):
            erl.port_command(port, b"")

    erl.spawn(careless)
    erl.receive()


def in_stop(erl: Emulator) -> None:
    opened(erl, made_of(stop=boom))
    erl.stop()


def by_a_deadlock(erl: Emulator) -> None:
    erl.receive()


def by_a_deadlock_in_a_callback(erl: Emulator) -> None:
    def output(port: ErlDrvPort, buf: memoryview) -> None:
        erl.runtime.threads.mutex("m").acquire()
        erl.runtime.threads.queue("what never comes").get()

    erl.port_command(opened(erl, made_of(output=output)), b"")


def by_a_leak(erl: Emulator) -> None:
    opened(erl, made_of(stop=lambda port: driver_alloc(4)))
    erl.stop()


def by_a_hang(erl: Emulator) -> None:
    erl.runtime.threads.spin("loops")


FAILURES = [
    (in_a_callback, "ArithmeticError"),
    (in_a_job, "ArithmeticError"),
    (in_a_timeout, "ArithmeticError"),
    (in_a_process, "ArithmeticError"),
    (in_a_callback_that_a_process_has_called, "ArithmeticError"),
    (in_stop, "ArithmeticError"),
    (by_a_deadlock, "Deadlock"),
    (by_a_deadlock_in_a_callback, "Deadlock"),
    (by_a_leak, "Leak"),
    (by_a_hang, "EmulatorHang"),
]


@pytest.mark.rule("explore.caught-is-not-gone")
@pytest.mark.parametrize("caught", [Exception, BaseException])
@pytest.mark.parametrize(("fail", "name"), FAILURES, ids=lambda part: getattr(part, "__name__", ""))
def test_a_failure_that_the_scenario_catches_is_its_outcome(
    fail: Callable[[Emulator], None], name: str, caught: type[BaseException]
) -> None:
    def careless(erl: Emulator) -> str:
        with suppress(caught):
            fail(erl)
        return "all is well"

    outcomes = explore(careless)
    (fault,) = outcomes
    assert outcomes.complete
    assert isinstance(fault, Fault)
    assert fault.name == name
    assert fault == next(iter(explore(fail))), "the same, with the same places"
    assert str(fault) == str(next(iter(explore(fail))))
    with pytest.raises(AssertionError, match=f"^a fault: {name}"):
        assert_outcomes(careless)
    with pytest.raises(AssertionError, match="never seen: 'all is well'"):
        assert_outcomes(careless, ["all is well"])
    assert Experiment(careless, (), {}).follow(outcomes[fault].witness)[1] == fault
    replay(careless, outcomes[fault].witness)


def test_what_the_scenario_does_after_a_failure_has_no_meaning() -> None:
    """The first failure counts: neither the `EmulatorStopped` that follows, nor another error, nor a later deadlock."""

    def goes_on(erl: Emulator) -> None:
        with suppress(ArithmeticError):
            in_a_callback(erl)
        erl.self()

    def raises(erl: Emulator) -> None:
        try:
            in_a_callback(erl)
        finally:
            raise LookupError

    def stuck_first(erl: Emulator) -> None:
        with suppress(Deadlock):
            erl.receive()
        in_a_callback(erl)

    def stuck_later(erl: Emulator) -> None:
        queue = erl.runtime.threads.queue("what never comes")
        with suppress(ArithmeticError):
            in_a_callback(erl)
        queue.get()

    first = {story: explore(story).faults for story in (goes_on, raises, stuck_first, stuck_later)}
    names = [[fault.name for fault in faults] for faults in first.values()]
    assert names == [["ArithmeticError"], ["ArithmeticError"], ["Deadlock"], ["ArithmeticError"]]


def test_what_is_no_failure_may_be_caught() -> None:
    """A BIF that refuses, an emulator that another process has halted, the end of the first process."""

    def refused(erl: Emulator) -> str:
        try:
            erl.port_close(driver_mk_port)  # type: ignore[arg-type]
        except ErlangError as error:
            return error.reason
        return ""

    def halted(erl: Emulator) -> str:
        erl.spawn(erl.halt)
        try:
            erl.receive()
        except EmulatorStopped:
            return "halted"
        return ""

    assert list(explore(refused)) == ["badarg"]
    assert list(explore(halted)) == ["halted"]


def test_ctrl_c_in_a_job_ends_the_search_even_if_the_scenario_catches_it() -> None:
    def interrupted(job: object) -> None:
        raise KeyboardInterrupt

    def careless(erl: Emulator) -> None:
        driver = made_of(output=lambda port, buf: driver_async(port, None, interrupted, None))
        with suppress(BaseException):
            erl.port_command(opened(erl, driver), b"")
            erl.receive()

    with pytest.raises(KeyboardInterrupt):
        explore(careless)


@both
def test_in_a_plain_emulator_what_was_caught_counts_as_seen(threads: Any) -> None:
    """A test expects a fault within the block; the search is told that it is an outcome, and not the reader."""
    with Emulator(threads=threads) as erl, pytest.raises(ArithmeticError):
        in_a_job(erl)
    assert "it crashed with ArithmeticError" in repr(erl)


# A driver that catches a fault of its memory.


class Catches(Worker):
    """Its job uses what is freed by then, and takes no notice."""

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        job = new_job(b"")
        driver_free(job)
        driver_async(port, None, self.work, job, lambda job: None)

    def work(self, job: Job) -> None:
        with suppress(Exception):
            self.misuse(job)

    def misuse(self, job: Job) -> None:
        raise NotImplementedError

    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        pass


def memory(number: int = 4) -> Any:
    return driver_alloc(number)


MEMORY: dict[str, Callable[[Job], object]] = {
    "UseAfterFree": lambda job: job.text,
    "DoubleFree": driver_free,
    "InvalidFree": lambda job: driver_free(b"mine"),
    "Uninitialised": lambda job: memory()[0],
    "OutOfBounds": lambda job: memory()[4],
}


@pytest.mark.rule("explore.caught-is-not-gone")
@pytest.mark.parametrize("name", MEMORY)
def test_a_fault_of_memory_that_the_driver_catches_is_the_outcome(name: str) -> None:
    driver = type("Careless", (Catches,), {"misuse": lambda self, job: MEMORY[name](job)})

    def scenario(erl: Emulator) -> None:
        erl.port_command(opened(erl, driver()), b"")
        erl.receive(timeout=1)

    assert {fault.name for fault in explore(scenario).faults} == {name}
    with suppress(Leak), Emulator() as erl:
        scenario(erl)
    assert "crashed" not in repr(erl), "a plain emulator lets the driver catch what it likes"


def test_a_call_that_the_release_lacks_may_be_tried() -> None:
    """Nothing has happened when it is refused, and nothing is undefined."""

    def scenario(erl: Emulator) -> str:
        found = []

        def output(port: ErlDrvPort, buf: memoryview) -> None:
            with suppress(Misuse):
                found.append(erl_drv_mutex_create.__name__)
                erl_drv_mutex_create("m")
                found.append("leaked")

        erl.port_command(opened(erl, made_of(output=output)), b"")
        return " ".join(found)

    then = compare(scenario)
    outcomes = {system.release.name: list(found) for system, found in then.items()}
    assert outcomes["R7B-3"] == ["erl_drv_mutex_create"]
    assert [fault.name for fault in outcomes["25"] if isinstance(fault, Fault)] == ["Leak"]


# One mistake is one row.


def test_two_threads_that_make_one_mistake_are_one_row() -> None:
    def scenario(erl: Emulator) -> None:
        def work(data: object) -> None:
            driver_set_timer(handles[0], 1)

        handles: list[ErlDrvPort] = []

        def output(port: ErlDrvPort, buf: memoryview) -> None:
            handles.append(port)
            for key in (0, 1):
                driver_async(port, key, work, None)

        erl.port_command(opened(erl, made_of(output=output)), b"")

    outcomes = explore(scenario, async_threads=2)
    (fault,) = outcomes.faults
    assert "not async 1" in fault.text
    assert outcomes[fault].count > 1
    (misuse,) = fault.places
    assert misuse in fault.text
    assert misuse.endswith(" in work")
    shared = explore(scenario, async_threads=2)
    assert dict(shared) == dict(outcomes)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_two_rows_of_a_wrong_driver_have_one_class_and_one_set_of_places(case: Wrong) -> None:
    outcomes = explore(case.scenario(case.wrong, case.jobs), limit=400, **case.emulator)
    rows = [(fault.name, fault.places) for fault in outcomes.faults]
    assert len(set(rows)) == len(rows)


@pytest.mark.rule("fault.names-its-places")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_fault_of_a_wrong_driver_says_where(case: Wrong) -> None:
    """A line of the drivers, in the text and among the places; of a deadlock a line for each thread that stands in it."""
    file = f"{case.wrong.__module__.removeprefix('wrong.')}.py:"
    for fault in explore(case.scenario(case.wrong, case.jobs), limit=400, **case.emulator).faults:
        assert all(place in fault.text for place in fault.places)
        # Where the emulator's end waits for ever, no thread stands in the driver any more.
        if "waits for its ports to close" in fault.text:
            assert "in its driver queue" in fault.text or "data lock" in fault.text
            continue
        assert any(place.startswith((file, "case.py:")) for place in fault.places), fault
        assert "0x" not in fault.text


def test_the_places_do_not_tell_who_explores() -> None:
    def scenario(erl: Emulator) -> None:
        raise UseAfterFree("made up")

    def elsewhere() -> Fault:
        (fault,) = explore(scenario).faults
        return fault

    with ThreadPoolExecutor(1) as executor:
        (shared,) = explore(scenario, executor=executor).faults
    assert elsewhere() == shared
    assert str(elsewhere()) == str(shared)
    assert shared.places == (f"test_run.py:{scenario.__code__.co_firstlineno + 1} in scenario",)


def test_the_emulator_s_own_end_stands_at_no_line_of_the_explorer() -> None:
    def scenario(erl: Emulator) -> None:
        def work(data: object) -> None:
            erl.runtime.threads.queue("what never comes").get()

        driver = made_of(output=lambda port, buf: driver_async(port, None, work, None))
        erl.port_command(opened(erl, driver), b"")

    (fault,) = explore(scenario).faults
    assert "process <0.1.0> waits for the end of async 1\n" in fault.text
    assert [place.split(" in ")[1] for place in fault.places] == ["work"]


def test_where_no_line_of_the_program_has_led_the_class_alone_tells() -> None:
    def scenario(erl: Emulator) -> None:
        driver = made_of(output=lambda port, buf: driver_async(port, None, int, b"no number"))
        erl.port_command(opened(erl, driver), b"")
        erl.receive()

    (fault,) = explore(scenario).faults
    assert fault == Fault("ValueError", "whatever it says")
    assert fault.text == "invalid literal for int() with base 10: b'no number'"


def nothing() -> None:
    """A function that takes no argument."""


def wrong_job(port: ErlDrvPort) -> None:
    driver_async(port, None, nothing, None)  # type: ignore[arg-type]


def wrong_free(port: ErlDrvPort) -> None:
    driver_async(port, None, lambda data: None, None, nothing)  # type: ignore[arg-type]


def wrong_thread(port: ErlDrvPort) -> None:
    tid = ErlDrvTid()
    erl_drv_thread_create("own", tid, nothing, None, None)  # type: ignore[arg-type]
    erl_drv_thread_join(tid, None)


@pytest.mark.parametrize("release", ["R16B", "25"])
@pytest.mark.parametrize("async_threads", [0, 1])
@pytest.mark.parametrize("submit", [wrong_job, wrong_free, wrong_thread])
def test_a_function_that_takes_other_arguments_is_told_with_its_place(
    submit: Callable[[ErlDrvPort], None], async_threads: int, release: str
) -> None:
    """None of its lines has run."""

    def scenario(erl: Emulator) -> None:
        erl.port_command(opened(erl, made_of(output=lambda port, buf: submit(port))), b"")
        erl.receive(timeout=1)

    (fault,) = explore(scenario, async_threads=async_threads, release=release).faults
    assert str(fault).startswith("TypeError: nothing() takes 0 positional arguments but 1 was giv")
    inline = release == "R16B" and not async_threads and submit is not wrong_thread
    told, line = (submit, 1) if inline else (nothing, 0)
    place = f"test_run.py:{told.__code__.co_firstlineno + line} in {told.__name__}"
    assert fault.places == (place,), "in the one case the job runs in the call"


def test_a_function_of_a_process_that_takes_other_arguments_is_told_with_its_place() -> None:
    def scenario(erl: Emulator) -> None:
        erl.spawn(nothing, 1)
        erl.receive()

    (fault,) = explore(scenario).faults
    assert fault.places == (f"test_run.py:{nothing.__code__.co_firstlineno} in nothing",)


# What cannot be counted.


def port_handle(erl: Emulator) -> object:
    handles: list[ErlDrvPort] = []
    opened(erl, made_of(start=lambda port, command: handles.append(port)))
    return handles[0]


def in_a_callback_of_its_own(erl: Emulator, make: Callable[[], object]) -> object:
    made: list[object] = []
    driver = made_of(output=lambda port, buf: made.append(make()))
    erl.port_command(opened(erl, driver), b"")
    return made[0]


LIVE: dict[str, Callable[[Emulator], object]] = {
    "Emulator": lambda erl: erl,
    "ErlDrvPort": port_handle,
    "Memory": lambda erl: in_a_callback_of_its_own(erl, memory),
    "Job": lambda erl: in_a_callback_of_its_own(erl, lambda: driver_alloc(Job)),
    "ErlDrvBinary": lambda erl: in_a_callback_of_its_own(erl, lambda: driver_alloc_binary(1)),
    "ErlDrvMutex": lambda erl: in_a_callback_of_its_own(erl, lambda: erl_drv_mutex_create("m")),
    "Watch": lambda erl: erl.trace,
    "ErlDdll": lambda erl: erl.erl_ddll,
    "Worker": lambda erl: Worker(),
    "Key": lambda erl: Key(1),
    "Pointer": lambda erl: Pointer(),
    "Deadlock": lambda erl: Deadlock([]),
}


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("name", LIVE)
def test_a_live_object_of_the_emulator_gets_a_sentence(name: str, nested: bool) -> None:
    def scenario(erl: Emulator) -> object:
        live = LIVE[name](erl)
        erl.halt()  # what was made need not be given back
        return (1, frozenset({("x", live)})) if nested else live

    with pytest.raises(TypeError) as refused:
        explore(scenario)
    assert str(refused.value) == (
        f"explore: the scenario returned its {name}, which belongs to one run and equals none of"
        " another: return what it says, such as a message or a number"
    )


def test_an_outcome_that_cannot_be_hashed_is_shown_without_what_changes() -> None:
    with pytest.raises(TypeError) as refused:
        explore(lambda erl: [erl, object()])
    assert "scenario returned [<Emulator +A 1 +S 1, it has stopped>, <object object>]," in str(
        refused.value
    )


@pytest.mark.parametrize("value", [None, int, len, opened, (None, Leak), DataRace], ids=shown)
def test_what_is_the_same_in_every_run_is_an_outcome(value: object) -> None:
    assert list(explore(lambda erl: value)) == [value]


def test_an_object_that_equals_only_itself_is_told_as_that() -> None:
    with pytest.raises(Nondeterministic) as told:
        explore(lambda erl: object())
    assert "it ended with another <object object>, which equals only itself" in str(told.value)
