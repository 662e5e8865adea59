"""Loading and unloading drivers, with ports open and jobs in flight."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from scripted import Box, made_of
from support import Gate, Kind, Worker, both, on_another_thread, opened, received

from driverref import Emulator, Port, explore
from driverref.erl_driver import (
    ErlDrvPort,
    driver_async,
    driver_connected,
    driver_deq,
    driver_enq,
    driver_failure_atom,
    driver_output,
    driver_send_term,
    driver_set_timer,
    driver_sizeq,
)
from driverref.errors import Deadlock, ErlangError, Misuse
from driverref.explore import Order

PENDING = ("ok", "pending_driver")
OTHERS = ("ok", "pending_process")


@both
def test_load_runs_init_once_and_open_port_finds_the_driver(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        driver = made_of(init=lambda: 0, finish=lambda: None)
        assert erl.erl_ddll.load_driver(driver) == "ok"
        assert erl.erl_ddll.load_driver(driver) == "ok"
        assert erl.erl_ddll.loaded_drivers() == ("ok", ["d"])
        assert erl.open_port(("spawn_driver", "d")) == Port(1)
        assert erl.trace.order("init", "finish") == ["init"]
        assert erl.trace.select("init")[0].detail == "d"


@both
def test_an_init_that_refuses_leaves_nothing_behind(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        refusing = made_of(init=lambda: -1, finish=lambda: None)
        assert erl.erl_ddll.load_driver(refusing) == ("error", "driver_init_failed")
        assert erl.erl_ddll.loaded_drivers() == ("ok", [])
        with pytest.raises(ErlangError, match="no driver 'd' is loaded"):
            erl.open_port(("spawn_driver", "d"))
        assert erl.erl_ddll.load_driver(made_of()) == "ok"
    assert erl.trace.order("init", "finish") == ["init"]


@both
def test_a_name_belongs_to_one_driver_and_one_way_of_loading_it(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        driver = made_of()
        assert erl.erl_ddll.load(driver) == "ok"
        assert erl.erl_ddll.load(made_of()) == ("error", "bad_driver_name")
        assert erl.erl_ddll.load_driver(driver) == ("error", "bad_driver_name")
        assert erl.erl_ddll.unload("d") == "ok"
        assert erl.erl_ddll.load_driver(driver) == "ok"


@both
def test_what_was_loaded_twice_is_unloaded_twice(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        driver = made_of(finish=lambda: None)
        erl.erl_ddll.load(driver)
        erl.erl_ddll.load(driver)
        assert erl.erl_ddll.try_unload("d") == OTHERS
        assert erl.trace.order("finish") == []
        assert erl.erl_ddll.try_unload("d") == PENDING
        assert erl.trace.order("finish") == ["finish"]
        assert erl.erl_ddll.loaded_drivers() == ("ok", [])
        for unload in (erl.erl_ddll.try_unload, erl.erl_ddll.unload, erl.erl_ddll.unload_driver):
            assert unload("d") == ("error", "not_loaded")


@both
def test_who_has_not_loaded_a_driver_cannot_unload_it(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load(made_of())
        answers: list[object] = []

        def stranger() -> None:
            ddll = erl.erl_ddll
            answers.extend([ddll.try_unload("d"), ddll.unload("d"), ddll.unload_driver("d")])

        on_another_thread(erl, stranger)
        assert answers == [("error", "not_loaded_by_this_process")] * 3
        assert erl.erl_ddll.loaded_drivers() == ("ok", ["d"])


@both
@pytest.mark.rule("port.unload-kills")
def test_unload_driver_kills_the_ports_without_flush(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        driver = made_of(
            output=driver_enq,
            flush=lambda port: None,
            stop=lambda port: None,
            finish=lambda: None,
        )
        open_one, closing = opened(erl, driver), opened(erl, driver)
        erl.port_command(open_one, b"x")
        erl.port_command(closing, b"x")
        erl.port_close(closing)
        assert erl.receive() == ("EXIT", closing, "normal")
        erl.erl_ddll.try_unload("d")  # it was loaded twice
        assert erl.erl_ddll.unload_driver("d") == "ok"
        assert received(erl) == [("EXIT", open_one, "driver_unloaded")]
        assert erl.ports() == []
        assert erl.trace.order("flush", "stop", "finish") == ["flush", "stop", "stop", "finish"]


@both
@pytest.mark.rule("port.unload-kills")
def test_a_port_may_be_gone_when_its_turn_comes(threads: Kind) -> None:
    """The first port's `stop` ends the second, whose lock it holds too."""
    handles: list[ErlDrvPort] = []

    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        driver = made_of(
            start=lambda port, command: handles.append(port),
            stop=lambda data: driver_failure_atom(handles[1], "pulled_along"),
        )
        first, second = opened(erl, driver), opened(erl, driver)
        erl.erl_ddll.try_unload("d")
        assert erl.erl_ddll.unload_driver("d") == "ok"
        assert sorted(map(repr, received(erl))) == [
            f"{{'EXIT',{first},driver_unloaded}}",
            f"{{'EXIT',{second},pulled_along}}",
        ]


