"""A driver in C, to load as a Python driver: to everything above it is just a `Driver`.

`c_driver` compiles and loads the driver's object.  What it returns makes a driver for a run:

    Lookup = c_driver("lookup_drv.c")            outside of the scenario, once
    erl.erl_ddll.load_driver(Lookup())           in the scenario, each time

A callback of `Driver` becomes a call of C: its arguments become words, a buffer is lent in C's
memory for the length of the call, and the result, a word, becomes what the emulator expects.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from ctypes import string_at
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, cast

from driverref.errors import Misuse
from driverref.hosting import atomics, calls, library, locks, sockets, special, waiting, wrong
from driverref.hosting.building import Build, build
from driverref.hosting.calls import signed
from driverref.hosting.external import decode, encode
from driverref.hosting.host import Handler, Module, host
from driverref.hosting.run import Run
from driverref.hosting.special import monitor_bytes
from driverref.hosting.vectors import lay_out
from driverref.posix import Socket
from driverref.runtime.driver import (
    CALLBACKS,
    ERL_DRV_EXTENDED_MAJOR_VERSION,
    ERL_DRV_EXTENDED_MINOR_VERSION,
    Driver,
)
from driverref.runtime.port import ErlDrvPort
from driverref.threads import OUTSIDE, running

REQUESTS = (atomics, calls, locks, sockets, special, waiting, wrong)
"""The modules whose handlers serve what the driver's code asks for."""

_ENTRY = (
    "init start stop output ready_input ready_output driver_name finish handle control timeout"
    " outputv ready_async flush call unused marker flags handle2 process_exit stop_select"
    " emergency_close"
).split()
"""`ErlDrvEntry`, word by word.

Two words have halves: `marker` also the major version, and `flags`, the minor one before it.
"""

_ROOM = 64
"""The bytes that the emulator lends to `control` and `call` for a short reply."""

_KEEP_BUFFER = 1


class Entry(NamedTuple):
    """What the driver's `ErlDrvEntry` says."""

    name: str
    flags: int
    marker: int
    version: tuple[int | None, int | None]
    callbacks: tuple[str, ...]


class HostedDriver(Driver):
    """A driver whose callbacks are C's.  A driver's subclass leaves out those that are NULL."""

    def __init__(self, run: Run, at: dict[str, int], called: set[str]) -> None:
        self._run, self._at, self._called = run, at, called

    def _call(self, name: str, *words: int) -> int:
        run = self._run
        self._called.add(name)
        if running().runtime is not run.runtime:
            raise Misuse(f"{name}: a driver in C is of one emulator: make another for the next")
        return run.host.call(run, self._at[name], *words)

    def _at_line(self, name: str, function: Callable[..., bytes], *words: int) -> bytes:
        """Call a function with the run, at the callback's first line, which a fault then names."""
        stand = self._run.host.stand(self._at[name] + 1)
        return cast(bytes, stand(lambda run, _: function(run, *words), self._run, memoryview(b"")))


def _init(self: HostedDriver) -> int:
    return signed(self._call("init") << 32) >> 32


def _start(self: HostedDriver, port: ErlDrvPort, command: str) -> int:
    run = self._run
    with run.lent(command.encode() + b"\0") as (text,):
        return self._call("start", run.port_word(port), text)


def _stop(self: HostedDriver, data: int) -> None:
    self._call("stop", data)


def _output(self: HostedDriver, data: int, buf: memoryview) -> None:
    with self._run.lent(bytes(buf)) as (at,):
        self._call("output", data, at, len(buf))


def _outputv(self: HostedDriver, data: int, ev: Any) -> None:
    run = self._run
    struct, lent = lay_out(run, ev)
    with run.lent(struct) as (at,):
        self._call("outputv", data, at)
    for address in lent:
        run.host.end(run, address, library.LENT)


def _control(self: HostedDriver, data: int, command: int, buf: memoryview) -> object:
    run = self._run
    with (
        run.lent(bytes(buf), _ROOM) as (at, room),
        run.lent(room.to_bytes(8, "little")) as (reply,),
    ):
        size = self._call("control", data, command, at, len(buf), reply, _ROOM)
        if size < 0:
            return -1
        return self._at_line("control", _reply, run.read_word(reply), room, size)


