"""What of Python's standard library stops every simulated thread, and where a program uses it.

All simulated threads share one OS thread.  So `time.sleep` keeps all of them waiting, in real time,
while no virtual time passes; and a lock or a queue of Python's that makes one of them wait makes
the others wait with it, also the one that it waits for.  The simulation cannot notice that.

So the code is read, before it runs.  `uses` looks through a function, and through the functions and
classes of the program that it names, for what `INSTEAD` lists.  What is reached by other ways, such
as a function in a list, is not seen.
"""

from __future__ import annotations

import builtins
import dis
import queue
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from types import CodeType, FunctionType, ModuleType
from typing import NamedTuple
from warnings import warn_explicit
from weakref import WeakSet

from driverref.diagnostics import is_program

MUTEX, CONDITION = "erl_drv_mutex_create", "erl_drv_cond_create, with a mutex"

INSTEAD: dict[object, tuple[str, str]] = {
    time.sleep: ("time.sleep", "usleep, which takes virtual time"),
    threading.Thread: ("threading.Thread", "erl_drv_thread_create"),
    threading.Timer: ("threading.Timer", "driver_set_timer"),
    threading.Lock: ("threading.Lock", MUTEX),
    type(threading.Lock()): ("threading.Lock", MUTEX),  # before 3.13 `Lock` is only a function
    threading.RLock: ("threading.RLock", MUTEX),
    type(threading.RLock()): ("threading.RLock", MUTEX),
    threading.Condition: ("threading.Condition", CONDITION),
    threading.Event: ("threading.Event", CONDITION),
    threading.Semaphore: ("threading.Semaphore", CONDITION),
    threading.BoundedSemaphore: ("threading.BoundedSemaphore", CONDITION),
    threading.Barrier: ("threading.Barrier", CONDITION),
    queue.Queue: ("queue.Queue", CONDITION),
    queue.LifoQueue: ("queue.LifoQueue", CONDITION),
    queue.PriorityQueue: ("queue.PriorityQueue", CONDITION),
    queue.SimpleQueue: ("queue.SimpleQueue", CONDITION),
}
"""What stops every simulated thread: its name, and what a driver uses instead."""

_BY_ID = {id(thing): words for thing, words in INSTEAD.items()}

_read: WeakSet[CodeType] = WeakSet()
_read_classes: WeakSet[type] = WeakSet()
"""What was looked through: `explore` loads the same driver in every schedule."""


class Use(NamedTuple):
    """A place in the program at which something of `INSTEAD` is used."""

    name: str
    instead: str
    function: FunctionType
    line: int


def warn_of_blocking(program: object) -> None:
    """Warn of each place at which a function or a class of the program uses something of `INSTEAD`.

    A place is told once.
    """
    for name, instead, function, line in uses(program):
        warn_explicit(
            f"{name} stops every simulated thread, because they share one thread of Python's;"
            f" a driver uses {instead}",
            RuntimeWarning,
            function.__code__.co_filename,
            line,
            registry=function.__globals__.setdefault("__warningregistry__", {}),
        )


def uses(program: object) -> Iterator[Use]:
    """Yield the uses in a function or a class, and in what it names, where it was not read yet."""
    if isinstance(program, type):
        if program in _read_classes:
            return
        _read_classes.add(program)
        for base in program.__mro__:
            for part in vars(base).values():
                if not isinstance(part, type):
                    yield from uses(getattr(part, "__func__", part))
    elif isinstance(program, FunctionType):
        code = program.__code__
        file = code.co_filename
        # Only the program's own: a library knows what it does.
        if code in _read or not is_program(file) or "-packages" in file:
            return
        _read.add(code)
        known = {**vars(builtins), **program.__globals__}
        for name, cell in zip(code.co_freevars, program.__closure__ or (), strict=True):
            with suppress(ValueError):  # it has no value yet
                known[name] = cell.cell_contents
        yield from _in_code(program, code, known)


def _in_code(function: FunctionType, code: CodeType, known: dict[str, object]) -> Iterator[Use]:
    """Yield the uses in code of a function, or in a function within; `known` is what names are."""
    value: object = None  # what the instruction before has put on the stack
    module: object = None
    for instruction in dis.get_instructions(code):
        name = instruction.argval
        match instruction.opname:
            case "LOAD_GLOBAL" | "LOAD_NAME" | "LOAD_DEREF" | "LOAD_FAST" | "LOAD_FAST_BORROW":
                value = known.get(name)
            case "IMPORT_NAME":
                value = module = sys.modules.get(name)
            case "IMPORT_FROM":
                value = getattr(module, name, None)
            case "LOAD_ATTR" | "LOAD_METHOD":
                value = vars(value).get(name) if isinstance(value, ModuleType) else None
            case "STORE_FAST" | "STORE_DEREF":
                known[name], value = value, None
            case _:
                value = None
        found = _BY_ID.get(id(value)) or _BY_ID.get(id(type(value)))
        if found and instruction.opname != "IMPORT_FROM":
            line = instruction.positions and instruction.positions.lineno
            yield Use(*found, function, line or code.co_firstlineno)
        yield from uses(value)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _in_code(function, constant, {**known})
