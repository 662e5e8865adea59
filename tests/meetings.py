"""Small scenarios in which two threads of an emulator meet at one thing that they share.

Each is short, so that a test can run it hundreds of times.  What a scenario comes to shows what the
threads have seen of each other: it returns messages and results, or has events observed.  It keeps
no list of its own that several threads write: the search would not know of it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from scripted import made_of

from driverref import Atomic, Driver, Emulator, Port
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_INIT_ACK,
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    ErlDrvTid,
    Key,
    Pointer,
    driver_alloc,
    driver_async,
    driver_cancel_timer,
    driver_deq,
    driver_enq,
    driver_failure_atom,
    driver_free,
    driver_mk_port,
    driver_output,
    driver_pdl_create,
    driver_pdl_lock,
    driver_pdl_unlock,
    driver_set_timer,
    erl_drv_busy_msgq_limits,
    erl_drv_init_ack,
    erl_drv_mutex_create,
    erl_drv_mutex_destroy,
    erl_drv_mutex_lock,
    erl_drv_mutex_unlock,
    erl_drv_output_term,
    erl_drv_thread_create,
    erl_drv_thread_join,
    set_busy_port,
)
from driverref.errors import DriverFault, ErlangError
from driverref.instrument import memory_data

LOCKING = ERL_DRV_FLAG_USE_PORT_LOCKING
"""A lock for each port, so that two schedulers are in the driver's code at once."""


Scenario = Callable[[Emulator], object]


class Meeting(NamedTuple):
    """A scenario, what is observed of it, and the emulator that it needs."""

    scenario: Scenario
    observe: tuple[str, ...]
    options: dict[str, Any]


def opened(erl: Emulator, driver: Driver) -> Port:
    """A port of `driver`, which is loaded if it is not."""
    erl.erl_ddll.load_driver(driver)
    return erl.open_port(("spawn_driver", driver.driver_name))


def attempt(call: Callable[..., object], *arguments: object) -> str:
    """What a BIF returns, or the reason with which it fails, as text."""
    try:
        return str(call(*arguments))
    except ErlangError as error:
        return error.reason


def side_by_side(erl: Emulator, *lives: Callable[[], object]) -> tuple[str, ...]:
    """Live each life in a process on a scheduler of its own, from 2 on; what each comes to."""
    me = erl.self()

    def live(number: int, life: Callable[[], object]) -> None:
        erl.send(me, (number, attempt(life)))

    for number, life in enumerate(lives):
        erl.spawn(live, number, life, scheduler=2 + number)
    return tuple(
        erl.receive(lambda message, n=n: message[0] == n)[1]  # type: ignore[misc]
        for n in range(len(lives))
    )


def nothing(*_: object) -> None:
    """A callback that does nothing."""


# What a port is: its state, its owner, its links and monitors, its driver queue.


def a_monitor_and_a_close(erl: Emulator) -> object:
    port, me = opened(erl, made_of()), erl.self()

    def look() -> None:
        erl.monitor("port", port)
        erl.send(me, str(erl.receive()[-1]))

    erl.spawn(look, scheduler=2)
    erl.port_close(port)
    return erl.receive(lambda message: isinstance(message, str))


def a_link_and_a_close(erl: Emulator) -> object:
    port, me = opened(erl, made_of()), erl.self()

    def look() -> None:
        erl.process_flag("trap_exit", True)
        erl.link(port)
        erl.send(me, str(erl.receive()[-1]))

    erl.spawn(look, scheduler=2)
    erl.port_close(port)
    return erl.receive(lambda message: isinstance(message, str))


def an_owner_is_looked_at_while_it_changes(erl: Emulator) -> object:
    port = opened(erl, made_of())
    other = erl.spawn(erl.receive, scheduler=1)
    me = erl.self()

    def look() -> None:
        erl.send(me, ("seen", str(erl.port_info(port, "connected"))))

    erl.spawn(look, scheduler=2)
    erl.send(port, (me, ("connect", other)))
    return str(erl.receive(lambda message: message[0] == "seen"))


def a_thread_sends_to_an_owner_that_changes(erl: Emulator) -> object:
    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        identifier, tid = driver_mk_port(port), ErlDrvTid()
        erl_drv_thread_create(
            "own", tid, lambda _: erl_drv_output_term(identifier, (1, 2)), 0, None
        )
        tids.append(tid)
        return b""

    def join(*_: object) -> None:
        erl_drv_thread_join(tids[0], None)

    tids: list[ErlDrvTid] = []
    me = erl.self()
    port = opened(erl, made_of(control=control, stop=join))
    other = erl.spawn(lambda: erl.send(me, ("other", erl.receive(timeout=1))), scheduler=2)
    erl.port_control(port, 0, b"")
    erl.port_connect(port, other)
    return str(erl.receive(lambda message: message[0] == "other"))


