"""The labels of memory until R9B, such as the 200 in `sys_alloc_from(200, size)`.

Inside the emulator each place that allocated had a number, its label.  An instrumented emulator
(`erl -instr`) kept the label beside each block.  An ordinary one dropped it.  Erlang's module
`instrument` read the table and had a name for each label: 200 is the file driver.

`sys_alloc_from` was declared in the emulator's own `sys.h`, so only drivers that were linked into
the emulator could call it.  A driver that is loaded calls `driver_alloc`.  All its blocks had the
label 220, which R7B's own table calls `breakpoint data`: the number had been given twice.

Here every emulator of that age is an instrumented one.  The process that owns a block is not kept,
so it is always `undefined`.
Sources: R7B `sys.h`, `utils.c:alloc_from`, `collect_memory`, `io.c`, `instrument.erl`.
"""

from __future__ import annotations

from driverref.errors import Misuse, is_int, wrong_type, wrong_value
from driverref.memory import Memory
from driverref.memory.allocation import allocate, freeable
from driverref.since import since
from driverref.terms import Atom, Tuple
from driverref.threads import current

LABELS = {
    -1: "unknown",
    1: "atom text",
    2: "bignum (big_to_list)",
    4: "stack",
    8: "heap",
    11: "atom desc",
    31: "fixalloc",
    32: "unknown fixalloc block",
    33: "message buffer",
    51: "db segment",
    52: "db term",
    53: "db add_counter",
    54: "db segment table",
    55: "db table (fix)",
    56: "db bindings",
    57: "db counter",
    61: "binary",
    62: "procbin (fix)",
    71: "binary (io.c)",
    91: "process table",
    92: "process desc",
    110: "hash buckets",
    111: "hash table",
    120: "index init",
    121: "index table",
    130: "temp buffer",
    140: "timer wheel",
    150: "distribution cache",
    151: "dmem",
    152: "distribution table",
    160: "port table",
    161: "driver row",
    162: "port setup",
    163: "port wait",
    170: "module",
    171: "fundef",
    180: "file table",
    181: "driver table",
    182: "poll struct",
    190: "inet driver",
    200: "efile driver",
    210: "gc root set",
    220: "breakpoint data",
    **{800 + n: f"heap ({n})" for n in range(1, 6)},
}
"""The labels of R7B, with the names that `instrument:type_string/1` gave them."""

_BY_CALL = {"driver_free": 220, "driver_free_binary": 71}
"""The labels that `io.c` passed for the calls of `erl_driver.h`, by the call that frees."""


@since("R6B-0", until="R9C")
def sys_alloc_from(where: int, size: int) -> Memory | None:
    """Allocate `size` bytes and label them `where`, a number of `LABELS`.  Freed by `sys_free`.

    Its contents are indeterminate.  `None` (NULL) if there is no such memory.  `Misuse` since R9C.
    In C only drivers that were linked into the emulator could call it.  Any thread of an emulator.
    Stands for `sys_alloc_from` of R7B's `sys.h`.
    """
    _check("sys_alloc_from", "where", where)
    block = allocate("sys_alloc_from", size, "block", "sys_free", None)
    if block is not None:
        block._row.label = where
    return block


@since("R6B-0", until="R9C")
def sys_free(ptr: Memory | None) -> None:
    """Free what `sys_alloc_from` returned.  `None` (NULL) is accepted.

    `DoubleFree` for what is freed already, `InvalidFree` for anything else, `Misuse` since R9C.
    Any thread.  Stands for `sys_free` of `sys.h`.
    """
    if ptr is not None:
        freeable("sys_free", ptr, Memory, "sys_free")._release("sys_free")


def memory_data() -> list[Tuple]:
    """The driver's blocks, oldest first: `{Label, Address, Size, undefined}`, the size in bytes.

    The addresses are made up.  On simulated threads the blocks stand thread by thread.  `Misuse`
    since R9C, which has other labels.  Any thread of an emulator.  Stands for
    `instrument:memory_data/0`.
    """
    runtime = current("memory_data").runtime
    name = runtime.release.name
    if runtime.release.lacks("memory_data", "R6B-0", "R9C"):
        raise Misuse(f"memory_data: {name} has other labels, which are not modelled; take R7B-3")
    rows = [row for _, row in sorted(runtime.ledger.rows.items())]
    labels = [_BY_CALL.get(row.freed_by, -1) if row.label is None else row.label for row in rows]
    address, table = 0x10_0000, []
    for row, label in zip(rows, labels, strict=True):
        table.append(Tuple((label, address, row.size, Atom("undefined"))))
        address += row.size + 28  # room for a header: no two blocks stand side by side
    return table


def type_string(label: int) -> str:
    """The name of a label: `type_string(200)` is `"efile driver"`.

    Raises `ValueError` for a number that is no label, where Erlang raises `function_clause`, and
    `TypeError` for what is no number.  Any thread.  Stands for `instrument:type_string/1`.
    """
    _check("type_string", "label", label)
    return LABELS[label]


def _check(call: str, parameter: str, label: object) -> None:
    if not is_int(label):
        raise wrong_type(call, parameter, "a number of instrument.LABELS", label)
    if label not in LABELS:
        raise wrong_value(call, parameter, "a number of instrument.LABELS", label)
