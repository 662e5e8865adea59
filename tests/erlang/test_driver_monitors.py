"""What `erl_ddll` tells of a driver: its monitors, and `info`.

The messages, and their order, are those that OTP 25 sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scripted import made_of
from support import Kind, Signal, both, received

from driverref import Emulator, Ref
from driverref.errors import ErlangError

PENDING = ("monitor", "pending")
PENDING_DRIVER = ("monitor", "pending_driver")


def told(how: str, ref: Ref, why: str) -> tuple[object, ...]:
    return (how, ref, "driver", "d", why)


# monitor, demonitor.


@both
def test_whether_a_driver_is_loaded_is_told_at_once(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        ddll = erl.erl_ddll
        item = ("d", "loaded")
        ref = ddll.monitor("driver", item)
        assert received(erl) == [told("DOWN", ref, "unloaded")]
        ddll.load(made_of())
        ref = ddll.monitor("driver", item)
        assert received(erl) == [told("UP", ref, "loaded")]
        port = erl.open_port(("spawn_driver", "d"))
        ddll.unload("d")
        ref = ddll.monitor("driver", item)
        assert received(erl) == [told("DOWN", ref, "load_cancelled")]
        erl.port_close(port)


@both
def test_the_last_monitor_is_told_first(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load(made_of())
        refs = [erl.erl_ddll.monitor("driver", ("d", "unloaded")) for _ in range(3)]
        erl.erl_ddll.unload("d")
        assert received(erl) == [told("DOWN", ref, "unloaded") for ref in reversed(refs)]


@both
def test_a_monitor_that_is_given_up_tells_nothing(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        ddll = erl.erl_ddll
        ddll.load(made_of())
        refs = [ddll.monitor("driver", ("d", "unloaded")) for _ in range(2)]
        assert ddll.demonitor(refs[0])
        assert ddll.demonitor(refs[0])
        assert ddll.demonitor(erl.make_ref())
        ddll.unload("d")
        assert ddll.demonitor(refs[1])  # the message stays
        assert received(erl) == [told("DOWN", refs[1], "unloaded")]


@both
def test_a_monitor_of_another_process_is_left_alone(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        me, gate = erl.self(), Signal()
        erl.erl_ddll.load(made_of())

        def watch() -> None:
            erl.send(me, erl.erl_ddll.monitor("driver", ("d", "unloaded")))
            gate.wait()

        pid = erl.spawn(watch)
        ref = erl.receive()
        assert erl.erl_ddll.demonitor(ref)
        assert erl.erl_ddll.info("d", "awaiting_unload") == [(pid, 1)]
        gate.give()


# try_unload.


@pytest.mark.parametrize("option", [PENDING, PENDING_DRIVER])
@both
def test_try_unload_monitors_a_driver_that_is_to_go(option: tuple[str, str], threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        ddll, driver = erl.erl_ddll, made_of()
        ddll.load(driver)
        port = erl.open_port(("spawn_driver", "d"))
        first: Any = ddll.try_unload("d", [option])
        assert first == ("ok", "pending_driver", first[2])
        ddll.load(driver)
        assert received(erl) == [told("UP", first[2], "unload_cancelled")]
        second: Any = ddll.try_unload("d", [option])
        erl.unlink(port)
        erl.port_close(port)
        assert received(erl) == [told("DOWN", second[2], "unloaded")]
        # It may go at once: the monitor is there before.
        ddll.load(driver)
        third: Any = ddll.try_unload("d", [option])
        assert received(erl) == [told("DOWN", third[2], "unloaded")]


@both
def test_and_one_that_processes_still_use_if_it_is_asked_to(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        ddll, driver = erl.erl_ddll, made_of()
        for _ in range(3):
            ddll.load(driver)
        assert ddll.try_unload("d", [PENDING_DRIVER]) == ("ok", "pending_process")
        answer: Any = ddll.try_unload("d", [PENDING])
        assert answer == ("ok", "pending_process", answer[2])
        assert ddll.try_unload("d") == ("ok", "pending_driver")
        assert received(erl) == [told("DOWN", answer[2], "unloaded")]


@both
def test_an_answer_that_is_an_error_monitors_nothing(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        assert erl.erl_ddll.try_unload("d", [PENDING]) == ("error", "not_loaded")
        assert received(erl) == []


# info.


@both
def test_info_tells_what_is_known_of_a_driver(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        ddll, me, driver = erl.erl_ddll, erl.self(), made_of()
        ddll.load(driver)
        ddll.load(driver)
        port = erl.open_port(("spawn_driver", "d"))
        ddll.monitor("driver", ("d", "unloaded"))
        assert ddll.info("d") == [
            ("processes", [(me, 2)]),
            ("driver_options", []),
            ("port_count", 1),
            ("linked_in_driver", False),
            ("permanent", False),
            ("awaiting_load", []),
            ("awaiting_unload", [(me, 1)]),
        ]
        assert ddll.info("d", "port_count") == 1
        erl.port_close(port)
        assert ddll.info("d", "port_count") == 0


@both
def test_what_load_driver_has_loaded_kills_its_ports(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(made_of())
        assert erl.erl_ddll.info("d", "driver_options") == ["kill_ports"]


CAME: dict[str, Callable[[Emulator], object]] = {
    "demonitor": lambda erl: erl.erl_ddll.demonitor(Ref(1)),
    "info": lambda erl: erl.erl_ddll.info("d"),
}


@pytest.mark.rule("era.calls")
@pytest.mark.parametrize("name", CAME)
def test_they_came_with_r11b(name: str) -> None:
    with (
        Emulator(release="R7B-3") as erl,
        pytest.raises(ErlangError, match=f"undef: erl_ddll:{name}: R7B-3 does not have it"),
    ):
        CAME[name](erl)
