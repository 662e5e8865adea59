"""The terms that a driver sends: how they are written, and which of them crash the emulator.

A term is a Python value: a tuple, list, dict, int, float, bytes or `Atom`.  A `str` is an atom.  A
driver binary or a block of memory in a term arrives as a binary.

Two kinds of terms are right by the header and break the memory of some releases:

* **A small integer that is the whole term** (OTP 25 to 29, the newest that was tried).  The
  emulator makes no room for it, and asks for the room all the same.  That does no harm if the
  message is built on the receiver's heap.  It is not, if the receiver runs on another scheduler, if
  it has asked for `off_heap` messages, or if its heap is just full.  The driver can know none of
  this, so the term is a `Misuse` on every thread.  A tuple or a list of one element is safe.
* **A map of more than 128 keys, sent by a thread that is no scheduler** (until OTP 26).  A callback
  may send it.  A job or a thread of the driver's own sends a list of pairs instead, or has
  `ready_async` send the map.

Source: OTP 25 `io.c:driver_deliver_term`; erlang/otp issue 8208.
"""

from __future__ import annotations

from driverref.errors import Misuse
from driverref.release import Release
from driverref.threads import running

SMALL = range(-(1 << 59), 1 << 59)
"""The integers that take no room on a heap, on a machine with words of 64 bits."""

BIG_MAP = 128
"""The most keys of a map that is built without a scheduler's help."""


def check_harmless(call: str, release: Release, term: object) -> None:
    """Raise `Misuse` if the emulator of `release` breaks when the running thread sends `term`."""
    if release.bare_integer_crashes and type(term) is int and term in SMALL:
        raise Misuse(
            f"{call}: an integer that is the whole term, {term}, may break the emulator's memory "
            f"(OTP {release.name}): send it in a tuple"
        )
    thread = running()
    if release.big_map_crashes and thread.scheduler is None and _biggest_map(term) > BIG_MAP:
        raise Misuse(
            f"{call}: a map of more than {BIG_MAP} keys crashes the emulator (OTP {release.name}) "
            f"if {thread.name} sends it, which is no scheduler: send a list of pairs, or have a "
            "callback send the map"
        )


def _biggest_map(term: object) -> int:
    """The number of keys of the biggest map in a term; 0 if there is none."""
    match term:
        case dict():
            return max([len(term), *map(_biggest_map, (*term, *term.values()))])
        case tuple() | list():
            return max(map(_biggest_map, term), default=0)
    return 0
