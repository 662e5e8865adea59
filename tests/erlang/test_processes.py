"""Erlang's side, processes: what the BIFs of module `erlang` answer and refuse."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from scripted import made_of, steps
from support import Gate, Kind, both, on_another_thread

from driverref import Emulator, Pid, Port, Ref
from driverref.erl_driver import ErlDrvPort, driver_deq, driver_enq
from driverref.errors import ErlangError, Misuse, ProcessExit
from driverref.release import ERAS


@both
def test_the_program_is_the_first_process(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        assert erl.self() == Pid(1)
        assert repr(erl.self()) == "<0.1.0>"


@both
def test_spawned_processes_take_turns_on_the_schedulers(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=2) as erl:
        me = erl.self()
        first, second = (erl.spawn(lambda: erl.send(me, erl.self())) for _ in range(2))
        assert {erl.receive(), erl.receive()} == {first, second}
        lanes = {event.detail: event.thread for event in erl.trace.select("send")}
        assert lanes == {first: "scheduler 2", second: "scheduler 1"}


@both
def test_a_process_can_be_bound_to_a_scheduler(threads: Kind) -> None:
    with Emulator(threads=threads, schedulers=3) as erl:
        me = erl.self()
        for number in (3, 1, 3):
            on_another_thread(erl, lambda: erl.send(me, ("from", "there")), scheduler=number)
        assert [e.thread for e in erl.trace.select("send")] == [
            "scheduler 3",
            "scheduler 1",
            "scheduler 3",
        ]


@both
def test_spawn_hands_over_the_arguments(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        pid = erl.spawn(erl.send, erl.self(), ("hello", 1))
        assert erl.receive() == ("hello", 1)
        assert isinstance(pid, Pid)


@both
def test_exit_ends_the_caller(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        reached = []

        def leave() -> None:
            erl.exit("done")
            reached.append("after exit")

        on_another_thread(erl, leave)
        assert reached == []
        with pytest.raises(ProcessExit, match="over"):
            erl.exit("over")


@both
def test_exit_takes_one_argument_or_two(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        for arguments in ((), (1, 2, 3)):
            with pytest.raises(TypeError, match="exit takes a reason, or a destination and a"):
                erl.exit(*arguments)


@both
def test_exit_of_oneself_does_not_return(threads: Kind) -> None:
    with pytest.raises(ProcessExit) as caught, Emulator(threads=threads) as erl:
        erl.exit(erl.self(), "kill")
    assert caught.value.reason == "killed"


GONE = pytest.mark.parametrize("gone", [Pid(77), Port(77)])


@GONE
@both
@pytest.mark.rule("link.noproc")
def test_link_to_what_is_gone_is_an_exit_if_exits_are_trapped(
    gone: Pid | Port, threads: Kind
) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        assert erl.link(gone)
        assert erl.receive() == ("EXIT", gone, "noproc")


@GONE
@pytest.mark.parametrize("release", [era.name for era in ERAS])
@pytest.mark.rule("link.noproc")
def test_and_raises_noproc_if_they_are_not(gone: Pid | Port, release: str) -> None:
    with Emulator(release=release) as erl:
        with pytest.raises(ErlangError, match=r"noproc: link: .* has ended"):
            erl.link(gone)
        assert erl.process_info(erl.self(), "links") == ("links", [])


@both
@pytest.mark.rule("link.noproc")
def test_a_closing_port_raises_noproc_too(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        port = closing_port(erl)
        erl.receive()
        erl.process_flag("trap_exit", False)
        with pytest.raises(ErlangError, match="noproc"):
            erl.link(port)
        erl.port_control(port, 0, b"")


@both
def test_a_link_to_oneself_is_none(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        assert erl.link(erl.self())
        assert erl.process_info(erl.self(), "links") == ("links", [])


@both
def test_a_process_is_alive_until_it_ends(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        gate = Gate()
        pid = erl.spawn(gate.pass_through)
        gate.await_arrival()
        assert erl.is_process_alive(pid) is True
        assert erl.is_process_alive(erl.self()) is True
        watch = erl.monitor("process", pid)
        gate.open()
        erl.receive(lambda message: message[1] == watch)
        assert erl.is_process_alive(pid) is False
        assert erl.is_process_alive(Pid(77)) is False


@both
def test_where_messages_are_kept_can_be_set(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        assert erl.process_flag("message_queue_data", "off_heap") == "on_heap"
        assert erl.process_flag("message_queue_data", "off_heap") == "off_heap"


@pytest.mark.rule("era.calls")
def test_that_came_with_otp_19() -> None:
    with (
        Emulator(release="R16B") as erl,
        pytest.raises(
            ErlangError, match="undef: process_flag's `message_queue_data`: R16B does not"
        ),
    ):
        erl.process_flag("message_queue_data", "off_heap")


@both
def test_every_reference_is_new(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        refs = {erl.make_ref(), erl.make_ref(), erl.monitor("process", Pid(77))}
        assert len(refs) == 3


def test_the_clock_tells_how_long_a_wait_was() -> None:
    with Emulator() as erl:
        units = ("native", "nanosecond", "microsecond", "millisecond", "second")
        before = [erl.monotonic_time(unit) for unit in units]
        erl.receive(timeout=2000)
        after = [erl.monotonic_time(unit) for unit in units]
        waited = [late - early for early, late in zip(before, after, strict=True)]
        assert waited == [2_000_000_000, 2_000_000_000, 2_000_000, 2_000, 2]


@pytest.mark.rule("era.calls")
def test_the_clock_came_with_otp_18() -> None:
    with (
        Emulator(release="R16B") as erl,
        pytest.raises(ErlangError, match="undef: monotonic_time: R16B does not have it"),
    ):
        erl.monotonic_time()


@both
def test_link_and_unlink_a_port(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)
        erl.erl_ddll.load_driver(made_of())
        port = erl.open_port(("spawn_driver", "d"))
        assert erl.port_info(port, "links") == ("links", [Pid(1)])
        assert erl.unlink(port)
        assert erl.port_info(port, "links") == ("links", [])
        assert erl.link(port)
        erl.port_close(port)
        assert erl.receive() == ("EXIT", port, "normal")
        assert erl.unlink(port)


@both
def test_unlink_keeps_the_other_s_end_away(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        gate = Gate()
        pid = erl.spawn(steps(gate.pass_through, lambda: erl.exit("oops")), link=True)
        erl.unlink(pid)
        ref = erl.monitor("process", pid)
        gate.open()
        assert erl.receive() == ("DOWN", ref, "process", pid, "oops")


@both
def test_a_process_may_link_itself(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        pid = erl.spawn(lambda: (erl.link(erl.self()), erl.exit("oops")))
        ref = erl.monitor("process", pid)
        down: Any = erl.receive()
        assert (down[1], down[4]) in ((ref, "oops"), (ref, "noproc"))


def closing_port(erl: Emulator) -> Port:
    """A port that is closing and stays so until it gets a control."""

    def control(port: ErlDrvPort, command: int, buf: memoryview) -> None:
        driver_deq(port, 1)

    erl.erl_ddll.load_driver(
        made_of(output=lambda port, buf: driver_enq(port, b"x"), control=control)
    )
    port = erl.open_port(("spawn_driver", "d"))
    erl.port_command(port, b"")
    erl.port_close(port)
    return port


@both
def test_a_closing_port_cannot_be_linked_or_monitored(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        port = closing_port(erl)
        erl.process_flag("trap_exit", True)
        ref = erl.monitor("port", port)
        assert erl.receive() == ("DOWN", ref, "port", port, "noproc")
        erl.link(port)
        assert erl.receive() == ("EXIT", port, "noproc")
        erl.port_control(port, 0, b"")
        assert port not in erl.ports()
        assert erl.receive(timeout=0) is None


@both
def test_monitors_tell_the_reason_once_each(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(made_of())
        port = erl.open_port(("spawn_driver", "d"))
        one, other = erl.monitor("port", port), erl.monitor("port", port)
        assert one != other
        assert isinstance(one, Ref)
        erl.port_close(port)
        assert erl.receive() == ("DOWN", one, "port", port, "normal")
        assert erl.receive() == ("DOWN", other, "port", port, "normal")
        late = erl.monitor("port", port)
        assert erl.receive() == ("DOWN", late, "port", port, "noproc")
        assert erl.receive(timeout=0) is None


@both
def test_demonitor_takes_the_monitor_away(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(made_of())
        port = erl.open_port(("spawn_driver", "d"))
        ref, kept = erl.monitor("port", port), erl.monitor("port", port)
        assert erl.demonitor(ref)
        assert erl.demonitor(ref)
        erl.port_close(port)
        assert erl.receive() == ("DOWN", kept, "port", port, "normal")
        assert erl.receive(timeout=0) is None


@both
def test_the_end_of_a_monitored_process_is_told(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        gate = Gate()
        pid = erl.spawn(gate.pass_through)
        ref = erl.monitor("process", pid)
        gate.open()
        assert erl.receive() == ("DOWN", ref, "process", pid, "normal")
        again = erl.monitor("process", pid)
        assert erl.receive() == ("DOWN", again, "process", pid, "noproc")


@both
def test_a_thread_of_nobody_cannot_call(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        caught: list[BaseException] = []

        def stranger() -> None:
            try:
                erl.self()
            except Misuse as error:
                caught.append(error)

        thread = threading.Thread(target=stranger)
        thread.start()
        thread.join()
        told = str(caught[0])
        assert told.startswith(
            "self: this thread is no process of this emulator; call it on the thread"
        )
        assert "; called at test_processes.py:" in told


@both
def test_a_callback_cannot_call_a_bif(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:

        def output(port: Any, buf: object) -> None:
            for call in (erl.self, erl.receive, lambda: erl.port_command(Port(1), b"")):
                with pytest.raises(Misuse, match="is Erlang's side; a driver's code"):
                    call()

        erl.erl_ddll.load_driver(made_of(output=output, stop=lambda port: output(port, b"")))
        port = erl.open_port(("spawn_driver", "d"))
        assert erl.port_command(port, b"")
        assert erl.port_command(port, [b""])
        assert erl.self() == Pid(1)
        erl.port_close(port)
        assert erl.self() == Pid(1)


@both
def test_a_failing_bif_changes_nothing(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.send(erl.self(), "kept")
        before = len(erl.trace)
        with pytest.raises(ErlangError):
            erl.monitor("process", Port(1))  # a port is no process
        with pytest.raises(ErlangError):
            erl.monitor("time_offset", Pid(1))
        assert len(erl.trace) == before
        assert erl.receive() == "kept"


@pytest.mark.native
@pytest.mark.parametrize("link", [False, True])
def test_a_process_that_gets_no_thread_is_not_there(link: bool) -> None:
    with Emulator(threads="native") as erl:
        before = threading.stack_size(1 << 47)  # more than there are addresses
        try:
            with pytest.raises(ErlangError, match="system_limit.*can't start new thread"):
                erl.spawn(print, link=link)
        finally:
            threading.stack_size(before)
        assert erl.spawn(print) == Pid(3)
