"""What threads share is declared: the outcomes that depend on it, and what would be lost without.

Two runs that differ only in the order of independent steps must come to the same (`a_brother`).  If
a cell declares nothing, dependent steps look independent, and in some schedule they do not come to
the same.  So each place of the package where something shared is made is made *deaf* here, one at a
time (`deaf`), and a meeting of two threads (`meetings`) has to notice.
"""

from __future__ import annotations

from dataclasses import replace

import meetings as m
import pytest
from deaf import deafen, places
from dfs import a_brother, on_emulator
from meetings import Meeting

from driverref.explore import Order, explore
from driverref.release import R7B_3

pytestmark = pytest.mark.slow

EVENTS = ("timeout", "stop", "ready_async", "async_free", "flush")
OLDEST = replace(R7B_3, slots=2)

MEETINGS = {
    meeting.scenario.__name__: meeting
    for meeting in [
        Meeting(m.a_monitor_and_a_close, (), {"schedulers": 2}),
        Meeting(m.a_link_and_a_close, (), {"schedulers": 2}),
        Meeting(m.an_owner_is_looked_at_while_it_changes, (), {"schedulers": 2}),
        Meeting(m.a_thread_sends_to_an_owner_that_changes, (), {"schedulers": 2}),
        Meeting(m.a_thread_sends_by_a_port_that_closes, (), {"schedulers": 2}),
        Meeting(m.links_are_looked_at_while_they_change, (), {"schedulers": 3}),
        Meeting(m.a_job_empties_the_driver_queue_while_the_port_closes, EVENTS, {"schedulers": 2}),
        Meeting(m.ports_are_counted_while_one_opens, (), {"schedulers": 3}),
        Meeting(m.ports_are_listed_while_one_closes, (), {"schedulers": 3}),
        Meeting(m.two_ports_are_opened, (), {"schedulers": 3}),
        Meeting(m.two_processes_are_spawned, (), {"schedulers": 3}),
        Meeting(m.two_references_are_made, (), {"schedulers": 3}),
        Meeting(m.a_name_is_looked_up_while_it_is_given, (), {"schedulers": 3}),
        Meeting(m.a_process_takes_two_names_while_they_are_listed, (), {"schedulers": 3}),
        Meeting(m.a_variable_is_set_while_it_is_read, (), {"schedulers": 3}),
        Meeting(
            m.a_port_is_acknowledged_while_its_opener_waits,
            (),
            {"schedulers": 3, "async_threads": 2},
        ),
        Meeting(m.two_jobs_are_submitted, (), {"schedulers": 3}),
        Meeting(m.drivers_are_listed_while_one_comes_and_goes, (), {"schedulers": 3}),
        Meeting(m.two_threads_free_one_block, (), {}),
        Meeting(m.two_threads_make_a_fault_each_and_catch_it, (), {}),
        Meeting(
            m.blocks_are_listed_while_a_job_allocates, (), {"release": OLDEST, "async_threads": 1}
        ),
        Meeting(m.a_lock_is_used_by_two_threads, (), {}),
        Meeting(m.a_driver_is_watched_while_it_is_unloaded, (), {"schedulers": 2}),
        Meeting(m.a_driver_is_watched_while_its_unloading_is_cancelled, (), {"schedulers": 3}),
        Meeting(m.a_port_opens_while_its_driver_is_unloaded, (), {"schedulers": 2}),
        Meeting(
            m.a_job_ends_while_its_driver_is_unloaded, ("async_free", "finish"), {"schedulers": 2}
        ),
        Meeting(m.two_ports_close_and_their_driver_is_given_up, ("finish",), {"schedulers": 3}),
        Meeting(m.two_processes_give_a_driver_up, (), {"schedulers": 3}),
        Meeting(
            m.a_driver_becomes_permanent_while_it_is_unloaded,
            (),
            {"schedulers": 2, "release": "R13B"},
        ),
        Meeting(m.an_exit_signal_meets_the_flag, (), {"schedulers": 2}),
        Meeting(m.an_exit_signal_meets_a_call, (), {"schedulers": 2}),
        Meeting(m.two_exit_signals_meet, (), {"schedulers": 3}),
        Meeting(m.a_process_ends_while_it_is_linked, (), {"schedulers": 3}),
        Meeting(m.a_process_ends_while_it_is_handed_a_port, (), {"schedulers": 2}),
        Meeting(m.a_monitor_is_given_up_while_a_process_ends, (), {"schedulers": 2}),
        Meeting(m.a_signal_is_left_with_the_port, (), {"schedulers": 2}),
        Meeting(m.signals_are_left_with_two_ports_of_one_lock, (), {"schedulers": 2}),
        Meeting(m.limits_are_set_while_commands_come, ("suspended",), {"schedulers": 2}),
        Meeting(m.a_port_becomes_busy_while_commands_come, ("suspended",), {"schedulers": 2}),
        Meeting(m.two_senders_are_suspended, ("suspended", "resumed"), {"schedulers": 4}),
        Meeting(m.a_timer_is_cancelled_as_it_fires, ("timeout",), {"schedulers": 2}),
        Meeting(
            m.a_timer_is_set_by_an_async_thread,
            (),
            {"release": "R14B04", "schedulers": 2, "async_threads": 2},
        ),
        Meeting(m.jobs_end_while_the_emulator_halts, EVENTS, {"schedulers": 2, "async_threads": 2}),
        Meeting(
            m.a_port_fails_while_the_emulator_stops, (), {"release": "R14B04", "schedulers": 2}
        ),
        Meeting(m.a_slot_is_used_again, (), {"release": OLDEST}),
        Meeting(m.two_ports_are_opened_on_one_scheduler, (), {"release": OLDEST}),
    ]
}

