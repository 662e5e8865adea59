"""How a driver says that something is wrong: with `start`, or with its port.

`start` returns an error, and the port has never been open.  Later, a call of `driver_failure`
closes the port.  Each of these calls runs `stop` before it returns: the driver data is gone then.
Source: `io.c`, `driver_failure*` and `driver_exit`.
"""

from __future__ import annotations

from driverref.erl_driver.checks import atom, in_callback
from driverref.erl_driver.output import deliver_lines
from driverref.errors import check_int, errno_name
from driverref.runtime.callbacks import acknowledge, refusal
from driverref.runtime.port import ErlDrvPort
from driverref.runtime.port_state import DRAINING
from driverref.since import since
from driverref.terms import NORMAL, Atom, Tuple
from driverref.threads import current

__all__ = [
    "ERL_DRV_ERROR_BADARG",
    "ERL_DRV_ERROR_ERRNO",
    "ERL_DRV_ERROR_GENERAL",
    "driver_exit",
    "driver_failure",
    "driver_failure_atom",
    "driver_failure_eof",
    "driver_failure_posix",
    "erl_drv_init_ack",
    "erl_errno_id",
    "set_errno",
]

ERL_DRV_ERROR_GENERAL = -1
ERL_DRV_ERROR_ERRNO = -2
ERL_DRV_ERROR_BADARG = -3


def set_errno(value: int) -> None:
    """Set the calling thread's `errno`, for a `start` that returns `ERL_DRV_ERROR_ERRNO`.

    Any thread.  Stands for the assignment `errno = value`.
    """
    check_int("set_errno", "value", value, 0, 2**31 - 1, "an errno")
    current("set_errno").errno = value


@since("19.0")
def erl_drv_init_ack(port: ErlDrvPort, res: object) -> None:
    """Say that the port is ready; `res` is its driver data from now on.

    This is for a driver with `ERL_DRV_FLAG_USE_INIT_ACK`, whose `start` has returned: `open_port`
    returns only after this call.  If `res` is `ERL_DRV_ERROR_GENERAL`, `ERL_DRV_ERROR_ERRNO` or
    `ERL_DRV_ERROR_BADARG`, `open_port` fails, as if `start` had returned that.  Then the port is
    closed with the reason `normal`, and `stop` runs before this call returns.

    A call in `start`, a second call, and a call without the flag have no effect.  If the driver
    fails the port instead, `open_port` returns the port.  If another process closes the port before
    the call, `open_port` waits for ever, unless the port's exit signal ends its caller.

    Only in a callback of the port.  Stands for `erl_drv_init_ack`.
    """
    call = "erl_drv_init_ack"
    if not in_callback(call, port) or port.opener is None:
        return
    port.note(call)
    if (reason := refusal(port, res)) is not None:
        # The process is told by `open_port`, and not by an exit signal.
        port.runtime.entities.unlink(port, port.opener)
        acknowledge(port, reason)
        port.runtime.closing.fail(port, NORMAL)
    else:
        port.drv_data = res
        acknowledge(port, port.id)


def driver_failure_atom(port: ErlDrvPort, string: str) -> int:
    """Close the port with the atom `string` as the reason, which the owner gets as an exit signal.

    `stop` runs before this call returns; `flush` is not called.  Returns 0, or -1 if the port is
    closed.  In `start` and in `process_exit` the emulator would crash: `Misuse`.

    Only in a callback of the port.  Stands for `driver_failure_atom`.
    """
    return _fail("driver_failure_atom", port, atom("driver_failure_atom", string))


def driver_failure_posix(port: ErlDrvPort, error: int) -> int:
    """Close the port with the name of an errno, such as `enoent`, as the reason.

    The rest is as for `driver_failure_atom`.

    Only in a callback of the port.  Stands for `driver_failure_posix`.
    """
    check_int("driver_failure_posix", "error", error, 0, 2**31 - 1, "an errno")
    return _fail("driver_failure_posix", port, _errno("driver_failure_posix", error))


def driver_failure_eof(port: ErlDrvPort) -> int:
    """Close the port with the reason `normal`, at the end of file.

    A port that was opened with `eof` stays open: its owner gets `{Port, eof}` instead.  Before
    that, a port that was opened with `line` sends what it has of the last line.  The rest is as for
    `driver_failure_atom`.

    Only in a callback of the port.  Stands for `driver_failure_eof`.
    """
    if in_callback("driver_failure_eof", port):
        if port.lines is not None:
            deliver_lines(port, port.lines.rest())
        if port.eof and port.state.value not in DRAINING:
            acknowledge(port, port.id)
            port.note("driver_failure_eof")
            port.owner.value.deliver(Tuple((port.id, Atom("eof"))))
            return 0
    return _fail("driver_failure_eof", port, NORMAL)


def driver_failure(port: ErlDrvPort, error: int) -> int:
    """Close the port with an int as the reason.  0 is `driver_failure_eof`.

    The rest is as for `driver_failure_atom`.

    Only in a callback of the port.  Stands for `driver_failure`.
    """
    check_int("driver_failure", "error", error, -(2**31), 2**31 - 1, "an int")
    return driver_failure_eof(port) if error == 0 else _fail("driver_failure", port, error)


def driver_exit(port: ErlDrvPort, err: int) -> int:
    """Close the port without an exit signal to its owner: the link to the owner is removed first.

    Every other linked process gets the name of the errno `err` as the reason, or `normal` if `err`
    is 0.  The rest is as for `driver_failure_atom`.

    Only in a callback of the port.  Stands for `driver_exit`.
    """
    check_int("driver_exit", "err", err, -(2**31), 2**31 - 1, "an int")
    if in_callback("driver_exit", port):
        # The owner gets no signal because nothing links it any more, not by an exception for it.
        port.runtime.entities.unlink(port, port.owner.value)
    return _fail("driver_exit", port, _errno("driver_exit", err) if err else NORMAL)


def erl_errno_id(error: int) -> str:
    """Return the name of an errno, in small letters: `enoent`.

    A number without a name is `unknown`.  From OTP 29 on the name has the number, as in
    `errno_9999`.

    Any thread.  Stands for `erl_errno_id`.
    """
    check_int("erl_errno_id", "error", error, -(2**31), 2**31 - 1, "an errno")
    return errno_name(error, current("erl_errno_id").runtime.unknown_errno)


def _errno(call: str, error: int) -> Atom:
    """The name of an errno, as the release has it."""
    return Atom(errno_name(error, current(call).runtime.unknown_errno))


def _fail(call: str, port: ErlDrvPort, reason: object) -> int:
    """Close the port with a reason, and return what a failure returns."""
    if not in_callback(call, port):
        return -1
    port.note(call, detail=reason)
    return port.runtime.closing.fail(port, reason)
