"""The driver entry: callbacks, flags, and what NULL means.

`Driver` stands for `ErlDrvEntry`.  A subclass names itself, defines the callbacks it has, and an
instance is loaded with `erl_ddll.load_driver`.  A callback that the subclass does not define is
`None` in the instance, as it is NULL in C:

| callback | NULL means |
|---|---|
| `start` | the port opens, its driver data is `None` |
| `outputv` | `output` is called |
| `output` as well | the data is swallowed, `port_command` returns `true` |
| `control`, `call` | `badarg` |
| `timeout` | nothing happens |
| `ready_input`, `ready_output`, `stop_select` | a fault, when it would be called |
| `ready_async` | `async_free` gets the data of every job |
| `flush` | a closing port with bytes in its driver queue waits until other callbacks empty it |
| `process_exit` | `driver_monitor_process` returns -1 |
| `init`, `stop`, `finish`, `emergency_close` | nothing is called |

`Driver` declares every callback with its parameters, so that an editor completes it and a type
checker compares a subclass with it.  `null` makes NULL of a declaration.  A callback is looked up
once, when the driver is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from driverref.terms import Pid, Ref

if TYPE_CHECKING:
    from driverref.memory import Memory
    from driverref.memory.binary import ErlDrvBinary
    from driverref.runtime.iovec import ErlIOVec
    from driverref.runtime.port import ErlDrvPort

# A lock for each port.  Without it the driver has one lock, and its ports run one at a time.
ERL_DRV_FLAG_USE_PORT_LOCKING = 1 << 0
# A busy port takes commands that are sent with the option `force`.
ERL_DRV_FLAG_SOFT_BUSY = 1 << 1
# However many commands wait for a port that is locked, their senders are not suspended.
ERL_DRV_FLAG_NO_BUSY_MSGQ = 1 << 2
# `open_port` returns only when the driver has called `erl_drv_init_ack`.
ERL_DRV_FLAG_USE_INIT_ACK = 1 << 3

# What an entry says of the `erl_driver.h` that it was compiled with.
ERL_DRV_EXTENDED_MARKER = 0xFEEEEEED
ERL_DRV_EXTENDED_MAJOR_VERSION = 3
ERL_DRV_EXTENDED_MINOR_VERSION = 3
ERL_DRV_MIN_REQUIRED_MAJOR_VERSION_ON_LOAD = 2

Declared = TypeVar("Declared", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class ErlDrvMonitor:
    """A monitor of a process, given to `process_exit`.  Equal ones are the same monitor."""

    ref: Ref
    pid: Pid


# A callback that is not defined has to be two things.  In a driver that is loaded it is NULL.  In
# this class it is a method with parameters, for editors and type checkers, and for its docstring.
class Null:
    """A callback that is declared and not defined: `None` in an instance."""

    def __init__(self, declared: Callable[..., object]) -> None:
        self.declared = declared

    # On the class it is the declaration, so that the documentation finds it; on an instance, None.
    def __get__(self, driver: Driver | None, kind: type[Driver]) -> Callable[..., object] | None:
        return self.declared if driver is None else None


def null(declared: Declared) -> Declared:
    """Make NULL of a declaration.  To a type checker it is still a method, for overrides to fit."""
    return cast("Declared", Null(declared))


class Driver:
    """What `ErlDrvEntry` is in C: subclass it, define callbacks, load an instance.

    The emulator passes the parameters of a callback by position, so a subclass may choose their
    names.  `drv_data` is what `start` returned.  A callback that has a port is called by a
    scheduler, with the lock of the port held.  An exception that leaves a callback stops the
    emulator.
    """

    driver_name: ClassVar[str] = ""
    """One word, the first of the command given to `open_port`."""
    driver_flags: ClassVar[int] = 0
    """`ERL_DRV_FLAG_*`, or'ed; 0 means one lock for all ports of the driver."""
    extended_marker: ClassVar[int] = ERL_DRV_EXTENDED_MARKER
    """Says that the entry has flags and a version; 0 in entries of before R11B-3."""
    major_version: ClassVar[int | None] = None
    minor_version: ClassVar[int | None] = None
    """The version of the `erl_driver.h` that the driver was compiled with.

    By default both are those of the emulator that loads it, as if it were compiled for each.
    """

    # In the order of `erl_driver.h`.

    @null
    def init(self, /) -> int | None:
        """The driver is being loaded.  Called once, without a port.

        A result other than `None` or 0 refuses the load: `{error, driver_init_failed}`.
        """

    @null
    def start(self, port: ErlDrvPort, command: str, /) -> object:
        """A port is being opened.  `command` is the text given to `open_port`.

        It begins with the driver's name.  Returns the driver data: any object, one for each
        `open_port`.  If it returns `ERL_DRV_ERROR_GENERAL`, `ERL_DRV_ERROR_ERRNO` or
        `ERL_DRV_ERROR_BADARG`, `open_port` fails, and `stop` is not called.
        """

    @null
    def stop(self, drv_data: Any, /) -> None:
        """The port is closed: free the driver data.  Jobs of the port may still be running."""

    @null
    def output(self, drv_data: Any, buf: memoryview, /) -> None:
        """Data has been sent to the port.  Called if there is no `outputv`.

        `buf` holds the bytes, and is released when the callback returns.
        """

    @null
    def ready_input(self, drv_data: Any, event: Any, /) -> None:
        """A descriptor that the port selects can be read from, or its peer is gone.

        `event` is what was given to `driver_select`.  Called again until everything is read.
        """

    @null
    def ready_output(self, drv_data: Any, event: Any, /) -> None:
        """A descriptor that the port selects can be written to.

        Called again and again, until `driver_select` switches it off.
        """

    @null
    def finish(self, /) -> None:
        """The driver is about to be unloaded.  Called once, without a port, after the last job."""

    @null
    def control(
        self, drv_data: Any, command: int, buf: memoryview, /
    ) -> bytes | bytearray | memoryview | Memory | ErlDrvBinary | int | None:
        """`port_control` was called with `command`, 0 to 2**32 - 1, and the bytes in `buf`.

        `buf` is released when the callback returns.  Returns the bytes of the reply, or -1 for
        `badarg`; `None` is a reply without bytes.  A block or a driver binary that is returned is
        the emulator's then, which frees it.
        """

    @null
    def timeout(self, drv_data: Any, /) -> None:
        """The time given to `driver_set_timer` has passed."""

    @null
    def outputv(self, drv_data: Any, ev: ErlIOVec, /) -> None:
        """Data has been sent to the port.  Called in place of `output`.

        `ev` holds the data, from element 1 on; element 0 is an empty place for a header.  It is
        lent for the call, and so are its binaries: a driver that keeps `binv[i]` takes a reference
        to it.
        """

    @null
    def ready_async(self, drv_data: Any, async_data: Any, /) -> None:
        """A job has run.  `async_data` is what was given to `driver_async`; it is yours again."""

    @null
    def flush(self, drv_data: Any, /) -> None:
        """The port is closing and its driver queue is not empty.  `stop` runs once it is empty."""

    @null
    def call(self, drv_data: Any, command: int, term: Any, /) -> object:
        """`port_call` was called with `command`, 0 to 2**32 - 1, and a term.

        Returns the term of the reply, or `None` for `badarg`.
        """

    @null
    def process_exit(self, drv_data: Any, monitor: ErlDrvMonitor, /) -> None:
        """A monitored process has ended.  `monitor` is what `driver_monitor_process` returned."""

    @null
    def stop_select(self, event: Any, reserved: Any, /) -> None:
        """A descriptor that was given to `driver_select` may be closed: close it here.

        Called without a port.  `reserved` is `None`.
        """

    @null
    def emergency_close(self, drv_data: Any, /) -> None:
        """`halt` writes a crash dump: release what the port has outside of the emulator.

        This is `halt` with a slogan, and the emulator ends after it.  The callback is called
        without the port's lock, and for every port, also while another thread runs a callback of
        the port.  If a driver has crashed the emulator, it is not called.
        """


# By what is declared above, so that a callback cannot be in one list and not in the other.
CALLBACKS = [name for name, member in vars(Driver).items() if isinstance(member, Null)]
"""The names of the callbacks, in the order of `erl_driver.h`."""