NOTICED = {
    "memory/ledger.py fault": m.two_threads_make_a_fault_each_and_catch_it,
    "memory/ledger.py rows": m.blocks_are_listed_while_a_job_allocates,
    "runtime/async_pool.py _ids": m.two_jobs_are_submitted,
    "runtime/async_pool.py serving": m.jobs_end_while_the_emulator_halts,
    "runtime/core.py _numbers": m.two_references_are_made,
    "runtime/core.py environment": m.a_variable_is_set_while_it_is_read,
    "runtime/core.py drivers": m.a_port_opens_while_its_driver_is_unloaded,
    "runtime/core.py waiters": m.a_job_ends_while_its_driver_is_unloaded,
    "runtime/entities.py _by_number": m.ports_are_counted_while_one_opens,
    "runtime/entities.py _numbers": m.two_ports_are_opened,
    "runtime/entities.py _processes": m.two_references_are_made,
    "runtime/loaded_driver.py state": m.a_job_ends_while_its_driver_is_unloaded,
    "runtime/names.py _ids": m.a_name_is_looked_up_while_it_is_given,
    "runtime/names.py _names": m.a_process_takes_two_names_while_they_are_listed,
    "runtime/port.py acknowledged": m.a_port_is_acknowledged_while_its_opener_waits,
    "runtime/port.py owner": m.a_thread_sends_to_an_owner_that_changes,
    "runtime/port.py queue": m.a_job_empties_the_driver_queue_while_the_port_closes,
    "runtime/port.py state": m.a_thread_sends_by_a_port_that_closes,
    "runtime/port_lock.py _waiting": m.signals_are_left_with_two_ports_of_one_lock,
    "runtime/process.py doom": m.two_exit_signals_meet,
    "runtime/process.py trap_exit": m.an_exit_signal_meets_the_flag,
    "runtime/scheduler.py timer": m.a_timer_is_cancelled_as_it_fires,
    "runtime/scheduler.py timers": m.a_timer_is_set_by_an_async_thread,
    "runtime/senders.py busy": m.two_senders_are_suspended,
    "runtime/senders.py limits": m.limits_are_set_while_commands_come,
    "runtime/senders.py signals": m.a_signal_is_left_with_the_port,
}
"""For each place, the meeting that notices when what is made there declares nothing."""