def a_thread_sends_by_a_port_that_closes(erl: Emulator) -> object:
    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        identifier, tid = driver_mk_port(port), ErlDrvTid()
        erl_drv_thread_create(
            "own", tid, lambda _: erl_drv_output_term(identifier, (1, 2)), 0, None
        )
        tids.append(tid)
        driver_enq(port, b"x")
        return b""

    tids: list[ErlDrvTid] = []
    port = opened(erl, made_of(control=control, flush=lambda port: driver_deq(port, 1)))
    erl.port_control(port, 0, b"")
    erl.port_close(port)
    returned = Pointer()
    erl_drv_thread_join(tids[0], returned)
    return returned.value


def links_are_looked_at_while_they_change(erl: Emulator) -> object:
    port = opened(erl, made_of())

    def link() -> None:
        erl.link(port)
        erl.unlink(port)

    return side_by_side(erl, lambda: erl.port_info(port, "links"), link)


def a_job_empties_the_driver_queue_while_the_port_closes(erl: Emulator) -> None:
    def output(port: ErlDrvPort, buf: memoryview) -> None:
        pdl = driver_pdl_create(port)
        assert pdl is not None
        driver_enq(port, b"x")
        driver_set_timer(port, 5)

        def job(data: object) -> None:
            driver_pdl_lock(pdl)
            driver_deq(port, 1)
            driver_pdl_unlock(pdl)

        driver_async(port, None, job, "data", nothing)

    driver = made_of(
        flags=LOCKING, output=output, flush=nothing, timeout=nothing, ready_async=nothing,
        stop=nothing,
    )  # fmt: skip
    port = opened(erl, driver)
    erl.port_command(port, b"")
    erl.send(port, (erl.self(), "close"))
    erl.receive(lambda message: isinstance(message, tuple) and message[0] == port)
    erl.receive(timeout=10)


# The tables of the emulator.


def ports_are_counted_while_one_opens(erl: Emulator) -> object:
    driver = made_of()
    erl.erl_ddll.load_driver(driver)

    def open_one() -> None:
        erl.open_port(("spawn_driver", "d"))
        erl.receive(timeout=100)

    return side_by_side(erl, open_one, lambda: erl.system_info("port_count"))


def ports_are_listed_while_one_closes(erl: Emulator) -> object:
    port = opened(erl, made_of())
    return side_by_side(erl, lambda: erl.port_close(port), erl.ports)


def two_ports_are_opened(erl: Emulator) -> object:
    erl.erl_ddll.load_driver(made_of(flags=LOCKING))

    def open_one() -> Port:
        return erl.open_port(("spawn_driver", "d"))

    return side_by_side(erl, open_one, open_one)


def two_processes_are_spawned(erl: Emulator) -> object:
    return side_by_side(erl, lambda: erl.spawn(nothing), lambda: erl.spawn(nothing))


def two_references_are_made(erl: Emulator) -> object:
    me = erl.self()
    return side_by_side(erl, lambda: erl.monitor("process", me), lambda: erl.monitor("process", me))


def a_name_is_looked_up_while_it_is_given(erl: Emulator) -> object:
    me = erl.self()
    return side_by_side(erl, lambda: erl.register("name", me), lambda: erl.whereis("name"))


def a_process_takes_two_names_while_they_are_listed(erl: Emulator) -> object:
    me = erl.self()

    def take() -> object:
        erl.register("one", me)
        erl.unregister("one")
        return erl.register("two", me)

    return side_by_side(erl, take, lambda: erl.process_info(me, "registered_name"))


def a_port_is_acknowledged_while_its_opener_waits(erl: Emulator) -> object:
    def ready_async(port: ErlDrvPort, data: object) -> None:
        erl_drv_init_ack(port, port)

    def start(port: ErlDrvPort, command: str) -> ErlDrvPort:
        driver_async(port, None, nothing, None, None)
        return port

    flags = LOCKING | ERL_DRV_FLAG_USE_INIT_ACK
    erl.erl_ddll.load_driver(made_of(flags=flags, start=start, ready_async=ready_async))

    def owner() -> bool:
        erl.open_port(("spawn_driver", "d"))
        return True

    return side_by_side(erl, owner, owner)


def a_variable_is_set_while_it_is_read(erl: Emulator) -> object:
    return side_by_side(erl, lambda: erl.os_putenv("NAME", "value"), lambda: erl.os_getenv("NAME"))


