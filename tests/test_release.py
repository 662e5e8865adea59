"""The records of the releases: what is in them, how one is asked for, and that each field can be told from outside.

A story that differs from era to era is told in every era, and says what each makes of it.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from scripted import Box, made_of
from support import Gate, Kind, Worker, both, lanes, on_another_thread, opened, received

from driverref import Driver, Emulator, Port, explore
from driverref.erl_driver import (
    ERL_DRV_FLAG_NO_BUSY_MSGQ,
    ERL_DRV_FLAG_SOFT_BUSY,
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    driver_alloc,
    driver_async,
    driver_deq,
    driver_enq,
    driver_free,
    driver_output,
    driver_pdl_create,
    driver_pdl_get_refc,
    driver_set_timer,
    driver_system_info,
    set_busy_port,
)
from driverref.errors import Deadlock, ErlangError, Leak
from driverref.release import ERAS, OTP_25, R7B_3, RELEASES, Release
from driverref.terms import Atom, Pid

every_era = pytest.mark.parametrize("release", ERAS, ids=lambda release: str(release.name))
"""The story is told in every era."""

smp_eras = pytest.mark.parametrize("release", ERAS[1:], ids=lambda release: str(release.name))
"""The story needs two schedulers, which R7B does not have."""

TWO_SLOTS = dataclasses.replace(R7B_3, slots=2)
"""R7B with a port table of 2 places in place of 1024, so that a story need not open a thousand ports."""


def settle(erl: Emulator) -> None:
    """Let everybody else go as far as they can.  On simulated threads."""
    erl.receive(lambda _: False, timeout=1)


# The records.


def test_a_release_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        OTP_25.max_async_threads = 1  # type: ignore[misc]


def test_another_release_is_a_copy_with_other_values() -> None:
    other = dataclasses.replace(OTP_25, name="24", ready_async_batch=1)
    assert other != OTP_25
    assert other.max_async_threads == OTP_25.max_async_threads


@every_era
def test_limits_are_in_order(release: Release) -> None:
    r = release
    assert 0 <= r.min_async_threads <= r.default_async_threads <= r.max_async_threads
    assert r.ready_async_batch is None or r.ready_async_batch > 0
    assert (r.ready_async_batch is None) == (r.completions == "stack")
    assert r.max_schedulers > 0
    if r.busy_msgq_limits is not None:
        assert r.busy_msgq_limits[0] < r.busy_msgq_limits[1]


@pytest.mark.parametrize("field", dataclasses.fields(Release), ids=lambda field: str(field.name))
def test_every_field_tells_eras_apart(field: Any) -> None:
    assert len({getattr(release, field.name) for release in ERAS}) > 1


def test_no_two_eras_are_one() -> None:
    known = {"name", "version", "years", "covers", "erts", "driver_version"}
    behaviours = [
        tuple(v for k, v in vars_of(release).items() if k not in known) for release in ERAS
    ]
    assert len(set(behaviours)) == len(ERAS)


def vars_of(release: Release) -> dict[str, Any]:
    return {field.name: getattr(release, field.name) for field in dataclasses.fields(release)}


TABLE = {
    #                         R7B-3      R11B-5    R13B      R14B04    R16B       25
    "max_schedulers":        (1,         1024,     1024,     1024,     1024,      1024),
    "default_async_threads": (0,         0,        0,        0,        10,        1),
    "min_async_threads":     (0,         0,        0,        0,        0,         1),
    "max_async_threads":     (256,       1024,     1024,     1024,     1024,      1024),
    "completions":           ("stack",   "stack",  "stack",  "stack",  "queue",   "queue"),
    "async_thread_completes": (False,    True,     True,     True,     False,     False),
    "slots":                 (1024,      0,        0,        0,        0,         0),
    "frees_for_closed_port": (True,      False,    True,     True,     True,      True),
    "driver_async_locks_driver": (False, True,     True,     True,     False,     False),
    "driver_async_cancel":   ("newest",  "newest", "newest", "search", "nothing", None),
    "resets_timer":          (False,     True,     True,     True,     True,      True),
    "timer_needs_timeout":   (True,      True,     False,    False,    False,     False),
    "halt":                  ("exit",    "join",   "join",   "join",   "flush",   "flush"),
    "smp_halt":              ("exit",    "exit",   "exit",   "join",   "flush",   "flush"),
}  # fmt: skip
"""The eras as the sources tell them, a column a record of `ERAS`."""


@pytest.mark.parametrize("field", TABLE)
def test_the_records_say_what_the_sources_say(field: str) -> None:
    assert tuple(getattr(release, field) for release in ERAS) == TABLE[field]


@pytest.mark.parametrize("name", RELEASES)
def test_a_release_is_asked_for_by_name(name: str) -> None:
    with Emulator(release=name) as erl:
        assert erl.system_info("otp_release") == name
        assert erl.system_info("version") == RELEASES[name].erts


@pytest.mark.parametrize("name", ["23", "24", "26", "27", "28", "29"])
def test_from_23_on_only_the_names_differ(name: str) -> None:
    same = dataclasses.replace(RELEASES[name], name="25", version=OTP_25.version, erts=OTP_25.erts)
    assert same == OTP_25


def test_the_newest_one_knows_what_came_last() -> None:
    with Emulator(release="27") as erl:
        assert erl.halt(3, flush_timeout=10) == 3


def test_without_a_name_it_is_25() -> None:
    with Emulator() as erl:
        assert erl.system_info("otp_release") == "25"
        assert erl.system_info("driver_version") == "3.3"


def test_before_there_was_one_the_drivers_version_is_undefined() -> None:
    with Emulator(release="R7B-3") as erl:
        assert erl.system_info("driver_version") is None


@pytest.mark.parametrize("wrong", ["R7B", "30", "", "r7b-3"])
def test_a_release_that_is_not_there_is_refused_and_those_there_are_are_named(wrong: str) -> None:
    with pytest.raises(ValueError, match="release must be one of") as refused:
        Emulator(release=wrong)
    assert all(f"{era.name} (for {era.covers})" in str(refused.value) for era in ERAS)


@pytest.mark.parametrize("wrong", [25, None, ["25"]])
def test_what_is_no_name_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="release must be a release's name, or a Release"):
        Emulator(release=wrong)


@pytest.mark.parametrize(
    ("since", "until", "those"),
    [
        ("R7B-0", None, "R7B-3 R11B-5 R13B R14B04 R16B 25"),
        ("R8B-0", None, "R11B-5 R13B R14B04 R16B 25"),
        ("R13A", None, "R13B R14B04 R16B 25"),
        ("R13B03", "R15B", "R13B R14B04"),
        ("R16B02", None, "R16B 25"),
        ("R16B04", None, "25"),
        ("R6B-0", "R9C", "R7B-3"),
        ("R7B-0", "17.0", "R7B-3 R11B-5 R13B R14B04 R16B"),
        ("25.3", None, ""),
    ],
)
def test_a_life_ends_before_the_release_that_lacks_it(
    since: str, until: str | None, those: str
) -> None:
    have = [release.name for release in ERAS if release.lacks("it", since, until) is None]
    assert have == those.split()


# Threads.


@every_era
@pytest.mark.rule("era.default-threads")
def test_the_pool_has_as_many_threads_as_the_release_gives_it(release: Release) -> None:
    with Emulator(release=release) as erl:
        expected = {"R16B": 10, "25": 1}.get(release.name, 0)
        assert erl.system_info("thread_pool_size") == expected
    with Emulator(release=release, async_threads=0) as erl:
        assert erl.system_info("thread_pool_size") == (1 if release is OTP_25 else 0)
    most = 256 if release is R7B_3 else 1024
    with pytest.raises(ValueError, match=f"async_threads must be from 0 to {most}"):
        Emulator(release=release, async_threads=most + 1)


@every_era
@pytest.mark.rule("era.one-thread")
def test_only_r7b_refuses_a_second_scheduler(release: Release) -> None:
    if release is R7B_3:
        with pytest.raises(ValueError, match="schedulers must be from 1 to 1, not 2"):
            Emulator(release=release, schedulers=2)
    else:
        with Emulator(release=release, schedulers=2) as erl:
            assert erl.system_info("schedulers") == 2


@every_era
@both
@pytest.mark.rule("era.no-pool")
def test_without_a_pool_everything_happens_inside_driver_async(
    release: Release, threads: Kind
) -> None:
    """In the last era there is always a thread, and the job is done there."""
    driver = Worker()
    with Emulator(release=release, async_threads=0, threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"x")
        if release is not OTP_25:
            assert received(erl) == [(port, ("data", b"x"))]
        else:
            assert erl.receive() == (port, ("data", b"x"))
    names = ["driver_async", "async_invoke", "async_return", "ready_async"]
    there = ["async 1"] * 2 if release is OTP_25 else ["scheduler 1"] * 2
    done = {name: lanes(erl, name)[1] for name in names}
    assert list(done.values()) == ["scheduler 1", *there, "scheduler 1"]
    assert erl.trace.order(*names) == [f"{name}(1)" for name in names]


def nests(*, with_ready_async: bool) -> tuple[Driver, list[str]]:
    """A driver that schedules a job for every command, and what it has seen."""
    seen: list[str] = []

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        seen.append("output begins")
        driver_async(port, None, lambda job: seen.append("job"), "data", free)
        seen.append("output ends")

    def free(job: object) -> None:
        seen.append("async_free")

    def ready_async(port: ErlDrvPort, job: object) -> None:
        seen.append("ready_async")

    callbacks: dict[str, Any] = {"ready_async": ready_async} if with_ready_async else {}
    return made_of(output=output, **callbacks), seen


@pytest.mark.parametrize("release", ERAS[:-1], ids=lambda release: str(release.name))
@pytest.mark.parametrize("who", ["ready_async", "async_free"])
@pytest.mark.rule("era.no-pool")
def test_the_callback_that_calls_driver_async_ends_after_the_completion(
    release: Release, who: str
) -> None:
    driver, seen = nests(with_ready_async=who == "ready_async")
    with Emulator(release=release, async_threads=0) as erl:
        erl.port_command(opened(erl, driver), b"")
    assert seen == ["output begins", "job", who, "output ends"]


@pytest.mark.parametrize("release", ERAS[:-1], ids=lambda release: str(release.name))
@pytest.mark.rule("era.no-pool")
def test_a_port_that_was_waiting_to_close_may_be_stopped_inside_driver_async(
    release: Release,
) -> None:
    seen: list[str] = []

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        driver_async(port, None, lambda job: None, "data")
        seen.append("driver_async has returned")
        return b""

    driver = made_of(
        output=driver_enq,
        control=control,
        ready_async=lambda port, job: driver_deq(port, 1),
        stop=lambda port: seen.append("stop"),
    )
    with Emulator(release=release, async_threads=0) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"!")
        erl.port_close(port)
        assert erl.ports() == [port]
        assert erl.port_control(port, 0, b"") == []
        assert erl.ports() == []
    assert seen == ["stop", "driver_async has returned"]


@every_era
@pytest.mark.rule("era.no-pool-id")
def test_without_a_pool_the_id_is_0_from_r15b_on(release: Release) -> None:
    driver = Worker()
    with Emulator(release=release, async_threads=0) as erl:
        erl.port_command(opened(erl, driver), b"x")
    assert driver.ids == [0 if release.name == "R16B" else 1]


@every_era
@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.rule("era.no-pool-start")
def test_a_job_of_start_that_is_done_inside_it_finds_no_driver_data(
    release: Release, size: int
) -> None:
    box = Box()

    def start(port: ErlDrvPort, command: str) -> str:
        driver_async(port, None, lambda job: None, "job")
        return "the driver data"

    driver = made_of(start=start, ready_async=lambda data, job: box.put(data))
    with Emulator(release=release, async_threads=size) as erl:
        opened(erl, driver)
        settle(erl)
    inside = size == 0 and release is not OTP_25
    assert box.value == (None if inside else "the driver data")


# Completions.


class Batch(Worker):
    """Its `control` schedules three jobs, and waits until they are done: the one after them runs."""

    key = 0

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        for text in (b"1", b"2", b"3", b"wait"):
            self.submit(port, text)
        self.work_gate.await_arrival()
        return b""


@every_era
@both
@pytest.mark.rule("era.stack")
def test_jobs_that_are_finished_together_come_out_last_first_until_r14b(
    release: Release, threads: Kind
) -> None:
    driver = Batch()
    with Emulator(release=release, async_threads=1, threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_control(port, 0, b"")
        got = [erl.receive()[1][1] for _ in range(3)]
        driver.work_gate.open()
        assert erl.receive() == (port, ("data", b"wait"))
    order = [b"1", b"2", b"3"]
    assert got == (order if release.name in ("R16B", "25") else order[::-1])


@smp_eras
@both
@pytest.mark.rule("era.async-thread")
def test_with_two_schedulers_the_async_thread_itself_calls_ready_async_until_r14b(
    release: Release, threads: Kind
) -> None:
    driver = Worker()
    with Emulator(release=release, async_threads=1, schedulers=2, threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"a")
        erl.port_command(port, b"b")
        assert [erl.receive()[1][1] for _ in range(2)] == [b"a", b"b"]
    itself = release.name not in ("R16B", "25")
    assert set(lanes(erl, "ready_async").values()) == {"async 1" if itself else "scheduler 1"}


@smp_eras
@pytest.mark.rule("era.async-thread")
def test_no_other_callback_of_the_port_runs_meanwhile(release: Release) -> None:
    def scenario(erl: Emulator) -> bool:
        inside: list[str] = []
        overlaps = Box()

        def ready_async(port: ErlDrvPort, job: object) -> None:
            inside.append("ready_async")
            driver_free(driver_alloc(1))
            inside.remove("ready_async")

        def output(port: ErlDrvPort, buf: memoryview) -> None:
            if inside:
                overlaps.put(inside)
            driver_async(port, None, lambda job: None, "data")

        port = opened(erl, made_of(output=output, ready_async=ready_async))
        erl.port_command(port, b"")
        erl.port_command(port, b"")
        return bool(overlaps.value)

    outcomes = explore(scenario, release=release, async_threads=1, schedulers=2, limit=300)
    assert set(outcomes) == {False}


@smp_eras
@pytest.mark.rule("era.async-thread")
def test_a_slow_ready_async_keeps_the_pools_thread_until_r14b(release: Release) -> None:
    """Port locking, so that it keeps nobody else: the next job of the thread waits, or does not."""

    class Slow(Worker):
        driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING
        ready_gate: Gate

        def init(self) -> None:
            super().init()
            self.ready_gate = Gate()

        def ready_async(self, port: ErlDrvPort, job: Any) -> None:
            if job.text == b"slow":
                self.ready_gate.pass_through()
            super().ready_async(port, job)

    driver = Slow()
    with Emulator(release=release, async_threads=1, schedulers=2) as erl:
        one, two = opened(erl, driver), opened(erl, driver)
        on_another_thread(erl, lambda: erl.port_command(one, b"slow"), scheduler=2)
        driver.ready_gate.await_arrival()
        erl.port_command(two, b"b")
        answer = erl.receive(timeout=1)
        driver.ready_gate.open()
        if answer is None:
            assert erl.receive(lambda m: m[0] == two) == (two, ("data", b"b"))
        assert (answer is None) == (release.name not in ("R16B", "25"))


def job_of_a_closed_port(erl: Emulator, second: bool = False) -> list[str]:
    """A job runs while its port is closed, and another port opened.  Who of the driver got its data."""
    seen: list[str] = []
    gate = Gate()
    driver = made_of(
        output=lambda port, buf: driver_async(
            port, None, lambda job: gate.pass_through(), "data", lambda job: seen.append("free")
        ),
        ready_async=lambda port, job: seen.append(f"ready_async of {port.id}"),
    )
    port = opened(erl, driver)
    erl.port_command(port, b"")
    gate.await_arrival()
    erl.open_port(("spawn_driver", "d"))
    erl.port_close(port)
    if second:
        erl.open_port(("spawn_driver", "d"))
    gate.open()
    if second:
        settle(erl)
    erl.stop()
    return seen


@every_era
@both
@pytest.mark.rule("era.leak")
def test_the_data_of_a_closed_ports_job_is_freed_but_not_in_r11b_and_r12b(
    release: Release, threads: Kind
) -> None:
    with Emulator(release=release, async_threads=1, threads=threads) as erl:
        assert job_of_a_closed_port(erl) == ([] if release.name == "R11B-5" else ["free"])


@smp_eras
@both
@pytest.mark.rule("era.leak")
def test_so_it_is_with_two_schedulers(release: Release, threads: Kind) -> None:
    with Emulator(release=release, async_threads=1, schedulers=2, threads=threads) as erl:
        assert job_of_a_closed_port(erl) == ([] if release.name == "R11B-5" else ["free"])


@every_era
@pytest.mark.rule("era.leak")
def test_memory_that_async_free_would_have_freed_leaks_then(release: Release) -> None:
    driver = Worker()

    def scenario() -> None:
        with Emulator(release=release, async_threads=1) as erl:
            port = opened(erl, driver)
            erl.port_command(port, b"wait")
            driver.work_gate.await_arrival()
            erl.port_close(port)
            driver.work_gate.open()

    if release.name == "R11B-5":
        with pytest.raises(Leak, match="Job"):
            scenario()
    else:
        scenario()


@every_era
@pytest.mark.rule("era.slot")
def test_only_in_r7b_another_port_may_get_the_data(release: Release) -> None:
    release = TWO_SLOTS if release is R7B_3 else release
    with Emulator(release=release, async_threads=1) as erl:
        seen = job_of_a_closed_port(erl, second=True)
    expected = {"R7B-3": ["ready_async of #Port<0.3>"], "R11B-5": []}
    assert seen == expected.get(release.name, ["free"])


@every_era
@pytest.mark.rule("era.slot", "era.stale-port")
def test_a_slot_is_taken_again_when_the_search_has_been_all_round(release: Release) -> None:
    """With the table as large as it was: the 1024th open after the first has its slot, and gets the job."""
    seen: list[str] = []
    gates: list[Gate] = []

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        gates.append(Gate())
        driver_async(port, 0, lambda job: gates[0].pass_through(), "data", free)

    def free(job: object) -> None:
        seen.append("free")

    def ready_async(port: ErlDrvPort, job: object) -> None:
        seen.append(f"ready_async of {port.id}")

    with Emulator(release=release, async_threads=1, trace=False) as erl:
        first = opened(erl, made_of(output=output, ready_async=ready_async))
        erl.port_command(first, b"")
        gates[0].await_arrival()
        erl.port_close(first)
        for number in range(2, 1025):
            port = erl.open_port(("spawn_driver", "d"))
            assert port.number == number
            erl.port_close(port)
        assert erl.open_port(("spawn_driver", "d")).number == 1025
        assert erl.port_info(first, "id") == (("id", 1025) if release is R7B_3 else None)
        gates[0].open()
        settle(erl)
    expected = {"R7B-3": ["ready_async of #Port<0.1025>"], "R11B-5": []}
    assert seen == expected.get(release.name, ["free"])


@pytest.mark.rule("era.slot")
def test_the_slot_that_was_given_last_is_not_given_again_even_if_no_other_is_free() -> None:
    with Emulator(release=TWO_SLOTS) as erl:
        first = opened(erl, made_of())
        second = erl.open_port(("spawn_driver", "d"))
        erl.port_close(second)
        with pytest.raises(ErlangError, match="enfile"):
            erl.open_port(("spawn_driver", "d"))
        erl.port_close(first)
        assert erl.open_port(("spawn_driver", "d")) == Port(3)


# Identifiers.


@every_era
@pytest.mark.rule("era.stale-port")
def test_the_identifier_of_a_closed_port_leads_to_the_next_in_its_slot_only_in_r7b(
    release: Release,
) -> None:
    with Emulator(release=TWO_SLOTS if release is R7B_3 else release, async_threads=1) as erl:
        stale = opened(erl, Worker())
        erl.open_port(("spawn_driver", "worker"))
        erl.port_close(stale)
        now = erl.open_port(("spawn_driver", "worker"))
        if release is R7B_3:
            erl.port_command(stale, b"hello")
            assert erl.receive() == (now, ("data", b"hello"))
            erl.send(stale, (erl.self(), ("command", b"again")))
            assert erl.receive() == (now, ("data", b"again"))
            assert erl.port_info(stale, "id") == ("id", now.number)
            erl.port_close(stale)
            assert now not in erl.ports()
        else:
            with pytest.raises(ErlangError, match="badarg"):
                erl.port_command(stale, b"hello")
            assert erl.port_info(stale) is None


def stale_and_now(erl: Emulator) -> tuple[Port, Port]:
    """The identifier of a closed port, and the port that has its slot."""
    stale = opened(erl, made_of())
    erl.open_port(("spawn_driver", "d"))
    erl.port_close(stale)
    return stale, erl.open_port(("spawn_driver", "d"))


@pytest.mark.rule("era.stale-port")
def test_a_link_to_a_closed_port_is_one_to_the_port_in_its_slot() -> None:
    with Emulator(release=TWO_SLOTS) as erl:
        stale, now = stale_and_now(erl)

        def other() -> None:
            erl.link(stale)
            erl.exit("crash")

        erl.process_flag("trap_exit", True)
        on_another_thread(erl, other)
        assert erl.receive(lambda m: m[0] == "EXIT") == ("EXIT", now, "crash")


@pytest.mark.rule("era.stale-port")
def test_and_is_undone_by_either_identifier() -> None:
    with Emulator(release=TWO_SLOTS) as erl:
        stale, now = stale_and_now(erl)
        assert erl.unlink(stale)
        assert erl.port_info(now, "links") == ("links", [])
        assert erl.link(stale)
        assert erl.port_info(now, "links") == ("links", [erl.self()])
        assert erl.unlink(now)
        assert erl.port_info(now, "links") == ("links", [])


@pytest.mark.rule("era.stale-port")
def test_an_exit_signal_to_a_closed_port_ends_the_one_in_its_slot() -> None:
    with Emulator(release=TWO_SLOTS) as erl:
        stale, now = stale_and_now(erl)
        erl.process_flag("trap_exit", True)
        erl.exit(stale, "enough")
        assert erl.receive() == ("EXIT", now, "enough")


@pytest.mark.rule("era.stale-port")
def test_whether_a_stale_identifier_leads_somewhere_is_a_matter_of_when() -> None:
    """One process uses it while another opens the port that will have the slot."""

    def scenario(erl: Emulator) -> str:
        stale = opened(erl, made_of(output=lambda port, buf: None))
        erl.open_port(("spawn_driver", "d"))
        erl.port_close(stale)
        me = erl.self()

        def other() -> None:
            try:
                erl.port_command(stale, b"")
                erl.send(me, "it led to another port")
            except ErlangError as error:
                erl.send(me, error.reason)

        erl.spawn(other)
        erl.open_port(("spawn_driver", "d"))
        return str(erl.receive())

    outcomes = explore(scenario, release=TWO_SLOTS)
    assert set(outcomes) == {"badarg", "it led to another port"}


# The port data lock.


@smp_eras
@pytest.mark.parametrize("schedulers", [1, 2])
@pytest.mark.rule("era.pdl-early")
def test_a_plain_emulator_gives_the_pdl_up_before_the_completion_until_r14b(
    release: Release, schedulers: int
) -> None:
    """The port's own reference is there in any case; the job's is, or is not any more."""
    seen: list[int] = []
    gates: list[Gate] = []
    pdls: list[Any] = []

    def start(port: ErlDrvPort, command: str) -> ErlDrvPort:
        gates.append(Gate())
        pdls.append(driver_pdl_create(port))
        return port

    driver = made_of(
        start=start,
        output=lambda port, buf: driver_async(port, None, lambda j: gates[0].pass_through(), ""),
        control=lambda port, command, buf: bytes([driver_pdl_get_refc(pdls[0])]),
        ready_async=lambda port, job: seen.append(driver_pdl_get_refc(pdls[0])),
    )
    with Emulator(release=release, async_threads=1, schedulers=schedulers) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"")
        gates[0].await_arrival()
        assert erl.port_control(port, 0, b"") == [2]
        gates[0].open()
        settle(erl)
        assert erl.port_control(port, 0, b"") == [1]
    early = schedulers == 1 and release.name not in ("R16B", "25")
    assert seen == [1 if early else 2]


@pytest.mark.parametrize("release", ERAS[1:-1], ids=lambda release: str(release.name))
@pytest.mark.rule("era.no-pool")
def test_without_a_pool_the_job_holds_the_pdl_while_it_lasts(release: Release) -> None:
    seen: list[int] = []

    def start(port: ErlDrvPort, command: str) -> ErlDrvPort:
        pdl = driver_pdl_create(port)
        assert pdl is not None
        driver_async(port, None, lambda job: seen.append(driver_pdl_get_refc(pdl)), "")
        seen.append(driver_pdl_get_refc(pdl))
        return port

    with Emulator(release=release, async_threads=0) as erl:
        opened(erl, made_of(start=start))
    assert seen == [2, 1]


# The end.


@every_era
@pytest.mark.rule("era.closed-before-stop")
def test_the_owner_is_told_that_a_port_is_closed_before_stop_runs_only_in_r7b(
    release: Release,
) -> None:
    """What `stop` sends comes after it then."""
    with Emulator(release=release, async_threads=1) as erl:
        port = opened(erl, made_of(stop=lambda port: driver_output(port, b"bye")))
        erl.unlink(port)
        erl.send(port, (erl.self(), "close"))
        bye, closed = (port, ("data", b"bye")), (port, "closed")
        assert received(erl) == ([closed, bye] if release is R7B_3 else [bye, closed])


@every_era
@pytest.mark.rule("era.unload-reason")
def test_unloading_kills_ports_with_a_number_in_r7b_and_with_a_name_since(
    release: Release,
) -> None:
    with Emulator(release=release, async_threads=1) as erl:
        port = opened(erl, made_of())
        erl.process_flag("trap_exit", True)
        assert erl.erl_ddll.unload_driver("d") == "ok"
        reason = -1 if release is R7B_3 else Atom("driver_unloaded")
        assert erl.receive() == ("EXIT", port, reason)


class Stopping(Worker):
    """Has a `stop`."""

    def stop(self, port: ErlDrvPort) -> None:
        pass


def halting(erl: Emulator, status: int) -> tuple[int, list[str]]:
    """Three jobs are queued or run when the emulator halts.  The status, and what happened after the call."""
    port = opened(erl, Stopping())
    for _ in range(3):
        erl.port_command(port, b"x")
    result = erl.halt(status)
    order = [event.name for event in erl.trace]
    return result, order[order.index("halt") + 1 :]


HOW = {
    "R7B-3": ("exit", "exit"),
    "R11B-5": ("join", "exit"),
    "R13B": ("join", "exit"),
    "R14B04": ("join", "join"),
    "R16B": ("flush", "flush"),
    "25": ("flush", "flush"),
}


@every_era
@pytest.mark.parametrize("schedulers", [1, 2])
@pytest.mark.parametrize("status", [0, 1])
@pytest.mark.rule("era.halt-exit", "era.halt-join", "era.halt-flush")
def test_what_halt_does_about_jobs_and_ports(
    release: Release, schedulers: int, status: int
) -> None:
    if schedulers > release.max_schedulers:
        schedulers = 1
    how = HOW[release.name][schedulers - 1]
    if how == "join" and status != 0:
        how = "exit"
    for seed in range(20):
        with Emulator(release=release, async_threads=1, schedulers=schedulers, seed=seed) as erl:
            result, after = halting(erl, status)
        assert result == status
        done = len(lanes(erl, "async_return"))
        if how == "exit":
            assert after == []
        elif how == "join":
            assert done == 3
            assert "stop" not in after
            if schedulers == 1:
                assert set(after) <= {"async_invoke", "async_return"}
        else:
            assert done == 3
            assert "stop" in after


@both
@pytest.mark.rule("era.halt-exit")
def test_a_job_that_does_not_return_does_not_keep_r7b_from_halting(threads: Kind) -> None:
    driver = Stopping()
    with Emulator(release="R7B-3", async_threads=1, threads=threads) as erl:
        erl.port_command(opened(erl, driver), b"wait")
        driver.work_gate.await_arrival()
        assert erl.halt() == 0
    assert list(erl.trace.select("async_return", "stop")) == []


@pytest.mark.parametrize("release", ["R11B-5", "R13B", "R14B04"])
@pytest.mark.parametrize("status", [0, 1])
@both
@pytest.mark.rule("era.halt-join")
def test_status_0_waits_for_the_jobs_and_hands_nothing_over(
    release: str, status: int, threads: Kind
) -> None:
    driver = Stopping()
    with Emulator(release=release, async_threads=1, threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        erl.port_command(port, b"b")
        driver.work_gate.await_arrival()
        if status == 0:
            driver.work_gate.open()
        assert erl.halt(status) == status
    assert len(erl.trace.select("async_return")) == (2 if status == 0 else 0)
    assert list(erl.trace.select("stop")) == []


@both
@pytest.mark.rule("era.halt-join")
def test_r14b04_waits_for_them_with_two_schedulers_too(threads: Kind) -> None:
    driver = Stopping()
    with Emulator(release="R14B04", async_threads=2, schedulers=2, threads=threads) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        driver.work_gate.await_arrival()
        for _ in range(4):
            erl.port_command(port, b"x")
        driver.work_gate.open()
        assert erl.halt() == 0
    assert len(erl.trace.select("async_return")) == 5
    assert list(erl.trace.select("stop")) == []


# Ports.


@every_era
@pytest.mark.rule("era.timer-stands")
def test_setting_a_timer_that_runs_does_nothing_in_r7b_and_returns_0(release: Release) -> None:
    results: list[int] = []

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        results.extend([driver_set_timer(port, 1000), driver_set_timer(port, 100)])

    driver = made_of(output=output, timeout=lambda port: driver_output(port, b"timeout"))
    with Emulator(release=release, async_threads=1) as erl:
        port = opened(erl, driver)
        erl.port_command(port, b"")
        assert erl.receive() == (port, ("data", b"timeout"))
        fired = erl.trace.select("timeout")[0].time - erl.trace.select("output")[0].time
        erl.port_command(port, b"")  # it has fired: it can be set again
        assert erl.receive() == (port, ("data", b"timeout"))
    assert results == [0] * 4
    assert fired == (1000 if release is R7B_3 else 100) * 1_000_000


@every_era
@pytest.mark.rule("era.timer-needs-timeout")
def test_without_a_timeout_setting_a_timer_is_minus_1_until_r12b(release: Release) -> None:
    box = Box()
    driver = made_of(output=lambda port, buf: box.put(driver_set_timer(port, 1)))
    with Emulator(release=release, async_threads=1) as erl:
        erl.port_command(opened(erl, driver), b"")
    assert box.value == (-1 if release.name in ("R7B-3", "R11B-5") else 0)


def busy() -> Driver:
    """Its `control` makes the port busy, or not busy any more."""

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        set_busy_port(port, command)
        return b""

    return made_of(control=control)


@every_era
@pytest.mark.parametrize("message", ["close", "connect", "nonsense"])
@pytest.mark.rule("era.busy-any-message")
def test_a_busy_port_suspends_who_sends_anything_until_r15b(release: Release, message: str) -> None:
    with Emulator(release=release, async_threads=1) as erl:
        port = opened(erl, busy())
        erl.process_flag("trap_exit", True)
        erl.port_control(port, 1, b"")
        me = erl.self()
        what: Any = {"close": (me, "close"), "connect": (me, ("connect", me)), "nonsense": 1}
        pid = erl.spawn(lambda: erl.send(port, what[message]))
        settle(erl)
        held = [event.detail for event in erl.trace.select("suspended")]
        assert held == ([pid] if release.busy_holds_any_message else [])
        assert release.busy_holds_any_message == (release.name not in ("R16B", "25"))
        if message != "close" or held:
            erl.port_control(port, 0, b"")
        settle(erl)
    assert len(erl.trace.select("resumed")) == len(held)


@every_era
@pytest.mark.rule("era.busy-any-message")
def test_a_command_is_held_in_any_era_and_control_in_none(release: Release) -> None:
    with Emulator(release=release, async_threads=1) as erl:
        port = opened(erl, busy())
        erl.port_control(port, 1, b"")
        me = erl.self()
        erl.spawn(lambda: erl.send(port, (me, ("command", b""))))
        erl.spawn(lambda: erl.port_command(port, b""))
        settle(erl)
        assert len(erl.trace.select("suspended")) == 2
        erl.port_control(port, 0, b"")
        settle(erl)
    assert len(erl.trace.select("resumed")) == 2


def locked(erl: Emulator) -> tuple[Port, Gate]:
    """A port whose lock is held by a callback on scheduler 2, which stands at the gate."""
    gate = Gate()

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        gate.pass_through()
        return b""

    port = opened(erl, made_of(control=control))
    erl.spawn(lambda: erl.port_control(port, 0, b""), scheduler=2)
    gate.await_arrival()
    return port, gate


@smp_eras
@pytest.mark.rule("era.send-waits")
def test_who_sends_to_a_locked_port_waits_for_the_lock_until_r15b(release: Release) -> None:
    """The gate is opened by who has sent: until R15B that is never."""

    def scenario() -> None:
        with Emulator(release=release, async_threads=1, schedulers=2) as erl:
            port, gate = locked(erl)
            erl.send(port, (erl.self(), ("command", b"")))
            gate.open()

    if release.name in ("R16B", "25"):
        scenario()
    else:
        with pytest.raises(Deadlock, match="waits for the lock of driver d"):
            scenario()


@smp_eras
@pytest.mark.rule("era.msgq")
def test_commands_that_wait_are_limited_since_r16a(release: Release) -> None:
    """Three processes send 5,000 bytes each to a locked port; the third finds 10,000 there."""
    with Emulator(release=release, async_threads=1, schedulers=3) as erl:
        port, gate = locked(erl)
        me = erl.self()
        for _ in range(3):
            erl.spawn(lambda: erl.send(port, (me, ("command", b"!" * 5000))), scheduler=3)
        settle(erl)
        limited = release.name in ("R16B", "25")
        assert len(erl.trace.select("suspended")) == (1 if limited else 0)
        gate.open()
        settle(erl)


# The driver entry.


@every_era
@pytest.mark.rule("era.callbacks")
def test_flush_and_call_are_never_called_in_r7b(release: Release) -> None:
    seen: list[str] = []

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        driver_deq(port, 1)
        return b""

    driver = made_of(
        output=driver_enq,
        control=control,
        flush=lambda port: seen.append("flush"),
        call=lambda port, command, term: term,
        stop=lambda port: seen.append("stop"),
    )
    with Emulator(release=release, async_threads=1) as erl:
        port = opened(erl, driver)
        if release is R7B_3:
            with pytest.raises(ErlangError, match="undef"):
                erl.port_call(port, 0, "term")
        else:
            assert erl.port_call(port, 0, "term") == "term"
        erl.port_command(port, b"!")
        erl.port_close(port)
        erl.port_control(port, 0, b"")
    assert seen == (["stop"] if release is R7B_3 else ["flush", "stop"])


@pytest.mark.rule("era.callbacks")
def test_each_era_adds_callbacks() -> None:
    added = [
        " ".join(sorted(new.callbacks - old.callbacks)) for old, new in itertools.pairwise(ERAS)
    ]
    assert added == ["call flush process_exit", "stop_select", "", "", "emergency_close"]


@every_era
@pytest.mark.rule("era.flags")
def test_an_emulator_looks_only_at_the_flags_it_knows(release: Release) -> None:
    every = ERL_DRV_FLAG_USE_PORT_LOCKING | ERL_DRV_FLAG_SOFT_BUSY | ERL_DRV_FLAG_NO_BUSY_MSGQ
    with Emulator(release=release, async_threads=1) as erl:
        opened(erl, made_of(flags=every))
        loaded = erl.runtime.find_driver("d")
        known = [flag for flag in (1, 2, 4) if loaded.flag(flag)]
    expected = {"R7B-3": [], "R11B-5": [1], "R13B": [1, 2], "R14B04": [1, 2]}
    assert known == expected.get(release.name, [1, 2, 4])


@every_era
@pytest.mark.rule("era.init-ignored")
def test_an_init_that_refuses_is_not_heard_until_r11b(release: Release) -> None:
    driver = made_of(init=lambda: -1)
    with Emulator(release=release, async_threads=1) as erl:
        result = erl.erl_ddll.load_driver(driver)
    heard = release.name not in ("R7B-3", "R11B-5")
    assert result == (("error", "driver_init_failed") if heard else "ok")


@smp_eras
def test_the_driver_is_told_what_it_runs_on(release: Release) -> None:
    """One scheduler is the plain emulator where there were two."""
    box = Box()
    driver = made_of(start=lambda port, command: box.put(driver_system_info()))
    told = []
    for schedulers in (1, 2):
        with Emulator(release=release, async_threads=1, schedulers=schedulers) as erl:
            opened(erl, driver)
        told.append(box.value)
    plain, smp = told
    assert (plain.smp_support, smp.smp_support) == (int(release.name in ("R16B", "25")), 1)
    assert (smp.driver_major_version, smp.driver_minor_version) == release.driver_version
    assert (smp.erts_version, smp.otp_release) == (release.erts, release.name)


def undefined(call: Callable[[], object]) -> str:
    """The text with which Erlang's side refuses what it does not have."""
    with pytest.raises(ErlangError) as refused:
        call()
    assert refused.value.reason == "undef"
    return str(refused.value)


