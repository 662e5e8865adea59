"""What a driver sends: which call may be made by whom, what it returns, and what arrives."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from scripted import Box, made_of
from support import Gate, Kind, Signal, Worker, binary_of, both, opened, received, vector_of

from driverref import Atom, Emulator, Pid, Port, erl_driver, explore
from driverref.erl_driver import (
    ErlDrvPDL,
    ErlDrvPort,
    ErlIOVec,
    SysIOVec,
    driver_alloc,
    driver_async,
    driver_binary_get_refc,
    driver_caller,
    driver_connected,
    driver_deq,
    driver_enq,
    driver_enqv,
    driver_failure_atom,
    driver_failure_eof,
    driver_free,
    driver_free_binary,
    driver_mk_atom,
    driver_mk_port,
    driver_mk_term_nil,
    driver_output,
    driver_output2,
    driver_output_binary,
    driver_output_term,
    driver_outputv,
    driver_pdl_create,
    driver_pdl_lock,
    driver_pdl_unlock,
    driver_pushqv,
    driver_send_term,
    driver_set_timer,
    driver_term_nil,
    driver_vec_to_buf,
    erl_drv_output_term,
    erl_drv_send_term,
    memset,
)
from driverref.errors import Leak, Misuse, OutOfBounds, UseAfterFree
from driverref.explore import Order
from driverref.runtime.port_state import CLOSED
from driverref.terms import ImproperList


def in_callback(threads: Kind, act: Callable[[ErlDrvPort], object], **options: Any) -> list[Any]:
    """The messages that come when a callback does `act(port)`, and last what `act` returned."""
    with Emulator(threads=threads) as erl:
        box = Box()
        driver = made_of(output=lambda port, buf: box.put(act(port)))
        erl.erl_ddll.load_driver(driver)
        erl.port_command(erl.open_port(("spawn_driver", "d"), **options), b"")
        return [*received(erl), box.value]


P = Port(1)


@both
def test_data_of_any_shape_is_copied_and_sent(threads: Kind) -> None:
    def act(port: ErlDrvPort) -> list[int]:
        block = memset(driver_alloc(2), ord("m"), 2)
        held = binary_of(b"bin")
        lent = bytearray(b"array")
        sent = [driver_output(port, data) for data in (b"", b"x", lent, memoryview(b"v"), block)]
        sent.append(driver_output(port, held))
        lent[:] = b"other"
        driver_free(block)
        driver_free_binary(held)
        return sent

    got = in_callback(threads, act)
    assert [message[1] for message in got[:-1]] == [
        ("data", data) for data in (b"", b"x", b"array", b"v", b"mm", b"bin")
    ]
    assert got[-1] == [0] * 6


@both
def test_a_port_that_was_not_opened_as_binary_sends_lists(threads: Kind) -> None:
    def act(port: ErlDrvPort) -> list[int]:
        return [driver_output(port, b"ab"), driver_output2(port, b"a", b"b")]

    expected = (P, ("data", [97, 98]))
    assert in_callback(threads, act, options=[]) == [expected, expected, [0, 0]]


@both
@pytest.mark.rule("header.output-list")
def test_a_header_is_a_list_and_the_data_is_its_tail(threads: Kind) -> None:
    def act(port: ErlDrvPort) -> list[int]:
        held = binary_of(b"0123456789")
        sent = [
            driver_output2(port, b"hd", bytearray(b"tail")),
            driver_output2(port, b"hd", b""),
            driver_output_binary(port, b"hd", held, 2, 3),
            driver_output_binary(port, b"", held, 0, 10),
            driver_outputv(port, b"hd", vector_of(b"abc", b"def")),
            driver_outputv(port, b"", vector_of(b"abc", b"def")),
            driver_outputv(port, b"", vector_of(b"abc", b"def"), 4),
            driver_outputv(port, b"hd", vector_of(b"abc"), 3),
            driver_outputv(port, b"", vector_of(b"", b"abc", b"")),
        ]
        driver_free_binary(held)
        return sent

    *got, returned = in_callback(threads, act)
    assert [repr(message[1][1]) for message in got] == [
        '[104,100|<<"tail">>]',
        "[104,100|<<>>]",
        '[104,100|<<"234">>]',
        repr(b"0123456789"),
        '[104,100,<<"abc">>|<<"def">>]',
        '[<<"abc">>|<<"def">>]',
        repr(b"ef"),
        "[104, 100]",
        '[<<"abc">>|<<>>]',  # an empty element 0 is left out, any other is an empty binary
    ]
    assert returned == [0] * 9
    *lists, _ = in_callback(threads, act, options=[])
    assert [bytes(message[1][1]) for message in lists] == [
        *(b"hdtail", b"hd", b"hd234", b"0123456789"),
        *(b"hdabcdef", b"abcdef", b"ef", b"hd", b"abc"),
    ]


@both
def test_null_is_no_data_at_all(threads: Kind) -> None:
    """Even where data would arrive as a binary, NULL arrives as the list of the header alone."""

    def act(port: ErlDrvPort) -> list[int]:
        return [
            driver_output(port, None),
            driver_output2(port, None, None),
            driver_output2(port, b"h", None),
            driver_output2(port, None, b"data"),
            driver_output_binary(port, None, None, 0, 0),
            driver_outputv(port, None, vector_of(b"abc")),
            driver_outputv(port, None, vector_of()),
        ]

    got = in_callback(threads, act)
    data = [message[1][1] for message in got[:-1]]
    assert data == [[], [], [104], b"data", b"", b"abc", []]
    assert got[-1] == [0] * 7


@both
def test_all_that_is_sent_without_a_trace_too(threads: Kind) -> None:
    with Emulator(threads=threads, trace=False) as erl:

        def output(port: ErlDrvPort, buf: memoryview) -> None:
            driver_output2(port, b"a", b"b")
            driver_output(port, b"c")
            driver_output_term(port, "d")

        port = opened(erl, made_of(output=output))
        erl.port_command(port, b"")
        data = ImproperList([97, b"b"])
        assert received(erl) == [(port, ("data", data)), (port, ("data", b"c")), "d"]


@both
def test_terms_arrive_as_erlang_would_have_them(threads: Kind) -> None:
    def act(port: ErlDrvPort) -> int:
        held = binary_of(b"bin")
        owner = driver_connected(port)
        assert owner is not None
        nested = (driver_mk_port(port), "ok", [1, 2.5, held], {"key": (b"x", True)}, owner)
        sent = driver_output_term(port, nested) + driver_send_term(port, owner, nested)
        driver_free_binary(held)
        return sent

    first, second, returned = in_callback(threads, act)
    assert repr(first) == '{#Port<0.1>,ok,[1,2.5,<<"bin">>],#{key => {<<"x">>,true}},<0.1.0>}'
    assert first == second
    assert isinstance(first[1], Atom)
    assert returned == 2


@both
def test_an_atom_is_made_of_its_name(threads: Kind) -> None:
    def act(port: ErlDrvPort) -> int:
        names = ("ok", "", "\xe4", "x" * 256)
        return driver_output_term(port, tuple(driver_mk_atom(name) for name in names))

    sent, _ = in_callback(threads, act)
    assert sent == (Atom("ok"), Atom(""), Atom("\xe4"), Atom("x" * 255))
    assert all(isinstance(part, Atom) for part in sent)


@both
def test_an_atom_is_made_in_a_callback_only(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        box = Box()

        def work(data: object) -> None:
            with pytest.raises(Misuse, match="driver_mk_atom: only a callback may call it, not as"):
                driver_mk_atom("ok")
            box.put("refused")

        driver = made_of(output=lambda port, buf: driver_async(port, None, work, None))
        erl.port_command(opened(erl, driver), b"")
        with pytest.raises(Misuse, match="only a callback may call it, not process <0.1.0>"):
            driver_mk_atom("ok")
        erl.stop()
        assert box.value == "refused"


@both
@pytest.mark.rule("binary.sent-still-ours")
def test_a_binary_that_was_sent_is_still_the_drivers(threads: Kind) -> None:
    def outputv(port: ErlDrvPort, ev: ErlIOVec) -> None:
        held = binary_of(b"x" * 100)
        whole = ErlIOVec(1, 100, [SysIOVec(held.orig_bytes, 100)], [held])
        sent = driver_output_binary(port, None, held, 0, 100), driver_outputv(port, None, whole)
        assert sent == (0, 0)
        assert driver_binary_get_refc(held) == 1

    def sent() -> None:
        with Emulator(threads=threads) as erl:
            erl.port_command(opened(erl, made_of(outputv=outputv)), b"x")

    with pytest.raises(Leak, match="1 block never freed"):
        sent()


def three_sends(port: ErlDrvPort, other: Pid) -> list[int]:
    """What the calls return that may be made in a callback only."""
    ev = vector_of(b"x")
    held = binary_of(b"x")
    answers = [
        driver_output(port, b"x"),
        driver_output2(port, b"x", b"x"),
        driver_output_binary(port, b"", held, 0, 1),
        driver_outputv(port, b"", ev),
        driver_output_term(port, "x"),
        driver_send_term(port, other, "x"),
    ]
    driver_free_binary(held)
    return answers


def any_sends(port: Port, other: Pid) -> list[int]:
    """What the calls return that any thread may make."""
    return [erl_drv_output_term(port, "x"), erl_drv_send_term(port, other, "x")]


@both
def test_a_closing_port_drops_what_it_sends(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        box = Box()

        def control(port: ErlDrvPort, command: int, buf: memoryview) -> None:
            box.put(three_sends(port, me) + any_sends(port.id, me))
            driver_deq(port, 1)

        port = opened(erl, made_of(output=driver_enq, control=control))
        me = erl.self()
        erl.port_command(port, b"x")
        erl.port_close(port)
        erl.port_control(port, 0, b"")
        assert box.value == [0, 0, 0, 0, 0, 0, 0, 0]
        assert received(erl) == []


@both
def test_of_a_port_that_is_gone_every_call_is_minus_one(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.unlink(Port(1))
        boxes = Box(), Box()

        def output(port: ErlDrvPort, buf: memoryview) -> None:
            driver_failure_eof(port)
            boxes[0].put(three_sends(port, me) + any_sends(port.id, me))

        me = erl.self()
        dead: list[ErlDrvPort] = []
        driver = made_of(output=output, stop=dead.append)
        erl.port_command(opened(erl, driver), b"")
        assert boxes[0].value == [-1] * 8

        def elsewhere(port: ErlDrvPort, buf: memoryview) -> None:  # in a callback of another driver
            boxes[1].put(three_sends(dead[0], me))

        erl.port_command(opened(erl, made_of("other", output=elsewhere)), b"")
        assert boxes[1].value == [-1] * 6
        assert received(erl) == []


@both
def test_what_stop_sends_is_delivered(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.process_flag("trap_exit", True)

        def stop(port: ErlDrvPort) -> None:
            box.put([driver_output(port, b"bye"), erl_drv_output_term(port.id, "bye")])

        box = Box()
        port = opened(erl, made_of(stop=stop))
        erl.port_close(port)
        assert received(erl) == [("EXIT", port, "normal"), (port, ("data", b"bye")), "bye"]
        assert box.value == [0, 1]


@both
def test_a_receiver_that_is_gone_is_zero(threads: Kind) -> None:
    gone = Pid(99)

    def act(port: ErlDrvPort) -> list[int]:
        return [driver_send_term(port, gone, ()), erl_drv_send_term(port.id, gone, ())]

    assert in_callback(threads, act) == [[0, 0]]


@both
def test_start_may_send_before_the_port_is_open(threads: Kind) -> None:
    def start(port: ErlDrvPort, command: str) -> ErlDrvPort:
        driver_output(port, b"from start")
        erl_drv_output_term(port.id, "and a term")
        return port

    with Emulator(threads=threads) as erl:
        port = opened(erl, made_of(start=start))
        assert received(erl) == [(port, ("data", b"from start")), "and a term"]


# Which thread.


class Sending(Worker):
    """A job that sends, and a `ready_async` that sends too."""

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        self.port = driver_mk_port(port)
        self.handle = port
        return port

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        self.caller = driver_caller(port)
        self.returned: list[int] = []
        driver_async(port, None, self.send, bytes(buf), None)

    def send(self, text: bytes) -> None:
        if text == b"wait":
            self.work_gate.pass_through()
        self.returned += [
            erl_drv_output_term(self.port, ("job", text)),
            erl_drv_send_term(self.port, self.caller, ("job", text)),
        ]

    def ready_async(self, port: ErlDrvPort, text: Any) -> None:
        erl_drv_send_term(self.port, self.caller, ("ready", text))


@both
@pytest.mark.rule("flow.any-thread-sends", "flow.term-before-ready")
def test_a_job_may_send_terms_and_they_come_before_those_of_ready_async(threads: Kind) -> None:
    with Emulator(threads=threads, async_threads=4) as erl:
        driver = Sending()
        port = opened(erl, driver)
        for number in range(20):
            erl.port_command(port, b"%d" % number)
            got = [erl.receive() for _ in range(3)]
            assert [message[0] for message in got] == ["job", "job", "ready"]
            assert driver.returned == [1, 1]
        lanes = {event.thread for event in erl.trace.select("erl_drv_output_term")}
        assert lanes <= {f"async {number}" for number in range(1, 5)}


@both
@pytest.mark.rule("flow.any-thread-sends")
def test_after_the_port_is_closed_a_job_sends_nothing(threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        driver = Sending()
        port = opened(erl, driver)
        erl.port_command(port, b"wait")
        driver.work_gate.await_arrival()
        erl.port_close(port)
        driver.work_gate.open()
    assert driver.returned == [-1, -1]


@both
@pytest.mark.rule("flow.any-thread-sends")
@pytest.mark.parametrize(
    "send",
    [
        lambda port: driver_output(port, b"x"),
        lambda port: driver_output2(port, b"", b"x"),
        lambda port: driver_outputv(port, b"", vector_of()),
        lambda port: driver_output_term(port, "x"),
        lambda port: driver_send_term(port, Pid(1), "x"),
    ],
    ids=["output", "output2", "outputv", "output_term", "send_term"],
)
def test_what_needs_the_lock_is_misuse_on_an_async_thread(
    threads: Kind, send: Callable[[ErlDrvPort], int]
) -> None:
    caught: list[str] = []

    class Wrong(Sending):
        def send(self, text: bytes) -> None:
            with pytest.raises(Misuse) as error:
                send(self.handle)
            caught.append(str(error.value))

        def ready_async(self, port: ErlDrvPort, text: Any) -> None:
            driver_output(port, b"done")

    with Emulator(threads=threads) as erl:
        port = opened(erl, Wrong())
        erl.port_command(port, b"")
        assert erl.receive() == (port, ("data", b"done"))
    said, _, place = caught[0].partition("; called at ")
    assert said.endswith("only a callback of #Port<0.1> may call it, not async 1")
    assert place.startswith("test_output.py:")


@both
def test_a_callback_of_one_driver_cannot_send_for_a_port_of_another(threads: Kind) -> None:
    handles: list[ErlDrvPort] = []

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        with pytest.raises(Misuse, match="scheduler 1 does not run a callback of #Port<0.1>"):
            driver_output(handles[0], b"x")

    with Emulator(threads=threads) as erl:
        opened(erl, made_of("first", start=lambda port, command: handles.append(port)))
        erl.port_command(opened(erl, made_of("second", output=output)), b"")
        assert received(erl) == []


@both
def test_a_callback_may_send_for_another_port_under_the_same_lock(threads: Kind) -> None:
    handles: list[ErlDrvPort] = []

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        driver_output(handles[0], b"by proxy")

    with Emulator(threads=threads) as erl:
        driver = made_of(start=lambda port, command: handles.append(port), output=output)
        first, second = opened(erl, driver), opened(erl, driver)
        erl.port_command(second, b"")
        assert received(erl) == [(first, ("data", b"by proxy"))]


@both
@pytest.mark.rule("flow.caller-not-valid")
def test_nobody_has_called_in_ready_async_timeout_or_stop(threads: Kind) -> None:
    refused: list[str] = []

    def ask(port: ErlDrvPort) -> None:
        with pytest.raises(Misuse, match="keep the pid when you schedule the job") as error:
            driver_caller(port)
        refused.append(str(error.value))

    class Asking(Worker):
        def ready_async(self, port: ErlDrvPort, job: Any) -> None:
            ask(port)
            super().ready_async(port, job)

        def stop(self, port: ErlDrvPort) -> None:
            ask(port)

    with Emulator(threads=threads) as erl:
        port = opened(erl, Asking())
        erl.port_command(port, b"x")
        erl.receive()
        erl.port_close(port)
    assert len(refused) == 2


@both
@pytest.mark.rule("flow.caller-not-valid")
def test_the_opener_has_not_called_in_a_timeout_that_start_has_set(threads: Kind) -> None:
    """No command comes between the two, which would end the opener's call as well."""
    refused = Box()

    def start(port: ErlDrvPort, command: str) -> ErlDrvPort:
        driver_set_timer(port, 1)
        return port

    def timeout(port: ErlDrvPort) -> None:
        with pytest.raises(Misuse, match="keep the pid when you schedule the job") as error:
            driver_caller(port)
        refused.put(error.value)
        driver_output(port, b"asked")

    with Emulator(threads=threads) as erl:
        opened(erl, made_of(start=start, timeout=timeout))
        erl.receive()
    assert refused.value


