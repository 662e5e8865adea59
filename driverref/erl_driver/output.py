"""What a driver sends to Erlang: data and terms.

There are two families, and they differ in the threads that may call them:

* `driver_output` and its relatives, and the deprecated `driver_output_term` and
  `driver_send_term`, need the port's lock.  They are for callbacks.
* `erl_drv_output_term` and `erl_drv_send_term` name the port by its identifier, which a callback
  has got from `driver_mk_port`.  Any thread may call them.

A C driver writes a term as an array of tagged words.  Here a term is a Python value: a tuple, list,
dict, int, float, bytes or `Atom`.  A driver binary or a block of memory in a term arrives as a
binary.

Sources: `io.c`, `driver_output*` and `driver_deliver_term`.
"""

from __future__ import annotations

from math import isfinite

from driverref.erl_driver.checks import check_type, in_callback
from driverref.errors import OutOfBounds, check_int, wrong_type
from driverref.memory import Memory
from driverref.memory.binary import ErlDrvBinary
from driverref.runtime.ioq import ErlIOVec, Piece, output_bytes
from driverref.runtime.port import ErlDrvPort
from driverref.runtime.port_state import CLOSED, CONNECTED, DRAINING
from driverref.since import since
from driverref.terms import DATA, Atom, Pid, Port, Ref, Tuple
from driverref.threads import current, running

__all__ = [
    "driver_output",
    "driver_output2",
    "driver_output_binary",
    "driver_output_term",
    "driver_outputv",
    "driver_send_term",
    "erl_drv_output_term",
    "erl_drv_send_term",
]


def driver_output(port: ErlDrvPort, buf: object) -> int:
    """Send `{Port, {data, Buf}}` to the port's owner.  `buf` is bytes in any shape and is copied.

    Returns 0, or -1 if the port is closed.  A port that is closing drops the data, and the result
    is 0.  Not thread-safe: only in a callback of the port.  Stands for `driver_output`.
    """
    thread = running()
    if (type(port) is not ErlDrvPort or port.lock.holder is not thread) and not in_callback(
        "driver_output", port
    ):
        return -1
    # A driver calls this for each command, so the usual case is written out: a connected port and
    # bytes.  `_data` does the same for the other calls and states.
    data = buf if type(buf) is bytes else output_bytes("driver_output", "buf", buf)
    if port.state.value is not CONNECTED:
        return _data(port, "driver_output", data)
    record = port.runtime.record
    if record is not None:
        now = port.runtime.now
        # Noted before the delivery, so that a trace shows the sending before the receiving.
        record((now(), thread.lane, "driver_output", port.number, None, data))
    put = port.owner.value.put
    put(Tuple((port.id, (DATA, data if port.binary else list(data)))))
    return 0


def driver_output2(port: ErlDrvPort, hbuf: object, buf: object) -> int:
    """As `driver_output`, with a header before the data.  Stands for `driver_output2`.

    To a port opened with `binary` C sends `{data, [H1,H2|Data]}`: the bytes of the header as a list
    that ends in the binary.  A Python list cannot end so.  Here header and data arrive as one
    binary.
    """
    # The arguments are checked first, here and below, so that a wrong one is an error even when the
    # port is closed.
    header = output_bytes("driver_output2", "hbuf", hbuf)
    data = output_bytes("driver_output2", "buf", buf)
    if not in_callback("driver_output2", port):
        return -1
    return _data(port, "driver_output2", header + data)


def driver_output_binary(
    port: ErlDrvPort, hbuf: object, bin: ErlDrvBinary, offset: int, len: int
) -> int:
    """As `driver_output2`, with `len` bytes of a driver binary from `offset` on as the data.

    The caller keeps its reference to the binary.  Stands for `driver_output_binary`.
    """
    header = output_bytes("driver_output_binary", "hbuf", hbuf)
    data = part(bin, "driver_output_binary", offset, len)
    if not in_callback("driver_output_binary", port):
        return -1
    return _data(port, "driver_output_binary", header + bytes(data))


def driver_outputv(port: ErlDrvPort, hbuf: object, ev: ErlIOVec, skip: int = 0) -> int:
    """As `driver_output2`, with the bytes of a vector as the data, without the first `skip` bytes.

    Stands for `driver_outputv`.
    """
    header = output_bytes("driver_outputv", "hbuf", hbuf)
    data = b"".join(data for data, _ in pieces("driver_outputv", ev, skip))
    if not in_callback("driver_outputv", port):
        return -1
    return _data(port, "driver_outputv", header + data)


def pieces(call: str, ev: ErlIOVec, skip: int) -> list[Piece]:
    """The pieces of a vector, without its first `skip` bytes."""
    check_type(call, "ev", ev, ErlIOVec, "an ErlIOVec")
    check_int(call, "skip", skip, 0, ev.size, "bytes")
    return ev.pieces(skip)


