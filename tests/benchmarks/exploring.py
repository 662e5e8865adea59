"""Two jobs, one key, one close: explored here, and by frontrun as three plain Python threads.

frontrun explores any Python program, on OS threads and bytecode by bytecode; `theirs` gives it the
part of the emulator that matters, without the rest of one: two queues, an async thread, a
scheduler, a lock.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from driverref import Driver, Emulator, explore
from driverref.erl_driver import driver_async, driver_free


class Jobs(Driver):
    """Two jobs with one key go to one thread, whoever gets their data frees it."""

    driver_name = "jobs"

    def start(self, port, command):  # type: ignore[no-untyped-def]
        return port

    def output(self, port, buf):  # type: ignore[no-untyped-def]
        driver_async(port, 7, self.work, None, self.async_free)

    def work(self, job):  # type: ignore[no-untyped-def]
        pass

    def ready_async(self, port, job):  # type: ignore[no-untyped-def]
        pass

    def async_free(self, job):  # type: ignore[no-untyped-def]
        driver_free(job)


def close_early(erl: Emulator) -> None:
    """Two jobs, one key, one close."""
    erl.erl_ddll.load_driver(Jobs())
    port = erl.open_port(("spawn_driver", "jobs"))
    erl.port_command(port, b"1")
    erl.port_command(port, b"2")
    erl.port_close(port)


def ours(times: int) -> float:
    """Schedules run in a second of one core.

    Each search runs its first schedule and every other witness once more.
    """
    runs = 0
    begin = process_time()
    for _ in range(times):
        outcomes = explore(close_early, async_threads=1, progress=False)
        assert outcomes.complete
        runs += outcomes.schedules + len(outcomes)
    return runs / (process_time() - begin)


class Line:
    """A queue of two items, made of locks: with those of the library frontrun 0.7 stops at a schedule that hangs."""

    def __init__(self) -> None:
        self.items: list[int] = []
        self.mutex = threading.Lock()
        self.there = [threading.Lock(), threading.Lock()]
        for lock in self.there:
            lock.acquire()

    def put(self, item: int) -> None:
        """Add an item; let who waits for it go on."""
        with self.mutex:
            self.items.append(item)
            self.there[len(self.items) - 1].release()

    def get(self, number: int) -> int:
        """Wait for an item and take it."""
        self.there[number].acquire()
        with self.mutex:
            return self.items[number]


class Port:
    """The same for frontrun: who puts what where, and under which lock."""

    def __init__(self) -> None:
        self.jobs, self.done = Line(), Line()
        self.lock = threading.Lock()
        self.open = True
        self.came: list[str] = []


def process(port: Port) -> None:
    """Erlang's side."""
    port.jobs.put(1)
    port.jobs.put(2)
    with port.lock:
        port.open = False


def async_thread(port: Port) -> None:
    """The pool."""
    for number in range(2):
        port.done.put(port.jobs.get(number))


def scheduler(port: Port) -> None:
    """The completions."""
    for number in range(2):
        job = port.done.get(number)
        with port.lock:
            port.came.append(f"ready_async({job})" if port.open else f"async_free({job})")


def theirs() -> float:
    """frontrun's schedules in a second.

    To be run by its own command, which replaces the process's locks.
    """
    import frontrun

    seen: set[str] = set()

    def note(port: Any) -> bool:
        seen.add(" ".join(port.came))
        return True

    begin = perf_counter()
    result = frontrun.explore(
        setup=Port,
        workers=[process, async_thread, scheduler],
        invariant=note,
        preemption_bound=None,
        stop_on_first=False,
        detect_io=False,
        reproduce_on_failure=0,
    )
    seconds = perf_counter() - begin
    assert len(seen) == 3, f"frontrun found {seen}"
    explored: int = result.num_explored
    return explored / seconds


def theirs_apart() -> float:
    """`theirs` in a process of its own."""
    frontrun = Path(sys.executable).with_name("frontrun")
    command = [str(frontrun), sys.executable, __file__]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


if __name__ == "__main__":
    print(theirs())
