"""The search on whole emulators: it misses nothing that the oracle finds, or that random schedules show."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from dfs import (
    TooMany,
    drawn_at_random,
    every_schedule,
    on_emulator,
    searched,
)
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from scripted import made_of
from support import Job, Worker, new_job, opened

from driverref import Atomic, Driver, Emulator, Port, Struct
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    driver_alloc,
    driver_async,
    driver_caller,
    driver_cancel_timer,
    driver_deq,
    driver_enq,
    driver_failure_atom,
    driver_free,
    driver_monitor_process,
    driver_output,
    driver_set_timer,
    driver_sizeq,
    set_busy_port,
)
from driverref.errors import ErlangError
from driverref.explore import explore

THOROUGHNESS = int(os.environ.get("DRIVERREF_SOAK", "1"))

EVENTS = ("async_invoke", "ready_async", "async_free", "timeout", "stop", "finish", "halt")


class Tally(Struct):
    """A port's state."""

    port: object
    count: int


class Kitchen(Driver):
    """Does at once what the first letter of a command says."""

    driver_name = "kitchen"

    def __init__(self, flags: int = 0) -> None:
        self.driver_flags = flags  # type: ignore[misc]

    def start(self, port: ErlDrvPort, command: str) -> Tally:
        state = driver_alloc(Tally)
        assert state is not None
        state.port, state.count = port, 0
        return state

    def stop(self, state: Tally) -> None:
        driver_free(state)

    def output(self, state: Tally, buf: memoryview) -> None:
        state.count += 1
        port: Any = state.port
        match chr(buf[0]):
            case "0" | "1" as key:
                driver_async(port, int(key), self.work, new_job(b"%d" % state.count), driver_free)
            case "o":
                driver_output(port, b"%d" % state.count)
            case "t":
                driver_set_timer(port, 1)
            case "T":
                driver_set_timer(port, 0)
            case "x":
                driver_cancel_timer(port)
            case "b":
                set_busy_port(port, 1)
                driver_set_timer(port, 0)
            case "f":
                driver_failure_atom(port, "failed")
            case "q":
                driver_enq(port, b"q")
            case "d":
                driver_deq(port, driver_sizeq(port))
            case "m":
                driver_monitor_process(port, driver_caller(port))

    def control(self, state: Tally, command: int, buf: memoryview) -> bytes:
        set_busy_port(state.port, command)  # type: ignore[arg-type]
        return bytes((state.count,))

    def timeout(self, state: Tally) -> None:
        port: Any = state.port
        state.count += 10
        set_busy_port(port, 0)
        driver_output(port, b"time %d" % state.count)

    def flush(self, state: Tally) -> None:
        port: Any = state.port
        driver_deq(port, driver_sizeq(port))

    def process_exit(self, state: Tally, monitor: object) -> None:
        driver_output(state.port, b"exit")  # type: ignore[arg-type]

    def work(self, job: Job) -> None:
        job.text += b" done"

    def ready_async(self, state: Tally, job: Job) -> None:
        driver_output(state.port, b"%s of %d" % (job.text, state.count))  # type: ignore[arg-type]
        driver_free(job)


Action = tuple[Any, ...]


class Lives(NamedTuple):
    """A scenario: the first process and some others, each with a list of what it does.

    The first opens the ports, waits for the others, and returns what it saw.
    """

    flags: int
    ports: int
    lists: list[list[Action]]

    def __call__(self, erl: Emulator) -> object:
        return Living(erl, *self).live_all()


