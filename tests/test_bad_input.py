"""Each wrong argument of each public call: what is said of it, and that it has changed nothing.

`ERLANG` is called by a process, `DRIVER` in a callback, `NEW` where there is no emulator yet.  A
row is the call, the error's class and a fragment of its text: what was expected and what came.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from copy import copy
from typing import Any

import pytest
from scripted import made_of
from support import Kind, both, opened, pieces_of, vector_of

from driverref import Driver, Emulator, Pid, Port, Ref, Struct, erl_driver, posix
from driverref.erlang.erl_ddll import ErlDdll
from driverref.errors import ErlangError, InvalidFree, Misuse, OutOfBounds

# What is called here is called wrongly, so the type checker is kept out.
c: Any = erl_driver
unchecked: Any = posix
new: Any = Emulator


class World:
    """An emulator with one port, and of everything one that is right."""

    def __init__(self, erl: Emulator) -> None:
        self.erl = erl
        self.ddll = erl.erl_ddll
        self.handle: Any = None
        self.error: BaseException | None = None
        self.number = 0
        self.port = opened(
            erl,
            made_of(
                start=self.start,
                control=self.control,
                process_exit=lambda data, monitor: None,
                call=lambda data, command, term: term,
            ),
        )

    def start(self, port: Any, command: str) -> None:
        self.handle = port
        c.driver_enq(port, b"queued")
        c.driver_set_timer(port, 60_000)
        self.block: Any = c.driver_alloc(8)
        self.binary: Any = c.driver_alloc_binary(8)
        self.mutex, self.cond = c.erl_drv_mutex_create("m"), c.erl_drv_cond_create("c")
        self.rwlock, self.opts = c.erl_drv_rwlock_create("r"), c.erl_drv_thread_opts_create("o")
        self.tid, self.key = c.ErlDrvTid(), c.ErlDrvTSDKey()
        self.vector: Any = vector_of(b"abc")
        self.pdl = c.driver_pdl_create(port)
        self.socket, _ = self.pipe = posix.pipe()
        self.struct = c.driver_alloc(Pair)

    def control(self, data: object, command: int, buf: memoryview) -> None:
        try:
            DRIVER[command][0](self)
        except Exception as error:
            self.error = error

    def everything(self) -> object:
        """What a call could have changed."""
        runtime, port = self.erl.runtime, self.handle
        return (
            *(port.state.value, port.drv_data, port.owner.value.pid, parts_of(port.senders)),
            *(parts_of(port.timer), port.control_flags, port.pdl.refc, port.jobs),
            *(port.os_pid, port.lock.timeslice, dict(runtime.environment)),
            *(set(port.bonds.value.links), dict(port.bonds.value.monitors)),
            pieces_of([element for element, _ in port.queue.value.elements()]),
            *(list(runtime.ports), runtime.entities.processes(), dict(runtime.drivers)),
            {name: dict(loaded.users.value) for name, loaded in runtime.drivers.items()},
            *(runtime.ledger.leaks(), repr(runtime.pool._ids), runtime.down),
            self.erl.process_flag("trap_exit", False),
            *(
                self.mutex.holder.value,
                self.cond.waiters,
                set(self.rwlock.holders),
                self.tid.thread,
            ),
            *(self.key.key, c.driver_binary_get_refc(self.binary)),
        )


def parts_of(part: Any) -> list[object]:
    """What one part of a port holds."""
    held = [getattr(part, name) for name in type(part).__slots__]
    return [copy(each.peek()) if hasattr(each, "peek") else each for each in held]


class Pair(Struct):
    first: int
    second: int


class Nameless(Driver):
    pass


Row = tuple[Callable[[Any], object], type[Exception], str]


def work(data: object) -> None:
    """What a job, a thread or a process does."""


NEW: list[Row] = [
    (lambda w: new(async_threads="4"), TypeError, "async_threads must be an int, not '4'"),
    (lambda w: new(async_threads=True), TypeError, "async_threads must be an int, not True"),
    (lambda w: new(async_threads=-1), ValueError, "async_threads must be from 0 to 1024, not"),
    (lambda w: new(async_threads=1025), ValueError, "must be from 0 to 1024, not 1025"),
    (lambda w: new(schedulers=0), ValueError, "schedulers must be from 1 to 1024, not 0"),
    (lambda w: new(schedulers=1025), ValueError, "from 1 to 1024, not 1025"),
    (lambda w: new(schedulers=1.0), TypeError, "schedulers must be an int, not 1.0"),
    (lambda w: new(threads="os"), ValueError, '"simulated" or "native", not \'os\''),
    (lambda w: new(threads=[]), ValueError, 'threads must be "simulated" or "native", not []'),
    (lambda w: new(seed="7"), TypeError, "seed must be an int or None, not '7'"),
    (lambda w: new(seed=True), TypeError, "seed must be an int or None, not True"),
    (lambda w: new(threads="native", seed=7), ValueError, "seed must be None on OS threads"),
    (lambda w: new(trace="yes"), TypeError, "trace must be True or False, not 'yes'"),
    (
        lambda w: new(release=25),
        TypeError,
        "release must be a release's name, or a Release, not 25",
    ),
    (
        lambda w: new(release="R12B"),
        ValueError,
        "release must be one of R7B-3 (for R7B to R10B), R11B-5",
    ),
    (lambda w: c.Key("7"), TypeError, "Key: value must be an int, not '7'"),
    (lambda w: c.Key(True), TypeError, "Key: value must be an int, not True"),
]

BAD_PORT = "port must be a Port, or the name of one, not 5"
BAD_OPERATION = "operation must be an int from 0 to 2^32-1, not "
BAD_DATA = "data must be iodata: "

D = ("spawn_driver", "d")
BAD_OPTION = '"stream", "in", "out", "hide", '
BAD_OPTIONS: list[object] = [
    ("line", 0),
    ("line", -1),
    ("line", "4"),
    ("parallelism", 1),
    ("packet", 3),
    ("busy_limits_msgq", 5),
    ("busy_limits_msgq", (0, 5)),
    ("busy_limits_msgq", (5, 2**64)),
    "exit_status",
    ("args", []),
    ("cd", 5),
    ("env", "A=1"),
    ("env", [("A", 1)]),
    ("env", [("A", True)]),
]

ERLANG: list[Row] = [
    # Processes.
    (lambda w: w.erl.spawn("f"), ErlangError, "spawn: function must be callable, not 'f'"),
    (lambda w: w.erl.spawn(work, scheduler=0), ValueError, "scheduler must be from 1 to 1, not 0"),
    (lambda w: w.erl.spawn(work, scheduler=2), ValueError, "scheduler must be from 1 to 1, not 2"),
    (lambda w: w.erl.spawn(work, scheduler="1"), TypeError, "scheduler must be an int, not '1'"),
    (lambda w: w.erl.receive(5), TypeError, "matching must be a function of a message, or None"),
    (lambda w: w.erl.receive(timeout=-1), ValueError, "timeout must be from 0 to 4294967295, not"),
    (lambda w: w.erl.receive(timeout=2**32), ValueError, "timeout must be from 0 to 4294967295"),
    (lambda w: w.erl.receive(timeout="1"), TypeError, "timeout must be an int, not '1'"),
    (lambda w: w.erl.process_flag("x", True), ErlangError, 'flag must be "trap_exit" or'),
    (lambda w: w.erl.process_flag([], True), ErlangError, 'message_queue_data", not []'),
    (lambda w: w.erl.process_flag("trap_exit", 1), ErlangError, "value must be True or False, not"),
    (lambda w: w.erl.process_flag("message_queue_data", "x"), ErlangError, 'or "off_heap", not'),
    (lambda w: w.erl.process_flag("message_queue_data", []), ErlangError, 'or "off_heap", not'),
    (lambda w: w.erl.is_process_alive(w.port), ErlangError, "pid must be a Pid, not #Port<"),
    (lambda w: w.erl.is_process_alive("name"), ErlangError, "pid must be a Pid, not 'name'"),
    (lambda w: w.erl.link(5), ErlangError, "link: to must be a Pid or a Port, not 5"),
    (lambda w: w.erl.unlink("p"), ErlangError, "unlink: other must be a Pid or a Port, not 'p'"),
    (lambda w: w.erl.make_ref(5), TypeError, "takes 1 positional argument but 2 were given"),
    (lambda w: w.erl.monotonic_time("sec"), ErlangError, "unit must be one of native, nanosecond"),
    (lambda w: w.erl.monotonic_time([]), ErlangError, "monotonic_time: unit must be one of native"),
    (lambda w: w.erl.monitor("process", w.port), ErlangError, 'a Pid with "process", a Port with'),
    (lambda w: w.erl.monitor("port", Pid(1)), ErlangError, 'a Pid with "process", a Port with'),
    (lambda w: w.erl.monitor("port", ("x", "a@b")), ErlangError, "monitor: item must be a Pid wi"),
    (lambda w: w.erl.monitor("process", 5), ErlangError, "monitor: item must be a Pid with"),
    (lambda w: w.erl.monitor([], Pid(1)), ErlangError, 'kind must be "process" or "port", not []'),
    (lambda w: w.erl.demonitor(5), ErlangError, "demonitor: ref must be a Ref, not 5"),
    (lambda w: w.erl.demonitor(Ref(1), "flush"), ErlangError, 'list of "flush" and "info", not'),
    (lambda w: w.erl.demonitor(Ref(1), ["x"]), ErlangError, "\"info\", not ['x']"),
    (lambda w: w.erl.process_info(w.port, "links"), ErlangError, "pid must be a Pid, not #Port<"),
    (lambda w: w.erl.process_info("name", "links"), ErlangError, "pid must be a Pid, not 'name'"),
    (lambda w: w.erl.process_info(Pid(1), "heap"), ErlangError, "item must be one of links, moni"),
    (lambda w: w.erl.process_info(Pid(9), "heap"), ErlangError, "item must be one of links, moni"),
    (lambda w: w.erl.process_info(Pid(1), [[]]), ErlangError, "item must be one of links, monito"),
    (lambda w: w.erl.process_info(Pid(1), 5), ErlangError, "item must be one of links, monitors"),
    # Names.
    (lambda w: w.erl.register(5, w.port), ErlangError, 'name must be an atom, and not "undefined"'),
    (lambda w: w.erl.register("undefined", w.port), ErlangError, 'not "undefined", not \'undefi'),
    (lambda w: w.erl.register("x", 5), ErlangError, "register: id must be a Pid or a Port, not 5"),
    (lambda w: w.erl.register("x", Pid(9)), ErlangError, "register: <0.9.0> has ended"),
    (lambda w: w.erl.register("x", Port(9)), ErlangError, "register: #Port<0.9> has ended"),
    (lambda w: w.erl.unregister(5), ErlangError, "unregister: name must be an atom, not 5"),
    (lambda w: w.erl.unregister("x"), ErlangError, "unregister: nothing has the name x"),
    (lambda w: w.erl.whereis([]), ErlangError, "whereis: name must be an atom, not []"),
    (lambda w: w.erl.exit(), TypeError, "exit takes a reason, or a destination and a reason"),
    (lambda w: w.erl.exit(1, 2, 3), TypeError, "exit takes a reason, or a destination and a"),
    (lambda w: w.erl.exit(5, "x"), ErlangError, "exit: dest must be a Pid or a Port, not 5"),
    (lambda w: w.erl.send(5, "x"), ErlangError, "send: dest must be a Pid, a Port, or the na"),
    (lambda w: w.erl.send("name", "x"), ErlangError, "send: nothing has the name name"),
    (lambda w: w.erl.send(("a", "b", "c"), "x"), ErlangError, "dest must be a Pid, a Port, or th"),
    (lambda w: w.erl.send(Pid(1), "x", ["x"]), ErlangError, 'send: options must be a list of "no'),
    (lambda w: w.erl.send(Pid(1), "x", 5), ErlangError, 'options must be a list of "nosuspend" a'),
    # Ports.
    (lambda w: w.erl.open_port("d"), ErlangError, 'name must be ("spawn_driver", "driver argum'),
    (lambda w: w.erl.open_port(("spawn_driver", 5)), ErlangError, "not ('spawn_driver', 5)"),
    (lambda w: w.erl.open_port(("spawn_driver", " d")), ErlangError, "no driver '' is loaded"),
    (lambda w: w.erl.open_port(("spawn_driver", "")), ErlangError, "no driver '' is loaded"),
    (lambda w: w.erl.open_port(("spawn", "")), ErlangError, "no driver '' is loaded"),
    (lambda w: w.erl.open_port(("spawn", " d")), ErlangError, "OS programs are not modelled"),
    (lambda w: w.erl.open_port(("spawn_driver", "d\tx")), ErlangError, "no driver 'd\\tx' is"),
    (lambda w: w.erl.open_port(("spawn_driver", "d\0x")), ErlangError, "open_port: name must be"),
    (lambda w: w.erl.open_port(("spawn_driver", b"x y")), ErlangError, "no driver 'x' is loaded"),
    (lambda w: w.erl.open_port(("fd", "d")), ErlangError, "open_port: name must be "),
    (lambda w: w.erl.open_port(("spawn_driver", "x")), ErlangError, "no driver 'x' is loaded"),
    (lambda w: w.erl.open_port(("spawn", "x")), ErlangError, "OS programs are not modelled"),
    (lambda w: w.erl.open_port(("spawn", "d"), "eof"), ErlangError, "options must be a list, not"),
    (lambda w: w.erl.open_port(("spawn", "d"), 5), ErlangError, "options must be a list, not 5"),
    (lambda w: w.erl.open_port(("spawn", "d"), ["x"]), ErlangError, '"stream", "in", "out", "hi'),
    (lambda w: w.erl.open_port(("spawn", "d"), [[]]), ErlangError, '"stream", "in", "out", "hi'),
    *[
        (lambda w, option=option: w.erl.open_port(D, [option]), ErlangError, BAD_OPTION)
        for option in BAD_OPTIONS
    ],
    (lambda w: w.erl.open_port(D, [("line", 4), ("packet", 1)]), ErlangError, "without packet if"),
    (lambda w: w.erl.open_port(D, [("busy_limits_port", (1, 2))]), ErlangError, "not for a driver"),
    (lambda w: w.erl.port_command(5, b""), ErlangError, f"port_command: {BAD_PORT}"),
    (lambda w: w.erl.port_command([], b""), ErlangError, "port must be a Port, or the name"),
    (lambda w: w.erl.port_command(Port(9), b""), ErlangError, "#Port<0.9> is closing or closed"),
    (lambda w: w.erl.port_command(w.port, "x"), ErlangError, f'{BAD_DATA}"x" is neither'),
    (lambda w: w.erl.port_command(w.port, 5), ErlangError, f"{BAD_DATA}5 is neither a binary"),
    (lambda w: w.erl.port_command(w.port, [256]), ErlangError, f"{BAD_DATA}256 is not a byte"),
    (lambda w: w.erl.port_command(w.port, [-1]), ErlangError, f"{BAD_DATA}-1 is not a byte"),
    (lambda w: w.erl.port_command(w.port, [None]), ErlangError, f"{BAD_DATA}undefined is not"),
    (lambda w: w.erl.port_command(w.port, b"", "force"), ErlangError, "options must be a list of"),
    (lambda w: w.erl.port_command(w.port, b"", ["x"]), ErlangError, "\"nosuspend\", not ['x']"),
    (lambda w: w.erl.port_command(w.port, b"", [{}]), ErlangError, '"nosuspend", not [{}]'),
    (lambda w: w.erl.port_command(w.port, b"", ["force"]), ErlangError, "lacks SOFT_BUSY"),
    (lambda w: w.erl.port_control(5, 0, b""), ErlangError, f"port_control: {BAD_PORT}"),
    (lambda w: w.erl.port_control(Port(9), 0, b""), ErlangError, "#Port<0.9> is closing or"),
    (lambda w: w.erl.port_control(w.port, -1, b""), ErlangError, f"{BAD_OPERATION}-1"),
    (lambda w: w.erl.port_control(w.port, 2**32, b""), ErlangError, f"{BAD_OPERATION}4294967296"),
    (lambda w: w.erl.port_control(w.port, True, b""), ErlangError, f"{BAD_OPERATION}True"),
    (lambda w: w.erl.port_control(w.port, "0", b""), ErlangError, f"{BAD_OPERATION}'0'"),
    (lambda w: w.erl.port_control(w.port, 0, "x"), ErlangError, f'port_control: {BAD_DATA}"x"'),
    (lambda w: w.erl.port_call(5, 0, b""), ErlangError, f"port_call: {BAD_PORT}"),
    (lambda w: w.erl.port_call(Port(9), 0, b""), ErlangError, "#Port<0.9> is closing or closed"),
    (lambda w: w.erl.port_call(w.port, -1, b""), ErlangError, f"{BAD_OPERATION}-1"),
    (lambda w: w.erl.port_call(w.port, 2**32, b""), ErlangError, f"{BAD_OPERATION}4294967296"),
    (lambda w: w.erl.port_call(w.port, None, b""), ErlangError, f"{BAD_OPERATION}None"),
    (lambda w: w.erl.port_close(5), ErlangError, f"port_close: {BAD_PORT}"),
    (lambda w: w.erl.port_close(Port(9)), ErlangError, "#Port<0.9> is closing or closed"),
    (lambda w: w.erl.port_connect(5, Pid(1)), ErlangError, f"port_connect: {BAD_PORT}"),
    (lambda w: w.erl.port_connect(Port(9), Pid(1)), ErlangError, "#Port<0.9> is closing or"),
    (lambda w: w.erl.port_connect(w.port, 5), ErlangError, "a living process's Pid, not 5"),
    (lambda w: w.erl.port_connect(w.port, []), ErlangError, "a living process's Pid, not []"),
    (lambda w: w.erl.port_connect(w.port, w.port), ErlangError, "Pid, not #Port<0.1>"),
    (lambda w: w.erl.port_connect(w.port, Pid(9)), ErlangError, "process's Pid, not <0.9.0>"),
    (lambda w: w.erl.port_info(5), ErlangError, f"port_info: {BAD_PORT}"),
    (lambda w: w.erl.port_info(w.port, "x"), ErlangError, "item must be one of registered_name"),
    (lambda w: w.erl.port_info(w.port, "memory"), ErlangError, "item must be one of registered_n"),
    (lambda w: w.erl.port_info(w.port, []), ErlangError, "item must be one of registered_name"),
    # The system.
    *[
        (call, ErlangError, 'name must be a string without NUL and "=", not ')
        for call in (
            lambda w: w.erl.os_getenv(5),
            lambda w: w.erl.os_getenv("A=B"),
            lambda w: w.erl.os_putenv("A\0B", "value"),
            lambda w: w.erl.os_putenv("A=B", "value"),
        )
    ],
    (lambda w: w.erl.os_putenv("A", b"b"), ErlangError, "value must be a string without NUL, not"),
    (lambda w: w.erl.os_putenv("A", "\0"), ErlangError, "value must be a string without NUL, not"),
    (lambda w: w.erl.os_putenv("A", "\ud800"), ErlangError, "value must be a string without NUL"),
    (lambda w: w.erl.system_info("x"), ErlangError, "item must be one of thread_pool_size, sch"),
    (lambda w: w.erl.system_info([]), ErlangError, "system_info: item must be one of thread_pool"),
    (lambda w: w.erl.halt(b"0"), TypeError, "halt: status must be an int, not b'0'"),
    (lambda w: w.erl.halt(256), ValueError, "halt: status must be from 0 to 255, not 256"),
    (lambda w: w.erl.halt(-1), ValueError, "halt: status must be from 0 to 255, not -1"),
    (lambda w: w.erl.halt(flush=1), ErlangError, "halt: flush must be True or False, not 1"),
    (lambda w: w.erl.halt(flush_timeout=-1), ValueError, "flush_timeout must be from 0 to"),
    (lambda w: w.erl.halt(flush_timeout="1"), TypeError, "flush_timeout must be an int, not '1'"),
    # erl_ddll.
    (lambda w: w.ddll.load_driver(5), TypeError, "driver must be an instance of a Driver subcla"),
    (lambda w: w.ddll.load_driver(Nameless), TypeError, "must be an instance of a Driver subcla"),
    (lambda w: w.ddll.load_driver(Nameless()), TypeError, "Nameless.driver_name must be a str of"),
    (lambda w: w.ddll.load_driver(made_of("a b")), TypeError, "a str of one word, not 'a b'"),
    *(
        (call, ErlangError, "options must be a list of reload, monitor and driver_options")
        for call in (
            lambda w: w.ddll.try_load(odd("start", None), "pending"),
            lambda w: w.ddll.try_load(odd("start", None), [("reload", "now")]),
            lambda w: w.ddll.try_load(odd("start", None), [("driver_options", ["bad"])]),
        )
    ),
    (lambda w: w.ddll.try_load(5), TypeError, "driver must be an instance of a Driver subclass"),
    (lambda w: w.ddll.reload(5), TypeError, "driver must be an instance of a Driver subclass"),
    (
        lambda w: w.ddll.reload_driver(5),
        TypeError,
        "driver must be an instance of a Driver subclass",
    ),
    (lambda w: w.ddll.format_error("bad"), ErlangError, "reason must be a reason of erl_ddll"),
    (
        lambda w: w.ddll.load_driver(odd("extended_marker", None)),
        TypeError,
        "extended_marker must be ERL_DRV_EXTENDED_MARKER, or 0, not",
    ),
    (
        lambda w: w.ddll.load_driver(odd("minor_version", "3")),
        TypeError,
        "minor_version must be an int or None, not",
    ),
    (
        lambda w: w.ddll.load_driver(odd("driver_flags", "x")),
        TypeError,
        "driver_flags must be ERL_DRV",
    ),
    (lambda w: w.ddll.load_driver(odd("stop", 5)), TypeError, "Odd.stop must be a method, or None"),
    (lambda w: w.ddll.load("d"), TypeError, "load: driver must be an instance of a Driver subcla"),
    (lambda w: w.ddll.unload_driver(5), ErlangError, "unload_driver: name must be a driver's name"),
    (lambda w: w.ddll.unload([]), ErlangError, "unload: name must be a driver's name, a str, not"),
    (lambda w: w.ddll.try_unload(5), ErlangError, "try_unload: name must be a driver's name, a"),
    (lambda w: w.ddll.try_unload("d", "kill_ports"), ErlangError, 'options must be a list of "'),
    (lambda w: w.ddll.try_unload("d", ["x"]), ErlangError, "pending_driver\"), not ['x']"),
    (lambda w: w.ddll.try_unload("d", [("monitor", 5)]), ErlangError, "options must be a list"),
    (lambda w: w.ddll.try_unload("d", 5), ErlangError, 'options must be a list of "kill_ports"'),
    (lambda w: w.ddll.monitor("process", ("d", "unloaded")), ErlangError, 'be "driver", (name, '),
    (lambda w: w.ddll.monitor("driver", ("d", "gone")), ErlangError, '"driver", (name, '),
    (lambda w: w.ddll.demonitor(5), ErlangError, "demonitor: ref must be a Ref, not 5"),
    (
        lambda w: w.ddll.info("x"),
        ErlangError,
        "info: name must be the name of a loaded driver, not",
    ),
    (lambda w: w.ddll.info([]), ErlangError, "name must be the name of a loaded driver, not []"),
    (lambda w: w.ddll.info("d", "x"), ErlangError, "info: item must be one of processes, driver_o"),
    (
        lambda w: w.ddll.info("d", []),
        ErlangError,
        "info: item must be one of processes, driver_opt",
    ),
    (lambda w: w.ddll.monitor("driver", "d"), ErlangError, 'item must be "driver", (name, "unlo'),
]


def odd(name: str, value: object) -> Driver:
    """A driver with a callback that is none."""
    driver = type("Odd", (Driver,), {"driver_name": "odd", name: value})()
    assert isinstance(driver, Driver)
    return driver


def needs_port(*calls: Callable[[Any], object]) -> list[Row]:
    """Calls whose port is the number 5."""
    return [
        (call, TypeError, "port must be the ErlDrvPort that start was given, not 5")
        for call in calls
    ]


def needs(text: str, *calls: Callable[[Any], object]) -> list[Row]:
    """Calls of which one argument is of another type."""
    return [(call, TypeError, text) for call in calls]


DRIVER: list[Row] = [
    (lambda w: c.driver_async_cancel("1"), Misuse, "25 does not have it"),
    *needs_port(
        lambda w: c.driver_async(5, None, work, None, None),
        lambda w: c.driver_async_port_key(5),
        lambda w: c.driver_output(5, b""),
        lambda w: c.driver_output2(5, b"", b""),
        lambda w: c.driver_output_binary(5, b"", w.binary, 0, 0),
        lambda w: c.driver_outputv(5, b"", w.vector),
        lambda w: c.driver_output_term(5, 1),
        lambda w: c.driver_send_term(5, Pid(1), 1),
        lambda w: c.driver_select(5, w.socket, 1, 1),
        lambda w: c.driver_set_timer(5, 1),
        lambda w: c.driver_cancel_timer(5),
        lambda w: c.driver_read_timer(5, c.Key(0)),
        lambda w: c.set_busy_port(5, 1),
        lambda w: c.erl_drv_busy_msgq_limits(5, None, None),
        lambda w: c.set_port_control_flags(5, 1),
        lambda w: c.driver_failure_atom(5, "x"),
        lambda w: c.driver_failure_posix(5, 1),
        lambda w: c.erl_drv_init_ack(5, 1),
        lambda w: c.driver_failure_eof(5),
        lambda w: c.driver_failure(5, 1),
        lambda w: c.driver_failure(5, 0),
        lambda w: c.driver_exit(5, 1),
        lambda w: c.driver_lock_driver(5),
        lambda w: c.get_port_flags(5),
        lambda w: c.erl_drv_set_os_pid(5, 1),
        lambda w: c.erl_drv_consume_timeslice(5, 1),
        lambda w: c.driver_mk_port(5),
        lambda w: c.driver_connected(5),
        lambda w: c.driver_caller(5),
        lambda w: c.driver_monitor_process(5, Pid(1)),
        lambda w: c.driver_demonitor_process(5, c.ErlDrvMonitor(Ref(1), Pid(1))),
        lambda w: c.driver_get_monitored_process(5, c.ErlDrvMonitor(Ref(1), Pid(1))),
        lambda w: c.driver_enq(5, b""),
        lambda w: c.driver_pushq(5, b""),
        lambda w: c.driver_enq_bin(5, w.binary, 0, 0),
        lambda w: c.driver_pushq_bin(5, w.binary, 0, 0),
        lambda w: c.driver_enqv(5, w.vector),
        lambda w: c.driver_pushqv(5, w.vector),
        lambda w: c.driver_deq(5, 0),
        lambda w: c.driver_sizeq(5),
        lambda w: c.driver_peekq(5),
        lambda w: c.driver_peekqv(5),
        lambda w: c.driver_pdl_create(5),
    ),
    *needs(
        "port must be the Port that driver_mk_port gave, not ",
        lambda w: c.erl_drv_output_term(5, 1),
        lambda w: c.erl_drv_output_term(w.handle, 1),
        lambda w: c.erl_drv_send_term(5, Pid(1), 1),
    ),
    *needs(
        "driver_create_port: creator_port must be the ErlDrvPort that start was given, not 5",
        lambda w: c.driver_create_port(5, Pid(1), "x", None),
    ),
    *needs(
        "driver_create_port: connected must be a Pid, not ",
        lambda w: c.driver_create_port(w.handle, Port(1), "x", None),
    ),
    *needs(
        "driver_create_port: name must be a str, not ",
        lambda w: c.driver_create_port(w.handle, Pid(1), b"x", None),
    ),
    (
        lambda w: c.driver_create_port(w.handle, Pid(1), "x\0y", None),
        ValueError,
        "driver_create_port: name must be text without NUL, not",
    ),
    *needs("driver_mk_atom: string must be a str, not ", lambda w: c.driver_mk_atom(b"ok")),
    (
        lambda w: c.driver_mk_atom("\u03a9"),
        ValueError,
        "string must be of the characters of Latin-1, not",
    ),
    # driver_async.
    *needs(
        "driver_async: key must be a Key, an int or None, not ",
        lambda w: c.driver_async(w.handle, "k", work, None, None),
        lambda w: c.driver_async(w.handle, 1.5, work, None, None),
        lambda w: c.driver_async(w.handle, True, work, None, None),
    ),
    *needs(
        "async_invoke must be a function of one argument, not ",
        lambda w: c.driver_async(w.handle, None, 5, None, None),
        lambda w: c.driver_async(w.handle, c.Key(7), 5, None, None),
    ),
    *needs(
        "async_free must be a function of one argument, or None, not 5",
        lambda w: c.driver_async(w.handle, None, work, None, 5),
    ),
    # Output.
    *needs(
        "buf must be bytes, a memoryview, a block or a driver binary, not ",
        lambda w: c.driver_output(w.handle, "text"),
        lambda w: c.driver_output(w.handle, 5),
        lambda w: c.driver_output2(w.handle, b"", 5),
        lambda w: c.driver_enq(w.handle, "text"),
        lambda w: c.driver_pushq(w.handle, [1]),
    ),
    *needs(
        "hbuf must be bytes, a memoryview, a block or a driver binary, not ",
        lambda w: c.driver_output2(w.handle, 5, b""),
        lambda w: c.driver_output_binary(w.handle, "h", w.binary, 0, 0),
        lambda w: c.driver_outputv(w.handle, 5, w.vector),
    ),
    *needs(
        "bin must be an ErlDrvBinary, not ",
        lambda w: c.driver_output_binary(w.handle, b"", b"b", 0, 0),
        lambda w: c.driver_enq_bin(w.handle, w.block, 0, 0),
        lambda w: c.driver_pushq_bin(w.handle, 5, 0, 0),
        lambda w: c.driver_binary_get_refc(5),
        lambda w: c.driver_binary_inc_refc(b"b"),
        lambda w: c.driver_binary_dec_refc(w.block),
        lambda w: c.driver_realloc_binary(5, 1),
    ),
    *needs(
        "offset must be an int (bytes), not ",
        lambda w: c.driver_output_binary(w.handle, b"", w.binary, "0", 0),
        lambda w: c.driver_enq_bin(w.handle, w.binary, True, 1),
        lambda w: c.driver_pushq_bin(w.handle, w.binary, 1.0, 1),
    ),
    *needs(
        "len must be an int (bytes), not ",
        lambda w: c.driver_output_binary(w.handle, b"", w.binary, 0, "1"),
        lambda w: c.driver_enq_bin(w.handle, w.binary, 0, None),
        lambda w: c.driver_pushq_bin(w.handle, w.binary, 0, False),
    ),
    (
        lambda w: c.driver_output_binary(w.handle, b"", w.binary, 4, 5),
        OutOfBounds,
        "driver_output_binary: bytes 4 to 9 are outside of <binary of 8 bytes allocated at",
    ),
    (lambda w: c.driver_output_binary(w.handle, b"", w.binary, 9, 0), OutOfBounds, "bytes 9 to 9"),
    (lambda w: c.driver_enq_bin(w.handle, w.binary, 8, 1), OutOfBounds, "bytes 8 to 9 are outside"),
    (lambda w: c.driver_enq_bin(w.handle, w.binary, -1, 1), ValueError, "offset must be 0 or more"),
    (
        lambda w: c.driver_pushq_bin(w.handle, w.binary, 0, -1),
        ValueError,
        "len must be 0 or more b",
    ),
    *needs(
        "ev must be an ErlIOVec, not ",
        lambda w: c.driver_outputv(w.handle, b"", b"x"),
        lambda w: c.driver_enqv(w.handle, [b"x"]),
        lambda w: c.driver_pushqv(w.handle, 5),
        lambda w: c.driver_vec_to_buf(b"x", bytearray(1), 1),
    ),
    (
        lambda w: c.driver_outputv(w.handle, b"", w.vector, 4),
        ValueError,
        "skip must be bytes from 0",
    ),
    (lambda w: c.driver_outputv(w.handle, b"", w.vector, "1"), TypeError, "skip must be an int (b"),
    (lambda w: c.driver_enqv(w.handle, w.vector, -1), ValueError, "skip must be bytes from 0 to 3"),
    (lambda w: c.driver_pushqv(w.handle, w.vector, 4), ValueError, "bytes from 0 to 3, not 4"),
    *needs(
        "must be ",
        lambda w: c.driver_enqv(w.handle, c.ErlIOVec("1", 3, w.vector.iov, [None])),
        lambda w: c.driver_enqv(w.handle, c.ErlIOVec(1, 3, [b"abc"], [None])),
        lambda w: c.driver_enqv(w.handle, c.ErlIOVec(1, 3, [c.SysIOVec("abc", 3)], [None])),
        lambda w: c.driver_enqv(w.handle, c.ErlIOVec(1, 3, w.vector.iov, [b"abc"])),
    ),
    (
        lambda w: c.driver_enqv(w.handle, c.ErlIOVec(2, 3, w.vector.iov, [None, None])),
        ValueError,
        "driver_enqv: ev.vsize must be elements from 0 to 1, not 2",
    ),
    (
        lambda w: c.driver_enqv(w.handle, c.ErlIOVec(1, 4, [c.SysIOVec(b"abc", 4)], [None])),
        ValueError,
        "driver_enqv: ev.iov[0].iov_len must be bytes from 0 to 3, not 4",
    ),
    (
        lambda w: c.driver_enqv(w.handle, c.ErlIOVec(1, 4, w.vector.iov, [None])),
        Misuse,
        "driver_enqv: ev.size is 4, but ev.iov has 3 bytes: ",
    ),
    (lambda w: c.driver_vec_to_buf(w.vector, b"x", 1), TypeError, "buf must be a block or a"),
    (
        lambda w: c.driver_vec_to_buf(w.vector, bytearray(2), 3),
        OutOfBounds,
        "driver_vec_to_buf: 3 bytes do not fit in a buf of 2; called at test_bad_input.py:",
    ),
    (
        lambda w: c.driver_vec_to_buf(w.vector, bytearray(2), -1),
        ValueError,
        "len must be 0 or more",
    ),
    (lambda w: c.driver_vec_to_buf(w.vector, bytearray(2), "1"), TypeError, "len must be an int ("),
    *needs(
        "term must be an Erlang term, not ",
        lambda w: c.driver_output_term(w.handle, object()),
        lambda w: c.driver_output_term(w.handle, (1, [None])),
        lambda w: c.driver_output_term(w.handle, float("nan")),
        lambda w: c.erl_drv_output_term(w.port, (1, [-float("inf")])),
        lambda w: c.driver_send_term(w.handle, Pid(1), {1: {2}}),
        lambda w: c.erl_drv_output_term(w.port, [print]),
        lambda w: c.erl_drv_send_term(w.port, Pid(1), None),
    ),
    (lambda w: c.erl_errno_id("2"), TypeError, "erl_errno_id: error must be an int (an errno), n"),
    (lambda w: c.erl_errno_id(2**31), ValueError, "error must be an errno from -2147483648 to"),
    (lambda w: c.erl_drv_set_os_pid(w.handle, "1"), TypeError, "pid must be an int (a process of"),
    (lambda w: c.erl_drv_set_os_pid(w.handle, 2**63), ValueError, "pid must be a process of the s"),
    (lambda w: c.driver_system_info("56"), TypeError, "size must be an int (bytes), not '56'"),
    (lambda w: c.driver_system_info(-1), ValueError, "size must be 0 or more bytes, not -1"),
    (lambda w: c.driver_system_info(31), Misuse, "size must be at least 32 bytes, not 31"),
    (lambda w: c.erl_drv_consume_timeslice(w.handle, 1.5), TypeError, "percent must be an int (p"),
    (lambda w: c.erl_drv_consume_timeslice(w.handle, 2**31), ValueError, "percent must be percent"),
    (lambda w: c.driver_mk_atom(5), TypeError, "driver_mk_atom: string must be a str, not 5"),
    (
        lambda w: c.driver_mk_atom("€"),
        ValueError,
        "string must be of the characters of Latin-1, not",
    ),
    *needs(
        "receiver must be a Pid, not ",
        lambda w: c.driver_send_term(w.handle, w.port, 1),
        lambda w: c.erl_drv_send_term(w.port, 5, 1),
    ),
    # The queue.
    (lambda w: c.driver_deq(w.handle, "1"), TypeError, "size must be an int (bytes), not '1'"),
    (lambda w: c.driver_deq(w.handle, -1), ValueError, "driver_deq: size must be bytes from 0 to"),
    (lambda w: c.driver_deq(w.handle, 2**64), ValueError, "size must be bytes from 0 to 184467440"),
    # Descriptors.
    *needs(
        "event must be a Socket of driverref.posix, not ",
        lambda w: c.driver_select(w.handle, 5, c.ERL_DRV_READ, 1),
    ),
    (lambda w: c.driver_select(w.handle, None, 1, 1), Misuse, "driver_select: event is NULL"),
    (lambda w: c.driver_select(w.handle, w.socket, "1", 1), TypeError, "mode must be an int (ERL_"),
    (lambda w: c.driver_select(w.handle, w.socket, 16, 1), ValueError, "ERL_DRV_USE from 0 to 15"),
    (
        lambda w: c.driver_select(w.handle, w.socket, 1, 2),
        ValueError,
        "on must be a flag from 0 to",
    ),
    (lambda w: c.driver_select(w.handle, w.socket, 1, None), TypeError, "on must be an int (a fl"),
    # The timer, busy, failure.
    (lambda w: c.driver_set_timer(w.handle, "5"), TypeError, "t must be an int (milliseconds), n"),
    (lambda w: c.driver_set_timer(w.handle, 1.5), TypeError, "t must be an int (milliseconds), n"),
    (lambda w: c.driver_set_timer(w.handle, True), TypeError, "t must be an int (milliseconds), "),
    (lambda w: c.driver_set_timer(w.handle, -1), ValueError, "t must be milliseconds from 0 to"),
    (lambda w: c.driver_set_timer(w.handle, 2**64), ValueError, "milliseconds from 0 to 18446744"),
    (lambda w: c.driver_read_timer(w.handle, 0), TypeError, "time_left must be a Key, not 0"),
    (lambda w: c.set_busy_port(w.handle, 2), ValueError, "on must be a flag from 0 to 1, not 2"),
    (lambda w: c.set_busy_port(w.handle, None), TypeError, "on must be an int (a flag), not None"),
    (lambda w: c.erl_drv_busy_msgq_limits(w.handle, 1, None), TypeError, "low must be a Key or N"),
    (lambda w: c.erl_drv_busy_msgq_limits(w.handle, None, "h"), TypeError, "high must be a Key o"),
    (lambda w: c.set_port_control_flags(w.handle, 4), ValueError, "flags must be PORT_CONTROL_FL"),
    (lambda w: c.set_port_control_flags(w.handle, "b"), TypeError, "flags must be an int (PORT_C"),
    (lambda w: c.driver_failure_atom(w.handle, 5), TypeError, "string must be a str, not 5"),
    (lambda w: c.driver_failure_posix(w.handle, "x"), TypeError, "error must be an int (an errno"),
    (lambda w: c.driver_failure_posix(w.handle, -1), ValueError, "error must be an errno from 0"),
    (lambda w: c.driver_failure(w.handle, "x"), TypeError, "error must be an int (an int), not "),
    (lambda w: c.driver_failure(w.handle, 2**31), ValueError, "driver_failure: error must be an"),
    (lambda w: c.driver_exit(w.handle, None), TypeError, "err must be an int (an int), not None"),
    (lambda w: c.driver_exit(w.handle, -(2**31) - 1), ValueError, "err must be an int from -2147"),
    (lambda w: c.set_errno("x"), TypeError, "value must be an int (an errno), not 'x'"),
    (lambda w: c.set_errno(-1), ValueError, "value must be an errno from 0 to 2147483647, not -1"),
    # Monitors, the system.
    *needs(
        "process must be a Pid, not ",
        lambda w: c.driver_monitor_process(w.handle, 5),
        lambda w: c.driver_monitor_process(w.handle, w.port),
    ),
    *needs(
        "must be an ErlDrvMonitor, not ",
        lambda w: c.driver_demonitor_process(w.handle, Ref(1)),
        lambda w: c.driver_get_monitored_process(w.handle, 5),
        lambda w: c.driver_compare_monitors(5, c.ErlDrvMonitor(Ref(1), Pid(1))),
        lambda w: c.driver_compare_monitors(c.ErlDrvMonitor(Ref(1), Pid(1)), 5),
    ),
    *needs(
        "must be an int (an ErlDrvTimeUnit), not ",
        lambda w: c.erl_drv_monotonic_time("msec"),
        lambda w: c.erl_drv_monotonic_time(None),
        lambda w: c.erl_drv_time_offset([]),
        lambda w: c.erl_drv_convert_time_unit(1, "msec", 0),
        lambda w: c.erl_drv_convert_time_unit(1, 0, None),
    ),
    *needs(
        "erl_drv_convert_time_unit: val must be an int (an ErlDrvTime), not ",
        lambda w: c.erl_drv_convert_time_unit(1.5, 0, 1),
    ),
    (
        lambda w: c.erl_drv_convert_time_unit(2**63, 0, 1),
        ValueError,
        "val must be an ErlDrvTime fr",
    ),
    (
        lambda w: c.erl_drv_convert_time_unit(10**10, c.ERL_DRV_SEC, c.ERL_DRV_NSEC),
        Misuse,
        "val is 10000000000 and overflows 64 bits when it is converted",
    ),
    (
        lambda w: c.erl_drv_convert_time_unit(c.ERL_DRV_TIME_ERROR, 3, 1),
        Misuse,
        "val is ERL_DRV_TIME_ERROR, which is no time, and overflows",
    ),
    # The environment.
    *needs(
        "key must be a str, not ",
        lambda w: c.erl_drv_putenv(b"K", "v"),
        lambda w: c.erl_drv_getenv(5, bytearray(8), c.Key(8)),
    ),
    *needs("erl_drv_putenv: value must be a str, not ", lambda w: c.erl_drv_putenv("K", b"v")),
    *needs(
        "erl_drv_getenv: value must be a block or a bytearray, not ",
        lambda w: c.erl_drv_getenv("K", b"        ", c.Key(8)),
    ),
    *needs(
        "erl_drv_getenv: value_size must be a Key, not 8",
        lambda w: c.erl_drv_getenv("K", bytearray(8), 8),
    ),
    (lambda w: c.erl_drv_putenv("K\0", "v"), ValueError, "key must be text without NUL, not 'K"),
    (lambda w: c.erl_drv_putenv("K", "\ud800"), ValueError, "value must be text without NUL, not"),
    (lambda w: c.erl_drv_getenv(None, bytearray(8), c.Key(8)), Misuse, "key is NULL"),
    # Memory.
    (
        lambda w: c.driver_alloc("8"),
        TypeError,
        "driver_alloc: size must be an int (bytes), not '8'",
    ),
    (lambda w: c.driver_alloc(-1), ValueError, "size must be 0 or more bytes, not -1"),
    (lambda w: c.driver_alloc(dict), TypeError, "size must be an int (bytes), not <class 'dict'>"),
    (lambda w: c.driver_realloc(w.block, -1), ValueError, "size must be 0 or more bytes, not -1"),
    (lambda w: c.driver_realloc(w.block, None), TypeError, "size must be an int (bytes), not None"),
    (
        lambda w: c.driver_realloc(w.struct, 8),
        InvalidFree,
        "driver_realloc takes a Memory, not <Pa",
    ),
    (lambda w: c.driver_realloc(b"x", 8), InvalidFree, "driver_realloc takes a Memory, not b'x'"),
    (lambda w: c.driver_free(b"x"), InvalidFree, "driver_free takes a Block, not b'x'"),
    (lambda w: c.driver_free(w.binary), InvalidFree, "use driver_free_binary"),
    (lambda w: c.driver_free(w.mutex), InvalidFree, "driver_free takes a Block, not <ErlDrvMutex"),
    (lambda w: c.memset(None, 0, 1), Misuse, "memset: 1 bytes do not fit in None"),
    (lambda w: c.memset(b"x", 0, 1), TypeError, "a Struct or what driver_alloc returned, not b'x'"),
    (
        lambda w: c.memset(w.block, "0", 1),
        TypeError,
        "memset: c and size must be ints, not ('0', 1)",
    ),
    (
        lambda w: c.memset(w.block, 0, "1"),
        TypeError,
        "memset: c and size must be ints, not (0, '1')",
    ),
    (lambda w: c.memset(w.block, 0, 9), OutOfBounds, "memset: 9 bytes do not fit in <block of 8 b"),
    (lambda w: c.memset(w.block, 0, -1), OutOfBounds, "memset: -1 bytes do not fit in <block"),
    (
        lambda w: c.memset(w.struct, 1, 8),
        ValueError,
        "ptr and c must be a block, and 0 for a Struct, not",
    ),
    (lambda w: c.sizeof(5), TypeError, "a Struct or what driver_alloc returned, not 5"),
    (lambda w: c.driver_alloc_binary("8"), TypeError, "size must be an int (bytes), not '8'"),
    (lambda w: c.driver_alloc_binary(-1), ValueError, "size must be 0 or more bytes, not -1"),
    (lambda w: c.driver_realloc_binary(w.binary, -1), ValueError, "size must be 0 or more bytes"),
    (
        lambda w: c.driver_free_binary(5),
        InvalidFree,
        "driver_free_binary takes a ErlDrvBinary, not 5",
    ),
    (lambda w: c.driver_free_binary(w.block), InvalidFree, "use driver_free"),
    # Locks.
    *needs(
        "name must be a str or None, not 5",
        lambda w: c.erl_drv_mutex_create(5),
        lambda w: c.erl_drv_cond_create(5),
        lambda w: c.erl_drv_rwlock_create(5),
        lambda w: c.erl_drv_thread_opts_create(5),
        lambda w: c.erl_drv_thread_create(5, w.tid, work, None, None),
        lambda w: c.erl_drv_tsd_key_create(5, w.key),
    ),
    *needs(
        "mtx must be an ErlDrvMutex, not ",
        lambda w: c.erl_drv_mutex_destroy(5),
        lambda w: c.erl_drv_mutex_lock(w.cond),
        lambda w: c.erl_drv_mutex_trylock(w.rwlock),
        lambda w: c.erl_drv_mutex_unlock("m"),
        lambda w: c.erl_drv_mutex_name(5),
        lambda w: c.erl_drv_cond_wait(w.cond, 5),
    ),
    *needs(
        "cnd must be an ErlDrvCond, not ",
        lambda w: c.erl_drv_cond_destroy(5),
        lambda w: c.erl_drv_cond_signal(w.mutex),
        lambda w: c.erl_drv_cond_broadcast(w.mutex),
        lambda w: c.erl_drv_cond_name(5),
        lambda w: c.erl_drv_cond_wait(5, w.mutex),
    ),
    *needs(
        "rwlck must be an ErlDrvRWLock, not ",
        lambda w: c.erl_drv_rwlock_destroy(5),
        lambda w: c.erl_drv_rwlock_rlock(5),
        lambda w: c.erl_drv_rwlock_tryrlock("r"),
        lambda w: c.erl_drv_rwlock_runlock(w.mutex),
        lambda w: c.erl_drv_rwlock_rwlock(5),
        lambda w: c.erl_drv_rwlock_tryrwlock(5),
        lambda w: c.erl_drv_rwlock_rwunlock(5),
        lambda w: c.erl_drv_rwlock_name(5),
    ),
    *needs(
        "pdl must be an ErlDrvPDL, not ",
        lambda w: c.driver_pdl_lock(5),
        lambda w: c.driver_pdl_unlock("p"),
        lambda w: c.driver_pdl_get_refc(w.mutex),
        lambda w: c.driver_pdl_inc_refc(5),
        lambda w: c.driver_pdl_dec_refc(5),
    ),
    (lambda w: c.erl_drv_mutex_unlock(w.mutex), Misuse, "does not hold mutex 'm'"),
    (lambda w: c.erl_drv_cond_wait(w.cond, w.mutex), Misuse, "does not hold mutex 'm'"),
    (lambda w: c.erl_drv_rwlock_runlock(w.rwlock), Misuse, "does not hold rwlock 'r' for reading"),
    (lambda w: c.erl_drv_rwlock_rwunlock(w.rwlock), Misuse, "does not hold rwlock 'r' for writing"),
    (lambda w: c.driver_pdl_unlock(w.pdl), Misuse, "does not hold port data lock of #Port<0.1>"),
    # Threads of its own.
    *needs(
        "opts must be an ErlDrvThreadOpts, not ",
        lambda w: c.erl_drv_thread_opts_destroy(5),
        lambda w: c.erl_drv_thread_create("t", w.tid, work, None, 5),
    ),
    *needs(
        "must be an ErlDrvTid, not ",
        lambda w: c.erl_drv_thread_create("t", 5, work, None, None),
        lambda w: c.erl_drv_thread_join(5, None),
        lambda w: c.erl_drv_thread_name("t"),
        lambda w: c.erl_drv_equal_tids(5, w.tid),
        lambda w: c.erl_drv_equal_tids(c.erl_drv_thread_self(), 5),
    ),
    (
        lambda w: c.erl_drv_thread_create("t", w.tid, 5, None, None),
        TypeError,
        "func must be a function of one argument, not 5",
    ),
    (
        lambda w: c.erl_drv_thread_join(c.erl_drv_thread_self(), 5),
        TypeError,
        "exit_value must be a Pointer or None, not 5",
    ),
    (lambda w: c.erl_drv_thread_join(w.tid, None), Misuse, "tid identifies no thread"),
    (lambda w: c.erl_drv_thread_name(w.tid), Misuse, "tid identifies no thread"),
    (lambda w: c.erl_drv_equal_tids(w.tid, w.tid), Misuse, "tid1 identifies no thread"),
    (lambda w: c.erl_drv_thread_exit(5), Misuse, "is not a thread that a driver has started"),
    *needs(
        "key must be an ErlDrvTSDKey, not ",
        lambda w: c.erl_drv_tsd_key_create("k", 5),
        lambda w: c.erl_drv_tsd_key_destroy(5),
        lambda w: c.erl_drv_tsd_set(5, 1),
        lambda w: c.erl_drv_tsd_get("k"),
    ),
    (lambda w: c.erl_drv_tsd_key_destroy(w.key), Misuse, "the key has not been created"),
    (lambda w: c.erl_drv_tsd_set(w.key, 1), Misuse, "the key has not been created"),
    (lambda w: c.erl_drv_tsd_get(w.key), Misuse, "the key has not been created"),
    # What blocks a thread.
    (lambda w: unchecked.usleep("1"), TypeError, "useconds must be an int (microseconds), not '1'"),
    (
        lambda w: unchecked.usleep(True),
        TypeError,
        "useconds must be an int (microseconds), not True",
    ),
    (lambda w: unchecked.usleep(-1), ValueError, "useconds must be 0 or more microseconds, not -1"),
]


def ids(rows: list[Row]) -> list[str]:
    return [f"{number} {text[:40]}" for number, (_, _, text) in enumerate(rows)]


@pytest.mark.parametrize(("call", "kind", "text"), NEW, ids=ids(NEW))
def test_a_bad_argument_makes_nothing(
    call: Callable[[Any], object], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind) as caught:
        call(None)
    assert text in str(caught.value)
    assert type(caught.value) is kind
    with Emulator() as erl:
        assert erl.self() == Pid(1)


def leave(world: World) -> None:
    """Nothing of this is about leaks."""
    world.erl.unlink(world.port)
    world.erl.exit(world.port, "kill")
    world.erl.runtime.ledger.rows.clear()
    for end in world.pipe:
        end.close()


@both
@pytest.mark.parametrize(("call", "kind", "text"), ERLANG, ids=ids(ERLANG))
def test_a_bad_argument_of_erlang_s_side_changes_nothing(
    threads: Kind, call: Callable[[Any], object], kind: type[Exception], text: str
) -> None:
    with Emulator(threads=threads) as erl:
        world = World(erl)
        erl.send(erl.self(), "kept")
        before, events = world.everything(), erl.trace.order()
        with pytest.raises(kind) as caught:
            call(world)
        assert text in str(caught.value)
        assert type(caught.value) is kind
        assert world.everything() == before
        assert erl.trace.order() == events
        assert erl.receive() == "kept"
        assert erl.receive(timeout=0) is None
        leave(world)


@both
@pytest.mark.parametrize("number", range(len(DRIVER)), ids=ids(DRIVER))
def test_a_bad_argument_of_the_driver_s_side_changes_nothing(threads: Kind, number: int) -> None:
    _, kind, text = DRIVER[number]
    with Emulator(threads=threads) as erl:
        world = World(erl)
        erl.send(erl.self(), "kept")
        before, events = world.everything(), erl.trace.order()
        erl.port_control(world.port, number, b"")
        assert type(world.error) is kind, world.error
        assert text in str(world.error)
        assert world.everything() == before
        assert erl.trace.order() == [*events, "control"]
        assert erl.receive() == "kept"
        assert erl.receive(timeout=0) is None
        leave(world)


# The table is complete.

NAMED_OTHERWISE = {
    ("exit", "arguments"): "their number decides what they mean",
    ("memset", "ptr"): "what does not fit is OutOfBounds, or the text is about ptr and c",
    ("memset", "c"): "the text is about c and size",
    ("memset", "size"): "the text is about c and size",
    ("driver_free", "ptr"): "InvalidFree says what the call takes",
    ("driver_realloc", "ptr"): "InvalidFree says what the call takes",
    ("driver_async_cancel", "id"): "no release of today has the call",
    ("driver_free_binary", "bin"): "InvalidFree says what the call takes",
}

NEVER_WRONG = {
    ("send", "message"): "any term",
    ("port_call", "term"): "any term",
    ("spawn", "args"): "what the function takes",
    ("spawn", "link"): "true or false as Python has it",
    ("driver_async", "async_data"): "a void pointer",
    ("driver_create_port", "drv_data"): "any driver data",
    ("erl_drv_init_ack", "res"): "any driver data",
    ("erl_drv_thread_create", "arg"): "a void pointer",
    ("erl_drv_thread_exit", "exit_value"): "a void pointer",
    ("erl_drv_tsd_set", "data"): "a void pointer",
}

ANYTHING = {
    "self": "takes nothing",
    "running": "takes nothing",
    "ports": "takes nothing",
    "registered": "takes nothing",
    "stop": "takes nothing",
    "loaded_drivers": "takes nothing",
    "driver_get_now": "takes nothing",
    "driver_mk_term_nil": "takes nothing",
    "socketpair": "takes nothing",
    "pipe": "takes nothing",
}


def names_in(rows: list[Row]) -> set[str]:
    """The functions that the rows call."""
    return {name for call, _, _ in rows for name in call.__code__.co_names}


def functions_of(thing: object) -> set[str]:
    return {
        name for name, member in inspect.getmembers(thing, inspect.isfunction) if name[0] != "_"
    }


def test_every_public_call_has_a_row() -> None:
    public = functions_of(Emulator) | functions_of(ErlDdll) | functions_of(erl_driver)
    public |= functions_of(posix) - {"current", "check_int"}
    assert public - names_in(ERLANG) - names_in(DRIVER) == set(ANYTHING)


PARAMETER = re.compile(r"(?:\w+: )?(?:erl_ddll\.)?(\w+): (\w+) must be ")


def test_every_parameter_of_every_public_call_has_a_row() -> None:
    named = set()
    for rows in (ERLANG, DRIVER):
        for number, (call, _, _) in enumerate(rows):
            with Emulator(trace=False) as erl:
                world = World(erl)
                if rows is DRIVER:
                    erl.port_control(world.port, number, b"")
                else:
                    with pytest.raises(Exception, match=".") as caught:
                        call(world)
                    world.error = caught.value
                if found := PARAMETER.match(str(world.error)):
                    named.add(found.groups())
                leave(world)
    expected = set()
    for where in (Emulator, ErlDdll, erl_driver, posix):
        for name, function in inspect.getmembers(where, inspect.isfunction):
            if name[0] != "_" and name not in {"current", "check_int"}:
                expected |= {
                    (name, parameter) for parameter in inspect.signature(function).parameters
                }
    expected = {(name, parameter) for name, parameter in expected if parameter != "self"}
    assert expected - named == set(NAMED_OTHERWISE) | set(NEVER_WRONG)