@both
def test_start_output_control_and_call_know_their_caller(threads: Kind) -> None:
    callers: list[Pid] = []

    def start(port: ErlDrvPort, command: str) -> ErlDrvPort:
        callers.append(driver_caller(port))
        return port

    driver = made_of(
        start=start,
        output=lambda port, buf: callers.append(driver_caller(port)),
        control=lambda port, command, buf: callers.append(driver_caller(port)),
        call=lambda port, command, term: callers.append(driver_caller(port)) or 1,  # type: ignore[func-returns-value]
    )
    with Emulator(threads=threads) as erl:
        gate = Gate()
        port = opened(erl, driver)

        def other() -> None:
            erl.port_command(port, b"")
            erl.port_control(port, 0, b"")
            erl.port_call(port, 0, ())
            gate.pass_through()

        pid = erl.spawn(other)
        gate.await_arrival()
        assert callers == [erl.self(), pid, pid, pid]
        gate.open()


@both
def test_a_call_that_fails_sends_nothing(threads: Kind) -> None:
    def act(port: ErlDrvPort) -> list[str]:
        held = binary_of(b"0123")
        ev = vector_of(b"abc")
        errors = []
        calls: list[Callable[[], object]] = [
            lambda: driver_output(port, "text"),
            lambda: driver_output_binary(port, b"", held, 2, 3),
            lambda: driver_output_binary(port, b"", held, -1, 1),
            lambda: driver_outputv(port, b"", ev, 4),
            lambda: driver_output_term(port, (1, [object()])),
        ]
        for call in calls:
            try:
                call()
            except (TypeError, ValueError, OutOfBounds) as error:
                errors.append(str(error))
        driver_free_binary(held)
        return errors

    messages = in_callback(threads, act)
    assert len(messages) == 1
    assert len(messages[0]) == 5
    outside = "driver_output_binary: bytes 2 to 5 are outside of <binary of 4 bytes allocated at "
    assert messages[0][1].startswith(outside)
    assert messages[0][3] == "driver_outputv: skip must be bytes from 0 to 3, not 4"


