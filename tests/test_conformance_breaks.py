"""A check that can fail: break the model, and it no longer has what the real emulator did.

Each break takes from the model something that it has right.  Beside it stands an order that OTP 25
was seen to produce and that is lost with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from _ext import judged
from scripted import made_of
from test_conformance import tampered

from driverref import Emulator, Port
from driverref.conformance import admits
from driverref.erl_driver import (
    ErlDrvPort,
    driver_async,
    driver_deq,
    driver_enq,
    driver_failure_eof,
    driver_set_timer,
    set_busy_port,
)
from driverref.explore import Order, Scenario, explore
from driverref.posix import usleep
from driverref.runtime import async_pool, senders
from driverref.runtime import halting as halts
from driverref.runtime.async_pool import AsyncPool, Job, Key
from driverref.runtime.closing import Closing
from driverref.runtime.completions import Completions
from driverref.runtime.loaded_driver import LoadedDriver
from driverref.runtime.port_state import CLOSED, CLOSING, EXITING, TRANSITIONS
from driverref.runtime.process import Process
from driverref.threads import Thread
from driverref.threads.primitives import SimulatedQueue, SimulatedWork

pytestmark = pytest.mark.slow


Patch = pytest.MonkeyPatch


def nothing(*_: object) -> None:
    """A callback that does nothing."""


def work(data: object) -> None:
    """A job that takes some time."""
    usleep(1)


def submit(port: ErlDrvPort, key: Key | int | None = None) -> None:
    """A job without data."""
    driver_async(port, key, work, None, nothing)


def stage(erl: Emulator, **callbacks: Callable[..., Any]) -> Port:
    """A port of a driver that has a job done for each command, or does what is given."""
    usual: dict[str, Any] = {
        "output": lambda port, buf: submit(port, 0),
        "ready_async": nothing,
        "stop": nothing,
        "finish": nothing,
    }
    driver = made_of("stage", **(usual | callbacks))
    erl.erl_ddll.load_driver(driver)
    return erl.open_port(("spawn_driver", "stage"))


# What was played on the real emulator.


def jobs(
    erl: Emulator, count: int = 1, close: bool = True, **callbacks: Callable[..., Any]
) -> None:
    """Some jobs, and perhaps a close."""
    port = stage(erl, **callbacks)
    for _ in range(count):
        erl.port_command(port, b"")
    if close:
        erl.port_close(port)
    else:
        erl.receive(timeout=0)


def held(erl: Emulator) -> None:
    """`output` takes its time, so two jobs are done for certain when it ends, and a third has begun."""

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        for _ in range(3):
            submit(port, 0)
        usleep(1)
        set_busy_port(port, 0)

    jobs(erl, close=False, output=output)


def without_ready_async(erl: Emulator) -> None:
    driver = made_of("bare", output=lambda port, buf: submit(port), stop=nothing)
    erl.erl_ddll.load_driver(driver)
    erl.port_command(erl.open_port(("spawn_driver", "bare")), b"")


def draining(erl: Emulator) -> None:
    """A byte in the driver queue for a job, until its `ready_async`."""

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        driver_enq(port, b"1")
        submit(port)

    def ready_async(port: ErlDrvPort, data: object) -> None:
        driver_deq(port, 1)

    jobs(erl, output=output, ready_async=ready_async, flush=nothing)


def failing(erl: Emulator) -> None:
    """A driver that fails with something in its queue."""

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        driver_enq(port, b"1")
        driver_failure_eof(port)

    erl.port_command(stage(erl, output=output, flush=nothing), b"")


def timed(erl: Emulator) -> None:
    """A timer that runs when the port is closed."""

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        driver_set_timer(port, 50)

    jobs(erl, output=output, timeout=nothing)


def busy(erl: Emulator) -> None:
    """A command meets a port that is busy until a timer is due."""

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        set_busy_port(port, 1)
        driver_set_timer(port, 1)

    port = stage(erl, output=output, timeout=lambda port: set_busy_port(port, 0))
    erl.port_command(port, b"1")
    erl.port_command(port, b"2")


def two_submitters(erl: Emulator) -> None:
    """One job from each scheduler, with one key."""
    port = stage(erl)
    erl.port_command(port, b"")
    me = erl.self()

    def other() -> None:
        erl.port_command(port, b"")
        erl.send(me, "done")

    erl.spawn(other, scheduler=2)
    erl.receive(lambda message: message == "done")


def key_is_kept(erl: Emulator) -> None:
    """The half of what is left of a key picks the next thread."""

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        key = Key(3)
        submit(port, key)
        submit(port, key.value // 2)

    jobs(erl, close=False, output=output)


def key_and_none(erl: Emulator) -> None:
    """The first job has no key, the second has key 0."""

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        submit(port, None)
        submit(port, 0)

    jobs(erl, close=False, output=output)


def closed_for_sure(erl: Emulator) -> None:
    """Something that happens when `port_close` has returned."""
    jobs(erl)
    erl.send(erl.self(), "closed")


def unloading(erl: Emulator) -> None:
    jobs(erl)
    erl.erl_ddll.try_unload("stage")
    erl.send(erl.self(), "asked for it")


def halting(erl: Emulator) -> None:
    erl.port_command(stage(erl), b"")
    erl.halt()


def killed(erl: Emulator) -> None:
    """The owner ends in good order, and then another port is opened."""
    driver = made_of("stage", stop=nothing)
    erl.erl_ddll.load_driver(driver)
    pid = erl.spawn(lambda: erl.open_port(("spawn_driver", "stage")))
    ref = erl.monitor("process", pid)
    erl.receive(lambda message: message[1] == ref)
    erl.open_port(("spawn_driver", "stage"))


# The breaks.


def switch_a_row(patch: Patch) -> None:
    patch.setitem(TRANSITIONS[EXITING], "driver queue not empty", CLOSED)


def skip_flush(patch: Patch) -> None:
    whole = Closing.exit

    def killed(closing: Closing, port: ErlDrvPort, reason: object, kill: bool = False) -> None:
        whole(closing, port, reason, kill=True)

    patch.setattr(Closing, "exit", killed)


def give_back_while_closing(patch: Patch) -> None:
    whole = Completions.complete

    def complete(self: Completions, job: Job, thread: Thread) -> None:
        closing = job.port.state.value is CLOSING
        self.give_back(job) if closing else whole(self, job, thread)

    patch.setattr(Completions, "complete", complete)


def flush_on_failure(patch: Patch) -> None:
    patch.setattr(Closing, "clear_queue", nothing)


def lose_the_write_back(patch: Patch) -> None:
    def write_back(key: Key | int, size: int) -> int:
        return (key.value if isinstance(key, Key) else key) % size

    patch.setattr(async_pool, "write_back", write_back)


def count_threads_from_one(patch: Patch) -> None:
    def write_back(key: Key | int, size: int) -> int:
        return ((key.value if isinstance(key, Key) else key) + 1) % size

    patch.setattr(async_pool, "write_back", write_back)


def wait_in_stop(patch: Patch) -> None:
    """`stop` is called when every thread has run what is in its queue."""
    whole_serve, whole_terminate = AsyncPool._serve, Closing.terminate

    def serve(pool: AsyncPool, name: str, queue: Any) -> None:
        def jobs_only() -> Iterator[Job | None]:
            for item in iter(queue.get, None):
                if callable(item):
                    item()
                else:
                    yield item
            yield None

        whole_serve(pool, name, SimpleNamespace(get=jobs_only().__next__))

    def terminate(closing: Closing, port: ErlDrvPort) -> None:
        done = port.runtime.threads.queue("the jobs")
        for queue in port.runtime.pool.queues:
            queue.put(lambda: done.put(None))
        for _ in port.runtime.pool.queues:
            done.get()
        whole_terminate(closing, port)

    patch.setattr(AsyncPool, "_serve", serve)
    patch.setattr(Closing, "terminate", terminate)


def fire_when_closed(patch: Patch) -> None:
    """A timer that runs when the port ends, or that `stop` sets, fires after `stop`."""

    def late(whole: Callable[[Closing, ErlDrvPort], None]) -> Callable[[Closing, ErlDrvPort], None]:
        def end(closing: Closing, port: ErlDrvPort) -> None:
            runs = port.timer.runs()
            whole(closing, port)
            if runs:
                port.callback("timeout", None)

        return end

    patch.setattr(Closing, "terminate", late(Closing.terminate))
    patch.setattr(Closing, "gone", late(Closing.gone))


def drop_what_is_queued(patch: Patch) -> None:
    """Closing takes the port's jobs out of the queues and frees them."""
    whole = Closing.terminate

    def terminate(closing: Closing, port: ErlDrvPort) -> None:
        whole(closing, port)
        for queue in port.runtime.pool.queues:
            assert isinstance(queue, SimulatedQueue)
            for item in [item for item in queue.items if item[0] and item[0].port is port]:
                queue.items.remove(item)
                port.runtime.completions.give_back(item[0])

    patch.setattr(Closing, "terminate", terminate)


