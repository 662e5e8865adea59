"""The runtime as Python sees it: its functions, and the memory that both sides look into.

`ctypes.PyDLL` keeps Python's lock during a call, which is right here: the runtime calls no Python,
and one thread runs all of it.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_int, c_int64, c_long, c_size_t, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

from driverref.hosting.tools import CompileError

WHAT, SITE, ARGUMENT, RESULT, TICK, ERRNO, FUNCTION, BOX = 0, 1, 2, 9, 10, 11, 12, 13
"""Where things stand in the box of a call: as in `host.h`."""

STACK = 1 << 20
"""The bytes of a stack."""

READ, WRITE, ATOMIC, FREE, WHOLE = 0, 1, 2, 4, 8
DRIVER_ALLOC, MALLOC, NEW, NEW_ARRAY, BINARY, LENT, FILLER = range(1, 8)

FUNCTIONS: dict[str, tuple[object, ...]] = {
    "dr_start": (c_int,),
    "dr_begin": (None,),
    "dr_listen": (None, c_int),
    "dr_feet": (c_void_p,),
    "dr_foot_count": (c_void_p,),
    "dr_fault": (c_void_p,),
    "dr_thread": (c_void_p, c_uint32, c_uint32),
    "dr_clock": (c_void_p, c_void_p),
    "dr_new_call": (c_void_p, c_void_p, c_uint32),
    "dr_stack": (c_size_t, c_void_p),
    "dr_enter": (None, c_void_p),
    "dr_resume": (None, c_void_p),
    "dr_note": (None, c_void_p),
    "dr_load": (None, c_uint64),
    "dr_module": (c_void_p, c_void_p, c_uint64),
    "dr_base": (c_size_t, c_void_p),
    "dr_coarsen": (None, c_void_p, c_size_t, c_size_t),
    "dr_fresh": (None, c_void_p),
    "dr_may_fail": (None, c_int),
    "dr_lend": (c_size_t, c_void_p, c_char_p, c_size_t, c_int, c_uint32, c_size_t),
    "dr_end": (c_int, c_void_p, c_size_t, c_uint32, c_size_t),
    "dr_next_block": (c_size_t, c_void_p, c_size_t),
    "dr_block": (None, c_size_t, POINTER(c_int64)),
    "dr_look": (c_int, c_void_p, c_size_t, c_size_t, c_int, c_size_t),
    "dr_look_text": (c_long, c_void_p, c_size_t, c_size_t),
    "dr_name": (c_uint64, c_size_t),
    "dr_differs": (c_int, c_size_t, c_size_t, c_size_t),
    "dr_open_file": (c_long, c_long, POINTER(c_int64)),
}
"""What each function returns, and what it takes."""


def load(path: Path) -> ctypes.PyDLL:
    """Load the runtime and have it reserve its memory."""
    library = ctypes.PyDLL(str(path))
    for name, (result, *arguments) in FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    if library.dr_start():
        raise CompileError("a driver in C needs 1 GB of address space, and the machine refuses it")
    return library


def words(address: int, count: int, kind: str = "q") -> memoryview:
    """`count` words at an address, to read and write.

    `q` is 8 bytes, signed; `Q` the same, unsigned; `I` 4 bytes, unsigned; `B` a byte.
    """
    size = {"q": 8, "Q": 8, "I": 4, "B": 1}[kind]
    view: Any = memoryview((ctypes.c_char * (size * count)).from_address(address))
    words: memoryview = view.cast("B").cast(kind)
    return words