def part(bin: ErlDrvBinary, call: str, offset: int, size: int) -> memoryview:
    """`size` bytes of a driver binary from `offset` on, not copied."""
    check_type(call, "bin", bin, ErlDrvBinary, "an ErlDrvBinary")
    check_int(call, "offset", offset, 0, None, "bytes")
    check_int(call, "len", size, 0, None, "bytes")
    if offset + size > bin.orig_size:
        raise OutOfBounds(f"{call}: bytes {offset} to {offset + size} are outside of {bin!r}")
    return memoryview(bin.orig_bytes[offset : offset + size])


def _data(port: ErlDrvPort, name: str, data: bytes) -> int:
    """Deliver data to the owner.  The port's lock is held."""
    state = port.state.value
    if state is CLOSED:
        return -1
    port.note(name, None, data)
    if state not in DRAINING:
        put = port.owner.value.put
        put(Tuple((port.id, (DATA, data if port.binary else list(data)))))
    return 0


def driver_output_term(port: ErlDrvPort, term: object) -> int:
    """Send a term to the port's owner.

    Returns 1.  Returns 0 if the port is closing or its owner is gone, and -1 if the port is closed.
    Not thread-safe: only in a callback of the port.  Deprecated in favour of `erl_drv_output_term`.
    Stands for `driver_output_term`.
    """
    # The term is copied first: the receiver must not see what the driver changes afterwards.
    message = sendable("driver_output_term", term)
    if not in_callback("driver_output_term", port):
        return -1
    return _term(port, "driver_output_term", port.owner.value.pid, message)


def driver_send_term(port: ErlDrvPort, receiver: Pid, term: object) -> int:
    """As `driver_output_term`, to any process.  Deprecated in favour of `erl_drv_send_term`.

    Stands for `driver_send_term`.
    """
    check_type("driver_send_term", "receiver", receiver, Pid, "a Pid")
    message = sendable("driver_send_term", term)
    if not in_callback("driver_send_term", port):
        return -1
    return _term(port, "driver_send_term", receiver, message)


@since("R16A")
def erl_drv_output_term(port: Port, term: object) -> int:
    """Send a term to the owner of a port.  `port` is the identifier that `driver_mk_port` gave.

    Returns 1.  Returns 0 if the port is closing or its owner is gone, and -1 if the port is closed.
    Any thread of the emulator may call this.  On OTP 25 a bare number or atom that a job sends may
    crash the emulator; a tuple does not.  Stands for `erl_drv_output_term`.
    """
    message = sendable("erl_drv_output_term", term)
    handle = _by_identifier("erl_drv_output_term", port)
    if handle is None:
        return -1
    return _term(handle, "erl_drv_output_term", handle.owner.value.pid, message)


@since("R16A")
def erl_drv_send_term(port: Port, receiver: Pid, term: object) -> int:
    """As `erl_drv_output_term`, to any process.  Stands for `erl_drv_send_term`."""
    check_type("erl_drv_send_term", "receiver", receiver, Pid, "a Pid")
    message = sendable("erl_drv_send_term", term)
    handle = _by_identifier("erl_drv_send_term", port)
    if handle is None:
        return -1
    return _term(handle, "erl_drv_send_term", receiver, message)


def _by_identifier(call: str, port: Port) -> ErlDrvPort | None:
    """The port that `port` identifies, or `None` if it is closed."""
    thread = current(call)
    check_type(call, "port", port, Port, "the Port that driver_mk_port gave")
    # The port's lock is not held, so the port may close just before it is looked up.  A search of
    # schedules tries both orders at this step.
    thread.runtime.threads.step()
    handle: ErlDrvPort | None = thread.runtime.ports.find(port)
    return handle


def _term(port: ErlDrvPort, name: str, receiver: Pid, message: object) -> int:
    """Deliver a message for a port.  The port's lock need not be held."""
    state = port.state.value
    if state is CLOSED:
        return -1
    port.note(name, detail=message)
    # The receiver is found by its pid at each call, since no lock keeps it alive.
    process = port.runtime.entities.find_process(receiver)
    if state in DRAINING or process is None:
        return 0
    process.deliver(message)
    return 1


def sendable(call: str, term: object) -> object:
    """A copy of `term` as the receiver gets it.

    Raises `TypeError` if something in it is not an Erlang term.
    """
    match term:
        case Atom() | bytes() | int() | Port() | Pid() | Ref():
            return term
        # Erlang has no infinity and no "not a number".
        case float() if isfinite(term):
            return term
        # Erlang has no type for text.  A bare `str` is taken for the shorthand of an atom.
        case str():
            return Atom(term)
        case ErlDrvBinary() | Memory() | bytearray() | memoryview():
            return output_bytes(call, "term", term)
        case tuple():
            return Tuple(sendable(call, item) for item in term)
        case list():
            # Copied, as everything that can be changed: a process shares no data with a driver.
            return [sendable(call, item) for item in term]
        case dict():
            return {sendable(call, k): sendable(call, v) for k, v in term.items()}
    raise wrong_type(call, "term", "an Erlang term", term)