TABLE_LOCK = "every use is under the lock of the table of drivers"
BONDS_LOCK = "every use is under the lock of the links and monitors"
ONE_SCHEDULER = "R7B has one scheduler, and every use holds its mutex"
DRIVER_STATE = (
    "a change is followed by a look at the driver's state, which an unloading writes first"
)

UNNOTICED = {
    "eras/slots.py _last": ONE_SCHEDULER,
    "eras/slots.py _slots": ONE_SCHEDULER,
    "erl_driver/handles.py holder": "other threads never look: `peek` asks about the running one",
    "runtime/core.py last_now": "every use is under a lock of its own",
    "runtime/loaded_driver.py _lingering": DRIVER_STATE,
    "runtime/loaded_driver.py _ports": DRIVER_STATE,
    "runtime/loaded_driver.py monitors": TABLE_LOCK + ", or when none can be added any more",
    "runtime/loaded_driver.py successor": TABLE_LOCK + ", or is made again under it",
    "runtime/loaded_driver.py users": TABLE_LOCK,
    "runtime/port.py bonds": BONDS_LOCK,
    "runtime/process.py alive": BONDS_LOCK + ", or in the step that takes it",
    "runtime/process.py bonds": BONDS_LOCK,
    "runtime/senders.py _suspended": "each change is a step that writes the port's senders, and a "
    "look belongs to that step or comes after a wake-up",
}
"""The places that no meeting notices, and what else in the same step says the same."""


def differ(name: str, seeds: range) -> bool:
    """Whether two runs of a meeting that should come to the same do not, for one of these seeds."""
    scenario, observe, options = MEETINGS[name]
    run = on_emulator(scenario, observe, **options)
    for seed in seeds:
        try:
            a_brother(run, seed)
        except AssertionError:
            return True
    return False


def test_each_place_where_something_shared_is_made_is_in_one_of_the_lists() -> None:
    assert NOTICED.keys() | UNNOTICED.keys() == set(places().values())
    assert not NOTICED.keys() & UNNOTICED.keys()


@pytest.mark.parametrize("name", MEETINGS)
def test_steps_of_a_meeting_that_nothing_orders_may_change_places(name: str) -> None:
    assert not differ(name, range(40))


@pytest.mark.parametrize("place", NOTICED)
def test_a_place_that_declares_nothing_is_noticed(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deafen(monkeypatch, place)
    assert differ(NOTICED[place].__name__, range(200))


@pytest.mark.parametrize("place", UNNOTICED)
def test_a_place_is_called_unnoticed_as_long_as_no_meeting_notices_it(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deafen(monkeypatch, place)
    assert [name for name in MEETINGS if differ(name, range(6))] == []


# Outcomes that were lost when one declaration was missing.


@pytest.mark.parametrize("ask", [m.a_monitor_and_a_close, m.a_link_and_a_close])
def test_a_port_that_closes_is_there_for_a_monitor_or_a_link_or_is_not(ask: m.Scenario) -> None:
    assert set(explore(ask, schedulers=2)) == {"noproc", "normal"}


@pytest.mark.parametrize("schedulers", [1, 2])
def test_a_job_empties_the_driver_queue_before_or_after_each_end_of_the_port(
    schedulers: int,
) -> None:
    """The job does so under the port data lock, which the port's epilogue does not take."""
    scenario = m.a_job_empties_the_driver_queue_while_the_port_closes
    found = explore(scenario, observe=EVENTS, async_threads=1, schedulers=schedulers)
    assert found.complete
    assert set(found) == {
        Order(("ready_async(1)", "stop")),
        Order(("ready_async(1)", "timeout", "stop")),
        Order(("timeout", "ready_async(1)", "stop")),
        Order(("stop", "async_free(1)")),
        Order(("timeout", "stop", "async_free(1)")),
        Order(("flush", "ready_async(1)", "stop")),
        Order(("flush", "timeout", "ready_async(1)", "stop")),
        Order(("timeout", "flush", "ready_async(1)", "stop")),
        Order(("flush", "stop", "async_free(1)")),
        Order(("flush", "timeout", "stop", "async_free(1)")),
        Order(("timeout", "flush", "stop", "async_free(1)")),
    }
