"""The search on the emulators of every era: all that threads share there, without a lock, is made known to it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from dfs import TooMany, a_brother, drawn_at_random, every_schedule, on_emulator, searched
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from lives import EVENTS, Action, Kitchen, Living, Tally
from scripted import made_of
from support import Job, Worker, new_job, opened

from driverref import Atomic, Emulator, Port
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    Key,
    driver_async,
    driver_async_cancel,
    driver_cancel_timer,
    driver_failure_atom,
    driver_free,
    driver_output,
    driver_pdl_create,
    driver_set_timer,
    erl_drv_busy_msgq_limits,
    set_busy_port,
)
from driverref.errors import ErlangError
from driverref.explore import explore
from driverref.release import ERAS, R7B_3, Release
from driverref.threads import READ, WRITE, Mode
from driverref.threads.simulated import SimulatedThreads

pytestmark = pytest.mark.slow


THOROUGHNESS = int(os.environ.get("DRIVERREF_SOAK", "1"))

OLDEST = replace(R7B_3, slots=2)
"""R7B with a port table of two slots, so that a port soon has a slot that another had."""

SYSTEMS = {
    f"{era.name}, {schedulers} schedulers": (OLDEST if era is R7B_3 else era, schedulers)
    for era in ERAS[:-1]
    for schedulers in range(1, min(era.max_schedulers, 2) + 1)
}


# Small scenarios, against every schedule there is.


def bare(*actions: Action) -> Callable[[Emulator], object]:
    """A scenario of one process and of a driver whose jobs carry nothing, so that there are few steps.

    A command asks for a job, or, if it is `c`, has the first one cancelled.
    """

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        if bytes(buf) == b"c":
            driver_output(port, b"cancelled %d" % driver_async_cancel(1))
        else:
            driver_async(port, 0, lambda _: None, None, lambda _: None)

    def scenario(erl: Emulator) -> object:
        erl.process_flag("trap_exit", True)
        living = Living(erl, 0, 0, [])
        living.driver = made_of(
            "bare",
            output=output,
            control=lambda port, ms, buf: bytes((driver_set_timer(port, ms),)),
            timeout=lambda port: driver_output(port, b"timeout"),
            ready_async=lambda port, data: driver_output(port, b"ready"),
        )
        living.load()
        living.opened = [erl.open_port(("spawn_driver", "bare"))]
        return tuple(living.do(*action) for action in actions)

    return scenario


JOB: Action = ("command", 0, b"a")
SMALL: dict[str, tuple[tuple[Action, ...], tuple[str, ...]]] = {
    "a job against a close and an open": ((JOB, ("close", 0), ("open",)), EVENTS),
    "a job against an unload": ((JOB, ("unload",)), EVENTS),
    "a job against a cancel": ((JOB, ("command", 0, b"c")), EVENTS),
    "a job against a halt": ((JOB, ("halt", True)), EVENTS),
    "a timer against a close": ((("control", 0, 0), ("close", 0)), EVENTS),
}


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("name", SMALL)
def test_of_a_small_scenario_the_search_finds_what_the_oracle_finds(name: str, system: str) -> None:
    actions, observe = SMALL[name]
    release, schedulers = SYSTEMS[system]
    options = {"release": release, "schedulers": schedulers, "async_threads": 1}
    run = on_emulator(bare(*actions), observe, **options)
    seen = searched(run)
    assert len(set(seen.classes)) == len(seen.classes)
    try:
        truth = set(every_schedule(run, 300 * THOROUGHNESS).outcomes)
    except TooMany:
        assert drawn_at_random(run, range(40 * THOROUGHNESS)) <= set(seen.outcomes)
    else:
        assert set(seen.outcomes) == truth


# Scenarios of any size: steps that nothing orders may change places.


class EraKitchen(Kitchen):
    """Cancels, too, and does something in `ready_async`, on whichever thread that runs."""

    def __init__(self, flags: int, when_ready: str) -> None:
        super().__init__(flags)
        self.when_ready = when_ready

    def init(self) -> None:
        self.finished = Atomic()

    def finish(self) -> None:
        self.finished.store(1)

    def output(self, state: Tally, buf: memoryview) -> None:
        port: Any = state.port
        match chr(buf[0]):
            case "c":
                driver_output(port, b"cancelled %d" % driver_async_cancel(state.count % 3))
            case "p":
                driver_pdl_create(port)
            case _:
                super().output(state, buf)

    def ready_async(self, state: Tally, job: Job) -> None:
        port: Any = state.port
        match self.when_ready:
            case "set":
                driver_set_timer(port, 1)
            case "at once":
                driver_set_timer(port, 0)
            case "cancel":
                driver_cancel_timer(port)
            case "busy":
                set_busy_port(port, state.count % 2)
            case "fail":
                driver_failure_atom(port, "failed")
            case "again" if not job.text.startswith(b"again"):
                driver_async(port, 1, self.work, new_job(b"again"), driver_free)
        if self.when_ready != "fail":
            super().ready_async(state, job)
        else:
            driver_free(job)


class Era(NamedTuple):
    """A scenario on one emulator: the first process and some others, each with a list of what it does."""

    release: Release
    schedulers: int
    async_threads: int
    flags: int
    ports: int
    when_ready: str
    lists: list[list[Action]]

    def __call__(self, erl: Emulator) -> object:
        return EraLiving(erl, self).live_all()

    def options(self) -> dict[str, Any]:
        """For the emulator."""
        names = ("release", "schedulers", "async_threads")
        return {name: getattr(self, name) for name in names}


class EraLiving(Living):
    """One run of it."""

    def __init__(self, erl: Emulator, era: Era) -> None:
        super().__init__(erl, era.flags, 0, era.lists)
        self.driver = EraKitchen(era.flags, era.when_ready)
        self.load()
        for _ in range(era.ports):
            self.reopen()

    def tell(self, mode: Mode) -> None:
        """Declare a use of `opened`, a list of the test's own that several processes share."""
        threads = self.erl.runtime.threads
        assert isinstance(threads, SimulatedThreads)
        threads.declare(("what was opened", mode))

    def reopen(self) -> Port:
        port = self.erl.open_port(("spawn_driver", self.driver.driver_name))
        self.tell(WRITE)
        self.opened.append(port)
        return port

    def port(self, number: int) -> Port:
        self.tell(READ)
        return super().port(number)

    def connect(self, number: int) -> object:
        return self.erl.port_connect(self.port(number), self.first)

    def watch(self) -> object:
        return self.erl.erl_ddll.monitor("driver", (self.driver.driver_name, "unloaded"))

    def count(self) -> object:
        return self.erl.system_info("port_count")


