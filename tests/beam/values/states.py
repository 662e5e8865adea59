"""The states of a port, and the things and steps that most cases have in common."""

from __future__ import annotations

from typing import NamedTuple

from values.steps import (
    FIND,
    FORGET,
    NEVER,
    SETTLE,
    File,
    S,
    Step,
    Steps,
    V,
    begin,
    do,
    go_on,
    reached,
    stop,
)

PORT, OTHER_PORT, OWNER, HEIR, DEAD, ME = V("P"), V("Q"), V("owner"), V("heir"), V("dead"), V("me")


def open_port(command: str = "values", *, save: str = "P") -> Step:
    """The owner opens the port."""
    return do("owner", "open_port", ("spawn_driver", S(command)), [], save=save)


KNOWN = (do("linked", "link", PORT), do("watcher", "monitor", "port", PORT, save="Ref"))
"""A process is linked to the port, and one monitors it."""


class State(NamedTuple):
    """How a state is brought about, and what lets a BIF go on that waits in it."""

    before: Steps
    after: Steps = ()
    queued: Steps = ()
    """What is left with the port while it is locked; then a scheduler may wait, and any process on it."""


def held(script: bytes, *queued: Step) -> State:
    """The driver is in `output`, on another scheduler, with the port's lock."""
    holder = begin("holder", "port_command", PORT, b"wait=1," + script)
    return State((open_port(), *KNOWN, holder, reached(1)), (go_on(1),), queued)


OPEN = (open_port(), *KNOWN)
BUSY = (*OPEN, do("owner", "port_command", PORT, b"set_busy_port=1"))
QUEUE = do("owner", "port_command", PORT, b"driver_enq")
CLOSE = do("owner", "port_close", PORT)
SPARE = (do("loader", "erl_ddll.load", File("values_spare")), open_port("values_spare"), *KNOWN)
LOADED = (
    do("loader", "erl_ddll.load_driver", File("values_spare")),
    open_port("values_spare"),
    *KNOWN,
)

KILLED = "killed by unloading, with a job"
"""A state in which those linked to the port are gone if they do not trap exits."""

STATES = {
    "connected": State(OPEN),
    "busy": State(BUSY),
    "busy with a suspended sender": State(
        (*BUSY, begin("holder", "port_command", PORT, b""), SETTLE)
    ),
    "in a callback": held(b""),
    "in a callback with a command queued": held(
        b"", do("queuer", "send", PORT, (OWNER, ("command", b"")))
    ),
    "in a callback with a close queued": held(b"", do("queuer", "exit", PORT, "queued")),
    "in a callback that fails": held(b"driver_failure_atom"),
    "in a callback that exits": held(b"driver_exit"),
    "in flush": State(
        (
            open_port("values flush:wait=1"),
            *KNOWN,
            QUEUE,
            begin("holder", "port_close", PORT),
            reached(1),
        ),
        (go_on(1),),
    ),
    "in stop": State(
        (open_port("values stop:wait=1"), *KNOWN, begin("holder", "port_close", PORT), reached(1)),
        (go_on(1),),
    ),
    "closing": State((*OPEN, QUEUE, CLOSE)),
    "with its owner gone": State((*OPEN, QUEUE, stop("owner", "normal"))),
    "closed": State((*OPEN, CLOSE)),
    "closed with a job": State(
        (*OPEN, do("owner", "port_command", PORT, b"driver_async(wait=1)"), reached(1), CLOSE),
        (go_on(1),),
    ),
    "of a driver to be unloaded": State(
        (*SPARE, do("loader", "erl_ddll.unload", S("values_spare")))
    ),
    KILLED: State(
        (
            *LOADED,
            do("owner", "port_command", PORT, b"driver_async(wait=1)"),
            reached(1),
            do("loader", "erl_ddll.try_unload", S("values_spare"), []),
        ),
        (go_on(1),),
    ),
    "opening": State(
        (
            begin("owner", "open_port", ("spawn_driver", S("values start:wait=1")), []),
            reached(1),
            FIND,
        ),
        (go_on(1),),
    ),
    "opening, to be refused": State(
        (
            begin("owner", "open_port", ("spawn_driver", S("values start:wait=1,result=-1")), []),
            reached(1),
            FIND,
        ),
        (go_on(1),),
    ),
    "opening, acknowledged": State(
        (
            begin("owner", "open_port", ("spawn_driver", S("values_ack")), []),
            FIND,
        ),
        (begin("queuer", "port_command", PORT, b"erl_drv_init_ack"),),
    ),
    "created by a driver": State(
        (
            open_port(save="Q"),
            FORGET,
            do("owner", "port_command", OTHER_PORT, b"driver_create_port"),
            FIND,
            *KNOWN,
        )
    ),
    "that never existed": State((NEVER,)),
    "while another port of the driver is in a callback": State(
        (
            open_port("values_lock", save="Q"),
            open_port("values_lock"),
            *KNOWN,
            begin("holder", "port_command", OTHER_PORT, b"wait=1"),
            reached(1),
        ),
        (go_on(1),),
    ),
}
"""The states of a port."""
