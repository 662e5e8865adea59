"""What a driver sends to Erlang: data and terms.

There are two families, and they differ in the threads that may call them:

* `driver_output` and its relatives, and the deprecated `driver_output_term` and
  `driver_send_term`, need the port's lock.  They are for callbacks.  In R11B-3 to R15B any thread
  may call `driver_send_term`.
* `erl_drv_output_term` and `erl_drv_send_term` name the port by its identifier, which a callback
  has got from `driver_mk_port`.  Any thread may call them.

A C driver writes a term as an array of tagged words.  Here a term is a Python value (`sent_terms`).

Sources: `io.c`, `driver_output*` and `driver_deliver_term`.
"""

from __future__ import annotations

from collections.abc import Iterable

from driverref.erl_driver.checks import atom, check_type, in_any_callback, in_callback
from driverref.erl_driver.sent_terms import check_harmless
from driverref.errors import OutOfBounds, check_int
from driverref.memory.binary import ErlDrvBinary
from driverref.runtime.crossing import handed_out
from driverref.runtime.ioq import output_bytes
from driverref.runtime.iovec import Element, ErlIOVec, SysIOVec, read, skipped
from driverref.runtime.port import ErlDrvPort
from driverref.runtime.port_state import CLOSED, CONNECTED, DRAINING
from driverref.since import since
from driverref.terms import DATA, Atom, ImproperList, Pid, Port, Tuple
from driverref.threads import current, running

__all__ = [
    "driver_mk_atom",
    "driver_mk_term_nil",
    "driver_output",
    "driver_output2",
    "driver_output_binary",
    "driver_output_term",
    "driver_outputv",
    "driver_send_term",
    "driver_term_nil",
    "erl_drv_output_term",
    "erl_drv_send_term",
]


def driver_output(port: ErlDrvPort, buf: object) -> int:
    """Send `{Port, {data, Buf}}` to the port's owner.  `buf` is bytes in any shape and is copied.

    `None` (NULL) arrives as the list `[]`.  A port that was opened with `line` sends a message for
    each line instead (`open_port`).  Returns 0, or -1 if the port is closed.  A port that is
    closing drops the data, and the result is 0.

    Only in a callback of the port.  Stands for `driver_output`.
    """
    thread = running()
    # A driver calls this for each command, so the usual case on OS threads is written out: a
    # connected port and bytes.  `_data` does the same.
    if (
        type(buf) is not bytes
        or type(port) is not ErlDrvPort
        or port.lock.holder is not thread
        or port.runtime.threads.simulated
        or port.state.value is not CONNECTED
        or port.lines is not None
    ):
        pieces = _pieces("driver_output", buf)
        if not in_callback("driver_output", port):
            return -1
        return _data(port, "driver_output", b"", pieces, cut=True)
    record = port.runtime.record
    if record is not None:
        now = port.runtime.now
        # Noted before the delivery, so that a trace shows the sending before the receiving.
        record((now(), thread.lane, "driver_output", port.number, None, buf))
    port.bytes_in += len(buf)
    put = port.owner.value.put
    put(Tuple((port.id, (DATA, buf if port.binary else list(buf)))))
    return 0


def driver_output2(port: ErlDrvPort, hbuf: object, buf: object) -> int:
    """Send a header and data to the port's owner: `{Port, {data, [H1, H2 | Buf]}}`.

    The bytes of the header are a list.  The data is the tail of this list: a binary if the port was
    opened with `binary`, else a list.  `None` (NULL) for either is nothing.  Returns as
    `driver_output`.

    Only in a callback of the port.  Stands for `driver_output2`.
    """
    # The arguments are checked first, here and below, so that a wrong one is an error even when the
    # port is closed.
    header = _header("driver_output2", hbuf)
    data = _pieces("driver_output2", buf)
    if not in_callback("driver_output2", port):
        return -1
    return _data(port, "driver_output2", header, data, cut=True)


