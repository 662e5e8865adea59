"""C11's atomics: when an atomic use takes place, and what it orders.

A use is a step.  What it orders depends on its memory order:

* a *release* leaves a stamp of what the thread knows, for the memory;
* an *acquire* joins the stamp that is there;
* *relaxed* does neither.  A relaxed store takes the stamp away, because who reads its value learns
  nothing.  A relaxed change leaves it: it goes on with the *release sequence* that a release began.
* A *fence* does the same for the relaxed uses of its thread: before a store it releases, after a
  load it acquires.

What cannot be seen is a value that a real processor would still show although another was stored:
each load returns the newest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from driverref.hosting.host import ADDRESSES, handles
from driverref.threads import READ, WRITE, running
from driverref.threads.clocks import Stamp

if TYPE_CHECKING:
    from driverref.hosting.run import Run

RELAXED, CONSUME, ACQUIRE, RELEASE, ACQ_REL, SEQ_CST = range(6)
_ACQUIRES, _RELEASES = {CONSUME, ACQUIRE, ACQ_REL, SEQ_CST}, {RELEASE, ACQ_REL, SEQ_CST}
_LOAD, _STORE, _CHANGE = range(3)


def merged(one: Stamp | None, other: Stamp | None) -> Stamp | None:
    """A stamp of what both say."""
    if one is None or other is None:
        return other or one
    clock = dict(one.clock)
    for thread, tick in (*other.clock.items(), (other.thread, other.tick)):
        clock[thread] = max(clock.get(thread, 0), tick)
    return Stamp(one.thread, max(one.tick, clock.get(one.thread, 0)), clock)


@handles("an atomic")
def use(run: Run, a: memoryview) -> None:
    """The turn of an atomic use: its step, and then what it orders."""
    name, packed, order, failed, address, expected = a[:6]
    size, shift, how = packed & 0xFF, packed >> 8 & 0xFF, packed >> 16
    threads, mode = run.threads, READ if how == _LOAD else WRITE
    resource = ADDRESSES | name >> shift << shift
    threads.step(resource, mode)
    if shift == 2:
        for more in range(4, size, 4):
            threads.declare((resource + more, mode))
    # Only now is it known what the memory holds: no other thread runs before the use is made.
    if expected and run.host.library.dr_differs(address, expected, size):
        how, order = _LOAD, failed
    me: Any = running()
    stamps, old = run.stamps, run.stamps.get(name)
    if how != _STORE:
        if order in _ACQUIRES:
            me.clock.join(old)
        else:
            run.fences["to learn", me.number] = merged(run.fences.get(("to learn", me.number)), old)
    if how != _LOAD:
        new = me.clock.stamp() if order in _RELEASES else run.fences.get(("hands on", me.number))
        # A change reads what it changes, so what the release before it handed on goes on.
        new = merged(new, old) if how == _CHANGE else new
        if new is None:
            stamps.pop(name, None)
        else:
            stamps[name] = new


@handles("a fence")
def fence(run: Run, a: memoryview) -> None:
    """`atomic_thread_fence`."""
    me: Any = running()
    if a[0] in _ACQUIRES:
        me.clock.join(run.fences.pop(("to learn", me.number), None))
    if a[0] in _RELEASES:
        run.fences["hands on", me.number] = me.clock.stamp()
