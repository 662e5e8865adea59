"""A process's mailbox, its links and the signals it gets, as the processes of a story see them."""

from __future__ import annotations

from typing import Any

import pytest
from scripted import made_of, steps
from support import Gate, Kind, both, on_another_thread

from driverref import Atom, Emulator, Pid
from driverref.erl_driver import driver_failure_atom, driver_output, set_busy_port
from driverref.errors import Deadlock, ErlangError, ProcessExit
from driverref.threads import running_thread

# The mailbox.


@both
def test_messages_of_one_sender_come_in_order(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        me = erl.self()
        erl.spawn(lambda: [erl.send(me, number) for number in range(5)])
        assert [erl.receive() for _ in range(5)] == [0, 1, 2, 3, 4]


@both
def test_a_selective_receive_leaves_the_others_in_order(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        for message in ("a", "b", "c", "b"):
            erl.send(erl.self(), message)
        assert erl.receive(lambda message: message == "b") == "b"
        assert erl.receive(lambda message: message == "c") == "c"
        assert [erl.receive(), erl.receive()] == ["a", "b"]


@both
def test_what_was_passed_over_is_looked_at_again(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        me = erl.self()
        erl.send(me, "early")
        assert erl.receive(lambda message: message == "late", timeout=0) is None
        erl.spawn(lambda: erl.send(me, "late"))
        assert erl.receive(lambda message: message == "late") == "late"
        assert erl.receive() == "early"


@both
@pytest.mark.rule("timeout.erlang-after")
def test_receive_after_answers_though_the_driver_never_does(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(made_of(output=lambda port, buf: None))
        port = erl.open_port(("spawn_driver", "d"))
        erl.port_command(port, b"are you there?")
        assert erl.receive(timeout=10) is None
        assert erl.receive(lambda message: True, timeout=0) is None


def test_receive_after_waits_as_long_as_it_says() -> None:
    with Emulator() as erl:
        assert erl.receive(timeout=250) is None
        erl.send(erl.self(), "now")
        assert erl.trace[-1].time == 250_000_000


@both
def test_a_message_that_comes_while_a_sender_is_suspended_is_kept(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(
            made_of(
                output=lambda port, buf: set_busy_port(port, 1),
                control=lambda port, command, buf: set_busy_port(port, 0),
            )
        )
        port = erl.open_port(("spawn_driver", "d"))
        me = erl.self()
        erl.port_command(port, b"")

        def help_out() -> None:
            erl.send(me, "first")
            erl.port_control(port, 0, b"")

        erl.spawn(help_out)
        assert erl.port_command(port, b"")
        assert erl.receive() == "first"


def test_waiting_for_a_message_that_nobody_can_send_is_a_deadlock() -> None:
    with Emulator() as erl, pytest.raises(Deadlock) as caught:
        erl.receive()
    waits = "process <0.1.0> waits for a message to <0.1.0>; it stands at test_process.py:"
    assert caught.value.waiting[0].startswith(waits)


# Links and exit signals.


def dies_of(erl: Emulator, pid: Pid) -> object:
    """The reason with which a process ends."""
    ref = erl.monitor("process", pid)
    down: Any = erl.receive(lambda message: message[1] == ref)
    return down[4]


@both
def test_a_process_ends_as_its_function_does(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        gate = Gate()
        held = [
            erl.spawn(gate.pass_through),
            erl.spawn(steps(gate.pass_through, lambda: erl.exit("bored"))),
            erl.spawn(steps(gate.pass_through, lambda: erl.exit((Atom("shutdown"), 7)))),
            erl.spawn(steps(gate.pass_through, lambda: erl.port_info(5))),  # type: ignore[arg-type]
        ]
        refs = [erl.monitor("process", pid) for pid in held]
        for _ in held:
            gate.open()
        downs = {message[1]: message for message in (erl.receive() for _ in held)}
        assert [downs[ref][4] for ref in refs] == ["normal", "bored", ("shutdown", 7), "badarg"]
        assert repr(downs[refs[1]]) == f"{{'DOWN',{refs[1]},process,{held[1]},bored}}"


@both
def test_a_link_takes_the_other_along(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        gate = Gate()

        def child() -> None:
            gate.pass_through()
            erl.exit("oops")

        def parent() -> None:
            erl.spawn(child, link=True)
            erl.receive()

        pid = erl.spawn(parent)
        ref = erl.monitor("process", pid)
        gate.open()
        down: Any = erl.receive()
        assert (down[1], down[4]) == (ref, "oops")


@both
def test_a_normal_end_takes_nobody_along(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        pid = erl.spawn(lambda: None, link=True)
        assert dies_of(erl, pid) in ("normal", "noproc")
        assert erl.self() == Pid(1)


@both
def test_who_traps_exits_gets_a_message(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        assert erl.process_flag("trap_exit", True) is False
        assert erl.process_flag("trap_exit", True) is True
        quiet = erl.spawn(lambda: None, link=True)
        assert erl.receive() == ("EXIT", quiet, "normal")
        loud = erl.spawn(lambda: erl.exit("oops"), link=True)
        assert erl.receive() == ("EXIT", loud, "oops")


@both
def test_kill_cannot_be_trapped_and_kills_the_linked_as_killed(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        gate = Gate()

        def fearless() -> None:
            erl.process_flag("trap_exit", True)
            gate.pass_through()
            erl.receive()

        pid = erl.spawn(fearless)
        gate.await_arrival()
        erl.process_flag("trap_exit", True)
        erl.link(pid)
        erl.exit(pid, "kill")
        gate.open()
        assert erl.receive() == ("EXIT", pid, "killed")


@both
def test_a_link_that_breaks_with_kill_can_be_trapped(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        pid = erl.spawn(lambda: erl.exit("kill"), link=True)
        assert erl.receive() == ("EXIT", pid, "kill")


@both
def test_exit_normal_is_ignored_by_others_but_not_by_oneself(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        pid = erl.spawn(erl.receive)
        ref = erl.monitor("process", pid)
        erl.exit(pid, "normal")
        erl.send(pid, "go")
        assert erl.receive() == ("DOWN", ref, "process", pid, "normal")
        own = erl.spawn(lambda: (erl.exit(erl.self(), "normal"), erl.receive()))
        assert dies_of(erl, own) in ("normal", "noproc")


@both
def test_a_process_that_waits_for_a_message_notices_a_deadly_signal(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        pid = erl.spawn(erl.receive)
        ref = erl.monitor("process", pid)
        erl.exit(pid, "enough")
        assert erl.receive() == ("DOWN", ref, "process", pid, "enough")


@both
def test_the_first_deadly_signal_is_the_reason(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        gate = Gate()
        pid = erl.spawn(steps(gate.pass_through, erl.receive))
        gate.await_arrival()
        ref = erl.monitor("process", pid)
        erl.exit(pid, "first")
        erl.exit(pid, "second")
        gate.open()
        assert erl.receive() == ("DOWN", ref, "process", pid, "first")


@both
def test_the_end_of_a_port_ends_its_owner_unless_it_was_normal(threads: Kind) -> None:
    def refuse(port: Any, buf: memoryview) -> None:
        driver_failure_atom(port, "broken")

    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(made_of(output=refuse))
        erl.port_close(erl.open_port(("spawn_driver", "d")))
        port = erl.open_port(("spawn_driver", "d"))
        with pytest.raises(ProcessExit) as caught:
            erl.port_command(port, b"")
        assert caught.value.reason == "broken"
        with pytest.raises(ProcessExit):
            erl.receive()
        with pytest.raises(ProcessExit):
            erl.stop()
    assert "could not be stopped" in repr(erl)


@both
def test_a_message_to_a_process_that_is_gone_is_dropped(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        pid = erl.spawn(lambda: None)
        dies_of(erl, pid)
        assert erl.send(pid, "anybody?") == "anybody?"
        assert erl.exit(pid, "kill")


@both
def test_a_suspended_sender_can_be_killed(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(
            made_of(
                output=lambda port, buf: set_busy_port(port, 1),
                control=lambda port, command, buf: set_busy_port(port, 0),
            )
        )
        port = erl.open_port(("spawn_driver", "d"))
        erl.port_command(port, b"1")
        pid = erl.spawn(lambda: erl.port_command(port, b"2"))
        ref = erl.monitor("process", pid)
        erl.exit(pid, "kill")
        assert erl.receive() == ("DOWN", ref, "process", pid, "killed")
        erl.port_control(port, 0, b"")
        assert [event.detail for event in erl.trace.select("output")] == [b"1"]


@both
def test_a_process_gets_what_its_port_sent_before_it_broke(threads: Kind) -> None:
    def last_words(port: Any, buf: memoryview) -> None:
        driver_output(port, b"farewell")
        driver_failure_atom(port, "broken")

    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        erl.erl_ddll.load_driver(made_of(output=last_words))
        port = erl.open_port(("spawn_driver", "d"))
        erl.port_command(port, b"")
        assert erl.receive() == (port, ("data", b"farewell"))
        assert erl.receive() == ("EXIT", port, "broken")


@both
def test_an_error_of_a_bif_is_the_reason_of_the_process_that_did_not_catch_it(
    threads: Kind,
) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        caught = []

        def careful() -> None:
            try:
                erl.open_port(("spawn_driver", "nobody"))
            except ErlangError as error:
                caught.append(error.reason)

        on_another_thread(erl, careful, scheduler=2)
        assert caught == ["badarg"]


@pytest.mark.native
def test_a_wait_that_is_broken_off_gives_the_schedulers_work_back() -> None:
    """As by Ctrl-C in `receive`: the scheduler's thread is told of work again, and `stop` comes back."""
    with Emulator(threads="native") as erl:
        process = running_thread.get().process
        work = process.scheduler.work
        while not work.attend(print):
            pass  # the scheduler's thread does not sleep yet
        work.leave()
        with pytest.raises(TypeError):
            process._next("no deadline")
        assert work.attend(print)
        work.leave()
        assert erl.self() == process.pid


@both
def test_no_message_is_lost_if_the_match_raises(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        me = erl.self()
        for message in (("a", 1), 5, ("b", 2)):
            erl.send(me, message)

        def is_b(message: Any) -> bool:
            return bool(message[0] == "b")

        for _ in range(2):  # first from the inbox, then from what was saved
            with pytest.raises(TypeError, match="'int' object is not subscriptable"):
                erl.receive(is_b)
        assert [erl.receive(timeout=0) for _ in range(4)] == [("a", 1), 5, ("b", 2), None]