def _reply(run: Run, address: int, room: int, size: int) -> bytes:
    """The bytes of a reply: in the room that was lent, in a binary, or in a block."""
    if not address or not size:
        return b""
    if address == room:
        return run.read(address, size, library.WHOLE)
    if address in run.binaries:
        data = run.read(address + 8, size, library.WHOLE)
        special.driver_free_binary(run, memoryview(address.to_bytes(8, "little")).cast("q"))
        return data
    data = run.read(address, size, library.WHOLE)
    run.host.end(run, address, library.DRIVER_ALLOC)
    return data


def _timeout(self: HostedDriver, data: int) -> None:
    self._call("timeout", data)


def _ready_input(self: HostedDriver, data: int, event: Socket) -> None:
    self._call("ready_input", data, self._run.descriptors[event])


def _ready_output(self: HostedDriver, data: int, event: Socket) -> None:
    self._call("ready_output", data, self._run.descriptors[event])


def _stop_select(self: HostedDriver, event: Socket, reserved: None) -> None:
    self._call("stop_select", self._run.descriptors[event], 0)


def _ready_async(self: HostedDriver, data: int, job: int) -> None:
    self._call("ready_async", data, job)


def _flush(self: HostedDriver, data: int) -> None:
    self._call("flush", data)


def _call(self: HostedDriver, data: int, command: int, term: object) -> object:
    run, sent = self._run, encode(term)
    with (
        run.lent(sent, _ROOM, bytes(4)) as (at, room, flags),
        run.lent(room.to_bytes(8, "little")) as (reply,),
    ):
        size = self._call("call", data, command, at, len(sent), reply, _ROOM, flags)
        if size < 0:
            return None
        address = run.read_word(reply)
        if address != room and run.read_word(flags, 4) & _KEEP_BUFFER:
            return decode("call", run.read(address, size, library.WHOLE))
        return decode("call", self._at_line("call", _reply, address, room, size))


def _process_exit(self: HostedDriver, data: int, monitor: Any) -> None:
    run = self._run
    with run.lent(monitor_bytes(run, monitor)) as (at,):
        self._call("process_exit", data, at)


def _finish(self: HostedDriver) -> None:
    self._call("finish")


def _never(self: HostedDriver, *words: object) -> None:
    """A callback that this emulator never calls."""


_BODIES = {
    "init": _init,
    "start": _start,
    "stop": _stop,
    "output": _output,
    "outputv": _outputv,
    "control": _control,
    "timeout": _timeout,
    "ready_input": _ready_input,
    "ready_output": _ready_output,
    "ready_async": _ready_async,
    "flush": _flush,
    "call": _call,
    "process_exit": _process_exit,
    "stop_select": _stop_select,
    "finish": _finish,
}


def _version(major: int, minor: int) -> tuple[int | None, int | None]:
    """The version that an entry gives."""
    # A driver that gives the header's own is compiled for whatever release it is played on.
    if (major, minor) == (ERL_DRV_EXTENDED_MAJOR_VERSION, ERL_DRV_EXTENDED_MINOR_VERSION):
        return None, None
    return major, minor


