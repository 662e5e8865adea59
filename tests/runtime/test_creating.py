"""Ports that a driver makes itself, with `driver_create_port`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from scripted import Box, do, made_of, scripted
from support import Kind, both, handle_of, opened

from driverref import Driver, Emulator, Pid, Port, explore
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_INIT_ACK,
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    driver_async,
    driver_caller,
    driver_connected,
    driver_create_port,
    driver_deq,
    driver_enq,
    driver_failure_atom,
    driver_failure_eof,
    driver_mk_port,
    driver_output,
    driver_set_timer,
    driver_sizeq,
    erl_drv_send_term,
)
from driverref.errors import ErlangError, Misuse
from driverref.release import R7B_3, R13B

LOCKING = ERL_DRV_FLAG_USE_PORT_LOCKING


class Accepting(Driver):
    """A driver whose commands make a port, as one that accepts connections; `data` is by port."""

    driver_name = "accepting"
    driver_flags = LOCKING

    def __init__(self, then: Callable[[ErlDrvPort, ErlDrvPort], object] | None = None) -> None:
        self.then = then
        self.made: list[ErlDrvPort | int] = []

    def start(self, port: ErlDrvPort, command: str) -> dict[str, Any]:
        return {"port": port}

    def output(self, data: dict[str, Any], buf: memoryview) -> None:
        self.accept(data["port"])

    def control(self, data: dict[str, Any], command: int, buf: memoryview) -> bytes:
        self.accept(data["port"])
        return b""

    def accept(self, port: ErlDrvPort) -> None:
        data: dict[str, Any] = {}
        made = driver_create_port(port, driver_connected(port) or Pid(0), "accepted", data)
        self.made.append(made)
        if isinstance(made, ErlDrvPort):
            data["port"] = made
            if self.then is not None:
                self.then(port, made)

    def stop(self, data: dict[str, Any]) -> None:
        """For the trace."""

    @property
    def ids(self) -> list[Port]:
        return [made.id for made in self.made if isinstance(made, ErlDrvPort)]


@both
@pytest.mark.rule("port.created")
def test_a_created_port_is_open_at_once_and_start_is_not_called(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        driver = Accepting(lambda port, made: driver_output(made, b"hello"))
        erl.erl_ddll.load_driver(driver)
        port = erl.open_port(("spawn_driver", "accepting"), [("parallelism", True)])
        erl.port_command(port, b"")
        (made,) = driver.ids
        # It has no options, so its data is a list; it has `parallelism` from its creator.
        assert erl.receive() == (made, ("data", [*b"hello"]))
        assert erl.port_info(made, "name") == ("name", "accepted")
        assert erl.port_info(made, "connected") == ("connected", erl.self())
        assert erl.port_info(made, "links") == ("links", [erl.self()])
        assert erl.port_info(made, "parallelism") == ("parallelism", True)
        assert [event.port for event in erl.trace.select("start")] == [port]
        (event,) = erl.trace.select("driver_create_port")
        assert (event.port, event.detail) == (port, made)


@both
@pytest.mark.rule("port.created")
def test_a_created_port_ends_as_any_other_and_counts_for_its_driver(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        erl.process_flag("trap_exit", True)
        driver = Accepting()
        port = opened(erl, driver)
        for _ in range(3):
            erl.port_command(port, b"")
        assert erl.erl_ddll.info("accepting", "port_count") == 4
        first, second, third = driver.ids
        erl.send(first, (erl.self(), "close"))
        assert [erl.receive(), erl.receive()] == [("EXIT", first, "normal"), (first, "closed")]
        erl.port_close(port)
        assert erl.receive() == ("EXIT", port, "normal")
        assert erl.erl_ddll.info("accepting", "port_count") == 2
        assert erl.erl_ddll.unload_driver("accepting") == "ok"
        reasons = [erl.receive(), erl.receive()]
        assert reasons == [("EXIT", made, "driver_unloaded") for made in (second, third)]
        stops = [event.port for event in erl.trace.select("stop")]
        assert stops == [first, port, second, third]


@both
def test_the_callback_may_use_the_port_that_it_has_made(threads: Kind) -> None:
    seen: list[object] = []

    def use(port: ErlDrvPort, made: ErlDrvPort) -> None:
        seen.append(driver_mk_port(made) == made.id)
        driver_enq(made, b"four")
        seen.append(driver_sizeq(made))
        seen.append(driver_deq(made, 4))
        driver_set_timer(made, 1)

    with Emulator(threads=threads, schedulers=2) as erl:
        driver = Accepting(use)
        driver.timeout = lambda data: driver_output(data["port"], b"t")  # type: ignore[method-assign, assignment]
        port = opened(erl, driver)
        erl.port_control(port, 0, b"")
        assert seen == [True, 4, 0]
        assert erl.receive() == (driver.ids[0], ("data", [*b"t"]))


@pytest.mark.rule("port.created-locked")
@pytest.mark.parametrize("how", ["output", "control", "ready_async"])
def test_what_others_send_to_a_created_port_comes_after_the_callback(how: str) -> None:
    def scenario(erl: Emulator) -> tuple[str, ...]:
        order: list[str] = []

        def tell(port: ErlDrvPort, made: ErlDrvPort) -> None:
            erl_drv_send_term(driver_mk_port(port), user, made.id)
            order.append("the callback ends")

        class Told(Accepting):
            def output(self, data: dict[str, Any], buf: memoryview) -> None:
                if bytes(buf) == b"use":
                    order.append("output of the new port")
                elif how == "ready_async":
                    driver_async(data["port"], None, lambda _: None, None, None)
                else:
                    super().output(data, buf)

            def ready_async(self, data: dict[str, Any], job: object) -> None:
                self.accept(data["port"])

        user = erl.spawn(lambda: erl.port_command(erl.receive(), b"use"))
        ref = erl.monitor("process", user)
        port = opened(erl, Told(tell))
        if how == "control":
            erl.port_control(port, 0, b"")
        else:
            erl.port_command(port, b"")
        erl.receive(lambda message: message[1] == ref)
        return tuple(order)

    outcomes = explore(scenario, schedulers=3, limit=1000)
    assert list(outcomes) == [("the callback ends", "output of the new port")], f"{outcomes}"


@both
@pytest.mark.rule("port.created")
def test_a_created_port_may_fail_in_the_callback_that_has_made_it(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        erl.process_flag("trap_exit", True)
        driver = Accepting(lambda port, made: driver_failure_atom(made, "refused"))
        port = opened(erl, driver)
        erl.port_command(port, b"")
        assert erl.receive() == ("EXIT", driver.ids[0], "refused")
        assert erl.ports() == [port]


@both
def test_a_creator_that_fails_leaves_the_port_that_it_has_made(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        erl.process_flag("trap_exit", True)
        driver = Accepting(lambda port, made: driver_failure_eof(port))
        port = opened(erl, driver)
        erl.port_control(port, 0, b"")
        assert erl.receive() == ("EXIT", port, "normal")
        assert erl.ports() == driver.ids


def test_a_created_port_may_create_another_in_the_same_callback() -> None:
    with Emulator(schedulers=2) as erl:
        driver = Accepting()

        def again(port: ErlDrvPort, made: ErlDrvPort) -> None:
            if len(driver.made) < 3:
                driver.accept(made)

        driver.then = again
        port = opened(erl, driver)
        erl.port_control(port, 0, b"")
        assert len(driver.ids) == 3
        assert all(handle_of(erl, made).lock.holder is None for made in driver.ids)


def test_a_port_that_start_has_made_is_there_although_start_refuses() -> None:
    made: list[Any] = []

    def start(port: ErlDrvPort, command: str) -> int:
        made.append(driver_create_port(port, driver_caller(port), "made", None))
        return -1

    with Emulator(schedulers=2) as erl:
        erl.erl_ddll.load_driver(made_of(flags=LOCKING, start=start))
        with pytest.raises(ErlangError, match="einval"):
            erl.open_port(("spawn_driver", "d"))
        assert erl.ports() == [made[0].id]
        erl.port_close(made[0].id)


def test_a_created_port_need_not_be_acknowledged() -> None:
    with Emulator(schedulers=2) as erl:
        driver = scripted(
            lambda port: driver_create_port(port, driver_caller(port), "made", port) and "made",
            flags=LOCKING,
        )
        port = opened(erl, driver)
        handle_of(erl, port).driver.flags |= ERL_DRV_FLAG_USE_INIT_ACK
        do(erl, port, 0)
        assert len(erl.ports()) == 2


# What it cannot be made of.


@both
@pytest.mark.rule("port.created")
def test_no_port_is_made_by_a_closed_one_or_for_a_process_that_has_ended(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        erl.process_flag("trap_exit", True)
        gone = erl.spawn(lambda: None)
        ref = erl.monitor("process", gone)
        erl.receive(lambda message: message[1] == ref)

        def after_failure(port: ErlDrvPort) -> object:
            driver_failure_eof(port)
            return driver_create_port(port, driver_mk, "made", None)

        port = opened(
            erl,
            scripted(
                lambda port: driver_create_port(port, gone, "made", None),
                after_failure,
                flags=LOCKING,
            ),
        )
        driver_mk = erl.self()
        assert [do(erl, port, 0), do(erl, port, 1)] == ["-1", "-1"]
        assert erl.ports() == []


@pytest.mark.parametrize(("release", "flags"), [("25", LOCKING), ("R13B", 0)])
@pytest.mark.rule("port.created")
def test_no_port_is_made_while_the_driver_s_ports_are_killed(release: str, flags: int) -> None:
    with Emulator(release=release) as erl:
        erl.process_flag("trap_exit", True)
        seen: list[object] = []

        def stop(port: ErlDrvPort) -> None:
            seen.append(driver_create_port(port, me, "made", None))

        me = erl.self()
        opened(erl, made_of(flags=flags, stop=stop))
        erl.erl_ddll.unload_driver("d")
        assert seen == [-1]


def test_the_owner_may_end_while_a_port_is_made_for_it() -> None:
    def scenario(erl: Emulator) -> object:
        seen = Box()
        owner = erl.spawn(erl.receive)

        def create(port: ErlDrvPort) -> str:
            seen.put(driver_create_port(port, owner, "made", None))
            return ""

        port = opened(erl, scripted(create, flags=LOCKING))
        erl.send(owner, "end")
        do(erl, port, 0)
        ref = erl.monitor("process", owner)
        erl.receive(lambda message: message[1] == ref)
        made = seen.value != -1
        if made:  # it is told to exit, perhaps only now
            ref = erl.monitor("port", seen.value.id)
            erl.receive(lambda message: message[1] == ref)
        assert erl.ports() == [port]
        assert erl.erl_ddll.info("d", "port_count") == 1
        return made

    outcomes = explore(scenario, schedulers=3)
    assert outcomes.complete
    assert set(outcomes) == {True, False}


def test_no_port_is_made_if_every_slot_of_the_table_is_taken() -> None:
    with Emulator(release=replace(R7B_3, slots=2)) as erl:
        me = erl.self()
        port = opened(erl, scripted(lambda port: driver_create_port(port, me, "made", port)))
        assert do(erl, port, 0).startswith("<ErlDrvPort")
        assert do(erl, port, 0) == "-1"


# One lock for all ports.


@both
@pytest.mark.rule("era.create-port-lock")
def test_a_driver_with_one_lock_would_wait_for_itself(threads: Kind) -> None:
    def story() -> None:
        with Emulator(threads=threads, schedulers=2) as erl:
            me = erl.self()
            port = opened(erl, scripted(lambda port: driver_create_port(port, me, "made", None)))
            do(erl, port, 0)

    with pytest.raises(Misuse, match=r"wait for the driver's lock.* ERL_DRV_FLAG_USE_PORT_LOCKING"):
        story()


@pytest.mark.parametrize("release", [R7B_3, R13B])
@pytest.mark.rule("era.create-port-lock")
def test_until_r15b_it_has_the_lock_already(release: Any) -> None:
    with Emulator(release=release) as erl:
        me = erl.self()
        port = opened(erl, scripted(lambda port: driver_create_port(port, me, "made", port)))
        do(erl, port, 0)
        assert len(erl.ports()) == 2


# What raises.


@both
@pytest.mark.parametrize("how", ["output", "control", "ready_async"])
def test_a_callback_that_crashes_leaves_no_lock_taken(threads: Kind, how: str) -> None:
    handles: list[ErlDrvPort] = []

    def crash(port: ErlDrvPort, *rest: object) -> bytes:
        made = driver_create_port(port, driver_connected(port) or Pid(0), "made", port)
        assert isinstance(made, ErlDrvPort)
        handles.append(made)
        raise KeyError("in the driver")

    def submit(port: ErlDrvPort, buf: memoryview) -> None:
        driver_async(port, None, lambda _: None, None, None)

    callbacks: dict[str, Any] = {"output": submit} if how == "ready_async" else {}

    def story() -> None:
        with Emulator(threads=threads, schedulers=2) as erl:
            port = opened(erl, made_of("d", LOCKING, **{**callbacks, how: crash}))
            if how == "control":
                erl.port_control(port, 0, b"")
            else:
                erl.port_command(port, b"")
            erl.receive(timeout=10_000)

    with pytest.raises(KeyError):
        story()
    assert [made.lock.holder for made in handles] == [None]


@both
def test_a_stop_that_crashes_leaves_no_lock_taken(threads: Kind) -> None:
    handles: list[ErlDrvPort] = []

    def stop(port: ErlDrvPort) -> None:
        if not handles:
            made = driver_create_port(port, driver_connected(port) or Pid(0), "made", port)
            assert isinstance(made, ErlDrvPort)
            handles.append(made)
            raise KeyError("in the driver")

    def story() -> None:
        with Emulator(threads=threads, schedulers=2) as erl:
            port = opened(erl, made_of(flags=LOCKING, stop=stop))
            erl.port_close(port)

    with pytest.raises(KeyError):
        story()
    assert [made.lock.holder for made in handles] == [None]