def free_at_close(patch: Patch) -> None:
    """Closing frees the data of all jobs, and they run all the same."""
    whole = Closing.terminate

    def terminate(closing: Closing, port: ErlDrvPort) -> None:
        whole(closing, port)
        for job in range(1, port.jobs + 1):
            port.note("async_free", job)

    patch.setattr(Closing, "terminate", terminate)
    patch.setattr(Completions, "give_back", nothing)


def free_after_ready_async(patch: Patch) -> None:
    whole = Completions.complete

    def complete(self: Completions, job: Job, thread: Thread) -> None:
        closed = job.port.state.value is CLOSED
        whole(self, job, thread)
        if not closed:
            job.port.note("async_free", job.id)

    patch.setattr(Completions, "complete", complete)


def ready_async_when_closed(patch: Patch) -> None:
    whole = ErlDrvPort.note

    def note(port: ErlDrvPort, name: str, job: int | None = None, detail: object = None) -> None:
        whole(port, "ready_async" if name == "async_free" else name, job, detail)

    patch.setattr(ErlDrvPort, "note", note)


def keep_without_ready_async(patch: Patch) -> None:
    whole = ErlDrvPort.note

    def note(port: ErlDrvPort, name: str, job: int | None = None, detail: object = None) -> None:
        if name != "async_free" or port.driver.entry.ready_async is not None:
            whole(port, name, job, detail)

    patch.setattr(ErlDrvPort, "note", note)


