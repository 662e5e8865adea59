"""The host: it calls the driver's code, and serves what that asks for.

One host serves a process: its runtime is loaded once, with every driver that is hosted (`Module`).
`Host.call` is the heart:

    enter the driver's code -> it asks for "driver_async" -> `handlers` -> driverref.erl_driver
          ^                                                                   |
          +------------------ go on with the result --------------------------+

A handler is a Python function.  Other simulated threads run while it waits, and what it raises goes
up through `Host.call` and the callback, as what a Python driver raises does.  The C stack is left
where it is.

Each request is served through a function that has the name, file and line of the driver's own
(`stand`). So everything in Python that asks which line has called, such as the ledger and a
traceback, names the line in C.

What the driver's code touched between two requests is told to the search before the next step
(`tell_footprint`).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import c_int64
from functools import cache
from types import FunctionType
from typing import TYPE_CHECKING, Any

from driverref.diagnostics import Place, raised, where
from driverref.errors import Misuse
from driverref.hosting import library
from driverref.hosting.building import Build, runtime
from driverref.hosting.faults import Unmodelled, fault_of, variable_at, what_block
from driverref.hosting.lines import NO_LINE, Line
from driverref.threads import ALLOCATION, READ, WRITE, running

if TYPE_CHECKING:
    from driverref.hosting.run import Run
    from driverref.memory.ledger import Story

Handler = Callable[["Run", memoryview], Any]
"""Serves one request: it gets the run and the arguments, and may write results into them."""

HANDLERS: dict[str, Handler] = {}
"""By the name of the request.  Each module with handlers enters them here."""

FREED_BY_DRIVER = (library.DRIVER_ALLOC, library.MALLOC, library.NEW, library.NEW_ARRAY)
"""The kinds of blocks whose leak is told here; that of a binary is a row of the ledger."""

ADDRESSES = 1 << 63
"""Added to the names of C's memory, so that none of them is a resource of another kind."""


def handles(name: str) -> Callable[[Handler], Handler]:
    """Enter the function as the handler of a request."""

    def enter(handler: Handler) -> Handler:
        HANDLERS[name] = handler
        return handler

    return enter


class Module:
    """One driver, loaded."""

    def __init__(self, host: Host, build: Build) -> None:
        lib = host.library
        self.handlers: dict[str, Handler] = {}
        """The functions that Python stands in for in this driver, by name."""
        # The same in every process: workers tell each other the names of variables.
        name = 1 << 61 | int(build.digest[-5:], 16) << 40
        self.build = build
        lib.dr_load(name)
        self.library = ctypes.PyDLL(str(build.object))
        # The thread-local variables of an OS thread are made when one is used.
        self.library.dr_make_locals()
        self.init = ctypes.cast(self.library.driver_init, ctypes.c_void_p).value or 0
        self.handle = lib.dr_module(self.init, name)
        self.base = lib.dr_base(self.handle)
        self.table = build.table
        for address, size, _ in self.table.variables:
            if size > 256:
                lib.dr_coarsen(self.handle, self.base + address, size)

    def line(self, address: int) -> Line | None:
        """The line of a return address; `None` if it is not in this driver."""
        return self.table.line(address - self.base)


class Call:
    """A stack of the driver's, and the box in which it and Python tell each other things."""

    __slots__ = ("address", "arguments", "box")

    def __init__(self, address: int) -> None:
        self.address = address
        self.box = library.words(address, library.BOX)
        self.arguments = self.box[library.ARGUMENT : library.RESULT]


class Clock:
    """The vector clock of a thread, as the runtime sees it."""

    __slots__ = ("room", "thread", "version", "words")

    def __init__(self) -> None:
        self.thread = self.room = 0
        self.version = -1
        self.words: memoryview = memoryview(b"")


