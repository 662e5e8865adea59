"""One emulator's use of the host: what words of C stand for which objects, and what is lent.

C has a word where Python has an object: a port, a mutex, an atom.  A word that stands for an object
is an address at which there is nothing, so a driver that looks behind it crashes.  The same object
always has the same word, because drivers compare them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from driverref.errors import Misuse
from driverref.hosting import library
from driverref.memory.binary import ErlDrvBinary
from driverref.memory.blocks import Memory
from driverref.terms import Atom, Pid, Port, Ref
from driverref.threads import WRITE
from driverref.threads.simulated import SimulatedThreads

if TYPE_CHECKING:
    from driverref.erl_driver import ErlDrvTid
    from driverref.hosting.host import Host
    from driverref.posix import Socket
    from driverref.runtime.core import Runtime
    from driverref.runtime.port import ErlDrvPort
    from driverref.threads.clocks import Stamp

BYTES = 8
"""Where the bytes of an `ErlDrvBinary` begin: behind its `orig_size`."""

_PORTS, _OBJECTS = 0x5500_0000_0000, 0x6600_0000_0000
"""Where the words for ports and for all else lie: no memory is there."""


class Run:
    """What the host knows of one emulator."""

    def __init__(self, host: Host, runtime: Runtime) -> None:
        threads = runtime.threads
        if not isinstance(threads, SimulatedThreads):
            raise Misuse('a driver in C runs on simulated threads only: leave out threads="native"')
        self.host, self.runtime, self.threads = host, runtime, threads
        self.names: dict[int, str] = {}
        """By number, the threads that have used the driver's memory.  Some have ended."""
        self.depth: dict[int, int] = {}
        """By thread, how many calls of the driver it is in."""
        self.made: dict[object, Any] = {}
        """By what `c_driver` has returned, the driver that it has made last."""
        self.ports: dict[int, ErlDrvPort] = {}
        self.binaries: dict[int, ErlDrvBinary] = {}
        """By the address of the `ErlDrvBinary` in C."""
        self.stamps: dict[int, Stamp] = {}
        """By atomic, what a thread that reads it learns; see `atomics`."""
        self.fences: dict[object, Stamp | None] = {}
        """By thread, what its release fence hands on, and what its acquire fence will learn."""
        self.locks: dict[int, Any] = {}
        """By the name of its memory, each lock, condition or `once` of the C library's."""
        self.keys: list[Any] = []
        """The keys of thread specific data, by number."""
        self.tids: dict[int, ErlDrvTid] = {}
        """By word, the threads that the driver knows."""
        self.sockets: dict[int, tuple[Socket, str | None]] = {}
        self.descriptors: dict[Socket, int] = {}
        """By descriptor, each socket and the line that opened it."""
        self.peeked: dict[int, list[int]] = {}
        """By the number of a port, what was lent of its queue."""
        self._objects: dict[int, Any] = {}
        self._words: dict[object, int] = {}
        self._texts: dict[str, int] = {}
        runtime.ledger.sources.append(lambda: host.held(self))

    def over(self) -> bool:
        """Whether the emulator has ended."""
        return self.runtime.down is not None

    def site(self, number: int) -> int:
        """The driver's line, as an address, at which a thread stands; 0 if it stands in none."""
        depth = self.depth.get(number, 0)
        call = self.host._calls.get((number, depth - 1)) if depth else None
        return call.box[library.SITE] if call and call.box[library.WHAT] else 0

    def errno(self, number: int) -> int:
        """What the driver's code has in `errno` in the call that a thread is in."""
        return self.host._calls[number, self.depth[number] - 1].box[library.ERRNO]

    def stack_of(self, address: int) -> str | None:
        """The name of the thread on whose stack an address lies, or `None`."""
        for (number, _), call in self.host._calls.items():
            low = self.host.stack_of(call)
            if low <= address < low + library.STACK and number in self.names:
                return self.names[number]
        return None

    # Words.

    def port_word(self, port: ErlDrvPort) -> int:
        """The word for a port."""
        word = _PORTS + port.number * 64
        self.ports[word] = port
        return word

    def port(self, call: str, word: int) -> ErlDrvPort:
        """The port that a word stands for.  `Misuse` if it is none."""
        port = self.ports.get(word)
        if port is None:
            raise Misuse(f"{call}: the first argument is no port that start was given")
        return port

    def word(self, thing: Any) -> int:
        """The word for an object; 0 for `None`, which is NULL."""
        if thing is None:
            return 0
        # Identifiers are equal or not; all else is the object that it is.
        equal = isinstance(thing, Atom | Pid | Port | Ref | tuple)
        key = (type(thing), thing if equal else id(thing))
        word = self._words.get(key)
        if word is None:
            word = self._words[key] = _OBJECTS + 16 * (len(self._words) + 1)
            self._objects[word] = thing
        return word

    def give(self, word: int, thing: Any) -> None:
        """Have a word stand for an object: an address at which the driver may look."""
        self._objects[word] = thing

    def thing(self, call: str, word: int, what: str = "an argument") -> Any:
        """The object that a word stands for.  `Misuse` if the emulator has not given it."""
        try:
            return self._objects[word]
        except KeyError:
            null = "NULL" if not word else "nothing that the emulator has given"
            raise Misuse(f"{call}: {what} is {null}") from None

    # Memory.

    def read(self, address: int, size: int, how: int = library.READ) -> bytes:
        """The bytes at an address, checked as if the driver had read them.

        With `how=WHOLE` each of them has to be written: they leave the driver.
        """
        if size < 0 or size > 1 << 40:
            raise Misuse(f"a length of {size} bytes")
        if not size:
            return b""
        self.host.look(self, address, size, how)
        return bytes(library.words(address, size, "B"))

    def write(self, address: int, data: bytes) -> None:
        """Write bytes to an address, checked as if the driver had written them."""
        self.host.look(self, address, len(data), library.WRITE)
        library.words(address, len(data), "B")[:] = data

    def write_word(self, address: int, value: int, size: int = 8) -> None:
        """Write a number of so many bytes."""
        self.write(address, (value & ((1 << 8 * size) - 1)).to_bytes(size, "little"))

    def read_word(self, address: int, size: int = 8) -> int:
        """A number of so many bytes."""
        return int.from_bytes(self.read(address, size), "little")

    def text(self, address: int) -> str:
        """The text at an address, up to its end."""
        return self.host.text(self, address).decode("latin-1")

    def text_word(self, text: str | None) -> int:
        """The address of a text that the emulator keeps; NULL for `None`."""
        if text is None:
            return 0
        if text not in self._texts:
            self._texts[text] = self.host.lend(self, text.encode("latin-1", "replace") + b"\0")
        return self._texts[text]

    @contextmanager
    def lent(self, *data: bytes | int) -> Iterator[list[int]]:
        """`with run.lent(a, b) as (at, bt):` the bytes are in C's memory for the block."""
        addresses = [self.host.lend(self, part) for part in data]
        yield addresses
        # Not if the block raises: then the emulator is down, and nothing is called any more.
        for address in addresses:
            self.host.end(self, address, library.LENT)

    # Binaries.

    def binary(self, call: str, address: int) -> ErlDrvBinary:
        """The binary at an address.  `Misuse` if there is none."""
        found = self.binaries.get(address)
        if found is None:
            raise Misuse(f"{call}: the argument is no driver binary")
        return found

    def binary_word(self, binary: ErlDrvBinary | None) -> int:
        """The address of a binary, whose bytes are in C's memory from now on; NULL for `None`."""
        if binary is None:
            return 0
        memory = binary._memory
        if not isinstance(memory, BinaryMemory):
            memory = binary._memory = BinaryMemory(self, memory)
            self.binaries[memory.address] = binary
        return memory.address