@st.composite
def eras(draw: st.DrawFn) -> Era:
    release, schedulers = draw(st.sampled_from(list(SYSTEMS.values())))
    letters = "000001tTxbf" + "cc" * bool(release.driver_async_cancel)
    if release is not OLDEST:
        letters += "qdmp"
    number, what = (
        st.integers(0, 1),
        st.sampled_from([bytes((letter,)) for letter in letters.encode()]),
    )
    actions: st.SearchStrategy[Action] = st.one_of(
        st.tuples(st.sampled_from(["command", "command", "send"]), number, what),
        st.tuples(st.sampled_from("close kill link info send_close connect".split()), number),
        st.tuples(st.just("control"), number, number),
        st.tuples(st.just("receive"), number),
        st.sampled_from(
            [(name,) for name in "open reopen ports load unload loaded watch count".split()]
        ),
    )
    processes = draw(st.integers(1, 3))
    lists = [draw(st.lists(actions, max_size=5 - processes)) for _ in range(processes)]
    if draw(st.integers(0, 5)) == 0:
        lists[0].append(("halt", True))
    return Era(
        release,
        schedulers,
        async_threads=draw(st.integers(0, 2)),
        flags=draw(st.sampled_from([0, ERL_DRV_FLAG_USE_PORT_LOCKING])),
        ports=draw(st.integers(1, 2)),
        when_ready=draw(st.sampled_from(["", "set", "at once", "cancel", "busy", "fail", "again"])),
        lists=lists,
    )


few = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@settings(few, max_examples=120 * THOROUGHNESS)
@given(
    era=eras(),
    observe=st.sampled_from([(), (), EVENTS, ("async_invoke",)]),
    seed=st.integers(0, 2**32),
)
def test_steps_that_nothing_orders_may_change_places(
    era: Era, observe: tuple[str, ...], seed: int
) -> None:
    a_brother(on_emulator(era.__call__, observe, **era.options()), seed)


@settings(few, max_examples=6 * THOROUGHNESS)
@given(era=eras(), observe=st.sampled_from([(), (), EVENTS, ("ready_async", "timeout")]))
def test_of_any_scenario_random_schedules_show_nothing_new(
    era: Era, observe: tuple[str, ...]
) -> None:
    run = on_emulator(era.__call__, observe, **era.options())
    try:
        seen = searched(run, 100)
    except TooMany:
        reject()
    assert len(set(seen.classes)) == len(seen.classes)
    assert drawn_at_random(run, range(60)) <= set(seen.outcomes)


# What was once touched and not made known.


def brothers(
    scenario: Callable[[Emulator], object],
    seeds: range = range(40),
    observe: tuple[str, ...] = (),
    **options: Any,
) -> None:
    """Runs that nobody can tell apart come to the same, of this scenario."""
    for seed in seeds:
        a_brother(on_emulator(scenario, observe, **options), seed)


def test_a_command_meets_a_signal_that_was_just_left_with_the_port_or_overtakes_it() -> None:
    """Who leaves a signal does not have the lock.  In some of these runs it does so as the next command begins."""

    def scenario(erl: Emulator) -> None:
        driver = made_of(output=lambda port, buf: driver_output(port, b""))
        port, me = opened(erl, driver), erl.self()
        ref = erl.monitor(
            "process",
            erl.spawn(lambda: [erl.port_command(port, b"") for _ in range(3)], scheduler=2),
        )
        for _ in range(8):
            erl.send(port, (me, ("command", b"")))
        erl.receive(lambda message: message[1] == ref)

    brothers(scenario, range(100, 110), schedulers=2)


