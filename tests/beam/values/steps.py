"""The steps of which the cases of the judge of values consist, and their text for Erlang.

A step has an *actor*, a process, carry out a BIF, or lets a driver's callback go on that waits at a
gate.  Steps are data, so that both sides can carry out the same ones: `values.erl` on the emulator,
`player.py` on the model.  The last steps of a case are the question, `ask`.

In a step a `str` is an atom, `S("...")` a string, `V("P")` a port, an actor or another thing by
its name; `me` is the actor itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from driverref.terms import Atom, erlang


class S(str):
    """A string: a list of characters."""

    __slots__ = ()


class V(NamedTuple):
    """An actor, or what a step has saved, by name."""

    name: str


class File(NamedTuple):
    """A driver's file: a folder and a name in Erlang, in the model the driver itself."""

    driver: str
    folder: str = "."


Step = tuple[Any, ...]
Steps = tuple[Step, ...]


def do(actor: str, bif: str, *arguments: object, save: str = "") -> Step:
    """The actor calls the BIF, which must return."""
    return "do", actor, bif, list(arguments), save


def begin(actor: str, bif: str, *arguments: object) -> Step:
    """The actor calls the BIF, which may wait."""
    return "begin", actor, bif, list(arguments)


def ask(actor: str, bif: str, *arguments: object, save: str = "") -> Step:
    """The question: the actor calls the BIF, and the outcome says what came of it."""
    return "ask", actor, bif, list(arguments), save


def stop(actor: str, reason: str) -> Step:
    """The actor ends, as by `exit(Reason)`."""
    return "stop", actor, reason


def reached(gate: int) -> Step:
    """Wait until a driver's script has come to the gate."""
    return "reached", gate


def go_on(gate: int) -> Step:
    """Let the script go on."""
    return "open", gate


FIND: Step = ("find", "P")
"""From now on `P` is the port that was opened last, though `open_port` may not have returned."""
NEVER: Step = ("never", "P")
"""From now on `P` is the identifier of a port that has never been."""
SETTLE: Step = ("settle",)
"""Let arrive what is on its way."""
FORGET: Step = ("forget",)
"""The state is reached: forget what its making has left in the mailboxes."""

SCHEDULERS = {"holder": 2, "owner": 4, "asker": 3, "linked": 3, "watcher": 3}
"""On which scheduler an actor runs; the others run on the first, which is the player's.

A holder stands in a callback and blocks its scheduler.  An asker that waits for the callback may
block another.
"""

ACTORS = {*SCHEDULERS, "heir", "loader", "queuer"}


@dataclass(frozen=True)
class Case:
    """A question in a state."""

    question: str
    state: str
    steps: Steps
    deaf: bool = False
    """Whether the actors do not trap exits."""
    alone: bool = False
    """Whether the emulator can play nothing after it."""

    @property
    def place(self) -> str:
        """The state, and whether the actors trap exits."""
        return ", ".join(filter(None, (self.state, "deaf" * self.deaf)))

    @property
    def key(self) -> tuple[str, str]:
        """What names the case in `known.json`."""
        return self.question, self.place

    @property
    def name(self) -> str:
        """Question and state."""
        return ", ".join(filter(None, (self.question, self.place)))

    @property
    def actors(self) -> list[tuple[str, int, bool]]:
        """The actors: name, scheduler, and whether it traps exits."""
        found = {name for step in self.steps for name in named(step)}
        return [(name, SCHEDULERS.get(name, 1), not self.deaf) for name in sorted(found)]

    def erlang(self, times: int) -> str:
        """The case and how often it is played, as `values.erl` reads it."""
        return f"{{{times},{{{text(S(self.name))},{text(self.actors)},{text(list(self.steps))}}}}}."


def named(step: object) -> Iterator[str]:
    """The actors that a step names."""
    match step:
        case V(name):
            yield from {name} & ACTORS
        case ("do" | "begin" | "ask" | "stop", str(actor), *rest):
            yield actor
            yield from named(rest)
        case tuple() | list():
            for part in step:
                yield from named(part)


def text(term: object) -> str:
    """A step, or a part of one, as an Erlang term."""
    match term:
        case ("do" | "ask" | "begin" as kind, actor, str(bif), arguments, *save):
            module, _, function = bif.rpartition(".")
            parts = [kind, actor, (module or "erlang", function), arguments, *save]
            return "{" + ",".join(map(text, parts)) + "}"
        case V(name):
            return f"{{var,{erlang(Atom(name))}}}"
        case File(driver, folder):
            return f"{{file,{erlang(driver)},{erlang(folder)}}}"
        case S():
            return erlang(str(term))
        case str():
            return erlang(Atom(term))
        case list():
            return "[" + ",".join(map(text, term)) + "]"
        case tuple():
            return "{" + ",".join(map(text, term)) + "}"
    return erlang(term)