@pytest.mark.rule("era.calls")
def test_a_bif_that_is_not_there_yet_is_undef_and_says_since_when_it_is() -> None:
    with Emulator(release="R7B-3") as erl:
        port = opened(erl, made_of())
        ddll = erl.erl_ddll
        calls: dict[str, Callable[[], object]] = {
            "R8B-0": lambda: erl.port_call(port, 0, 0),
            "R13B03": lambda: erl.port_command(port, b"", ["force"]),
            "19.0": lambda: erl.monitor("port", port),
            "R15B01": lambda: erl.halt(flush=False),
            "27.0": lambda: erl.halt(flush_timeout=1),
        }
        for version, call in calls.items():
            assert f"R7B-3 does not have it; it came with {version}" in undefined(call)
        for call in (
            lambda: ddll.load(made_of()),
            lambda: ddll.unload("d"),
            lambda: ddll.try_unload("d"),
            lambda: ddll.monitor("driver", ("d", "unloaded")),
        ):
            assert "it came with R11B-3" in undefined(call)


@every_era
def test_a_pid_is_a_pid_in_every_era(release: Release) -> None:
    """What has nothing to do with the release is the same in all: messages, links, exit signals."""
    with Emulator(release=release, async_threads=1) as erl:
        erl.process_flag("trap_exit", True)
        pid = erl.spawn(lambda: erl.exit("enough"), link=True)
        assert isinstance(pid, Pid)
        assert erl.receive() == ("EXIT", pid, "enough")