def test_the_driver_sets_a_limit_while_commands_wait_and_more_come() -> None:
    """Who sends looks at the limits without the lock: whether he is suspended is a matter of when."""

    def scenario(erl: Emulator) -> None:
        steps = Atomic()

        def control(port: ErlDrvPort, command: int, buf: memoryview) -> None:
            steps.store(1)
            erl_drv_busy_msgq_limits(port, Key(1), Key(1))
            steps.store(2)

        port, me = opened(erl, made_of(control=control)), erl.self()
        erl.spawn(lambda: erl.port_control(port, 0, b""), scheduler=2)
        for _ in range(2):
            erl.send(port, (me, ("command", b"22")))

    brothers(scenario, observe=("suspended",), schedulers=2)


def test_the_commands_that_wait_become_fewer_while_more_come() -> None:
    """So it is with the bytes that wait.  In some of these runs one looks as the end of a command makes them fewer."""

    def scenario(erl: Emulator) -> None:
        steps = Atomic()

        def obey(port: ErlDrvPort, *buf: object) -> None:
            erl_drv_busy_msgq_limits(port, Key(1), Key(1))
            steps.store(1)

        port, me = opened(erl, made_of(control=obey, output=obey)), erl.self()
        erl.spawn(lambda: erl.port_control(port, 0, b""), scheduler=2)
        for _ in range(3):
            erl.send(port, (me, ("command", b"22")))

    brothers(scenario, range(100, 110), observe=("suspended",), schedulers=2)


def test_a_timer_is_set_on_a_scheduler_by_an_async_thread_while_another_fires() -> None:
    class Late(Worker):
        driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING

        def ready_async(self, port: ErlDrvPort, job: Job) -> None:
            driver_set_timer(port, 0)
            driver_free(job)

        def timeout(self, port: ErlDrvPort) -> None:
            driver_output(port, b"")

    def scenario(erl: Emulator) -> object:
        driver = Late()
        erl.erl_ddll.load_driver(driver)
        ports = [erl.open_port(("spawn_driver", "worker")) for _ in range(2)]
        for port in ports:
            erl.port_command(port, b"")
        return tuple(erl.receive()[0] for _ in ports)

    brothers(scenario, release="R14B04", schedulers=2, async_threads=2)


def test_an_async_thread_closes_a_port_while_the_emulator_stops() -> None:
    class Failing(Worker):
        def ready_async(self, port: ErlDrvPort, job: Job) -> None:
            driver_failure_atom(port, "failed")
            driver_free(job)

    def scenario(erl: Emulator) -> None:
        erl.process_flag("trap_exit", True)
        erl.port_command(opened(erl, Failing()), b"")

    brothers(scenario, release="R14B04", schedulers=2, async_threads=1)


def test_who_asks_for_the_drivers_while_one_goes_sees_it_or_not() -> None:
    def scenario(erl: Emulator) -> str:
        def come_and_go() -> None:
            erl.erl_ddll.load_driver(made_of("d", finish=lambda: None))
            erl.erl_ddll.try_unload("d")

        erl.spawn(come_and_go, scheduler=2)
        erl.receive(timeout=0)
        return str(erl.erl_ddll.loaded_drivers())

    brothers(scenario, schedulers=2)
    assert set(explore(scenario, schedulers=2)) == {"{ok,[]}", '{ok,["d"]}'}


def test_an_exit_signal_comes_before_or_after_its_receiver_traps_exits() -> None:
    def scenario(erl: Emulator) -> str:
        me = erl.self()
        erl.spawn(lambda: erl.exit(me, "gone"), scheduler=2)
        erl.receive(timeout=0)
        erl.process_flag("trap_exit", True)
        return str(erl.receive())

    brothers(scenario, schedulers=2)


def test_a_monitor_is_given_up_before_or_after_the_port_ends() -> None:
    def scenario(erl: Emulator) -> tuple[str, ...]:
        port = opened(erl, made_of())
        erl.process_flag("trap_exit", True)
        ref = erl.monitor("port", port)
        erl.spawn(lambda: erl.port_close(port), scheduler=2)
        erl.receive(lambda message: False, timeout=0)
        erl.demonitor(ref)
        messages = []
        while message := erl.receive(timeout=1):
            messages.append(str(message))
        return tuple(messages)

    brothers(scenario, schedulers=2)


def test_a_port_may_be_handed_to_a_process_that_ends_meanwhile() -> None:
    def scenario(erl: Emulator) -> str:
        port = opened(erl, made_of())
        pid = erl.spawn(lambda: None, scheduler=2)
        try:
            return str(erl.port_connect(port, pid))
        except ErlangError as error:
            return error.reason

    assert set(explore(scenario, schedulers=2)) == {"True", "badarg"}