def newest_first(kind: type[SimulatedQueue], patch: Patch) -> None:
    """A queue is last in, first out."""
    whole = SimulatedQueue._taken

    def taken(queue: SimulatedQueue, mode: Any) -> Any:
        if type(queue) is kind and all(type(item) is Job for item, _ in queue.items):
            queue.items.rotate()
        return whole(queue, mode)

    patch.setattr(SimulatedQueue, "_taken", taken)


def never_busy(patch: Patch) -> None:
    patch.setattr(senders, "set_busy", nothing)


def one_scheduler_for_all(patch: Patch) -> None:
    """Whoever submits a job, scheduler 1 takes it back."""
    whole = AsyncPool._serve

    def serve(pool: AsyncPool, name: str, queue: Any) -> None:
        def get() -> Job | None:
            job: Job | None = queue.get()
            return job and job._replace(scheduler=pool.runtime.schedulers[0])

        whole(pool, name, SimpleNamespace(get=get))

    patch.setattr(AsyncPool, "_serve", serve)


def unload_at_once(patch: Patch) -> None:
    patch.setattr(LoadedDriver, "idle", lambda driver: not driver._ports)


def halt_without_the_queue(patch: Patch) -> None:
    whole = halts.close_ports

    def close_ports(process: Process) -> None:
        for queue in process.runtime.pool.queues:
            assert isinstance(queue, SimulatedQueue)
            queue.items.clear()
        whole(process)

    patch.setattr(halts, "close_ports", close_ports)


def outlive_the_owner(patch: Patch) -> None:
    whole = ErlDrvPort.exit_signal

    def exit_signal(port: ErlDrvPort, sender: Any, reason: object, **how: bool) -> None:
        if reason != "normal":
            whole(port, sender, reason, **how)

    patch.setattr(ErlDrvPort, "exit_signal", exit_signal)


@dataclass(frozen=True)
class Break:
    """What is broken, and the order that is lost."""

    patch: Callable[[Patch], None]
    scenario: Scenario
    order: str
    observe: str = ""
    """What is observed besides the events of the order."""
    async_threads: int = 1
    schedulers: int = 1

    def __str__(self) -> str:
        return getattr(self.patch, "__name__", None) or f"newest_first-{self.schedulers}"

    def options(self) -> dict[str, Any]:
        """How the scenario is looked at and run."""
        names = {event.partition("(")[0] for event in self.order.split()}
        return {
            "observe": sorted(names | set(self.observe.split())),
            "async_threads": self.async_threads,
            "schedulers": self.schedulers,
        }

    def admitted(self) -> bool:
        """Whether the model has the order."""
        return bool(admits(self.scenario, self.order.split(), **self.options()))


def lifo_jobs(patch: Patch) -> None:
    newest_first(SimulatedQueue, patch)


def lifo_completions(patch: Patch) -> None:
    newest_first(SimulatedWork, patch)


