"""The BIFs that monitor processes and ports.

A monitor of a name is one of what has the name when it is set.  What is monitored may give the name
up later; `'DOWN'` tells the name all the same, as `{Name, Node}`.

Sources: `bif.c`; the manual page `erlang(3)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from driverref.erlang.calling import NODE, Calling, check_options, name_here
from driverref.errors import badarg
from driverref.runtime.core import Runtime
from driverref.runtime.entities import Entity, Watch
from driverref.runtime.port import ErlDrvPort
from driverref.runtime.process import Process
from driverref.runtime.senders import signal
from driverref.since import check_bif
from driverref.terms import NOPROC, Atom, Pid, Port, Ref, Tuple

_EXPECTED = 'a Pid with "process", a Port with "port", or a name'


class Monitors:
    """The BIFs that monitor.  `runtime` is the emulator that they belong to."""

    runtime: Runtime

    def monitor(self, kind: str, item: Pid | Port | str | tuple[str, str]) -> Ref:
        """Monitor a process or a port: `{'DOWN', Ref, Kind, Item, Reason}` comes when it ends.

        `kind` is `"process"` or `"port"`.  `item` is a `Pid` or a `Port`, or the name of one.  For
        a name, `Item` is `{Name, Node}`.  Returns the `Ref`.  If the item has ended, if a port is
        closing, or if nothing of this kind has the name, the message comes at once, with the reason
        `noproc`.  A port that is locked is asked when its lock is given back, and the caller does
        not wait.  A monitor of the caller itself has no effect.  Ports can be monitored since OTP
        19.0.  Stands for `erlang:monitor/2`.
        """
        entities = self.runtime.entities
        with Calling(self.runtime, "monitor") as process:
            watch = self._watch(kind, item)
            if kind == "port":
                check_bif(self.runtime.release, "monitor of a port", "19.0")
            self.runtime.note(process.scheduler.name, "monitor", Tuple((process.pid, item)))
            ref = self.runtime.new(Ref)
            if watch.id == process.pid:
                return ref
            with process.scheduler.mutex:
                entities.watch(ref, process, watch)
                other = None if watch.id is None else entities.find(watch.id)
                if isinstance(other, ErlDrvPort):
                    signal(other, partial(self._monitor, ref, other, process), process.pid)
                elif other is None:
                    process.down(ref, NOPROC)
                else:
                    self._monitor(ref, other, process)
        return ref

    def _watch(self, kind: str, item: object) -> Watch:
        """What the arguments of `monitor` mean."""
        if kind not in ("process", "port"):
            raise badarg("monitor", "kind", '"process" or "port"', kind)
        right = Pid if kind == "process" else Port
        if isinstance(item, Pid | Port):
            if isinstance(item, right):
                return Watch(kind, item, item)
        elif (name := name_here(item)) is not None:
            found = self.runtime.entities.names.find(name)
            target = found if isinstance(found, right) else None
            return Watch(kind, Tuple((Atom(name), NODE)), target)
        raise badarg("monitor", "item", _EXPECTED, item)

    def _monitor(self, ref: Ref, item: Entity, process: Process) -> None:
        """Enter the half of a monitor that the monitored has; a port's under its lock."""
        if not self.runtime.entities.monitor(ref, item, process):
            process.down(ref, NOPROC)

    def demonitor(self, ref: Ref, options: Sequence[str] = ()) -> bool:
        """Undo `monitor`.  From now on no `'DOWN'` comes.  Returns `True`.

        With `"info"` the result is `False` if there was no such monitor any more, because its
        `'DOWN'` has come or the monitor was another process's.  With `"flush"` a `'DOWN'` that has
        come is taken out of the mailbox.  The options came with R11B-0, `info` after R13B.  Stands
        for `erlang:demonitor/1,2`.
        """
        entities = self.runtime.entities
        with Calling(self.runtime, "demonitor") as process:
            if not isinstance(ref, Ref):
                raise badarg("demonitor", "ref", "a Ref", ref)
            check_options("demonitor", options, ("flush", "info"))
            if options:
                check_bif(self.runtime.release, "demonitor/2", "R11B-0")
            if "info" in options:
                check_bif(self.runtime.release, "demonitor's info", "R13B03")
            self.runtime.note(process.scheduler.name, "demonitor", Tuple((process.pid, ref)))
            with process.scheduler.mutex:
                watch = entities.unwatch(ref, process)
                other = None if watch is None or watch.id is None else entities.find(watch.id)
                if isinstance(other, ErlDrvPort):
                    signal(other, partial(entities.demonitor, ref, other), process.pid)
                elif other is not None:
                    entities.demonitor(ref, other)
            if watch is None and "flush" in options:
                process.drop(lambda message: _is_down(message, ref))
        return watch is not None or "info" not in options


def _is_down(message: object, ref: Ref) -> bool:
    """Whether a message is the `'DOWN'` of this monitor: a tuple of five with its reference."""
    return isinstance(message, tuple) and len(message) == 5 and message[1] == ref