class Living:
    """One run of `Lives`."""

    def __init__(self, erl: Emulator, flags: int, ports: int, lists: list[list[Action]]) -> None:
        self.erl, self.lists = erl, lists
        self.driver: Driver = Kitchen(flags)
        self.opened = [opened(erl, self.driver) for _ in range(ports)]
        self.first = erl.self()

    def live_all(self) -> object:
        erl, seen = self.erl, list[object]()
        erl.process_flag("trap_exit", True)
        schedulers, others = erl.system_info("schedulers"), range(1, len(self.lists))
        pids = [erl.spawn(self.live, who, scheduler=1 + who % schedulers) for who in others]
        refs = [erl.monitor("process", pid) for pid in pids]
        for action in self.lists[0]:
            seen.append(self.do(*action))
            if action[0] == "halt":
                return tuple(seen)
        for ref in refs:
            while (message := erl.receive())[1] != ref:
                seen.append(str(message))
        return tuple(seen)

    def live(self, who: int) -> None:
        seen = tuple(self.do(*action) for action in self.lists[who])
        self.erl.send(self.first, (f"process {who}", seen))

    def do(self, name: str, *arguments: Any) -> str:
        try:
            return str(getattr(self, name)(*arguments))
        except ErlangError as error:
            return error.reason

    def port(self, number: int) -> Port:
        return self.opened[number % len(self.opened)]

    def command(self, number: int, what: bytes) -> object:
        return self.erl.port_command(self.port(number), what)

    def nosuspend(self, number: int, what: bytes) -> object:
        return self.erl.port_command(self.port(number), what, ["nosuspend"])

    def send(self, number: int, what: bytes) -> object:
        return self.erl.send(self.port(number), (self.first, ("command", what)))

    def send_close(self, number: int) -> object:
        return self.erl.send(self.port(number), (self.first, "close"))

    def close(self, number: int) -> object:
        return self.erl.port_close(self.port(number))

    def kill(self, number: int) -> object:
        return self.erl.exit(self.port(number), "kill")

    def link(self, number: int) -> object:
        return self.erl.link(self.port(number))

    def info(self, number: int) -> object:
        return self.erl.port_info(self.port(number), "connected")

    def control(self, number: int, busy: int) -> object:
        return self.erl.port_control(self.port(number), busy, b"")

    def receive(self, milliseconds: int | None) -> object:
        return self.erl.receive(timeout=milliseconds)

    def open(self) -> object:
        return self.erl.open_port(("spawn_driver", self.driver.driver_name))

    def ports(self) -> object:
        return self.erl.ports()

    def load(self) -> object:
        return self.erl.erl_ddll.load_driver(self.driver)

    def try_unload(self) -> object:
        return self.erl.erl_ddll.try_unload(self.driver.driver_name)

    def unload(self) -> object:
        return self.erl.erl_ddll.unload_driver(self.driver.driver_name)

    def loaded(self) -> object:
        return self.erl.erl_ddll.loaded_drivers()

    def halt(self, flush: bool) -> object:
        return self.erl.halt(flush=flush)


def one(*actions: Action, flags: int = 0, ports: int = 1) -> Lives:
    """A scenario of one process."""
    return Lives(flags, ports, [list(actions)])


def bare(*actions: Action) -> Callable[[Emulator], object]:
    """A scenario of one process and of a driver whose jobs carry nothing, so that there are few steps."""

    def scenario(erl: Emulator) -> object:
        living = Living(erl, 0, 0, [])
        erl.process_flag("trap_exit", True)
        driver = made_of(
            "bare",
            output=lambda port, buf: driver_async(port, 0, lambda _: None, None, lambda _: None),
            control=lambda port, ms, buf: bytes((driver_set_timer(port, ms),)),
            timeout=lambda port: driver_output(port, b"timeout"),
            ready_async=lambda port, data: driver_output(port, b"ready"),
        )
        living.driver = driver
        living.opened = [opened(erl, driver)]
        return tuple(living.do(*action) for action in actions)

    return scenario


SMALL: dict[str, tuple[tuple[Action, ...], tuple[str, ...]]] = {
    "one job": ((("command", 0, b"a"), ("receive", None)), ()),
    "a job against a close": ((("command", 0, b"a"), ("close", 0)), EVENTS),
    "a job against a kill": ((("command", 0, b"a"), ("kill", 0)), EVENTS),
    "a job against the clock": ((("command", 0, b"a"), ("receive", 1)), ()),
    "a timer against a close": ((("control", 0, 1), ("close", 0)), EVENTS),
    "a timer against a message": ((("control", 0, 1), ("receive", 1)), ()),
    "a job against an unload": ((("command", 0, b"a"), ("unload",)), EVENTS),
    "a job against a halt": ((("command", 0, b"a"), ("command", 0, b"a"), ("halt", False)), EVENTS),
}


@pytest.mark.parametrize("name", SMALL)
def test_of_a_small_scenario_the_search_finds_what_the_oracle_finds(name: str) -> None:
    actions, observe = SMALL[name]
    run = on_emulator(bare(*actions), observe)
    truth, seen = every_schedule(run, 3000), searched(run)
    assert set(seen.outcomes) == set(truth.outcomes)
    assert len(set(seen.classes)) == len(seen.classes)


class Pair(Worker):
    """Has two jobs done by different threads; only the second answers."""

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        for key in (0, 1):
            driver_async(port, key, self.work, new_job(b"%d" % key), driver_free)

    def ready_async(self, port: ErlDrvPort, job: Job) -> None:
        if job.text == b"1":
            driver_output(port, b"done")
        driver_free(job)


def test_halt_may_come_before_what_another_thread_would_have_done() -> None:
    """The answer to one job has come; the other job has begun by then, or not."""

    def scenario(erl: Emulator) -> None:
        erl.port_command(opened(erl, Pair()), b"")
        erl.receive()
        erl.halt(flush=False)

    found = explore(scenario, observe=["async_invoke"], async_threads=2)
    assert set(found) == {
        ("async_invoke(2)",),
        ("async_invoke(1)", "async_invoke(2)"),
        ("async_invoke(2)", "async_invoke(1)"),
    }


