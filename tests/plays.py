"""Scenarios that are played: each shows something else that a game has to keep.

Also the rule of the game, written once more and without any thought for speed.
"""

from __future__ import annotations

from collections.abc import Iterator

from driverref import Atomic, Driver, Emulator, Struct, explore
from driverref.erl_driver import (
    driver_alloc,
    driver_async,
    driver_free,
    driver_output,
    driver_set_timer,
)
from driverref.explore import Outcomes
from driverref.player import Structure
from driverref.runtime.port import ErlDrvPort
from driverref.terms import Port


class Word(Struct):
    text: bytes
    stop: Atomic


class Forgets(Driver):
    """A driver that loses its data if the port closes early."""

    driver_name = "forgets"

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        return port

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        if (word := driver_alloc(Word)) is None:
            driver_output(port, b"no memory")
            return
        word.stop = Atomic(0)
        driver_async(port, None, self.work, word)

    def work(self, word: Word) -> None:
        word.text = b"<&>"

    def ready_async(self, port: ErlDrvPort, word: Word) -> None:
        driver_free(word)


class Waits(Forgets):
    """A driver with a timer, which frees what the job may still use."""

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        super().output(port, buf)
        driver_set_timer(port, 5)

    def timeout(self, port: ErlDrvPort) -> None:
        driver_output(port, b"late")


class Stops(Forgets):
    """A driver that writes one field of the data while its job writes another."""

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        word = driver_alloc(Word)
        assert word is not None
        self.word = word
        word.stop = Atomic(0)
        driver_async(port, None, self.work, word)

    def control(self, port: ErlDrvPort, command: int, buf: memoryview) -> int:
        self.word.stop.store(1)
        return 0


def opened(erl: Emulator, driver: Driver) -> Port:
    erl.erl_ddll.load_driver(driver)
    port = erl.open_port(("spawn_driver", "forgets"))
    erl.port_command(port, b"")
    return port


def closes(erl: Emulator) -> str:
    erl.port_close(opened(erl, Forgets()))
    return "<closed>"


def answers(erl: Emulator) -> object:
    opened(erl, Waits())
    return erl.receive()[1][1]


def stops(erl: Emulator) -> None:
    erl.port_control(opened(erl, Stops()), 1, b"")


def hangs(erl: Emulator) -> None:
    opened(erl, Forgets())
    erl.receive()


def refused(erl: Emulator) -> None:
    erl.port_close(opened(erl, Forgets()))


def explorations() -> Iterator[tuple[str, Outcomes]]:
    yield "a leak", explore(closes)
    yield "an order", explore(closes, observe=["async_invoke", "port_close"], schedulers=2)
    yield "a deadlock", explore(hangs)
    yield "a timer", explore(answers)
    yield "two fields", explore(stops)
    yield "no memory", explore(refused, failing_allocations=True)
    yield "one way", explore(lambda erl: 7)


def ends(structure: Structure) -> Iterator[tuple[int, list[int]]]:
    """Yield each set of steps, as bits, behind which no step can be made, and the runs that are left."""
    runs = [sum(1 << step for step in run.steps) for run in structure.runs]
    seen, todo = {0}, [0]
    while todo:
        done = todo.pop()
        left = [n for n, run in enumerate(runs) if done & ~run == 0]
        able = {
            step
            for n in left
            for step in structure.runs[n].steps
            if not done >> step & 1 and structure.before(step) & ~done == 0
        }
        if not able:
            yield done, left
        # As the page does: what is not decisive is made at once.
        quiet = able - structure.decisive
        for step in {min(quiet)} if quiet else able:
            if (after := done | 1 << step) not in seen:
                seen.add(after)
                todo.append(after)