@pytest.mark.parametrize(
    "use",
    [
        lambda port, ev: driver_outputv(port, b"", ev),
        driver_enqv,
        driver_pushqv,
        lambda port, ev: driver_vec_to_buf(ev, bytearray(4), 4),
    ],
)
def test_a_vector_is_lent_for_the_call(use: Callable[[ErlDrvPort, ErlIOVec], object]) -> None:
    kept: list[ErlIOVec] = []

    def outputv(port: ErlDrvPort, ev: ErlIOVec) -> None:
        kept.append(ev)
        if len(kept) == 2:
            use(port, kept[0])

    with Emulator() as erl:
        port = opened(erl, made_of(outputv=outputv))
        erl.port_command(port, b"first")
        with pytest.raises(UseAfterFree, match="lent for the call only"):
            erl.port_command(port, b"second")


@both
@pytest.mark.rule("header.atoms")
def test_an_atom_is_made_in_a_callback_and_may_be_kept(threads: Kind) -> None:
    """In `init`, `start` and `output`; its name is cut, and a term has it as Erlang would."""
    made: list[Atom] = []

    def init() -> None:
        made.append(driver_mk_atom("from_init"))

    def act(port: ErlDrvPort) -> None:
        made.append(driver_mk_atom("a" * 300))
        made.append(driver_mk_atom(""))
        driver_output_term(port, (*made, driver_mk_atom("\xe9t\xe9")))

    with Emulator(threads=threads) as erl:
        port = opened(erl, made_of(init=init, output=lambda port, buf: act(port)))
        erl.port_command(port, b"")
        assert erl.receive() == ("from_init", "a" * 255, "", "\xe9t\xe9")
    assert all(type(atom) is Atom for atom in made)