def two_jobs_are_submitted(erl: Emulator) -> object:
    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        return b"%d" % driver_async(port, None, nothing, None, None)

    driver = made_of(flags=LOCKING, control=control)
    ports = [opened(erl, driver) for _ in range(2)]
    return side_by_side(erl, *[lambda port=port: erl.port_control(port, 0, b"") for port in ports])


def drivers_are_listed_while_one_comes_and_goes(erl: Emulator) -> object:
    def come_and_go() -> None:
        erl.erl_ddll.load_driver(made_of(finish=nothing))
        erl.erl_ddll.try_unload("d")

    return side_by_side(erl, come_and_go, erl.erl_ddll.loaded_drivers)


def two_threads_free_one_block(erl: Emulator) -> None:
    def output(port: ErlDrvPort, buf: memoryview) -> None:
        block, tid = driver_alloc(1), ErlDrvTid()
        erl_drv_thread_create("other", tid, lambda _: driver_free(block), None, None)
        driver_free(block)
        erl_drv_thread_join(tid, None)

    erl.port_command(opened(erl, made_of(output=output)), b"")


def two_threads_make_a_fault_each_and_catch_it(erl: Emulator) -> None:
    """The first of the two is the outcome, whatever has been caught."""

    def reads() -> object:
        block = driver_alloc(1)
        driver_free(block)
        return None if block is None else block[0]

    def frees_twice() -> None:
        block = driver_alloc(1)
        driver_free(block)
        driver_free(block)

    def caught(fault: Callable[[], object]) -> None:
        with suppress(DriverFault):
            fault()

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        tid = ErlDrvTid()
        erl_drv_thread_create("other", tid, lambda _: caught(frees_twice), None, None)
        caught(reads)
        erl_drv_thread_join(tid, None)

    erl.port_command(opened(erl, made_of(output=output)), b"")


def blocks_are_listed_while_a_job_allocates(erl: Emulator) -> object:
    steps = Atomic()

    def work(data: object) -> None:
        block = driver_alloc(1)
        steps.store(1)
        driver_free(block)

    port = opened(erl, made_of(output=lambda port, buf: driver_async(port, 0, work, None, None)))
    erl.port_command(port, b"")
    erl.receive(timeout=0)
    return len(memory_data())


def a_lock_is_used_by_two_threads(erl: Emulator) -> None:
    def output(port: ErlDrvPort, buf: memoryview) -> None:
        mutex, tid = erl_drv_mutex_create("m"), ErlDrvTid()

        def use(_: object) -> None:
            erl_drv_mutex_lock(mutex)
            erl_drv_mutex_unlock(mutex)

        erl_drv_thread_create("other", tid, use, None, None)
        use(None)
        erl_drv_thread_join(tid, None)
        erl_drv_mutex_destroy(mutex)

    erl.port_command(opened(erl, made_of(output=output)), b"")


# Drivers that come and go.


def a_driver_is_watched_while_it_is_unloaded(erl: Emulator) -> object:
    erl.erl_ddll.load_driver(made_of())
    me = erl.self()

    def watch() -> None:
        erl.erl_ddll.monitor("driver", ("d", "unloaded"))
        erl.send(me, ("seen", str(erl.receive())))

    erl.spawn(watch, scheduler=2)
    result = attempt(erl.erl_ddll.unload_driver, "d")
    return result, str(erl.receive(lambda message: message[0] == "seen"))


def a_driver_is_watched_while_its_unloading_is_cancelled(erl: Emulator) -> object:
    driver = made_of()
    erl.erl_ddll.load(driver)
    erl.open_port(("spawn_driver", "d"))
    erl.erl_ddll.unload("d")

    def watch() -> object:
        erl.erl_ddll.monitor("driver", ("d", "unloaded"))
        return erl.receive(timeout=1)

    return side_by_side(erl, watch, lambda: erl.erl_ddll.load(driver))


def a_port_opens_while_its_driver_is_unloaded(erl: Emulator) -> object:
    erl.erl_ddll.load_driver(made_of(finish=nothing))
    me = erl.self()

    def open_one() -> None:
        erl.send(me, ("opener", attempt(erl.open_port, ("spawn_driver", "d"))))

    erl.spawn(open_one, scheduler=2)
    result = attempt(erl.erl_ddll.unload_driver, "d")
    return result, str(erl.receive(lambda message: message[0] == "opener"))