@both
@pytest.mark.rule("port.unload-kills")
def test_unload_waits_for_the_ports(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        driver = made_of(finish=lambda: None, stop=lambda port: None)
        erl.erl_ddll.load(driver)
        first = erl.open_port(("spawn_driver", "d"))
        ref = erl.erl_ddll.monitor("driver", ("d", "unloaded"))
        assert erl.erl_ddll.unload("d") == "ok"
        second = erl.open_port(("spawn_driver", "d"))  # it is still there
        assert erl.erl_ddll.try_unload("d") == PENDING  # by anybody, as nobody uses it
        erl.port_close(first)
        assert erl.receive(timeout=0) is None
        erl.port_close(second)
        assert erl.receive() == ("DOWN", ref, "driver", "d", "unloaded")
        assert erl.trace.order("stop", "finish") == ["stop", "stop", "finish"]


@both
@pytest.mark.rule("port.unload-kills")
def test_kill_ports_can_be_asked_for(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        erl.erl_ddll.load(made_of())
        port = erl.open_port(("spawn_driver", "d"))
        assert erl.erl_ddll.try_unload("d", ["kill_ports"]) == PENDING
        assert erl.receive() == ("EXIT", port, "driver_unloaded")
        assert erl.erl_ddll.loaded_drivers() == ("ok", [])


@both
@pytest.mark.rule("port.unload-kills")
def test_the_end_of_the_process_that_loaded_it_unloads_it(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        gate = Gate()
        driver = made_of(finish=lambda: None)

        def loader() -> None:
            erl.erl_ddll.load_driver(driver)
            gate.pass_through()

        pid = erl.spawn(loader)
        gate.await_arrival()
        port = erl.open_port(("spawn_driver", "d"))
        other = erl.spawn(lambda: erl.erl_ddll.load_driver(made_of("other")), link=True)
        assert erl.receive() == ("EXIT", other, "normal")
        ref = erl.erl_ddll.monitor("driver", ("d", "unloaded"))
        erl.exit(pid, "kill")
        gate.open()
        assert erl.receive() == ("EXIT", port, "driver_unloaded")
        assert erl.receive() == ("DOWN", ref, "driver", "d", "unloaded")
        assert erl.erl_ddll.loaded_drivers() == ("ok", [])


def loader_and_owner(
    erl: Emulator, how: str, queued: int, reason: str, others: int = 0, job: bool = False
) -> list[Any]:
    """What a process is told that is linked to a port and to the process that loads and owns it.

    That process ends with `reason`, and `kill` is sent to it; `others` processes have loaded the
    driver as well.
    """
    erl.process_flag("trap_exit", True)
    driver, told, gate = Lingering(), Box(), Gate()
    load = getattr(erl.erl_ddll, how)
    for _ in range(others):
        load(driver)

    def loader() -> None:
        load(driver)
        port = erl.open_port(("spawn_driver", "lingering"))
        if queued:
            erl.port_control(port, queued, b"")
        if job:
            erl.port_command(port, b"job")
        told.put(port)
        gate.pass_through()
        erl.exit(reason)

    pid = erl.spawn(loader)
    gate.await_arrival()
    port = told.value
    erl.link(port)
    erl.link(pid)
    if reason == "kill":
        erl.exit(pid, "kill")
    gate.open()
    names = {port: "port", pid: "process"}
    return [(names[who], why) for _, who, why in (erl.receive(), erl.receive())]


class Lingering(Worker):
    """A `Worker` with every callback of its end, whose `control` n puts n bytes into the queue."""

    driver_name = "lingering"

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> bytes:
        driver_enq(port, bytes(command))
        return b""

    def flush(self, port: ErlDrvPort) -> None:
        driver_set_timer(port, 0)

    def timeout(self, port: ErlDrvPort) -> None:
        driver_deq(port, driver_sizeq(port))

    def stop(self, port: ErlDrvPort) -> None:
        owner = driver_connected(port)
        assert owner is not None
        self.in_stop = driver_output(port, b"x"), driver_send_term(port, owner, ())

    def finish(self) -> None:
        pass


REASONS = pytest.mark.parametrize(
    ("reason", "told"), [("normal", "normal"), ("foo", "foo"), ("kill", "killed")]
)


@both
@REASONS
@pytest.mark.parametrize("queued", [0, 1])
@pytest.mark.rule("port.loader-ends")
def test_the_end_of_the_loader_kills_its_own_port_before_its_links_break(
    threads: Kind, queued: int, reason: str, told: str
) -> None:
    """So OTP 25, 27 and 29 were seen to do it, in each of 400 runs."""
    with Emulator(threads=threads) as erl:
        assert loader_and_owner(erl, "load_driver", queued, reason) == [
            ("port", "driver_unloaded"),
            ("process", told),
        ]
        assert erl.trace.order("flush", "stop", "finish") == ["stop", "finish"]


@both
@pytest.mark.parametrize("queued", [0, 1])
@pytest.mark.parametrize(("how", "others"), [("load", 0), ("load_driver", 1), ("load", 1)])
@pytest.mark.rule("port.loader-ends")
def test_else_its_port_closes_as_its_owner_ends(
    threads: Kind, queued: int, how: str, others: int
) -> None:
    with Emulator(threads=threads) as erl:
        told = loader_and_owner(erl, how, queued, "foo", others)
        assert sorted(told) == [("port", "foo"), ("process", "foo")]
        erl.receive(timeout=10)  # for the timer that empties the queue
        callbacks = ["flush"] * queued + ["stop"] + ["finish"] * (not others)
        assert erl.trace.order("flush", "stop", "finish") == callbacks


@both
@pytest.mark.rule("port.loader-ends", "free.unload-waits")
def test_the_driver_of_an_ended_loader_stays_until_its_job_is_done(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        ref = erl.erl_ddll.monitor("driver", ("lingering", "unloaded"))
        erl.receive()  # it is not loaded yet
        loader_and_owner(erl, "load_driver", 1, "foo", job=True)
        ref = erl.erl_ddll.monitor("driver", ("lingering", "unloaded"))
        assert erl.receive() == ("DOWN", ref, "driver", "lingering", "unloaded")
        ends = ("async_return", "ready_async", "async_free", "finish")
        assert erl.trace.order(*ends)[-1] == "finish"


@both
@pytest.mark.rule("port.loader-ends")
def test_a_port_of_another_owner_ends_with_its_loader_too(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        driver, gate = Lingering(), Gate()

        def loader() -> None:
            erl.erl_ddll.load_driver(driver)
            gate.pass_through()

        pid = erl.spawn(loader, link=True)
        gate.await_arrival()
        port = erl.open_port(("spawn_driver", "lingering"))
        erl.port_control(port, 1, b"")
        gate.open()
        assert [erl.receive() for _ in range(4)] == [
            ("EXIT", port, "driver_unloaded"),
            (port, ("data", b"x")),
            (),
            ("EXIT", pid, "normal"),
        ]
        assert erl.trace.order("flush", "stop", "finish") == ["stop", "finish"]


@both
@pytest.mark.rule("port.loader-ends")
def test_what_stop_sends_to_a_loader_that_ends_is_lost(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        driver = Lingering()

        def loader() -> None:
            erl.erl_ddll.load_driver(driver)
            erl.open_port(("spawn_driver", "lingering"))

        pid = erl.spawn(loader, link=True)
        assert erl.receive() == ("EXIT", pid, "normal")
        assert driver.in_stop == (0, 0)


@both
def test_the_answer_to_a_close_comes_before_the_news_that_the_driver_is_gone(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load(made_of())
        port = erl.open_port(("spawn_driver", "d"))
        ref = erl.erl_ddll.monitor("driver", ("d", "unloaded"))
        erl.erl_ddll.unload("d")
        erl.send(port, (erl.self(), "close"))
        assert received(erl) == [(port, "closed"), ("DOWN", ref, "driver", "d", "unloaded")]


def test_of_two_loaders_that_end_at_once_the_last_one_kills_the_port() -> None:
    """In every schedule, and `finish` runs once."""

    def two(erl: Emulator) -> None:
        erl.process_flag("trap_exit", True)
        driver, gates = Lingering(), [Gate(), Gate()]

        def loader(gate: Gate) -> None:
            erl.erl_ddll.load_driver(driver)
            gate.pass_through()

        for number, gate in enumerate(gates, 1):
            erl.spawn(partial(loader, gate), scheduler=number)
            gate.await_arrival()
        port = erl.open_port(("spawn_driver", "lingering"))
        ref = erl.erl_ddll.monitor("driver", ("lingering", "unloaded"))
        for gate in gates:
            gate.open()
        erl.receive(lambda message: message[:2] == ("EXIT", port))
        erl.receive(lambda message: message[:2] == ("DOWN", ref))

    outcomes = explore(two, observe=("flush", "stop", "finish"), schedulers=2)
    assert outcomes.complete
    assert list(outcomes) == [Order(("stop", "finish"))]


@both
def test_a_driver_stays_while_another_process_uses_it(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        driver = made_of()
        erl.erl_ddll.load_driver(driver)
        port = erl.open_port(("spawn_driver", "d"))
        on_another_thread(erl, lambda: erl.erl_ddll.load_driver(driver))  # loads it and ends
        gate, user = Gate(), Box()

        def second() -> None:
            user.put(erl.erl_ddll.load_driver(driver))
            gate.pass_through()

        erl.spawn(second)
        gate.await_arrival()
        assert user.value == "ok"
        assert erl.erl_ddll.try_unload("d", ["kill_ports"]) == OTHERS
        assert erl.ports() == [port]
        assert erl.erl_ddll.unload("d") == ("error", "not_loaded_by_this_process")
        erl.unlink(port)
        gate.open()


class Finishing(Worker):
    """A `Worker` that has a `finish`."""

    def finish(self) -> None:
        assert self.in_finish is None
        self.in_finish = "finished"

    in_finish: str | None = None


@both
@pytest.mark.rule("free.unload-waits", "port.finish-last")
def test_unload_driver_waits_for_the_last_free_and_finish_comes_after_it(threads: Kind) -> None:
    class LettingGo(Finishing):
        def stop(self, port: ErlDrvPort) -> None:
            self.work_gate.open()

    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        driver = LettingGo()
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        erl.port_command(port, b"queued")
        driver.work_gate.await_arrival()
        ref = erl.erl_ddll.monitor("driver", ("worker", "unloaded"))
        assert erl.erl_ddll.unload_driver("worker") == "ok"
        assert driver.in_finish == "finished"
        assert erl.receive() == ("EXIT", port, "driver_unloaded")
        assert erl.receive() == ("DOWN", ref, "driver", "worker", "unloaded")
        names = erl.trace.order("stop", "async_return", "async_free", "finish")
        assert names[0] == "stop"
        assert names[-2:] == ["async_free(2)", "finish"]
        assert sorted(names[1:-2]) == ["async_free(1)", "async_return(1)", "async_return(2)"]


@both
@pytest.mark.rule("free.unload-waits")
def test_a_driver_given_up_with_its_port_open_goes_after_port_and_job(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        driver = Finishing()
        erl.erl_ddll.load(driver)
        port = erl.open_port(("spawn_driver", "worker"))
        erl.port_command(port, b"wait")
        driver.work_gate.await_arrival()
        ref = erl.erl_ddll.monitor("driver", ("worker", "unloaded"))
        erl.erl_ddll.unload("worker")
        erl.port_close(port)
        assert erl.receive(timeout=1) is None
        driver.work_gate.open()
        assert erl.receive() == ("DOWN", ref, "driver", "worker", "unloaded")
        assert erl.trace.order("stop", "async_free", "finish") == ["async_free(1)", "finish"]


@both
@pytest.mark.rule("port.finish-last")
def test_a_job_that_stop_schedules_is_waited_for_too(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)

        def stop(port: ErlDrvPort) -> None:
            driver_async(port, None, lambda data: None, None, lambda data: None)

        port = opened(erl, made_of(stop=stop, finish=lambda: None))
        assert erl.erl_ddll.unload_driver("d") == "ok"
        assert erl.receive() == ("EXIT", port, "driver_unloaded")
        names = ("stop", "async_invoke", "async_free", "finish")
        assert erl.trace.order(*names) == ["stop", "async_invoke(1)", "async_free(1)", "finish"]


@both
def test_loading_it_again_cancels_the_unloading(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        driver = Finishing()
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        driver.work_gate.await_arrival()
        ref = erl.erl_ddll.monitor("driver", ("worker", "unloaded"))
        me, gate = erl.self(), Gate()

        def unload() -> None:
            gate.pass_through()
            erl.erl_ddll.load_driver(driver)
            erl.send(me, erl.erl_ddll.unload_driver("worker"))

        erl.spawn(unload)
        gate.await_arrival()
        assert erl.erl_ddll.try_unload("worker") == PENDING
        assert erl.receive() == ("EXIT", port, "driver_unloaded")
        gate.open()  # the other loads it, and then waits for it to be unloaded
        assert erl.receive() == ("UP", ref, "driver", "worker", "unload_cancelled")
        assert erl.receive(timeout=1) is None
        assert erl.erl_ddll.load_driver(driver) == "ok"
        assert erl.receive() == "ok"  # the other waits no more
        assert erl.open_port(("spawn_driver", "worker")) == Port(2)
        driver.work_gate.open()
    assert erl.trace.order("init", "finish") == ["init", "finish"]


@both
def test_a_monitor_of_what_is_not_loaded_answers_at_once(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        ref = erl.erl_ddll.monitor("driver", ("nobody", "unloaded"))
        message = erl.receive()
        assert repr(message) == f"{{'DOWN',{ref},driver,\"nobody\",unloaded}}"


@both
def test_init_and_finish_are_the_driver_s_code_and_cannot_call_bifs(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        caught: list[Any] = []

        def call() -> None:
            with pytest.raises(Misuse, match=r"ports is Erlang's side; a driver's code") as error:
                erl.ports()
            caught.append(error)

        erl.erl_ddll.load(made_of(init=call, finish=call))
        erl.erl_ddll.unload("d")
        erl.erl_ddll.load(made_of(finish=call))
    assert len(caught) == 3


@pytest.mark.rule("timeout.stuck-thread")
def test_a_job_that_never_returns_keeps_unload_driver_waiting_for_ever() -> None:
    def story() -> None:
        with Emulator() as erl:
            erl.process_flag("trap_exit", True)
            driver = Worker()
            port = opened(erl, driver)
            erl.port_command(port, b"wait")
            erl.erl_ddll.unload_driver("worker")

    with pytest.raises(Deadlock) as caught:
        story()
    waiting = "\n".join(caught.value.waiting)
    assert "process <0.1.0> waits for driver 'worker' to be unloaded" in waiting
    assert "async 1 waits for" in waiting


def test_a_driver_can_be_emptied_by_a_timer_while_it_waits_to_be_unloaded() -> None:
    def timeout(port: ErlDrvPort) -> None:
        driver_deq(port, 1)

    with Emulator() as erl:
        driver = made_of(
            output=lambda port, buf: driver_enq(port, b"x"),
            flush=lambda port: driver_set_timer(port, 100),
            timeout=timeout,
            finish=lambda: None,
        )
        erl.erl_ddll.load(driver)
        port = erl.open_port(("spawn_driver", "d"))
        erl.port_command(port, b"")
        erl.erl_ddll.unload("d")
        erl.port_close(port)
        ref = erl.erl_ddll.monitor("driver", ("d", "unloaded"))
        assert erl.receive() == ("DOWN", ref, "driver", "d", "unloaded")
        assert erl.trace.order("flush", "timeout", "finish") == ["flush", "timeout", "finish"]


def test_who_loads_a_driver_that_waits_to_be_unloaded_has_it_whoever_unloads_it_meanwhile() -> None:
    """As the emulator, which locks its list of drivers for a whole call (`erl_bif_ddll.c:lock_drv_list`)."""

    def scenario(erl: Emulator) -> tuple[object, ...]:
        ddll, driver, me = erl.erl_ddll, made_of(), erl.self()
        ddll.load(driver)
        port = erl.open_port(("spawn_driver", "d"))
        ddll.unload("d")
        ddll.monitor("driver", ("d", "unloaded"))  # whose message takes the loading process time

        def loads() -> None:
            erl.send(me, ("loaded", ddll.load(driver)))
            erl.receive()

        erl.spawn(loads, scheduler=2)
        erl.spawn(lambda: erl.send(me, ("unloaded", ddll.try_unload("d"))), scheduler=1)
        answers = dict(message[:2] for message in (erl.receive() for _ in range(3)))
        erl.port_close(port)
        return str(answers["loaded"]), str(answers["unloaded"]), str(ddll.loaded_drivers())

    answers = ["{ok,pending_driver}", "{error,not_loaded_by_this_process}"]
    expected = {("ok", answer, '{ok,["d"]}') for answer in answers}
    assert set(explore(scenario, schedulers=2)) == expected
