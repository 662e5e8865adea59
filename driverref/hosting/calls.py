"""The functions of `erl_driver.h`, as requests: one row each, in the words of its parameters.

A row says how each parameter of C becomes one of `driverref.erl_driver`, and the result a word:

| word | in C | in Python |
|---|---|---|
| `port` | `ErlDrvPort`, as a result also -1 | `ErlDrvPort`, -1 |
| `thing`, `null` | a handle, an identifier, an atom; `null` may be NULL | the object, `None` |
| `int`, `uint` | a number of 32 bits, with and without a sign | `int` |
| `long`, `size` | a number of 64 bits, with and without a sign | `int` |
| `flag` | 0 or not | `int`, 0 or 1 |
| `text`, `name` | `char *` up to a zero byte; `name` may be NULL | `str`, `None` |
| `buf` | `char *` and a length | `bytes` |
| `bin` | `ErlDrvBinary *` | `ErlDrvBinary` |
| `terms` | `ErlDrvTermData *` and a length | a term |

What does not fit into a row stands in `special`: a function that writes to its parameters, or that
takes a function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from driverref import erl_driver
from driverref.hosting.host import HANDLERS, Handler
from driverref.hosting.library import WHOLE
from driverref.hosting.term_words import term

if TYPE_CHECKING:
    from driverref.hosting.run import Run

ROWS = """
driver_output                 port buf               -> int
driver_output2                port buf buf           -> int
driver_output_binary          port buf bin size size -> int
driver_output_term            port terms             -> int
driver_send_term              port thing terms       -> int
erl_drv_output_term           thing terms            -> int
erl_drv_send_term             thing thing terms      -> int

driver_enq                    port buf               -> int
driver_pushq                  port buf               -> int
driver_enq_bin                port bin size size     -> int
driver_pushq_bin              port bin size size     -> int
driver_deq                    port size              -> int
driver_sizeq                  port                   -> int

driver_create_port            port thing text long   -> port
driver_lock_driver            port                   -> int
erl_drv_consume_timeslice     port int               -> int
erl_drv_set_os_pid            port long              -> int
get_port_flags                port                   -> int

erl_drv_monotonic_time        uint                   -> int
erl_drv_time_offset           uint                   -> int
erl_drv_convert_time_unit     long uint uint         -> int
erl_drv_putenv                text text              -> int

driver_set_timer              port size              -> int
driver_cancel_timer           port                   -> int
set_busy_port                 port flag              -> int
set_port_control_flags        port int               -> int
driver_failure_eof            port                   -> int
driver_failure_atom           port text              -> int
driver_failure_posix          port int               -> int
driver_failure                port int               -> int
driver_exit                   port int               -> int

driver_mk_atom                text                   -> thing
driver_mk_port                port                   -> thing
driver_connected              port                   -> thing
driver_caller                 port                   -> thing
driver_async_port_key         port                   -> int

driver_pdl_create             port                   -> thing
driver_pdl_lock               thing                  -> int
driver_pdl_unlock             thing                  -> int
driver_pdl_get_refc           thing                  -> int
driver_pdl_inc_refc           thing                  -> int
driver_pdl_dec_refc           thing                  -> int

driver_alloc_binary           size                   -> bin
driver_binary_get_refc        bin                    -> int
driver_binary_inc_refc        bin                    -> int
driver_binary_dec_refc        bin                    -> int

erl_drv_mutex_create          name                   -> thing
erl_drv_mutex_destroy         thing                  -> int
erl_drv_mutex_lock            thing                  -> int
erl_drv_mutex_trylock         thing                  -> int
erl_drv_mutex_unlock          thing                  -> int
erl_drv_mutex_name            null                   -> text
erl_drv_cond_create           name                   -> thing
erl_drv_cond_destroy          thing                  -> int
erl_drv_cond_signal           thing                  -> int
erl_drv_cond_broadcast        thing                  -> int
erl_drv_cond_wait             thing thing            -> int
erl_drv_cond_name             null                   -> text
erl_drv_rwlock_create         name                   -> thing
erl_drv_rwlock_destroy        thing                  -> int
erl_drv_rwlock_rlock          thing                  -> int
erl_drv_rwlock_tryrlock       thing                  -> int
erl_drv_rwlock_runlock        thing                  -> int
erl_drv_rwlock_rwlock         thing                  -> int
erl_drv_rwlock_tryrwlock      thing                  -> int
erl_drv_rwlock_rwunlock       thing                  -> int
erl_drv_rwlock_name           null                   -> text
"""


def _int(word: int) -> int:
    word &= 0xFFFFFFFF
    return word - (1 << 32) if word >> 31 else word


def signed(word: int) -> int:
    """A word of 64 bits as a number with a sign."""
    word = unsigned(word)
    return word - (1 << 64) if word >> 63 else word


def unsigned(word: int) -> int:
    """A word of 64 bits as a number without a sign."""
    return word & (1 << 64) - 1


_Take = Callable[["Run", str, memoryview, int], Any]

TAKE: dict[str, tuple[int, _Take]] = {
    "port": (1, lambda run, call, a, at: run.port(call, a[at])),
    "thing": (1, lambda run, call, a, at: run.thing(call, a[at])),
    "null": (1, lambda run, call, a, at: run.thing(call, a[at]) if a[at] else None),
    "int": (1, lambda run, call, a, at: _int(a[at])),
    "uint": (1, lambda run, call, a, at: a[at] & 0xFFFFFFFF),
    "long": (1, lambda run, call, a, at: signed(a[at])),
    "size": (1, lambda run, call, a, at: unsigned(a[at])),
    "flag": (1, lambda run, call, a, at: int(_int(a[at]) != 0)),
    "text": (1, lambda run, call, a, at: run.text(a[at])),
    "name": (1, lambda run, call, a, at: run.text(a[at]) if a[at] else None),
    "buf": (2, lambda run, call, a, at: run.read(a[at], a[at + 1], WHOLE)),
    "bin": (1, lambda run, call, a, at: run.binary(call, a[at])),
    "terms": (2, lambda run, call, a, at: term(run, call, a[at], _int(a[at + 1]))),
}
"""By word, how many parameters it takes in C, and how they become one in Python."""

GIVE: dict[str, Callable[[Run, Any], int]] = {
    "port": lambda run, value: value if value == -1 else run.port_word(value),
    "int": lambda run, value: signed(value or 0),
    "thing": lambda run, value: run.word(value),
    "text": lambda run, value: run.text_word(value),
    "bin": lambda run, value: run.binary_word(value),
}
"""By word, how a result of Python becomes one of C."""


def row(name: str, parameters: list[str], result: str) -> Handler:
    """The handler of a function."""
    function, give, takes, at = getattr(erl_driver, name), GIVE[result], [], 0
    for parameter in parameters:
        width, take = TAKE[parameter]
        takes.append((take, at))
        at += width

    def handler(run: Run, a: memoryview) -> int:
        return give(run, function(*[take(run, name, a, at) for take, at in takes]))

    return handler


for line in filter(None, ROWS.splitlines()):
    left, _, result = line.partition("->")
    name, *parameters = left.split()
    HANDLERS[name] = row(name, parameters, result.strip())
