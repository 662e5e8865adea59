"""The cases of the judge of values, played on the model, as `values.erl` plays them on the emulator.

`outcome` plays a case in an emulator of its own and returns the text of its outcome.  `Player`
carries out the steps.  It is the process that the emulator begins with, and its actors are
processes that it has started.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from driverref import Atom, Emulator, Pid, Port, Ref
from driverref.errors import DriverFault, ErlangError
from driverref.terms import ImproperList, erlang
from driverref.threads import EXPIRED
from values.steps import Case, File, S, V
from values.twin import DRIVERS, LOADED, Stage

Names = dict[Any, str]
"""The names that actors, ports and references have in a case."""

PATIENCE = 60
LONG = 5000
NAP = 5
"""Milliseconds, as in `values.erl`.  Time passes only when no thread can go on."""


class Broken(Exception):
    """A step that makes the state did not do so."""


class Unknown(Broken):
    """What was to be asked about is not there."""


class Done(NamedTuple):
    """What came of a BIF, and how many scripts had passed a gate when it returned."""

    how: Literal["returned", "failed"]
    value: object
    passed: int


Result = Done | Literal["ended", "waits"]
"""What came of a step: a BIF has returned or failed, its actor has ended, or neither as yet."""


class Player:
    """Carries out the steps of a case."""

    def __init__(self, erl: Emulator, case: Case) -> None:
        self.erl = erl
        self.stage = Stage()
        self.drivers = {name: driver(self.stage) for name, driver in DRIVERS.items()}
        for name in LOADED:
            erl.erl_ddll.load_driver(self.drivers[name])
        self.stage.said.clear()
        self.me = erl.self()
        self.actors = {name: self.start(scheduler, trap) for name, scheduler, trap in case.actors}
        dead = erl.spawn(lambda: None)
        self.terms: dict[str, Any] = {"dead": dead}
        self.pending: list[str] = []
        self.asked: list[tuple[str, tuple[int, int], Result]] = []
        self.ended: dict[str, object] = {}
        # What actors are given and give back, by number: a message would turn it into terms.
        self.crossed: list[Any] = []

    def crossing(self, value: object) -> int:
        self.crossed.append(value)
        return len(self.crossed) - 1

    # The actors.

    def start(self, scheduler: int, trap: bool) -> Pid:
        pid = self.erl.spawn(self.actor, trap, scheduler=scheduler)
        self.erl.monitor("process", pid)
        return pid

    def actor(self, trap: bool) -> None:
        erl = self.erl
        erl.process_flag("trap_exit", trap)
        while True:
            match erl.receive(lambda m: isinstance(m, tuple) and m[0] in ("do", "mailbox", "stop")):
                case ("do", number):
                    how, value = self.call(*self.crossed[number])
                    passed = self.stage.passed
                    # As `held` does in `values.erl`: there the actor notices an exit signal.
                    erl.receive(lambda _: False, timeout=0)
                    done = self.crossing(Done(how, value, passed))
                    erl.send(self.me, ("done", erl.self(), done))
                case ("mailbox",):
                    messages = []
                    while (message := erl.receive(timeout=0)) is not None:
                        messages.append(message)
                    erl.send(self.me, ("mailbox", erl.self(), self.crossing(messages)))
                case ("stop", reason):
                    erl.exit(reason)

    def call(self, bif: str, arguments: list[Any]) -> tuple[Literal["returned", "failed"], object]:
        module, _, name = bif.rpartition(".")
        function = getattr(self.erl.erl_ddll if module else self.erl, name, None)
        if function is None:
            return "failed", "no such BIF"
        try:
            return "returned", function(*arguments)
        except ErlangError as error:
            return "failed", error.reason
        except (TypeError, ValueError) as error:
            return "failed", type(error).__name__

    # The steps.

    def play(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("do", actor, bif, arguments, save):
                self.begin(actor, bif, arguments)
                result = self.await_(actor, LONG)
                if not (isinstance(result, Done) and result.how == "returned"):
                    raise Broken(f"{actor} {bif} {result}")
                self.save(save, result)
            case ("begin", actor, bif, arguments):
                self.begin(actor, bif, arguments)
            case ("ask", actor, bif, arguments, save):
                held = self.stage.waiting, self.stage.passed
                try:
                    self.begin(actor, bif, arguments)
                except Unknown:
                    return
                result = self.await_(actor, PATIENCE)
                self.save(save, result)
                self.asked.append((actor, held, result))
            case ("stop", actor, reason):
                self.erl.send(self.actors[actor], ("stop", reason))
                self.await_(actor, LONG)
            case _:
                self.arrange(step)

    def arrange(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("reached", gate):
                deadline = self.stage.threads.read_clock() + LONG * 1_000_000
                if self.stage.come[gate].get_until(deadline) is EXPIRED:
                    raise Broken(f"gate {gate}")
                self.stage.set_limit()
            case ("open", gate):
                self.stage.open[gate].put(gate)
            case ("find", name):
                while not self.stage.opened:
                    self.nap()
                self.terms[name] = self.stage.opened[-1]
            case ("never", name):
                self.terms[name] = Port(99999)
            case ("settle",):
                self.settle()
            case ("forget",):
                self.settle()
                for actor in list(self.actors):
                    self.mailbox(actor)
                self.stage.said.clear()
                for actor in self.ended:
                    self.terms[actor] = self.actors.pop(actor)
                self.ended = {}

    def begin(self, actor: str, bif: str, arguments: list[Any]) -> None:
        pid = self.actors[actor]
        resolved = [self.term(argument, pid) for argument in arguments]
        self.erl.send(pid, ("do", self.crossing((bif, resolved))))
        self.pending.append(actor)

    def await_(self, actor: str, time: int) -> Result:
        pid = self.actors[actor]

        def its_own(message: Any) -> bool:
            match message:
                case ("done", sender, _) | ("DOWN", _, _, sender, _):
                    return bool(sender == pid)
            return False

        message = self.erl.receive(its_own, timeout=time)
        if message is None:
            return "waits"
        if actor in self.pending:
            self.pending.remove(actor)
        if message[0] == "DOWN":
            self.ended[actor] = message[4]
            return "ended"
        result: Result = self.crossed[message[2]]
        return result

    def save(self, name: str, result: Result) -> None:
        if name and isinstance(result, Done) and result.how == "returned":
            self.terms[name] = result.value

    def term(self, term: Any, me: Pid) -> Any:
        match term:
            case V("me"):
                return me
            case V(name):
                if name not in self.actors and name not in self.terms:
                    raise Unknown(name)
                return self.actors.get(name) or self.terms[name]
            case File(driver, folder):
                return self.drivers[str(Path(folder, driver))]
            case S():
                return str(term)
            case tuple():
                return tuple(self.term(part, me) for part in term)
            case list():
                return [self.term(part, me) for part in term]
        return term

    def nap(self) -> None:
        self.erl.receive(lambda _: False, timeout=NAP)

    def settle(self) -> None:
        self.nap()
        self.nap()
        for actor, pid in self.actors.items():
            down = self.erl.receive(partial(is_end, pid), timeout=0)
            if down is not None:
                self.ended[actor] = down[4]

    def mailbox(self, actor: str) -> list[Any]:
        if actor in self.ended or actor in self.pending:
            return []
        pid = self.actors[actor]
        self.erl.send(pid, ("mailbox",))
        answer = self.erl.receive(lambda m: m[0] == "mailbox" and m[1] == pid, timeout=LONG)
        if answer is None:
            raise Broken(f"mailbox of {actor}")
        messages: list[Any] = self.crossed[answer[2]]
        return messages

    # The outcome.

    def outcome(self) -> str:
        late = {actor: self.await_(actor, PATIENCE) for actor in list(self.pending)}
        self.settle()
        names = {
            pid: name
            for name, pid in (self.terms | self.actors).items()
            if isinstance(pid, Pid | Port)
        }
        order = sorted(self.actors)
        asked = {actor for actor, _, _ in self.asked}
        out = [
            answer(held, result, late.get(actor, result), names)
            for actor, held, result in self.asked
        ]
        for actor in order:
            if actor in late and actor not in asked:
                result = late[actor]
                if result == "waits":
                    out.append(f"{actor} does not return")
                elif isinstance(result, Done):
                    out.append(f"{actor} returned {shown(result, names)}")
        out += [
            f"{actor} died of {text(self.ended[actor], names)}"
            for actor in order
            if actor in self.ended
        ]
        for actor in order:
            if messages := self.mailbox(actor):
                out.append(f"{actor}: " + " ".join(text(message, names) for message in messages))
        if self.stage.said:
            said = (
                what + (value if isinstance(value, str) else text(value, names))
                for what, value in self.stage.said
            )
            out.append("driver: " + ", ".join(said))
        return "; ".join(out)


def is_end(pid: Pid, message: Any) -> bool:
    """Whether a message says that the process has ended."""
    return bool(message[0] == "DOWN" and message[3] == pid)


def answer(held: tuple[int, int], result: Result, late: Result, names: Names) -> str:
    """What came of a question.

    Where a script was held, a BIF has waited for it if it has passed its gate by the time the BIF
    returns.
    """
    if not isinstance(late, Done):
        return "does not return" if late == "waits" else "dies"
    waiting, before = held
    waited = late.passed > before if waiting else result != late
    return "waits, then " * waited + shown(late, names)


def shown(result: Done, names: Names) -> str:
    return "error " * (result.how == "failed") + text(result.value, names)


def text(term: Any, names: Names) -> str:
    """A term in Erlang's syntax, with the names of the case, as `values.erl` writes it."""
    match term:
        case Pid() | Port() if term in names:
            return names[term]
        case Pid():
            return "pid"
        case Port():
            return "port"
        case Ref():
            return "ref"
        case None:
            return "undefined"
        # Where a term comes from a scenario, a `str` is an atom; the model's own are drivers' names,
        # and sentences.
        case str() if type(term) is str and not term.startswith("values") and " " not in term:
            return erlang(Atom(term))
        case ("id", int()):
            return "{id,number}"
        case ("links" | "monitors" | "monitored_by" as item, list(items)):
            return f"{{{item},[{','.join(sorted(known(items, names)))}]}}"
        case tuple():
            return "{" + ",".join(text(part, names) for part in term) + "}"
        case [_, *_] if all(isinstance(byte, int) and 32 <= byte < 127 for byte in term):
            return f'"{bytes(term).decode()}"'
        case list() if not isinstance(term, ImproperList):
            return "[" + ",".join(known(term, names)) + "]"
    return erlang(term)


def known(items: list[Any], names: Names) -> list[str]:
    """The items that are the case's: an emulator has ports, processes and drivers besides."""

    def is_known(item: Any) -> bool:
        match item:
            case Pid() | Port():
                return item in names
            case ("process", pid):
                return pid in names
            case str() if type(item) is str:
                return item.startswith("values") and item not in LOADED
        return True

    return [text(item, names) for item in items if is_known(item)]


class Played(Exception):
    """The case has been played."""


def outcome(case: Case, release: str = "25") -> str:
    """What the model does in a case."""
    try:
        with Emulator(schedulers=4, release=release, trace=False) as erl:
            player = Player(erl, case)
            for step in case.steps:
                player.play(step)
            raise Played(player.outcome())
    except Played as played:
        return str(played)
    except Broken as broken:
        return f"broken: {broken}"
    except DriverFault as fault:
        return type(fault).__name__