@both
@pytest.mark.rule("header.atoms")
@pytest.mark.parametrize("where", ["a job", "a process"])
def test_only_a_callback_makes_an_atom(threads: Kind, where: str) -> None:
    def output(port: ErlDrvPort, buf: memoryview) -> None:
        driver_async(port, None, lambda job: driver_mk_atom("x"), None)

    def scenario() -> None:
        with Emulator(threads=threads) as erl:
            port = opened(erl, made_of(output=output))
            if where == "a process":
                driver_mk_atom("x")
            erl.port_command(port, b"")
            erl.receive()

    with pytest.raises(Misuse, match="driver_mk_atom: only a callback may call it, not "):
        scenario()


def test_a_failure_s_atom_is_cut_as_any_other() -> None:
    def output(port: ErlDrvPort, buf: memoryview) -> None:
        driver_failure_atom(port, "a" * 300)

    with Emulator() as erl:
        erl.process_flag("trap_exit", True)
        port = opened(erl, made_of(output=output))
        erl.port_command(port, b"")
        assert erl.receive() == ("EXIT", port, "a" * 255)


def test_an_improper_list_may_be_sent() -> None:
    def act(port: ErlDrvPort) -> int:
        return driver_output_term(port, ImproperList(["a", 1, b"tail"]))

    message, sent = in_callback("simulated", act)
    assert (repr(message), sent) == ('[a,1|<<"tail">>]', 1)


