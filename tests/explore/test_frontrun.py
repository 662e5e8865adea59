"""The search beside another one: frontrun explores Python's own threads, byte code by byte code.

Both are given the same small programs.  Of fields that no lock guards, both find the same outcomes.  Locks it does not
let change places once they are taken in one order, as of version 0.7: there, what it finds is among what the search
finds, and the two agree on whether there is a deadlock.

frontrun replaces the locks of `threading`, so it has a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from dfs import every_schedule, on_threads, searched

from driverref.threads import READ, WRITE
from driverref.threads.simulated import SimulatedThreads

pytestmark = pytest.mark.slow


Operations = list[tuple[Any, ...]]
"""`("write", "x")`, `("read", "x")`, `("put", "q")`, `("get", "q")`, `("with", "a", operations)`."""

FIELDS: dict[str, list[Operations]] = {
    "two writes": [[("write", "x")], [("write", "x")]],
    "a write and a read": [[("write", "x")], [("read", "x")]],
    "two fields": [[("write", "x"), ("read", "y")], [("write", "y"), ("read", "x")]],
    "read, then write": [[("read", "x"), ("write", "x")], [("read", "x"), ("write", "x")]],
    "three threads": [[("write", "x")], [("write", "x")], [("read", "x")]],
    "two reads of a write": [[("read", "x"), ("read", "x")], [("write", "x")]],
    "a message": [[("write", "x"), ("write", "y")], [("read", "y"), ("read", "x")]],
}


def both(first: str, second: str) -> Operations:
    """Hold one lock, and then another as well."""
    return [("with", first, [("with", second, [])])]


LOCKS: dict[str, list[Operations]] = {
    "one lock": [[("with", "a", [("write", "x")])]] * 2,
    "two locks in one order": [both("a", "b"), both("a", "b")],
    "two locks in two orders": [both("a", "b"), both("b", "a")],
    "a circle of three": [both("a", "b"), both("b", "c"), both("c", "a")],
    "a queue": [[("put", "q")], [("put", "q")], [("get", "q"), ("get", "q")]],
}

THEIRS = """
import json, queue, sys, threading
from frontrun._cooperative import patch_locks
patch_locks()
import frontrun

class Shared:
    def __init__(self, lists):
        self.x = self.y = 0
        self.a, self.b, self.c = threading.Lock(), threading.Lock(), threading.Lock()
        self.q = queue.Queue()
        self.seen = [[] for _ in lists]

def worker(who, operations):
    def work(shared):
        do(shared, who, operations)
    return work

def do(shared, who, operations):
    for number, (name, what, *rest) in enumerate(operations):
        label = f"{who}.{number}"
        if name == "write":
            setattr(shared, what, label)
        elif name == "read":
            shared.seen[who].append(getattr(shared, what))
        elif name == "put":
            shared.q.put(label)
        elif name == "get":
            shared.seen[who].append(shared.q.get())
        else:
            with getattr(shared, what):
                do(shared, who, *rest)

answers = {}
for title, lists in json.load(sys.stdin).items():
    outcomes = []
    def end(shared):
        outcomes.append([shared.seen, shared.x, shared.y])
        return True
    result = frontrun.explore(
        setup=lambda: Shared(lists), invariant=end,
        workers=[worker(who, operations) for who, operations in enumerate(lists)],
        preemption_bound=None, stop_on_first=False, detect_io=False, reproduce_on_failure=0,
    )
    answers[title] = [outcomes, result.property_holds is False]
json.dump(answers, sys.stdout)
"""


def frozen(outcome: Any) -> Any:
    return tuple(map(frozen, outcome)) if isinstance(outcome, list) else outcome


@pytest.fixture(scope="module")
def theirs() -> dict[str, tuple[set[Any], bool]]:
    """What frontrun finds in each program, and whether there was a deadlock."""
    ran = subprocess.run(
        [sys.executable, "-c", THEIRS],
        check=False,
        input=json.dumps(FIELDS | LOCKS),
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    answers = json.loads(ran.stdout).items()
    return {title: (set(map(frozen, found)), failed) for title, (found, failed) in answers}


def program(lists: list[Operations]) -> Callable[[SimulatedThreads], object]:
    """The same on the seam."""

    def run(threads: SimulatedThreads) -> object:
        values: dict[str, object] = {"x": 0, "y": 0}
        things = {name: threads.new_id() for name in values}
        locks = {name: threads.mutex(name) for name in "abc"}
        queue, seen = threads.queue("q"), [list[object]() for _ in lists]

        def live(who: int, operations: Operations) -> None:
            for number, (name, what, *rest) in enumerate(operations):
                label = f"{who}.{number}"
                match name:
                    case "write":
                        threads.step(things[what], WRITE)
                        values[what] = label
                    case "read":
                        threads.step(things[what], READ)
                        seen[who].append(values[what])
                    case "put":
                        queue.put(label)
                    case "get":
                        seen[who].append(queue.get())
                    case _:
                        with locks[what]:
                            live(who, *rest)

        started = [
            threads.start(f"{who}", partial(live, who, operations), lambda error: error)
            for who, operations in enumerate(lists)
        ]
        for thread in started:
            threads.join(thread)
        return tuple(map(tuple, seen)), values["x"], values["y"]

    return run


def ours(lists: list[Operations]) -> tuple[set[Any], bool]:
    run = on_threads(program(lists))
    found = set(searched(run).outcomes)
    assert found == set(every_schedule(run, 20_000).outcomes)
    return found - {"Deadlock"}, "Deadlock" in found


@pytest.mark.parametrize("title", FIELDS)
def test_of_fields_both_find_the_same(title: str, theirs: dict[str, tuple[set[Any], bool]]) -> None:
    assert theirs[title] == ours(FIELDS[title])


@pytest.mark.parametrize("title", LOCKS)
def test_of_locks_and_queues_the_other_finds_nothing_more(
    title: str, theirs: dict[str, tuple[set[Any], bool]]
) -> None:
    (found, stuck), (others, others_stuck) = ours(LOCKS[title]), theirs[title]
    assert others <= found
    assert stuck == others_stuck