def driver_output_binary(
    port: ErlDrvPort, hbuf: object, bin: ErlDrvBinary | None, offset: int, len: int
) -> int:
    """Send a header and `len` bytes of a driver binary from `offset` on to the port's owner.

    The message is as that of `driver_output2`.  The caller keeps its reference to the binary.
    `bin` may be `None` (NULL) if `len` is 0.  Returns 0, or -1 if the port is closed.

    Only in a callback of the port.  Stands for `driver_output_binary`.
    """
    call = "driver_output_binary"
    header = _header(call, hbuf)
    data = read(part(bin, call, offset, len)[0])
    if not in_callback(call, port):
        return -1
    return _data(port, call, header, [data])


def driver_outputv(port: ErlDrvPort, hbuf: object, ev: ErlIOVec, skip: int = 0) -> int:
    """Send a header and a vector, without its first `skip` bytes, to the port's owner.

    Each element arrives as a binary: `{Port, {data, [H1, H2, Bin1 | Bin2]}}`.  A port that was not
    opened with `binary` sends one list of all bytes.  If nothing is left of the vector, the data is
    the list of the header's bytes.

    `skip` changes the vector: see `driver_enqv`.  Returns 0, or -1 if the port is closed.

    Only in a callback of the port.  Stands for `driver_outputv`.
    """
    call = "driver_outputv"
    header = _header(call, hbuf)
    data = [read(element) for element, _ in skipped(call, ev, skip)]
    if not in_callback(call, port):
        return -1
    return _data(port, call, header, data)


def _header(call: str, hbuf: object) -> bytes:
    return b"" if hbuf is None else output_bytes(call, "hbuf", hbuf)


def _pieces(call: str, buf: object) -> list[bytes]:
    return [] if buf is None else [output_bytes(call, "buf", buf)]


def part(bin: ErlDrvBinary | None, call: str, offset: int, size: int) -> Element:
    """The element for `size` bytes of a driver binary from `offset` on, not copied."""
    # C does not look at the binary if it needs no byte of it.
    if bin is None and size == 0:
        return SysIOVec(None, 0), None
    check_type(call, "bin", bin, ErlDrvBinary, "an ErlDrvBinary")
    assert bin is not None
    check_int(call, "offset", offset, 0, None, "bytes")
    check_int(call, "len", size, 0, None, "bytes")
    if offset + size > bin.orig_size:
        raise OutOfBounds(f"{call}: bytes {offset} to {offset + size} are outside of {bin!r}")
    return SysIOVec(bin._memory._part(offset, size), size), bin


def _data(
    port: ErlDrvPort, name: str, header: bytes, pieces: list[bytes], *, cut: bool = False
) -> int:
    """Deliver data to the owner.  The port is not closed, and its lock is held.

    `cut` says that the call cuts data into lines if the port was opened with `line`.
    """
    data = b"".join([header, *pieces])
    port.note(name, None, data)
    if port.state.value not in DRAINING:
        port.bytes_in += len(data)
        if cut and port.lines is not None:
            deliver_lines(port, port.lines.add(b"".join(pieces)), header)
        else:
            port.owner.value.put(Tuple((port.id, (DATA, _arriving(port, header, pieces)))))
    return 0


def deliver_lines(
    port: ErlDrvPort, lines: Iterable[tuple[Atom, bytes]], header: bytes = b""
) -> None:
    """Send lines, and parts of lines, to the owner.  Each has the header."""
    for end, line in lines:
        part = Tuple((end, _arriving(port, header, [line])))
        port.owner.value.put(Tuple((port.id, (DATA, part))))


def _arriving(port: ErlDrvPort, header: bytes, pieces: list[bytes]) -> object:
    """Data as the port's owner gets it: a list of bytes, or `[H1, H2, Bin1 | Bin2]`."""
    if not port.binary:
        return list(b"".join([header, *pieces]))
    if not pieces:
        return list(header)
    # One binary by itself is no list: it would be the tail of nothing.
    return ImproperList([*header, *pieces]) if header or len(pieces) > 1 else pieces[0]