def test_each_call_can_be_observed() -> None:
    calls = [
        f for f in vars(erl_driver) if re.match("driver_(output|send)|erl_drv_(output|send)", f)
    ]

    def scenario(erl: Emulator) -> None:
        def act(port: ErlDrvPort) -> None:
            held = binary_of(b"bin")
            driver_output(port, b"x")
            driver_output2(port, b"x", b"x")
            driver_output_binary(port, b"x", held, 0, 3)
            driver_outputv(port, b"x", vector_of())
            driver_output_term(port, (1,))
            driver_send_term(port, driver_caller(port), (1,))
            erl_drv_output_term(port.id, (1,))
            erl_drv_send_term(port.id, driver_caller(port), (1,))
            driver_free_binary(held)

        port = opened(erl, made_of(output=lambda port, buf: act(port)))
        erl.port_command(port, b"")

    (order,) = explore(scenario, observe=calls)
    assert isinstance(order, Order)
    assert sorted(order) == sorted(calls)


@both
def test_without_a_trace_the_same_is_sent(threads: Kind) -> None:
    def output(port: ErlDrvPort, buf: memoryview) -> None:
        driver_output(port, b"one")
        driver_output2(port, b"t", b"wo")

    with Emulator(threads=threads, trace=False) as erl:
        port = opened(erl, made_of(output=output))
        erl.port_command(port, b"")
        two = ImproperList([116, b"wo"])
        assert received(erl) == [(port, ("data", b"one")), (port, ("data", two))]
        assert len(erl.trace) == 0