class BinaryMemory(Memory):
    """The bytes of a driver binary, in C's memory; behind an `orig_size`, as in `ErlDrvBinary`."""

    __slots__ = ("address", "run")

    def __init__(self, run: Run, memory: Memory) -> None:
        size = len(memory)
        contents, written = memory._values["contents"], memory._written
        # That nothing is marked as unwritten is for Python: C's memory has its own marks.
        super().__init__(memory._row, contents)
        self.run = run
        self.address = run.host.lend(run, size + BYTES, library.BINARY)
        run.write_word(self.address, size)
        # What Python has written already.  A byte that is not written stays so in C.
        for at, byte in enumerate(contents):
            if written is None or written[at]:
                run.write_word(self.address + BYTES + at, byte, 1)

    def _part(self, first: int, size: int) -> BinaryMemory:
        part = BinaryMemory.__new__(BinaryMemory)
        part._row, part._values, part._written = self._row, self._values, self._written
        part._first, part._size = self._first + first, size
        part.run, part.address = self.run, self.address
        return part

    def _use(self, name: str, write: bool, span: tuple[int, int] | None = None) -> Any:
        whole = len(self._values["contents"])
        start, stop = span or (0, whole)
        host, at = self.run.host, self.address
        # The size in front of the bytes: so a use of no byte, too, finds out that it was freed.
        host.look(self.run, at, BYTES)
        host.look(self.run, at + BYTES + start, stop - start, library.WHOLE)
        return bytearray(library.words(at + BYTES, whole, "B"))

    def _release(self, call: str) -> None:
        row = self._row
        row.step(None, WRITE)
        row.end(call)
        self.run.host.end(self.run, self.address, library.BINARY)