def a_job_ends_while_its_driver_is_unloaded(erl: Emulator) -> object:
    def output(port: ErlDrvPort, buf: memoryview) -> None:
        driver_async(port, None, nothing, None, nothing)

    port = opened(erl, made_of(flags=LOCKING, output=output, finish=nothing))

    def work() -> None:
        erl.port_command(port, b"")
        erl.port_close(port)

    erl.process_flag("trap_exit", True)
    erl.spawn(attempt, work, scheduler=2)
    return attempt(erl.erl_ddll.unload_driver, "d")


def two_ports_close_and_their_driver_is_given_up(erl: Emulator) -> object:
    driver = made_of(flags=LOCKING, finish=nothing)
    erl.erl_ddll.load(driver)
    ports = [erl.open_port(("spawn_driver", "d")) for _ in range(2)]
    erl.erl_ddll.unload("d")
    return side_by_side(erl, *[lambda port=port: erl.port_close(port) for port in ports])


def two_processes_give_a_driver_up(erl: Emulator) -> object:
    driver = made_of(finish=nothing)

    def use() -> object:
        erl.erl_ddll.load_driver(driver)
        return erl.erl_ddll.try_unload("d")

    return side_by_side(erl, use, use)


def a_driver_becomes_permanent_while_it_is_unloaded(erl: Emulator) -> object:
    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        driver_async(port, None, nothing, None, nothing)
        return b""

    driver, me = made_of(flags=LOCKING, control=control), erl.self()
    ports = [opened(erl, driver) for _ in range(2)]
    for number, port in enumerate(ports):

        def submit(port: Port = port) -> None:
            erl.send(me, ("submitted", attempt(erl.port_control, port, 0, b"")))

        erl.spawn(submit, scheduler=1 + number)
    erl.erl_ddll.monitor("driver", ("d", "unloaded"))
    result = attempt(erl.erl_ddll.unload_driver, "d")
    for _ in ports:
        erl.receive(lambda message: message[0] == "submitted")
    return result, str(erl.receive(timeout=50))


# Processes.


def an_exit_signal_meets_the_flag(erl: Emulator) -> str:
    me = erl.self()
    erl.spawn(lambda: erl.exit(me, "gone"), scheduler=2)
    erl.receive(timeout=0)
    erl.process_flag("trap_exit", True)
    return str(erl.receive())


def an_exit_signal_meets_a_call(erl: Emulator) -> object:
    me = erl.self()
    erl.process_flag("trap_exit", True)

    def live() -> None:
        for number in range(3):
            erl.send(me, number)

    pid = erl.spawn(live, scheduler=2)
    erl.exit(pid, "gone")
    ref = erl.monitor("process", pid)
    messages = []
    while True:
        message = erl.receive()
        messages.append(str(message))
        if isinstance(message, tuple) and message[1] == ref:
            return tuple(messages)


def two_exit_signals_meet(erl: Emulator) -> object:
    victim, me = erl.spawn(erl.receive, scheduler=1), erl.self()
    erl.monitor("process", victim)
    for number, reason in enumerate(("one", "other")):
        erl.spawn(erl.exit, victim, reason, scheduler=2 + number)
    erl.send(me, "sent")
    return str(erl.receive(lambda message: message != "sent"))


def a_process_ends_while_it_is_linked(erl: Emulator) -> object:
    victim = erl.spawn(nothing, scheduler=3)

    def link() -> object:
        erl.process_flag("trap_exit", True)
        erl.link(victim)
        return erl.receive()

    return side_by_side(erl, link)


def a_process_ends_while_it_is_handed_a_port(erl: Emulator) -> object:
    port = opened(erl, made_of())
    pid = erl.spawn(nothing, scheduler=2)
    return attempt(erl.port_connect, port, pid)


def a_monitor_is_given_up_while_a_process_ends(erl: Emulator) -> object:
    victim = erl.spawn(nothing, scheduler=2)
    ref = erl.monitor("process", victim)
    erl.demonitor(ref)
    return str(erl.receive(timeout=1))


# Signals, senders and timers.


def a_signal_is_left_with_the_port(erl: Emulator) -> None:
    driver = made_of(output=lambda port, buf: driver_output(port, b""))
    port, me = opened(erl, driver), erl.self()
    pid = erl.spawn(lambda: [erl.port_command(port, b"") for _ in range(3)], scheduler=2)
    ref = erl.monitor("process", pid)
    for _ in range(8):
        erl.send(port, (me, ("command", b"")))
    erl.receive(lambda message: message[1] == ref)


