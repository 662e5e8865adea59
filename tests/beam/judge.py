"""The judge's driver and the words of its scenarios, for the model: `judge_drv.c` and `judge.erl`.

A driver is told what to do by a *script*, a row of instructions: a letter, perhaps a number,
perhaps the script of a job in brackets.  `output` and `control` do what their data says.  What the
other callbacks do is said when the port is opened, with their letter: `judge r:b0 z:n` clears busy
in `ready_async` and schedules a job in `stop`.  The letters are `s`tart, `r`eady_async (`r2`: that
of job 2), `t`imeout, `f`lush, `p`rocess_exit, `a`sync_free, `z` for stop, `i` for
ready_input and `o` for ready_output.  `stop_select` closes its descriptor.

A port may have a pair of sockets.  It selects the *near* end; what is written to the *far* end can be
read from the near one.

| in a callback | |
|---|---|
| `n` `N` `k2` `v` | `driver_async` without a key, without a free function, with key 2, with the port's key variable |
| `V7` `=` | set the key variable, answer it |
| `w1` `g1` `s1` | wait at gate 1, open it for one, tell the process that plays the scenario |
| `t5` `c` `T` | `driver_set_timer`, `driver_cancel_timer`, answer whether a timer runs |
| `q1` `d1` `z` | `driver_enq`, `driver_deq`, answer `driver_sizeq` |
| `b1` `l100` | `set_busy_port`, both `erl_drv_busy_msgq_limits` |
| `f` `y` `F` `e` `x` | `driver_failure_atom`, `_posix`, `driver_failure`, `_eof`, `driver_exit` |
| `o` `M` `m` | `driver_output`, `erl_drv_output_term`, `erl_drv_send_term` to the caller, of `{Job}` or `{0}` |
| `u9` `H` | send the number 0 so often, as the whole term; send a map of 129 keys |
| `p` `P` | monitor the caller, give up the monitor; both answer the result |
| `i` | tell the port's jobs that they are cancelled |
| `R-1` | what `start` returns |
| `L` `C` | create the port data lock, answer its count |
| `B` `I` `Q` `A` `r` | allocate a binary, take a reference, enqueue it, free it, answer its count |
| `Y` | answer `driver_async_port_key` modulo 100 |
| `O` | open the pair of sockets |
| `S5` `D5` | `driver_select` of the near end, on and off: 1 is `ERL_DRV_READ`, 2 `WRITE`, 4 `USE`, 12 `USE_NO_CALLBACK` |
| `W` `G` | write a byte to the far end; get one from the near end, and answer how many were there |
| `X` `K` | end what is written to the far end; close the near end |

A job knows `w`, `g`, `s`, `m`, `M`, `H`, `W`, and `i`: end here if cancelled.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from driverref import Atomic, Driver, Emulator, Pid, Port
from driverref import erl_driver as c
from driverref.errors import ErlangError
from driverref.posix import SHUT_WR, Socket, socketpair
from driverref.threads import running, running_thread

INSTRUCTION = re.compile(r"(.)(-?\d*)(?:\(([^)]*)\))?")

GATES = 6

BIG_MAP = dict.fromkeys(range(129), 0)


class Gates:
    """What one thread gives and another waits for.  Every number is waited for by one thread."""

    def __init__(self) -> None:
        queue = running_thread.get().runtime.threads.queue
        self.queues = [queue(f"gate {number}") for number in range(GATES)]

    def give(self, number: int) -> None:
        self.queues[number].put(number)

    def wait(self, number: int) -> None:
        self.queues[number].get()


class State:
    """A port's state."""

    def __init__(self, port: c.ErlDrvPort, command: str) -> None:
        self.port = port
        self.id = c.driver_mk_port(port)
        self.caller = c.driver_caller(port)
        self.scripts = dict(word.split(":") for word in command.split()[1:])
        self.key = c.Key(0)
        self.result = 0
        self.cancelled = Atomic(0)
        self.monitor: Any = None
        self.pdl: Any = None
        self.binary: Any = None
        self.near: Any = None
        self.far: Any = None

    def write(self) -> None:
        # The near end may be closed.
        with suppress(BrokenPipeError):
            self.far.send(b"w")

    def read(self) -> int:
        try:
            return len(self.near.recv(1))
        except BlockingIOError:
            return 0


class Job:
    """What a job carries."""

    def __init__(self, state: State, script: str) -> None:
        self.state = state
        self.script = script
        self.number = 0