def driver_output_term(port: ErlDrvPort, term: object) -> int:
    """Send a term to the port's owner.  Deprecated in favour of `erl_drv_output_term`.

    Returns 1.  Returns 0 if the port is closing or its owner is gone, and -1 if the port is closed.

    Only in a callback of the port.  Stands for `driver_output_term`.
    """
    # The term is copied first: the receiver must not see what the driver changes afterwards.
    message = handed_out("driver_output_term", "term", term)
    if not in_callback("driver_output_term", port):
        return -1
    return _term(port, "driver_output_term", port.owner.value.pid, message)


def driver_send_term(port: ErlDrvPort, receiver: Pid, term: object) -> int:
    """Send a term to any process.  Deprecated in favour of `erl_drv_send_term`.

    Returns as `driver_output_term`, with the receiver in place of the owner.

    Only in a callback of the port.  From R11B-3 to R15B, with several schedulers, any thread may
    call it.  Stands for `driver_send_term`.
    """
    check_type("driver_send_term", "receiver", receiver, Pid, "a Pid")
    message = handed_out("driver_send_term", "term", term)
    if isinstance(port, ErlDrvPort) and _threads_send_terms(port):
        # As in `_by_identifier`: the port may close at this step.
        current("driver_send_term").runtime.threads.step()
    elif not in_callback("driver_send_term", port):
        return -1
    return _term(port, "driver_send_term", receiver, message)


def _threads_send_terms(port: ErlDrvPort) -> bool:
    """Whether `driver_send_term` needs no lock of the port."""
    runtime = port.runtime
    return runtime.release.threads_send_terms and len(runtime.schedulers) > 1


@since("R16A")
def erl_drv_output_term(port: Port, term: object) -> int:
    """Send a term to the owner of a port.  `port` is the identifier that `driver_mk_port` gave.

    Returns 1.  Returns 0 if the port is closing or its owner is gone, and -1 if the port is closed.
    Two kinds of terms crash some releases, and are a `Misuse` there (`sent_terms`).

    Any thread.  Stands for `erl_drv_output_term`.
    """
    message = handed_out("erl_drv_output_term", "term", term)
    handle = _by_identifier("erl_drv_output_term", port)
    if handle is None:
        return -1
    return _term(handle, "erl_drv_output_term", handle.owner.value.pid, message)


@since("R16A")
def erl_drv_send_term(port: Port, receiver: Pid, term: object) -> int:
    """Send a term to any process.  `port` is the identifier that `driver_mk_port` gave.

    Returns and fails as `erl_drv_output_term`, with the receiver in place of the owner.

    Any thread.  Stands for `erl_drv_send_term`.
    """
    check_type("erl_drv_send_term", "receiver", receiver, Pid, "a Pid")
    message = handed_out("erl_drv_send_term", "term", term)
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
    # Only now: for a message that is not delivered no term is built, so nothing breaks.
    check_harmless(name, port.runtime.release, message)
    process.deliver(message)
    return 1


def driver_mk_atom(string: str) -> Atom:
    """Return the atom with the name `string`, for terms.  An atom stays, so a driver may keep it.

    The name is Latin-1 text, and is cut after 255 characters.  In a term, a `str` is the atom of
    that name, so a driver in Python does not need this call, and a driver in C does.

    A job or a thread of the driver cannot make an atom, so make it in a callback and keep it.

    Only in a callback of any port, or in `init`.  Stands for `driver_mk_atom`.
    """
    in_any_callback("driver_mk_atom")
    return atom("driver_mk_atom", string)


@since("R9C-0")
def driver_mk_term_nil() -> list[object]:
    """Return the empty list, for a term that is sent.

    Any thread.  Stands for `driver_mk_term_nil`.
    """
    return []


driver_term_nil: list[object] = []
"""The same as a constant.  It is shared, so put nothing into it."""