def signals_are_left_with_two_ports_of_one_lock(erl: Emulator) -> object:
    driver = made_of(output=lambda port, buf: driver_output(port, bytes(buf)))
    ports, me = [opened(erl, driver) for _ in range(2)], erl.self()
    erl.spawn(lambda: [erl.port_command(ports[0], b"") for _ in range(3)], scheduler=2)
    for _ in range(3):
        for port in ports:
            erl.send(port, (me, ("command", b"")))
    return tuple(str(erl.receive()[0]) for _ in range(9))


def limits_are_set_while_commands_come(erl: Emulator) -> None:
    steps = Atomic()

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> None:
        steps.store(1)
        erl_drv_busy_msgq_limits(port, Key(1), Key(1))
        steps.store(2)

    port, me = opened(erl, made_of(control=control)), erl.self()
    erl.spawn(lambda: attempt(erl.port_control, port, 0, b""), scheduler=2)
    for _ in range(2):
        erl.send(port, (me, ("command", b"22")))


def a_port_becomes_busy_while_commands_come(erl: Emulator) -> None:
    steps = Atomic()

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        set_busy_port(port, 1)
        steps.store(1)
        set_busy_port(port, 0)
        steps.store(2)
        return b""

    port, me = opened(erl, made_of(control=control)), erl.self()
    erl.spawn(erl.port_control, port, 0, b"", scheduler=2)
    for _ in range(2):
        erl.send(port, (me, ("command", b"22")))


def two_senders_are_suspended(erl: Emulator) -> object:
    def control(port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        set_busy_port(port, command)
        return b""

    port = opened(erl, made_of(control=control, output=nothing))
    erl.port_control(port, 1, b"")
    me = erl.self()
    return side_by_side(
        erl,
        lambda: erl.port_command(port, b""),
        lambda: erl.send(port, (me, ("command", b""))),
        lambda: erl.port_control(port, 0, b""),
    )


def a_timer_is_cancelled_as_it_fires(erl: Emulator) -> None:
    def output(port: ErlDrvPort, buf: memoryview) -> None:
        if bytes(buf) == b"s":
            driver_set_timer(port, 1)
        else:
            driver_cancel_timer(port)

    port, me = opened(erl, made_of(flags=LOCKING, output=output, timeout=nothing)), erl.self()
    erl.port_command(port, b"s")

    def other() -> None:
        erl.receive(timeout=1)
        for command in (b"c", b"s"):
            erl.port_command(port, command)
            erl.send(me, "done")

    erl.spawn(other, scheduler=2)
    erl.receive()
    erl.receive()
    erl.receive(timeout=5)


def a_timer_is_set_by_an_async_thread(erl: Emulator) -> object:
    driver = made_of(
        flags=LOCKING,
        output=lambda port, buf: driver_async(port, None, nothing, None, None),
        ready_async=lambda port, data: driver_set_timer(port, 0),
        timeout=lambda port: driver_output(port, b""),
    )
    ports = [opened(erl, driver) for _ in range(2)]
    for port in ports:
        erl.port_command(port, b"")
    return tuple(str(erl.receive()[0]) for _ in ports)


# Halting, and older emulators.


def jobs_end_while_the_emulator_halts(erl: Emulator) -> None:
    driver = made_of(
        output=lambda port, buf: driver_async(port, None, nothing, None, nothing),
        ready_async=nothing, stop=nothing,
    )  # fmt: skip
    port = opened(erl, driver)
    for _ in range(2):
        erl.port_command(port, b"")
    erl.halt()


def a_port_fails_while_the_emulator_stops(erl: Emulator) -> None:
    driver = made_of(
        output=lambda port, buf: driver_async(port, None, nothing, None, None),
        ready_async=lambda port, data: driver_failure_atom(port, "failed"),
    )
    erl.process_flag("trap_exit", True)
    erl.port_command(opened(erl, driver), b"")


def a_slot_is_used_again(erl: Emulator) -> object:
    driver = made_of(
        output=lambda port, buf: driver_async(port, 0, nothing, None, nothing),
        ready_async=lambda port, data: driver_output(port, b"ready"),
    )
    port = opened(erl, driver)
    erl.port_command(port, b"")
    erl.port_close(port)
    again = [attempt(erl.open_port, ("spawn_driver", "d")) for _ in range(2)]
    return (*again, str(erl.receive(timeout=1)))


def two_ports_are_opened_on_one_scheduler(erl: Emulator) -> object:
    erl.erl_ddll.load_driver(made_of())
    me = erl.self()

    def open_one(name: str) -> None:
        erl.send(me, (name, attempt(erl.open_port, ("spawn_driver", "d"))))

    for name in "ab":
        erl.spawn(open_one, name)
    return tuple(sorted(str(erl.receive()) for _ in range(2)))