class Judge(Driver):
    """Does what it is told.  The variants are below."""

    driver_name = "judge"
    driver_flags = c.ERL_DRV_FLAG_USE_PORT_LOCKING

    def __init__(self, gates: Gates) -> None:
        self.gates = gates

    def start(self, port: c.ErlDrvPort, command: str) -> State | int:
        state = State(port, command)
        self.run(state, state.scripts.get("s", ""))
        c.set_errno(errno.ENOENT)
        return state.result or state

    def output(self, state: State, buf: memoryview) -> None:
        state.caller = c.driver_caller(state.port)
        self.run(state, bytes(buf).decode())

    def control(self, state: State, command: int, buf: memoryview) -> bytes:
        state.caller = c.driver_caller(state.port)
        return self.run(state, bytes(buf).decode())

    def ready_async(self, state: State, job: Job) -> None:
        scripts = state.scripts
        self.run(state, scripts.get(f"r{job.number}", scripts.get("r", "")))

    def async_free(self, job: Job) -> None:
        self.run(job.state, job.state.scripts.get("a", ""))

    def timeout(self, state: State) -> None:
        self.run(state, state.scripts.get("t", ""))

    def flush(self, state: State) -> None:
        self.run(state, state.scripts.get("f", ""))

    def process_exit(self, state: State, monitor: c.ErlDrvMonitor) -> None:
        self.run(state, state.scripts.get("p", ""))

    def ready_input(self, state: State, event: Socket) -> None:
        self.run(state, state.scripts.get("i", ""))

    def ready_output(self, state: State, event: Socket) -> None:
        self.run(state, state.scripts.get("o", ""))

    def stop_select(self, event: Socket, reserved: object) -> None:
        event.close()

    def init(self) -> None:
        pass

    def stop(self, state: State) -> None:
        self.run(state, state.scripts.get("z", ""))

    def finish(self) -> None:
        pass

    # Jobs.

    def submit(self, state: State, key: c.Key | int | None, script: str, free: bool = True) -> None:
        job = Job(state, script)
        job.number = c.driver_async(
            state.port, key, self.invoke, job, self.async_free if free else None
        )

    def invoke(self, job: Job) -> None:
        state = job.state
        for what, number, _ in INSTRUCTION.findall(job.script):
            match what:
                case "w":
                    self.gates.wait(int(number))
                case "g" | "s":
                    self.gates.give(int(number))
                case "i":
                    if state.cancelled.load():
                        return
                case "m":
                    c.erl_drv_send_term(state.id, state.caller, (job.number,))
                case "M":
                    c.erl_drv_output_term(state.id, (job.number,))
                case "H":
                    c.erl_drv_send_term(state.id, state.caller, BIG_MAP)
                case "W":
                    state.write()
                case _:
                    raise AssertionError(f"a job knows no {what}")

    # Scripts.

    def run(self, state: State, script: str) -> bytes:
        """Do what the script says; the answers."""
        reply: list[int] = []
        for what, number, job in INSTRUCTION.findall(script):
            answer = self.do(state, what, int(number or 0), job)
            if answer is not None:
                reply.append(answer & 0xFF)
        return bytes(reply)

    def do(self, state: State, what: str, n: int, job: str) -> int | None:  # noqa: C901
        port = state.port
        match what:
            case "n":
                self.submit(state, None, job)
            case "N":
                self.submit(state, None, job, free=False)
            case "k":
                self.submit(state, n, job)
            case "v":
                self.submit(state, state.key, job)
            case "V":
                state.key.value = n
            case "=":
                return state.key.value
            case "w":
                self.gates.wait(n)
            case "g" | "s":
                self.gates.give(n)
            case "i":
                state.cancelled.store(1)
            case "t":
                c.driver_set_timer(port, n)
            case "c":
                c.driver_cancel_timer(port)
            case "T":
                c.driver_read_timer(port, left := c.Key(0))
                return int(left.value > 0)
            case "q":
                c.driver_enq(port, bytes(n))
            case "d":
                c.driver_deq(port, n)
            case "z":
                return c.driver_sizeq(port)
            case "b":
                c.set_busy_port(port, n)
            case "l":
                c.erl_drv_busy_msgq_limits(port, c.Key(n), c.Key(n))
            case _:
                return self.end_or_tell(state, what, n)
        return None

    def end_or_tell(self, state: State, what: str, n: int) -> int | None:  # noqa: C901
        port = state.port
        match what:
            case "f":
                c.driver_failure_atom(port, "judged")
            case "y":
                c.driver_failure_posix(port, errno.ENOENT)
            case "F":
                c.driver_failure(port, -1)
            case "e":
                c.driver_failure_eof(port)
            case "x":
                c.driver_exit(port, 0)
            case "o":
                c.driver_output(port, b"o")
            case "M":
                c.erl_drv_output_term(state.id, (0,))
            case "m":
                c.erl_drv_send_term(state.id, state.caller, (0,))
            case "u":
                for _ in range(n):
                    c.erl_drv_send_term(state.id, state.caller, 0)
            case "H":
                c.erl_drv_send_term(state.id, state.caller, BIG_MAP)
            case "p":
                state.monitor = c.driver_monitor_process(port, state.caller)
                return state.monitor if isinstance(state.monitor, int) else 0
            case "P":
                return c.driver_demonitor_process(port, state.monitor)
            case "R":
                state.result = n
            case "Y":
                return c.driver_async_port_key(port) % 100
            case " ":
                pass
            case _:
                return self.count(state, what, n)
        return None

    def count(self, state: State, what: str, n: int) -> int | None:
        match what:
            case "L":
                state.pdl = c.driver_pdl_create(state.port)
            case "C":
                return c.driver_pdl_get_refc(state.pdl)
            case "B":
                state.binary = c.driver_alloc_binary(1)
                state.binary.orig_bytes[0:1] = b"\0"
            case "I":
                c.driver_binary_inc_refc(state.binary)
            case "Q":
                c.driver_enq_bin(state.port, state.binary, 0, 1)
            case "A":
                c.driver_free_binary(state.binary)
            case "r":
                return c.driver_binary_get_refc(state.binary)
            case _:
                return self.wait_for(state, what, n)
        return None

    def wait_for(self, state: State, what: str, n: int) -> int | None:
        match what:
            case "O":
                state.near, state.far = socketpair()
                state.near.settimeout(0)
            case "S":
                c.driver_select(state.port, state.near, n, 1)
            case "D":
                c.driver_select(state.port, state.near, n, 0)
            case "W":
                state.write()
            case "G":
                return state.read()
            case "X":
                state.far.shutdown(SHUT_WR)
            case "K":
                state.near.close()
            case _:
                raise AssertionError(f"a callback knows no {what}")
        return None


