"""Random scenarios: a driver that does what its commands say, and processes that close and halt."""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import strategies as st
from support import Job, new_job, opened

from driverref import Driver, Emulator, Port, Struct
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    driver_alloc,
    driver_async,
    driver_caller,
    driver_cancel_timer,
    driver_deq,
    driver_enq,
    driver_failure_atom,
    driver_free,
    driver_monitor_process,
    driver_output,
    driver_set_timer,
    driver_sizeq,
    set_busy_port,
)
from driverref.errors import ErlangError

EVENTS = ("async_invoke", "ready_async", "async_free", "timeout", "stop", "finish", "halt")


class Tally(Struct):
    """A port's state."""

    port: object
    count: int


class Kitchen(Driver):
    """Does at once what the first letter of a command says."""

    driver_name = "kitchen"

    def __init__(self, flags: int = 0) -> None:
        self.driver_flags = flags  # type: ignore[misc]

    def start(self, port: ErlDrvPort, command: str) -> Tally:
        state = driver_alloc(Tally)
        assert state is not None
        state.port, state.count = port, 0
        return state

    def stop(self, state: Tally) -> None:
        driver_free(state)

    def output(self, state: Tally, buf: memoryview) -> None:
        state.count += 1
        port: Any = state.port
        match chr(buf[0]):
            case "0" | "1" as key:
                driver_async(port, int(key), self.work, new_job(b"%d" % state.count), driver_free)
            case "o":
                driver_output(port, b"%d" % state.count)
            case "t":
                driver_set_timer(port, 1)
            case "T":
                driver_set_timer(port, 0)
            case "x":
                driver_cancel_timer(port)
            case "b":
                set_busy_port(port, 1)
                driver_set_timer(port, 0)
            case "f":
                driver_failure_atom(port, "failed")
            case "q":
                driver_enq(port, b"q")
            case "d":
                driver_deq(port, driver_sizeq(port))
            case "m":
                driver_monitor_process(port, driver_caller(port))

    def control(self, state: Tally, command: int, buf: memoryview) -> bytes:
        set_busy_port(state.port, command)  # type: ignore[arg-type]
        return bytes((state.count,))

    def timeout(self, state: Tally) -> None:
        port: Any = state.port
        state.count += 10
        set_busy_port(port, 0)
        driver_output(port, b"time %d" % state.count)

    def flush(self, state: Tally) -> None:
        port: Any = state.port
        driver_deq(port, driver_sizeq(port))

    def process_exit(self, state: Tally, monitor: object) -> None:
        driver_output(state.port, b"exit")  # type: ignore[arg-type]

    def work(self, job: Job) -> None:
        job.text += b" done"

    def ready_async(self, state: Tally, job: Job) -> None:
        driver_output(state.port, b"%s of %d" % (job.text, state.count))  # type: ignore[arg-type]
        driver_free(job)


Action = tuple[Any, ...]


class Lives(NamedTuple):
    """A scenario: the first process and some others, each with a list of what it does.

    The first opens the ports, waits for the others, and returns what it saw.
    """

    flags: int
    ports: int
    lists: list[list[Action]]

    def __call__(self, erl: Emulator) -> object:
        return Living(erl, *self).live_all()


class Living:
    """One run of `Lives`."""

    def __init__(self, erl: Emulator, flags: int, ports: int, lists: list[list[Action]]) -> None:
        self.erl, self.lists = erl, lists
        self.driver: Driver = Kitchen(flags)
        self.opened = [opened(erl, self.driver) for _ in range(ports)]
        self.first = erl.self()

    def live_all(self) -> object:
        erl, seen = self.erl, list[object]()
        erl.process_flag("trap_exit", True)
        schedulers, others = erl.system_info("schedulers"), range(1, len(self.lists))
        pids = [erl.spawn(self.live, who, scheduler=1 + who % schedulers) for who in others]
        refs = [erl.monitor("process", pid) for pid in pids]
        for action in self.lists[0]:
            seen.append(self.do(*action))
            if action[0] == "halt":
                return tuple(seen)
        for ref in refs:
            while (message := erl.receive())[1] != ref:
                seen.append(str(message))
        return tuple(seen)

    def live(self, who: int) -> None:
        seen = tuple(self.do(*action) for action in self.lists[who])
        self.erl.send(self.first, (f"process {who}", seen))

    def do(self, name: str, *arguments: Any) -> str:
        try:
            return str(getattr(self, name)(*arguments))
        except ErlangError as error:
            return error.reason

    def port(self, number: int) -> Port:
        return self.opened[number % len(self.opened)]

    def command(self, number: int, what: bytes) -> object:
        return self.erl.port_command(self.port(number), what)

    def nosuspend(self, number: int, what: bytes) -> object:
        return self.erl.port_command(self.port(number), what, ["nosuspend"])

    def send(self, number: int, what: bytes) -> object:
        return self.erl.send(self.port(number), (self.first, ("command", what)))

    def send_close(self, number: int) -> object:
        return self.erl.send(self.port(number), (self.first, "close"))

    def close(self, number: int) -> object:
        return self.erl.port_close(self.port(number))

    def kill(self, number: int) -> object:
        return self.erl.exit(self.port(number), "kill")

    def link(self, number: int) -> object:
        return self.erl.link(self.port(number))

    def info(self, number: int) -> object:
        return self.erl.port_info(self.port(number), "connected")

    def control(self, number: int, busy: int) -> object:
        return self.erl.port_control(self.port(number), busy, b"")

    def receive(self, milliseconds: int | None) -> object:
        return self.erl.receive(timeout=milliseconds)

    def open(self) -> object:
        return self.erl.open_port(("spawn_driver", self.driver.driver_name))

    def ports(self) -> object:
        return self.erl.ports()

    def load(self) -> object:
        return self.erl.erl_ddll.load_driver(self.driver)

    def try_unload(self) -> object:
        return self.erl.erl_ddll.try_unload(self.driver.driver_name)

    def unload(self) -> object:
        return self.erl.erl_ddll.unload_driver(self.driver.driver_name)

    def loaded(self) -> object:
        return self.erl.erl_ddll.loaded_drivers()

    def halt(self, flush: bool) -> object:
        return self.erl.halt(flush=flush)


_number = st.integers(0, 1)
_what = st.sampled_from([bytes((letter,)) for letter in b"000o1tTxbfqdm"])
ACTIONS = st.one_of(
    st.tuples(st.sampled_from(["command", "command", "send", "nosuspend"]), _number, _what),
    st.tuples(st.sampled_from("close kill link info send_close".split()), _number),
    st.tuples(st.just("control"), _number, _number),
    st.tuples(st.just("receive"), _number),
    st.sampled_from([(name,) for name in "open ports load try_unload unload loaded".split()]),
)


@st.composite
def lives(draw: st.DrawFn) -> Lives:
    processes = draw(st.integers(1, 3))
    longest = {1: 4, 2: 2, 3: 1}[processes]
    lists = [draw(st.lists(ACTIONS, max_size=longest)) for _ in range(processes)]
    if draw(st.integers(0, 5)) == 0:
        lists[0].append(("halt", draw(st.booleans())))
    flags = draw(st.sampled_from([0, ERL_DRV_FLAG_USE_PORT_LOCKING]))
    return Lives(flags, draw(st.integers(1, 2)), lists)