def test_a_port_that_has_stopped_but_waits_for_its_data_lock_sends_nothing() -> None:
    """`stop` has returned; the queue cannot be emptied yet, because a job holds the port data lock.

    Only simulated threads always stand there when the job goes on.
    """
    answers: list[int] = []

    def work(port: ErlDrvPort) -> None:
        assert isinstance(port.pdl, ErlDrvPDL)
        driver_pdl_lock(port.pdl)
        locked.pass_through()
        stopped.wait()
        assert port.state.value is CLOSED
        answers.extend(any_sends(port.id, me))
        driver_pdl_unlock(port.pdl)

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        driver_pdl_create(port)
        driver_async(port, None, work, port)

    with Emulator(schedulers=2) as erl:
        me = erl.self()
        locked, stopped = Gate(), Signal()
        port = opened(erl, made_of(output=output, stop=lambda port: stopped.give()))
        erl.port_command(port, b"")
        locked.await_arrival()
        locked.open()
        erl.port_close(port)
        assert received(erl) == []
    assert answers == [-1, -1]


@both
@pytest.mark.rule("header.atoms")
def test_the_empty_list_is_a_term_as_any_other(threads: Kind) -> None:
    def output(port: ErlDrvPort, buf: memoryview) -> None:
        driver_output_term(port, (driver_mk_atom("none"), driver_mk_term_nil(), driver_term_nil))

    with Emulator(threads=threads) as erl:
        erl.port_command(opened(erl, made_of(output=output)), b"")
        assert erl.receive() == ("none", [], [])
