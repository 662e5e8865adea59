"""What is recorded of processes, links, exit signals, loaded drivers and a driver's own threads."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted import made_of
from support import Kind, both, on_another_thread, opened

import driverref
from driverref import Emulator, Pid, Port, Ref, explore, timeline
from driverref.erl_driver import (
    ErlDrvPort,
    ErlDrvTid,
    driver_caller,
    driver_demonitor_process,
    driver_enq,
    driver_monitor_process,
    erl_drv_cond_create,
    erl_drv_cond_wait,
    erl_drv_mutex_create,
    erl_drv_mutex_lock,
    erl_drv_thread_create,
    erl_drv_thread_exit,
    erl_drv_thread_join,
)
from driverref.errors import Deadlock, ErlangError
from driverref.timeline.links import KINDS
from driverref.trace import NAMES

ME, OTHER, PORT = Pid(1), Pid(2), Port(1)


def told(erl: Emulator, *names: str) -> list[tuple[str, Any]]:
    """The events of these names, with what they tell."""
    return [(event.name, event.detail) for event in erl.trace.select(*names)]


@both
def test_links_and_monitors_leave_events(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = opened(erl, made_of())
        erl.link(port)
        erl.unlink(port)
        ref = erl.monitor("port", port)
        erl.demonitor(ref)
        erl.erl_ddll.monitor("driver", ("d", "unloaded"))
        with pytest.raises(ErlangError):
            erl.link("d")  # type: ignore[arg-type]
    assert told(erl, "link", "unlink", "monitor", "demonitor") == [
        ("link", (ME, PORT)),
        ("unlink", (ME, PORT)),
        ("monitor", (ME, PORT)),
        ("demonitor", (ME, Ref(1))),
        ("monitor", (ME, ("d", "unloaded"))),
    ]
    assert {event.thread for event in erl.trace.select("link", "demonitor")} == {"scheduler 1"}


@both
def test_a_driver_s_monitors_leave_events(threads: Kind) -> None:
    def output(port: ErlDrvPort, buf: memoryview) -> None:
        monitor = driver_monitor_process(port, driver_caller(port))
        assert not isinstance(monitor, int)
        driver_demonitor_process(port, monitor)

    with Emulator(threads=threads) as erl:
        driver = made_of(output=output, process_exit=lambda port, monitor: None)
        erl.port_command(opened(erl, driver), b"")
    names = "driver_monitor_process", "driver_demonitor_process"
    assert told(erl, *names) == [(name, ME) for name in names]
    assert {event.port for event in erl.trace.select(*names)} == {PORT}


@both
def test_the_events_say_why_stop_was_called(threads: Kind) -> None:
    """The owner has ended; another process has told the port to exit."""
    with Emulator(threads=threads) as erl:
        driver = made_of(stop=lambda port: None)
        erl.erl_ddll.load_driver(driver)
        on_another_thread(erl, lambda: erl.open_port(("spawn_driver", "d")))
        port = erl.open_port(("spawn_driver", "d"))
        erl.process_flag("trap_exit", True)
        erl.exit(port, "enough")
    names = "spawn", "exited", "exit_signal", "exit", "stop"
    assert told(erl, *names) == [
        ("spawn", OTHER),
        ("exited", (OTHER, "normal")),
        ("exit_signal", (OTHER, PORT, "normal")),
        ("exit", "normal"),
        ("stop", None),
        ("exit_signal", (ME, Port(2), "enough")),
        ("exit", "enough"),
        ("exit_signal", (Port(2), ME, "enough")),
        ("stop", None),
    ]


@both
def test_the_end_of_the_emulator_shows_which_processes_it_kills(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.spawn(erl.receive, link=True)
    assert told(erl, "exit_signal", "exited") == [
        ("exit_signal", (ME, OTHER, "kill")),
        ("exited", (OTHER, "killed")),
        ("exit_signal", (OTHER, ME, "killed")),
    ]


@both
def test_loading_and_unloading_leave_events(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        driver = made_of(init=lambda: None, finish=lambda: None)
        erl.erl_ddll.load_driver(driver)
        erl.erl_ddll.unload_driver("d")
        erl.erl_ddll.load(driver)
        erl.erl_ddll.unload("d")
        erl.erl_ddll.try_unload("none")
        with pytest.raises(ErlangError):
            erl.erl_ddll.unload_driver(5)  # type: ignore[arg-type]
    assert [f"{name} {detail}" for name, detail in told(erl, *NAMES)] == [
        *("load_driver d", "init d", "unload_driver d", "finish d"),
        *("load d", "init d", "unload d", "finish d", "try_unload none"),
    ]


@both
@pytest.mark.parametrize("leave", [lambda _: None, erl_drv_thread_exit])
def test_a_driver_s_own_thread_leaves_events(threads: Kind, leave: Callable[[Any], None]) -> None:
    """On its own lane its end, whether it returns or calls `erl_drv_thread_exit`."""

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        tid = ErlDrvTid()
        erl_drv_thread_create("own", tid, leave, None, None)
        erl_drv_thread_join(tid, None)

    with Emulator(threads=threads) as erl:
        erl.port_command(opened(erl, made_of(output=output)), b"")
    own = [event for event in erl.trace if event.name.startswith("erl_drv_thread")]
    assert sorted((event.name, event.thread, event.detail) for event in own) == [
        ("erl_drv_thread_create", "scheduler 1", "own"),
        ("erl_drv_thread_exit", "own", None),
        ("erl_drv_thread_join", "scheduler 1", "own"),
    ]


def test_the_timeline_of_a_deadlock_shows_the_thread_that_is_gone() -> None:
    """`stop` waits for a signal of a thread that has ended already."""

    def scenario(erl: Emulator) -> None:
        def start(port: ErlDrvPort, command: str) -> dict[str, Any]:
            state = {"m": erl_drv_mutex_create("m"), "c": erl_drv_cond_create("c")}
            erl_drv_thread_create("own", ErlDrvTid(), lambda _: None, None, None)
            return state

        def stop(state: dict[str, Any]) -> None:
            erl_drv_mutex_lock(state["m"])
            while True:
                erl_drv_cond_wait(state["c"], state["m"])

        driver = made_of(start=start, stop=stop)

        def owner() -> None:
            opened(erl, driver)

        erl.spawn(owner)
        erl.receive()

    outcomes = explore(scenario)
    (fault,) = outcomes.faults
    assert fault.name == "Deadlock"
    assert "process <0.2.0> waits for condition 'c'; it stands at test_events.py:" in fault.text
    assert "own waits" not in fault.text
    told = timeline.text(outcomes.replay(fault).trace)
    lines = [re.sub(" +", " ", line).strip() for line in told.splitlines()]
    expected = [
        '0 scheduler 1 erl_drv_thread_create "own"',
        "0 scheduler 1 exited {<0.2.0>,normal}",
        "0 scheduler 1 exit #Port<0.1> driver_unloaded",
        "0 scheduler 1 stop #Port<0.1>",
    ]
    assert [line for line in lines if line in expected] == expected
    assert "0 own erl_drv_thread_exit" in lines
    with pytest.raises(Deadlock), Emulator() as erl:
        scenario(erl)


def every_event(erl: Emulator) -> None:
    """A scenario in which several threads do what leaves these events."""

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        tid = ErlDrvTid()
        driver_monitor_process(port, driver_caller(port))
        erl_drv_thread_create("own", tid, lambda _: None, None, None)
        erl_drv_thread_join(tid, None)

    driver = made_of(output=output, process_exit=lambda port, monitor: None)
    erl.process_flag("trap_exit", True)
    port = opened(erl, driver)

    def other() -> None:
        erl.link(port)
        erl.port_command(port, b"")
        erl.unlink(port)

    ref = erl.monitor("process", erl.spawn(other))
    erl.receive()
    erl.demonitor(ref)
    erl.erl_ddll.unload_driver("d")


def test_an_event_that_nobody_observes_is_no_step() -> None:
    unseen = explore(every_event)
    assert unseen.faults == []
    assert explore(every_event, observe=["flush"]).schedules == unseen.schedules
    assert explore(every_event, observe=["spawn"]).schedules >= unseen.schedules


NEW = """
    spawn exited exit_signal link unlink monitor demonitor load_driver unload_driver
    driver_monitor_process erl_drv_thread_create erl_drv_thread_exit erl_drv_thread_join
""".split()


@pytest.mark.parametrize("name", NEW)
def test_every_one_of_them_can_be_observed(name: str) -> None:
    outcomes = explore(every_event, observe=[name], limit=30)
    assert any(name in order for order in outcomes if order not in outcomes.faults)  # type: ignore[operator]


def test_each_event_has_a_name_that_is_listed_and_a_kind_in_the_picture() -> None:
    known = {name for names in KINDS.values() for name in names.split()}
    assert known <= NAMES
    source = "".join(path.read_text() for path in Path(driverref.__file__).parent.rglob("*.py"))
    recorded = set(re.findall(r'\bnote\((?:[\w.()]+, )?"(\w+)"', source))
    recorded |= set(re.findall(r'record\(\([^"]*"(\w+)"', source))
    recorded |= set(re.findall(r'\.callback\("(\w+)"', source))
    assert recorded
    assert recorded <= NAMES


def test_without_a_trace_nothing_is_recorded() -> None:
    with Emulator(trace=False) as erl:
        erl.port_command(opened(erl, made_of(output=driver_enq, flush=lambda port: None)), b"")
        erl.spawn(lambda: None)
    assert len(erl.trace) == 0