class Host:
    """The runtime, the drivers that are loaded into it, and the run that uses them."""

    def __init__(self) -> None:
        self.library = lib = library.load(runtime())
        self.modules: dict[str, Module] = {}
        self.run: Run | None = None
        self.on_load: Callable[[Module], object] | None = None
        """Called with each driver that is loaded."""
        self._calls: dict[tuple[int, int], Call] = {}
        self._clocks: dict[int, Clock] = {}
        self._handlers: dict[int, Handler] = {}
        self._stands: dict[int, Callable[[Handler, Run, memoryview], Any]] = {}
        self._feet = library.words(lib.dr_feet(), 1 << 24)
        self._foot_count = library.words(lib.dr_foot_count(), 1)
        self.fault = library.words(lib.dr_fault(), 8)
        self._enter, self._resume = lib.dr_enter, lib.dr_resume

    def load(self, build: Build) -> Module:
        """The driver of a build, loaded once."""
        if build.digest not in self.modules:
            module = self.modules[build.digest] = Module(self, build)
            if self.on_load is not None:
                self.on_load(module)
        return self.modules[build.digest]

    def note(self, page: ctypes.c_char) -> None:
        """Have the runtime note in this page where the driver's code is: `Note` in `host.h`."""
        self._page = page
        self.library.dr_note(ctypes.addressof(page))

    # Places.

    def line(self, address: int) -> Line | None:
        """The driver's line that a return address belongs to; `None` if it is not a driver's."""
        for module in self.modules.values():
            if (line := module.line(address)) is not None:
                return line
        return None

    def position(self, address: int) -> Place:
        """The driver's line that a return address belongs to, as `diagnostics` has it."""
        line = self.line(address)
        return None if line is None else (line.code, 0)

    def place(self, address: int) -> str:
        """The text of a place: `free_drv.c:61 in new_job`."""
        return where(self.position(address))

    def beginning(self, *addresses: int) -> Place:
        """The line at which the function begins that one of the addresses lies in."""
        for address in addresses:
            for module in self.modules.values():
                if (line := module.table.start(address - module.base)) is not None:
                    return line.code, 0
        return None

    def function(self, address: int) -> str:
        """The name of the function that begins at an address."""
        line = self.line(address + 1)
        return line.function if line else "a function of a library"

    def name(self, address: int) -> tuple[int, str]:
        """The name of a byte, which no address of another run has, and words for where it lies."""
        name: int = self.library.dr_name(address)
        start, size, kind, born, _, _ = self.block(address)
        if start:
            block = what_block(kind, size)
            return name, f"at byte {address - start} of a {block} allocated at {self.place(born)}"
        if (variable := variable_at(self, address)) is not None:
            return name, variable[0]
        return name, "in memory that is not the driver's"

    def stand(self, site: int) -> Callable[[Handler, Run, memoryview], Any]:
        """A function that calls a handler, and has the file, line and name of the driver's own."""
        line = self.line(site)
        stand = self._stands[site] = FunctionType(NO_LINE if line is None else line.code, {})
        return stand

    # A call of the driver.

    def call(self, run: Run, function: int, *arguments: int) -> int:
        """Call a function of the driver's on the running thread, and return its result, a word."""
        thread: Any = running()
        number = thread.number
        depth = run.depth.get(number, 0)
        call = self._calls.get((number, depth)) or self._new_call(run, number, depth)
        run.depth[number] = depth + 1
        box, address, a = call.box, call.address, call.arguments
        clock, known = thread.clock, self._clocks[number]
        handlers, stands, foot_count = self._handlers, self._stands, self._foot_count
        box[library.FUNCTION] = function
        for at, argument in enumerate(arguments):
            a[at] = argument
        go = self._enter
        try:
            while True:
                if known.version != clock.version:
                    self._tell_clock(run, number, clock)
                box[library.TICK] = clock.access()
                go(address)
                if foot_count[0]:
                    self.tell_footprint(run)
                what = box[library.WHAT]
                if not what:
                    thread.errno = box[library.ERRNO]
                    result: int = a[0]
                    return result
                handler = handlers.get(what) or self._handler(what)
                site = box[library.SITE]
                stand = stands.get(site) or self.stand(site)
                try:
                    result = stand(handler, run, a)
                except (TypeError, ValueError) as error:
                    # The model takes this for a mistake of the Python program, which made none.
                    raise Misuse(str(error), place=raised(error)) from error
                box[library.RESULT] = result or 0
                go = self._resume
        finally:
            run.depth[number] = depth

    def _new_call(self, run: Run, number: int, depth: int) -> Call:
        """The stack of a thread for a call at this depth of nesting."""
        self.thread(run, number)
        address = self.library.dr_new_call(self._clocks[number].thread, depth)
        if not address:
            raise MemoryError("there is no memory for another stack of a driver in C")
        call = self._calls[number, depth] = Call(address)
        return call

    def stack_of(self, call: Call) -> int:
        """The lowest address of a call's stack."""
        low: int = self.library.dr_stack(call.address)
        return low

    def thread(self, run: Run, number: int) -> int:
        """The runtime's record of the running thread."""
        known = self._clocks.get(number)
        if known is None:
            known = self._clocks[number] = Clock()
            self._make_room(known, number, 16)
        run.names.setdefault(number, running().name)
        return known.thread

    def _make_room(self, known: Clock, number: int, room: int) -> None:
        """Have the clock of a thread hold the ticks of so many threads."""
        known.room = room
        known.thread = self.library.dr_thread(number, room)
        known.words = library.words(self.library.dr_clock(known.thread), room, "I")

    def _tell_clock(self, run: Run, number: int, clock: Any) -> None:
        """Hand the runtime what a thread has learnt of others."""
        self.thread(run, number)
        known, last = self._clocks[number], max(clock.clock, default=0)
        if last >= known.room:
            self._make_room(known, number, 2 * last)
        for thread, tick in clock.clock.items():
            known.words[thread] = tick
        known.version = clock.version

    def _handler(self, what: int) -> Handler:
        """The handler of a request, whose name stands at the address `what`."""
        name = ctypes.string_at(what).decode()
        # The name lies in the object of the driver that asks: the one that begins next below it.
        asking = max(self.modules.values(), key=lambda m: (m.base <= what, m.base))
        handler = asking.handlers.get(name) or HANDLERS.get(name)
        if handler is None:

            def handler(run: Run, a: memoryview) -> None:
                raise Unmodelled(f"{name}: this model does not have it; stand_ins of c_driver may")

        self._handlers[what] = handler
        return handler

    def tell_footprint(self, run: Run) -> None:
        """Tell the search what was touched since the last request: it is of the step under way."""
        count = self._foot_count
        declare = run.threads.declare
        for foot in self._feet[: count[0]].tolist():
            declare((ADDRESSES | foot >> 1, WRITE if foot & 1 else READ))
        count[0] = 0

    def begin(self, run: Run) -> None:
        """Forget the run before this one."""
        self.run = run
        self.library.dr_begin()
        schedule = run.threads.schedule
        self.library.dr_listen(schedule.logs)
        self.library.dr_may_fail(ALLOCATION in schedule.chances)
        for known in self._clocks.values():
            known.version = -1

    # Memory, used by Python in the driver's place.

    def look(self, run: Run, address: int, size: int, how: int = library.READ) -> None:
        """Check a use of the driver's memory as if the driver had made it; raise what is wrong."""
        number = running().number  # type: ignore[attr-defined]
        site = run.site(number)
        wrong = self.library.dr_look(self.thread(run, number), address, size, how, site)
        if self._foot_count[0]:
            self.tell_footprint(run)
        if wrong:
            raise fault_of(self, run)

    def text(self, run: Run, address: int) -> bytes:
        """The bytes of a text, up to its end, checked."""
        number = running().number  # type: ignore[attr-defined]
        size = self.library.dr_look_text(self.thread(run, number), address, run.site(number))
        if self._foot_count[0]:
            self.tell_footprint(run)
        if size < 0:
            raise fault_of(self, run)
        return ctypes.string_at(address, size)

    def lend(self, run: Run, data: bytes | int, kind: int = library.LENT) -> int:
        """Have bytes in C's memory, or so many that are not written; return their address."""
        number = running().number  # type: ignore[attr-defined]
        thread, site = self.thread(run, number), run.site(number)
        if isinstance(data, int):
            address: int = self.library.dr_lend(thread, None, data, 0, kind, site)
        else:
            address = self.library.dr_lend(thread, data, len(data), 1, kind, site)
        if not address:
            raise MemoryError("there is no memory for what the emulator lends to a driver in C")
        return address

    def end(self, run: Run, address: int, kind: int) -> None:
        """Free a block in the driver's place, or take back what was lent; raise what is wrong."""
        number = running().number  # type: ignore[attr-defined]
        site = 0 if kind == library.LENT else run.site(number)
        wrong = self.library.dr_end(self.thread(run, number), address, kind, site)
        if self._foot_count[0]:
            self.tell_footprint(run)
        if wrong:
            raise fault_of(self, run)

    def block(self, address: int) -> tuple[int, ...]:
        """What is known of the block at an address: begin, size, kind, born, ended, alive."""
        out = (c_int64 * 6)()
        self.library.dr_block(address, out)
        return tuple(out)

    def held(self, run: Run) -> list[Story]:
        """The story of each block and each file that the driver has not given back, by thread."""
        rows: list[Story] = []
        for number in sorted(run.names):
            thread, at = self._clocks[number].thread, 0
            while at := self.library.dr_next_block(thread, at):
                _, size, kind, born, _, alive = self.block(at)
                if alive and kind in FREED_BY_DRIVER:
                    rows.append([(f"{what_block(kind, size)} allocated", self.place(born))])
        out, number, files = (c_int64 * 2)(), 0, []
        while self.library.dr_open_file(number, out) >= 0:
            files.append((out[0], self.place(out[1])))
            number += 1
        rows += [[("file opened", place)] for _, place in sorted(files)]
        for _, (socket, place) in sorted(run.sockets.items()):
            end: Any = socket.end
            if place is not None and not end.closed:
                rows.append([("socket opened", place)])
        return rows


@cache
def host() -> Host:
    """The host of this process."""
    return Host()