two_jobs = partial(jobs, count=2)
two_open = partial(jobs, count=2, close=False)

BREAKS = [
    Break(switch_a_row, draining, "flush ready_async(1) stop"),
    Break(skip_flush, draining, "flush ready_async(1) stop"),
    Break(give_back_while_closing, draining, "flush ready_async(1) stop", "async_free"),
    Break(flush_on_failure, failing, "driver_enq driver_failure_eof stop", "flush"),
    Break(lose_the_write_back, key_is_kept, "async_invoke(2) async_invoke(1)", async_threads=2),
    Break(count_threads_from_one, key_and_none, "async_invoke(2) async_invoke(1)", async_threads=2),
    Break(wait_in_stop, jobs, "async_invoke(1) stop async_return(1) async_free(1)"),
    Break(fire_when_closed, timed, "driver_set_timer stop", "timeout"),
    Break(drop_what_is_queued, two_jobs, "stop async_return(1) async_return(2)"),
    Break(free_at_close, closed_for_sure, "stop send async_return(1) async_free(1)"),
    Break(free_after_ready_async, jobs, "ready_async(1) stop", "async_free"),
    Break(ready_async_when_closed, jobs, "stop async_free(1)", "ready_async"),
    Break(keep_without_ready_async, without_ready_async, "async_free(1) stop"),
    Break(lifo_jobs, two_open, "driver_async(1) driver_async(2) async_invoke(1) async_invoke(2)"),
    Break(lifo_completions, held, "async_invoke(1) async_invoke(2) async_invoke(3) set_busy_port"
          " ready_async(1) ready_async(2) ready_async(3)"),
    Break(never_busy, busy, "output suspended timeout resumed output"),
    Break(one_scheduler_for_all, two_submitters, "async_return(1) async_return(2) ready_async(2) ready_async(1)",
          schedulers=2),
    Break(unload_at_once, unloading, "stop send async_return(1) async_free(1) finish"),
    Break(halt_without_the_queue, halting, "halt stop async_invoke(1) async_return(1)"),
    Break(outlive_the_owner, killed, "start stop start stop"),
]  # fmt: skip

RECORDED: dict[Callable[[Patch], None], str] = {
    switch_a_row: "flush_by_timer",
    skip_flush: "flush_empties",
    give_back_while_closing: "job_from_flush",
    flush_on_failure: "fail_drops_queue",
    lose_the_write_back: "key_written_back",
    count_threads_from_one: "key_counts_too",
    wait_in_stop: "close_running",
    fire_when_closed: "timer_in_stop",
    drop_what_is_queued: "close_queued",
    free_at_close: "close_running",
    free_after_ready_async: "round_trip",
    ready_async_when_closed: "close_running",
    keep_without_ready_async: "no_ready_async",
    lifo_jobs: "one_key",
    lifo_completions: "one_key",
    never_busy: "busy_nosuspend",
    one_scheduler_for_all: "answers_overtake",
    unload_at_once: "unload_in_flight",
    halt_without_the_queue: "halt_flushes",
    outlive_the_owner: "connect",
}
"""A scenario of the record for each break: it loses an order that the emulator has shown."""

each = pytest.mark.parametrize("broken", BREAKS, ids=str)


@each
def test_the_model_has_what_was_seen(broken: Break) -> None:
    assert broken.admitted()


@each
def test_the_model_that_is_broken_has_it_no_longer(
    broken: Break, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken.patch(monkeypatch)
    assert not broken.admitted()


@each
def test_of_each_scenario_the_model_has_what_explore_finds(broken: Break) -> None:
    found = explore(broken.scenario, limit=500, progress=False, **broken.options())
    truth = [outcome for outcome in found if isinstance(outcome, Order)]
    for order in truth[:: 1 + len(truth) // 12]:
        assert admits(broken.scenario, order, **broken.options())
        for other in tampered(order) if found.complete else ():
            assert bool(admits(broken.scenario, other, **broken.options())) == (other in found)


@each
def test_of_the_record_the_broken_model_lacks_an_order(
    broken: Break, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = judged.read(Path(__file__).parent)
    assert record is not None
    name = RECORDED[broken.patch]
    assert record.judged(name).admitted
    scenario = record.scenarios[name]
    broken.patch(monkeypatch)
    assert not all(
        admits(
            scenario.model,
            order,
            observe=scenario.observe,
            async_threads=entry["async_threads"],
            schedulers=entry["schedulers"],
        )
        for entry in record.entries[name]
        for order, _ in entry["orders"]
    )