class CDriver:
    """What `c_driver` returns: call it in a scenario, and load the driver that it returns."""

    def __init__(self, build: Build, options: tuple[Any, ...]) -> None:
        self._build, self._options = build, options
        self._classes: dict[Entry, type[HostedDriver]] = {}
        self.callbacks: set[str] = set()
        """The callbacks that its entry has, as far as it has been run."""
        self.called: set[str] = set()
        """Those that were called."""
        self.sources = tuple(map(str, build.sources))
        """The files that it was compiled from."""

    @cached_property
    def _module(self) -> Module:
        module = host().load(self._build)
        module.handlers.update(self._options[-1] or {})
        return module

    def load(self) -> None:
        """Load the driver into this process, if that has not been done."""
        self._module  # noqa: B018 - it is made when it is asked for

    def __call__(self) -> Driver:
        """The driver for the emulator that runs: its variables are as they are after loading.

        While a driver that this has returned is loaded, it is returned again, as a file that is
        loaded twice is loaded once.  `Misuse` outside of an emulator, and on OS threads.
        """
        thread = running()
        if thread is OUTSIDE:
            raise Misuse("a driver in C is made for one emulator: call it in the scenario")
        run = run_of(thread.runtime)
        made: Driver | None = run.made.get(self)
        if made is not None:
            run.threads.step()
            loaded = thread.runtime.drivers.get(made.driver_name)
            still = loaded is not None and loaded.source is made
            if still:
                return made
        run.host.library.dr_fresh(self._module.handle)
        words = library.words(run.host.call(run, self._module.init), len(_ENTRY))
        at = dict(zip(_ENTRY, words, strict=True))
        entry = Entry(
            string_at(at["driver_name"]).decode(),
            (at["flags"] >> 32) & 0xFFFFFFFF,
            at["marker"] & 0xFFFFFFFF,
            _version(at["marker"] >> 32, signed(at["flags"] << 32) >> 32),
            tuple(name for name in CALLBACKS if at[name]),
        )
        fresh: Driver = self._class(entry)(run, at, self.called)
        run.made[self] = fresh
        return fresh

    def _class(self, entry: Entry) -> type[HostedDriver]:
        """The class for an entry: the emulator checks a class once."""
        found = self._classes.get(entry)
        if found is None:
            members: dict[str, Any] = {name: _BODIES.get(name, _never) for name in entry.callbacks}
            members |= {"driver_name": entry.name, "driver_flags": entry.flags}
            members |= {"extended_marker": entry.marker}
            members |= dict(zip(("major_version", "minor_version"), entry.version, strict=True))
            self.callbacks |= {*_BODIES} & {*entry.callbacks}
            found = self._classes[entry] = type(entry.name, (HostedDriver,), members)
        return found

    def learn(self, other: CDriver) -> None:
        """Take over what another process has learnt of this driver."""
        self.callbacks |= other.callbacks
        self.called |= other.called

    @property
    def never_called(self) -> list[str]:
        """The callbacks of its entry that no run has called so far."""
        return [name for name in _BODIES if name in self.callbacks - self.called]

    @property
    def paths(self) -> dict[str, str]:
        """By its name, the path of each file that a line of the driver's code is in."""
        return {Path(file).name: file for _, file, _ in self._build.table.lines}

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process compiles it, which finds it compiled, and loads it when it runs it.
        known = {"callbacks": self.callbacks, "called": self.called}
        return c_driver_unloaded, (self.sources, *self._options), known

    def __repr__(self) -> str:
        return f"<CDriver {self.sources[0]}>"


def run_of(runtime: Any) -> Run:
    """The host's run for an emulator.  `Misuse` while another emulator runs drivers in C."""
    served = host()
    run = served.run
    if run is None or run.runtime is not runtime:
        if run is not None and not run.over():
            raise Misuse("two emulators run drivers in C: one at a time can, in a process")
        run = Run(served, runtime)
        served.begin(run)
    return run


def c_driver(
    *sources: str | os.PathLike[str],
    flags: Sequence[str] = (),
    libs: Sequence[str] = (),
    cc: str | None = None,
    stand_ins: Mapping[str, Handler] | None = None,
) -> CDriver:
    """Compile and load a linked-in driver in C or C++, for `explore` and all else.

    `sources` are its files, `flags` go to the compiler (`-I`, `-D`, `-std=c11`), `libs` to the
    linker (`-lz`, `other.o`).  `cc` is the compiler; by default that of `CC`, or `CXX` for C++, or
    the first that is found.  What was compiled once is kept, and made again when a file has
    changed.

    `stand_ins` has, by name, functions that the driver calls and that Python is to do in their
    place, such as those of a library that waits for the network.  Each is called with the `Run` and
    the words of its arguments, at most six, and returns a word or `None`.

    Returns a `CDriver`: call it in the scenario, and load what that returns.  Call `c_driver`
    itself outside of the scenario, once.

    Raises `CompileError` with what the compiler said, or with what is missing: a compiler,
    binutils, `erl_driver.h`.
    """
    driver = c_driver_unloaded(sources, flags, libs, cc, stand_ins)
    driver.load()
    return driver


def c_driver_unloaded(
    sources: Sequence[str | os.PathLike[str]],
    flags: Sequence[str] = (),
    libs: Sequence[str] = (),
    cc: str | None = None,
    stand_ins: Mapping[str, Handler] | None = None,
) -> CDriver:
    """Do as `c_driver`, but load the driver only when it is run: for a process that does not."""
    made = build(sources, flags, libs, cc, sorted(stand_ins or ()))
    return CDriver(made, (tuple(flags), tuple(libs), cc, stand_ins))