_number = st.integers(0, 1)
_what = st.sampled_from([bytes((letter,)) for letter in b"000o1tTxbfqdm"])
ACTIONS = st.one_of(
    st.tuples(st.sampled_from(["command", "command", "send", "nosuspend"]), _number, _what),
    st.tuples(st.sampled_from("close kill link info send_close".split()), _number),
    st.tuples(st.just("control"), _number, _number),
    st.tuples(st.just("receive"), _number),
    st.sampled_from([(name,) for name in "open ports load try_unload unload loaded".split()]),
)


@st.composite
def lives(draw: st.DrawFn) -> Lives:
    processes = draw(st.integers(1, 3))
    longest = {1: 4, 2: 2, 3: 1}[processes]
    lists = [draw(st.lists(ACTIONS, max_size=longest)) for _ in range(processes)]
    if draw(st.integers(0, 5)) == 0:
        lists[0].append(("halt", draw(st.booleans())))
    flags = draw(st.sampled_from([0, ERL_DRV_FLAG_USE_PORT_LOCKING]))
    return Lives(flags, draw(st.integers(1, 2)), lists)


@settings(
    deadline=None,
    max_examples=8 * THOROUGHNESS,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(
    spec=lives(),
    observe=st.sampled_from([(), (), EVENTS, ("async_invoke",), ("output", "timeout")]),
    schedulers=st.integers(1, 2),
    async_threads=st.integers(1, 2),
)
def test_of_any_scenario_random_schedules_show_nothing_new(
    spec: Lives, observe: tuple[str, ...], schedulers: int, async_threads: int
) -> None:
    options = {"schedulers": schedulers, "async_threads": async_threads}
    run = on_emulator(spec.__call__, observe, **options)
    try:
        seen = searched(run, 200)
    except TooMany:
        reject()
    assert len(set(seen.classes)) == len(seen.classes)
    assert drawn_at_random(run, range(100)) <= set(seen.outcomes)


# Thrift.


class Cancelling(Worker):
    """A job looks at a flag that `control` sets."""

    def init(self) -> None:
        super().init()
        self.cancelled = Atomic()

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        self.cancelled.store(1)
        return b""

    def work(self, job: Job) -> None:
        if self.cancelled.load():
            job.text = b"cancelled"


def cancel(erl: Emulator) -> object:
    port = opened(erl, Cancelling())
    erl.port_command(port, b"a")
    erl.port_control(port, 0, b"")
    return erl.receive()[1][1]


class Keyed(Worker):
    key = 1


def two_jobs_one_key_one_close(erl: Emulator) -> None:
    port = opened(erl, Keyed())
    erl.port_command(port, b"a")
    erl.port_command(port, b"b")
    erl.port_close(port)


def three_jobs(erl: Emulator) -> object:
    port = opened(erl, Worker())
    for text in (b"a", b"b", b"c"):
        erl.port_command(port, text)
    return tuple(erl.receive()[1][1] for _ in range(3))


class Deadline(Worker):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        driver_set_timer(port, 1)
        super().output(port, buf)

    def timeout(self, port: ErlDrvPort) -> None:
        driver_output(port, b"too late")


def timer_against_job(erl: Emulator) -> object:
    port = opened(erl, Deadline())
    erl.port_command(port, b"in time")
    return erl.receive()[1][1]


BOOK = {
    "two jobs, one key, one close": (two_jobs_one_key_one_close, EVENTS, 1, 1),
    "two jobs, one key, one close, 2 threads": (two_jobs_one_key_one_close, EVENTS, 2, 1),
    "two jobs, one key, one close, 2 schedulers": (two_jobs_one_key_one_close, EVENTS, 1, 2),
    "three jobs, 2 threads": (three_jobs, (), 2, 1),
    "three jobs, 3 threads": (three_jobs, (), 3, 1),
    "timer against job": (timer_against_job, (), 1, 1),
    "timer against job, 2 schedulers": (timer_against_job, EVENTS, 1, 2),
    "cancel": (cancel, (), 1, 1),
    "cancel, 2 schedulers": (cancel, (), 1, 2),
}


@pytest.mark.parametrize("name", BOOK)
def test_of_the_schedules_that_are_run_two_thirds_are_worth_it(name: str) -> None:
    scenario, observe, async_threads, schedulers = BOOK[name]
    run = on_emulator(scenario, observe, async_threads=async_threads, schedulers=schedulers)
    seen = searched(run)
    assert len(set(seen.classes)) == len(seen.classes)
    assert seen.runs <= 1.5 * len(seen.classes)
    assert drawn_at_random(run, range(100)) <= set(seen.outcomes)
    found = explore(scenario, observe=observe, async_threads=async_threads, schedulers=schedulers)
    assert (found.schedules, found.inequivalent) == (seen.runs, len(seen.classes))