def variant(name: str, base: type[Judge] = Judge, **members: Any) -> type[Judge]:
    """A judge under another name, with other flags or without some callbacks."""
    return type(name, (base,), {"driver_name": name, **members})


DRIVERS = {
    driver.driver_name: driver
    for driver in (
        Judge,
        variant("judge_other"),
        variant("judge_lock", driver_flags=0),
        variant("judge_bare", output=None, control=None, timeout=None, process_exit=None),
        variant("judge_no_ready", ready_async=None),
        variant("judge_no_flush", flush=None),
        variant(
            "judge_soft",
            driver_flags=c.ERL_DRV_FLAG_USE_PORT_LOCKING | c.ERL_DRV_FLAG_SOFT_BUSY,
        ),
        variant("judge_unloaded"),
    )
}
"""The variants, as `run.VARIANTS` compiles them."""


class Play:
    """The words of the scenarios, as in `judge.erl`."""

    def __init__(self, erl: Emulator) -> None:
        self.erl = erl
        self.gates = Gates()
        self.drivers: dict[str, Judge] = {}
        self.threads: int = erl.system_info("thread_pool_size")
        self.schedulers: int = erl.system_info("schedulers")
        erl.process_flag("trap_exit", True)

    def driver(self, name: str) -> Judge:
        if name not in self.drivers:
            self.drivers[name] = DRIVERS[name](self.gates)
        return self.drivers[name]

    def open(self, name: str, scripts: str = "", options: tuple[str, ...] = ()) -> Port:
        if name not in self.drivers:
            assert self.erl.erl_ddll.load_driver(self.driver(name)) == "ok"
        return self.erl.open_port(("spawn_driver", f"{name} {scripts}"), ("binary", *options))

    def load(self, how: str = "load_driver") -> None:
        assert getattr(self.erl.erl_ddll, how)(self.driver("judge_unloaded")) == "ok"

    def cmd(self, port: Port, script: str, *options: str) -> bool:
        return self.erl.port_command(port, script.encode(), options)

    def control(self, port: Port, script: str) -> list[int]:
        answer = self.erl.port_control(port, 0, script.encode())
        assert isinstance(answer, list)
        return answer

    def close(self, port: Port) -> bool:
        return self.erl.port_close(port)

    def command(self, port: Port, script: str) -> None:
        self.erl.send(port, (self.erl.self(), ("command", script.encode())))

    def mark(self) -> None:
        """Log that Erlang's side has come here."""
        self.erl.send(self.erl.self(), "here")

    def give(self, gate: int) -> None:
        """Open a gate.  A BIF does it: not while a callback runs on the same scheduler."""
        with running().scheduler.mutex:
            self.gates.give(gate)

    def await_(self, *flags: int) -> None:
        for flag in flags:
            self.gates.wait(flag)

    def tell(self, flag: int) -> None:
        self.give(flag)

    def on(self, scheduler: int, function: Callable[[], object]) -> Pid:
        return self.erl.spawn(function, scheduler=min(scheduler, self.schedulers))

    def message(self) -> Any:
        """The next message that is no exit signal."""
        return self.erl.receive(lambda message: not is_exit(message))

    def exit_reason(self, port: Port) -> Any:
        """What the port ended with."""
        return self.erl.receive(lambda message: is_exit(message) and message[1] == port)[2]

    def gone(self, kind: str) -> None:
        """Wait for the message that something monitored is gone."""
        self.erl.receive(lambda message: message[0] == "DOWN" and message[2] == kind)

    def off_heap(self) -> None:
        """Have messages built outside the heap.  A mailbox of the model has none."""

    def drain(self, times: int) -> None:
        """Take so many messages."""
        for _ in range(times):
            self.message()

    def quiet(self) -> bool:
        """Whether no message is there."""
        return self.erl.receive(timeout=0) is None

    def failure(self, function: Callable[[], object]) -> str:
        """How a BIF fails."""
        try:
            function()
        except ErlangError as error:
            return error.reason
        return "none"


def is_exit(message: Any) -> bool:
    return isinstance(message, tuple) and message[0] == "EXIT"
