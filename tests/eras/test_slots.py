"""R7B's port table: a slot is taken again, and an old identifier leads to the new port."""

from __future__ import annotations

import pytest
from era_support import TWO_SLOTS, every_era, settle
from scripted import made_of
from support import (
    Gate,
    Worker,
    on_another_thread,
    opened,
)

from driverref import Emulator, Port, explore
from driverref.erl_driver import (
    ErlDrvPort,
    driver_async,
)
from driverref.errors import ErlangError
from driverref.release import R7B_3, Release


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
