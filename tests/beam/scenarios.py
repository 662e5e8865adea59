"""What is played on the real emulator and on the model, and which events are compared.

A scenario is a function here, which drives the model, and a function of the same name in
`judge.erl`, which drives the emulator.  Both must tell the same story; what is asserted in one is
asserted in the other.  `judge.py` explains the scripts.

A scenario is small, because every schedule of it is tried; and it waits for the circumstances that
it is about, because a run that reaches them only by luck would seldom show them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from judge import Play

from driverref import Emulator, Port

Story = Callable[[Play], None]

ASYNC_THREADS = (1, 2, 4)
SCHEDULERS = (1, 2)


@dataclass(frozen=True)
class Scenario:
    """Something that is played on both."""

    name: str
    why: str
    """What it shows."""
    erlang: str
    """The function of `judge.erl` that plays it on the emulator."""
    model: Callable[[Emulator], None]
    """Plays it on the model: what `explore` and `admits` take."""
    observe: tuple[str, ...]
    """The events that are compared."""
    schedulers: tuple[int, ...] = SCHEDULERS
    """With how many schedulers it can be played."""
    async_threads: tuple[int, ...] = ASYNC_THREADS
    """With how many async threads it is played."""
    once: bool = False
    """Whether it takes its emulator with it."""
    times: int = 1
    """How many times as often as others it is played, because some of its orders are rare."""
    crashes: bool = False
    """Whether the emulator was seen to crash in it.

    It has emulators of its own, and is a `Misuse` in the model: the emulator may do anything then.
    """


SCENARIOS: list[Scenario] = []


def tell(story: Story, erl: Emulator) -> None:
    story(Play(erl))


def scenario(
    observe: str,
    *,
    schedulers: tuple[int, ...] = SCHEDULERS,
    async_threads: tuple[int, ...] = ASYNC_THREADS,
    once: bool = False,
    times: int = 1,
    crashes: bool = False,
) -> Callable[[Story], Story]:
    """The function is a scenario; its docstring is why."""

    def enter(story: Story) -> Story:
        name = story.__name__
        SCENARIOS.append(
            Scenario(
                name=name,
                why=" ".join((story.__doc__ or "").split()),
                erlang=name,
                model=partial(tell, story),
                observe=tuple(observe.split()),
                schedulers=schedulers,
                async_threads=async_threads,
                once=once,
                times=times,
                crashes=crashes,
            )
        )
        return story

    return enter


@scenario("output driver_async async_invoke async_return ready_async async_free stop")
def round_trip(s: Play) -> None:
    """A job's whole way: `ready_async` gets it, and `async_free` is never called."""
    p = s.open("judge", "r:s1")
    s.cmd(p, "n")
    s.await_(1)
    s.close(p)


@scenario("output driver_async async_invoke ready_async", times=5)
def second_command(s: Play) -> None:
    """A command is accepted while a job is out; without a key its job may overtake the first."""
    p = s.open("judge", "r:s1")
    s.cmd(p, "n(w2)")
    s.cmd(p, "n")
    s.give(2)
    s.await_(1, 1)
    s.close(p)


@scenario("ready_async", times=5)
def no_key(s: Play) -> None:
    """Three jobs without a key take the threads in turn; beside each other, their answers come in any order."""
    p = s.open("judge", "r:s1")
    s.cmd(p, "nnn")
    s.await_(1, 1, 1)
    s.close(p)


@scenario("async_invoke ready_async")
def one_key(s: Play) -> None:
    """Jobs with one key stand in one line, and from one scheduler their answers come in order."""
    p = s.open("judge", "r:s1")
    s.cmd(p, "k7k7k7")
    s.await_(1, 1, 1)
    s.close(p)


@scenario("async_invoke async_return")
def congruent_keys(s: Play) -> None:
    """Keys 1 and 5 are one thread, with 1, 2 or 4 of them."""
    p = s.open("judge", "r:s1")
    s.cmd(p, "k1k5")
    s.await_(1, 1)
    s.close(p)


@scenario("async_invoke async_return ready_async", times=20)
def two_keys(s: Play) -> None:
    """Keys 0 and 1 are two threads, if there are two."""
    p = s.open("judge", "r:s1")
    s.cmd(p, "k0k1")
    s.await_(1, 1)
    s.close(p)


@scenario("driver_async ready_async", times=5)
def key_written_back(s: Play) -> None:
    """The key variable holds the thread's number after the call."""
    p = s.open("judge", "r:s1")
    assert s.control(p, "V7v=") == [7 % s.threads]
    assert s.control(p, "v=") == [7 % s.threads]
    s.await_(1, 1)
    s.close(p)


@scenario("port_close stop async_invoke async_return ready_async async_free")
def close_running(s: Play) -> None:
    """Close does not wait for the job that runs: `stop`, then the job's end, then `async_free`."""
    p = s.open("judge")
    s.cmd(p, "n(s1w2)")
    s.await_(1)
    s.close(p)
    s.give(2)


@scenario("port_close stop async_invoke async_return ready_async async_free")
def close_queued(s: Play) -> None:
    """Close cancels nothing: the job that was in the queue runs after `stop`."""
    p = s.open("judge")
    s.cmd(p, "k0(s1w2)k0")
    s.await_(1)
    s.close(p)
    s.give(2)


@scenario("port_close stop async_invoke async_return ready_async async_free", times=20)
def close_at_once(s: Play) -> None:
    """Close at any moment of a job's life: exactly one of `ready_async` and `async_free` gets it."""
    p = s.open("judge")
    s.cmd(p, "n")
    s.close(p)


@scenario("async_invoke")
def no_key_shared_count(s: Play) -> None:
    """Jobs without a key are numbered over all ports and drivers: job 3 is behind job 1 if there are two threads."""
    p, q = s.open("judge", "r:s1"), s.open("judge_other", "r:s1")
    s.cmd(p, "n(w2)")
    s.cmd(q, "n")
    s.cmd(p, "n")
    s.give(2)
    s.await_(1, 1, 1)
    s.close(p)
    s.close(q)


@scenario("async_invoke")
def key_counts_too(s: Play) -> None:
    """A job with a key takes a number as well: job 3 is behind job 1 if there are two threads."""
    p = s.open("judge", "r:s1")
    s.cmd(p, "n(w2)k0n")
    s.give(2)
    s.await_(1, 1, 1)
    s.close(p)


@scenario("async_invoke async_return ready_async")
def two_ports_one_key(s: Play) -> None:
    """Two ports with one key share a thread: the second waits for the first one's job."""
    p, q = s.open("judge", "r:s1"), s.open("judge", "r:s1")
    s.cmd(p, "k3(w2)")
    s.cmd(q, "k3")
    s.give(2)
    s.await_(1, 1)
    s.close(p)
    s.close(q)


@scenario("async_invoke async_return ready_async")
def two_drivers_one_key(s: Play) -> None:
    """The same for ports of two drivers."""
    p, q = s.open("judge", "r:s1"), s.open("judge_other", "r:s1")
    s.cmd(p, "k3(w2)")
    s.cmd(q, "k3")
    s.give(2)
    s.await_(1, 1)
    s.close(p)
    s.close(q)


@scenario("async_invoke ready_async send", times=5)
def starved_by_collision(s: Play) -> None:
    """A long job holds up who collides with its key, and nobody else; an idle thread does not help."""
    p = s.open("judge", "r:s1 r3:s3")
    s.cmd(p, "k0(s2w4)k4k1")
    s.await_(2)
    if s.threads > 1:
        s.await_(3)
    s.mark()
    s.give(4)
    if s.threads == 1:
        s.await_(3)
    s.await_(1, 1)
    s.close(p)


@scenario("driver_async async_invoke ready_async")
def two_schedulers_one_key(s: Play) -> None:
    """Two schedulers submit with one key: the jobs run in order, the answers may come in the other."""
    p = s.open("judge", "r:s1")
    s.on(2, lambda: s.cmd(p, "k0"))
    s.cmd(p, "k0")
    s.await_(1, 1)
    s.close(p)


@scenario("async_invoke ready_async", schedulers=(2,))
def answers_overtake(s: Play) -> None:
    """One key, two schedulers, of which the first is held: the second job is answered first."""
    p, q = s.open("judge", "r1:s1 r2:g3s1"), s.open("judge")
    s.cmd(p, "k0(w2)")
    s.on(2, lambda: s.cmd(p, "k0"))
    s.cmd(q, "g2w3")
    s.await_(1, 1)
    s.close(p)
    s.close(q)


@scenario("driver_async ready_async")
def port_key(s: Play) -> None:
    """`driver_async_port_key` is the port's number."""
    p = s.open("judge")
    assert s.control(p, "Y") == [p.number % 100]
    s.close(p)


@scenario("async_invoke async_return ready_async async_free stop")
def no_ready_async(s: Play) -> None:
    """A driver without `ready_async` gets every job in `async_free`, with its port open."""
    p = s.open("judge_no_ready", "a:s1")
    s.cmd(p, "n")
    s.await_(1)
    s.close(p)


@scenario("async_invoke async_return ready_async async_free stop")
def no_ready_no_free(s: Play) -> None:
    """Without either, nobody gets the job: its data leaks."""
    p = s.open("judge_no_ready")
    s.cmd(p, "N(s1)")
    s.await_(1)
    s.close(p)


@scenario("async_return ready_async async_free stop")
def no_free_open(s: Play) -> None:
    """A job without a free function, its port open: `ready_async`."""
    p = s.open("judge", "r:s1")
    s.cmd(p, "N")
    s.await_(1)
    s.close(p)


@scenario("async_invoke async_return ready_async async_free stop")
def no_free_closed(s: Play) -> None:
    """A job without a free function, its port closed: nobody gets it, its data leaks."""
    p = s.open("judge")
    s.cmd(p, "N(s1w2)")
    s.await_(1)
    s.close(p)
    s.give(2)


@scenario("stop ready_async async_free", times=5)
def close_two_at_once(s: Play) -> None:
    """Close at any moment of two jobs' lives: each of them is given back once, on one side of `stop` or the other."""
    p = s.open("judge")
    s.cmd(p, "k0k0")
    s.close(p)


@scenario("stop async_invoke driver_failure_atom ready_async async_free")
def done_before_close(s: Play) -> None:
    """The job is done, the scheduler is not: if the port is closed before `ready_async`, that is `async_free`."""
    p = s.open("judge")
    s.cmd(p, "n(g1)w1f")


@scenario("output driver_failure_atom stop driver_async async_invoke")
def refused(s: Play) -> None:
    """`driver_async` on a port that has failed is -1: no job runs."""
    p = s.open("judge")
    s.cmd(p, "fn")
    assert s.failure(lambda: s.cmd(p, "n")) == "badarg"


@scenario("start stop")
def start_refuses(s: Play) -> None:
    """A `start` that refuses decides what `open_port` says; `stop` is not called."""
    assert s.failure(lambda: s.open("judge", "s:R-1")) == "einval"
    assert s.failure(lambda: s.open("judge", "s:R-2")) == "enoent"
    assert s.failure(lambda: s.open("judge", "s:R-3")) == "badarg"


@scenario("start driver_async async_invoke async_return ready_async async_free stop")
def start_refuses_with_job(s: Play) -> None:
    """A `start` that schedules a job and refuses: the job runs and is freed."""
    assert s.failure(lambda: s.open("judge", "s:nR-1")) == "einval"


@scenario("start driver_async async_invoke ready_async stop")
def job_from_start(s: Play) -> None:
    """A job of `start` is answered as any other."""
    p = s.open("judge", "s:n r:s1")
    s.await_(1)
    s.close(p)


@scenario("stop driver_async async_invoke async_return ready_async async_free")
def job_from_stop(s: Play) -> None:
    """A job of `stop` is accepted, runs, and is freed."""
    p = s.open("judge", "z:n")
    s.close(p)


@scenario("flush driver_async async_invoke ready_async async_free driver_deq stop")
def job_from_flush(s: Play) -> None:
    """A job of `flush` is answered, because the driver queue keeps the port."""
    p = s.open("judge", "f:n r:d1")
    s.cmd(p, "q1")
    s.close(p)


@scenario("driver_async async_invoke ready_async stop")
def job_from_ready_async(s: Play) -> None:
    """A job of `ready_async` is a job as any other: one after the other."""
    p = s.open("judge", "r1:n r2:s1")
    s.cmd(p, "n")
    s.await_(1)
    s.close(p)


@scenario("timeout driver_async async_invoke ready_async stop")
def job_from_timeout(s: Play) -> None:
    """So is one of `timeout`."""
    p = s.open("judge", "t:n r:s1")
    s.cmd(p, "t0")
    s.await_(1)
    s.close(p)


@scenario("port_close flush control async_return ready_async async_free driver_deq stop")
def queue_keeps_port(s: Play) -> None:
    """A driver queue that is not empty keeps a closed port: its job is answered. Only `control` still gets through."""
    p = s.open("judge", "r:d1")
    s.cmd(p, "q1n(s1w2)")
    s.await_(1)
    s.close(p)
    assert s.failure(lambda: s.cmd(p, "n")) == "badarg"
    assert s.failure(lambda: s.close(p)) == "badarg"
    assert s.control(p, "z") == [1]
    s.give(2)


@scenario("flush driver_deq stop")
def flush_empties(s: Play) -> None:
    """A `flush` that empties the driver queue is followed by `stop` at once."""
    p = s.open("judge", "f:d1")
    s.cmd(p, "q1")
    s.close(p)
    assert s.failure(lambda: s.control(p, "z")) == "badarg"


@scenario("port_close flush driver_set_timer timeout driver_deq stop")
def flush_by_timer(s: Play) -> None:
    """A closing port's timer fires."""
    p = s.open("judge", "f:t0 t:d1")
    s.cmd(p, "q1")
    s.close(p)


@scenario("flush driver_set_timer timeout driver_deq stop", times=20)
def timer_before_flush(s: Play) -> None:
    """A timer that was set before the close fires while the driver queue keeps the port."""
    p = s.open("judge", "t:d1")
    s.cmd(p, "q1t1")
    s.close(p)


@scenario("port_close flush ready_async driver_deq stop")
def no_flush(s: Play) -> None:
    """Without `flush` the driver queue keeps the port all the same."""
    p = s.open("judge_no_flush", "r:d1")
    s.cmd(p, "q1n(s1w2)")
    s.await_(1)
    s.close(p)
    s.give(2)


@scenario("port_close flush control driver_deq stop")
def control_empties(s: Play) -> None:
    """A `control` that empties a closing port's driver queue is followed by `stop`; the call returns its answer."""
    p = s.open("judge")
    s.cmd(p, "q2")
    s.close(p)
    assert s.control(p, "zd1zd1z") == [2, 1, 0]
    assert s.failure(lambda: s.control(p, "z")) == "badarg"


@scenario("driver_deq stop flush")
def deq_too_much(s: Play) -> None:
    """To take more from the driver queue than it holds takes nothing."""
    p = s.open("judge", "f:d5d2")
    assert s.control(p, "q2d3z") == [2]
    s.close(p)


@scenario("flush stop async_invoke async_return ready_async async_free")
def kill_skips_flush(s: Play) -> None:
    """`exit(Port, kill)` does not flush: `stop` at once, and the job is freed."""
    p = s.open("judge")
    s.cmd(p, "q1n(s1w2)")
    s.await_(1)
    s.erl.exit(p, "kill")
    assert s.exit_reason(p) == "killed"
    s.give(2)


@scenario("flush driver_deq stop")
def exit_flushes(s: Play) -> None:
    """`exit(Port, normal)` closes a port, and flushes."""
    p = s.open("judge", "f:d1")
    s.cmd(p, "q1")
    s.erl.exit(p, "normal")
    assert s.exit_reason(p) == "normal"


@scenario("stop async_invoke async_return ready_async async_free", times=5)
def owner_ends(s: Play) -> None:
    """A port ends with its owner, even if that ends normally; its job goes on."""
    s.on(1, lambda: s.cmd(s.open("judge"), "n(s1w2)"))
    s.await_(1)
    s.give(2)


@scenario("stop async_invoke async_return ready_async async_free")
def owner_killed(s: Play) -> None:
    """The owner is killed while the port's job runs."""

    def own() -> None:
        s.cmd(s.open("judge"), "n(s1w2)")
        s.erl.receive()

    owner = s.on(1, own)
    s.await_(1)
    s.erl.exit(owner, "kill")
    s.give(2)


@scenario("output stop", times=5)
def linked_process_ends(s: Play) -> None:
    """A linked process that is not the owner may end normally; with another reason it takes the port along."""
    p = s.open("judge", "r:s1")

    def end(reason: str) -> None:
        s.erl.link(p)
        s.cmd(p, "")
        s.erl.exit(reason)

    s.on(1, lambda: end("normal"))
    s.on(1, lambda: end("other"))
    assert s.exit_reason(p) == "other"


@scenario("stop receive")
def close_message(s: Play) -> None:
    """`Port ! {Owner, close}` is answered after `stop`."""
    p = s.open("judge")
    s.erl.send(p, (s.erl.self(), "close"))
    s.erl.receive(lambda message: message == (p, "closed"))


@scenario("output driver_output stop", schedulers=(2,))
def close_waits_for_callback(s: Play) -> None:
    """Close waits for the callback that runs on another scheduler."""
    p = s.open("judge")
    s.on(2, lambda: s.cmd(p, "s1w2o"))
    s.await_(1)
    s.give(2)
    s.close(p)


@scenario("output async_invoke async_return driver_output ready_async")
def job_beside_callback(s: Play) -> None:
    """A job runs beside a callback of its own port; `ready_async` waits until the callback has returned."""
    p = s.open("judge", "r:s1")
    s.cmd(p, "n(g2)w2o")
    s.await_(1)
    s.close(p)


@scenario("output async_invoke async_return driver_output ready_async")
def job_beside_driver_lock(s: Play) -> None:
    """So it does where the driver has one lock for all its ports."""
    p = s.open("judge_lock", "r:s1")
    s.cmd(p, "n(g2)w2o")
    s.await_(1)
    s.close(p)


@scenario("output driver_output ready_async", schedulers=(2,))
def ready_async_waits(s: Play) -> None:
    """`ready_async` waits for a callback of its port that runs on another scheduler."""
    p = s.open("judge", "r:s1")
    s.cmd(p, "n(w2g3)")
    s.on(2, lambda: s.cmd(p, "g2w3o"))
    s.await_(1)
    s.close(p)


@scenario("output driver_output", schedulers=(2,))
def driver_lock(s: Play) -> None:
    """With one lock for the driver, a port waits for another port's callback."""
    p, q = s.open("judge_lock"), s.open("judge_lock")
    s.on(2, lambda: s.cmd(p, "s1w2o"))
    s.await_(1)
    s.give(2)
    s.cmd(q, "o")
    s.close(p)
    s.close(q)


@scenario("output driver_output", schedulers=(2,))
def port_lock(s: Play) -> None:
    """With a lock for each port, callbacks of two ports run beside each other."""
    p, q = s.open("judge"), s.open("judge")
    s.on(2, lambda: s.cmd(p, "s1w2o"))
    s.await_(1)
    s.cmd(q, "g2")
    s.close(p)
    s.close(q)


@scenario("stop async_return async_free", times=5)
def stop_waits_for_job(s: Play) -> None:
    """A `stop` may wait for the end of a job that runs, though not for its `ready_async`."""
    p = s.open("judge", "z:w2")
    s.cmd(p, "n(s1w3g2)")
    s.await_(1)
    s.give(3)
    s.close(p)


@scenario("output driver_failure_atom stop async_return ready_async async_free")
def fail_in_output(s: Play) -> None:
    """A failure in `output` runs `stop` before it returns; the command has been sent all the same."""
    p = s.open("judge")
    assert s.cmd(p, "nf")
    assert s.exit_reason(p) == "judged"


@scenario("control driver_failure_atom stop async_return ready_async async_free")
def fail_in_control(s: Play) -> None:
    """A failure in `control` runs `stop` before it returns; the caller gets the answer."""
    p = s.open("judge")
    assert s.control(p, "V3n=f") == [3]
    assert s.exit_reason(p) == "judged"


@scenario("ready_async driver_failure_atom stop async_invoke async_free")
def fail_in_ready_async(s: Play) -> None:
    """A failure in `ready_async`: the job behind still runs, and is freed."""
    p = s.open("judge", "r1:f")
    s.cmd(p, "k0k0(w2)")
    assert s.exit_reason(p) == "judged"
    s.give(2)


@scenario("timeout driver_failure_atom stop async_invoke async_return ready_async async_free")
def fail_in_timeout(s: Play) -> None:
    """A failure in `timeout`, while a job runs."""
    p = s.open("judge", "t:f")
    s.cmd(p, "n(s1w2)")
    s.await_(1)
    s.control(p, "t0")
    assert s.exit_reason(p) == "judged"
    s.give(2)


@scenario("flush driver_failure_atom stop")
def fail_in_flush(s: Play) -> None:
    """A failure in `flush`: the driver queue is dropped."""
    p = s.open("judge", "f:f")
    s.cmd(p, "q1")
    s.close(p)
    assert s.exit_reason(p) == "normal"


@scenario("driver_enq flush driver_failure_atom stop")
def fail_drops_queue(s: Play) -> None:
    """A failure does not flush, whatever the driver queue holds."""
    p = s.open("judge")
    s.cmd(p, "q1f")
    assert s.exit_reason(p) == "judged"


@scenario("port_close flush control driver_failure_atom stop")
def fail_while_closing(s: Play) -> None:
    """A failure of a closing port drops its driver queue and ends it."""
    p = s.open("judge")
    s.cmd(p, "q1")
    s.close(p)
    s.control(p, "f")
    assert s.failure(lambda: s.control(p, "")) == "badarg"


@scenario("driver_failure_posix stop")
def fail_posix(s: Play) -> None:
    """`driver_failure_posix` ends the port with the name of an errno."""
    p = s.open("judge")
    s.cmd(p, "y")
    assert s.exit_reason(p) == "enoent"


@scenario("driver_failure stop")
def fail_number(s: Play) -> None:
    """`driver_failure` ends the port with a number."""
    p = s.open("judge")
    s.cmd(p, "F")
    assert s.exit_reason(p) == -1


@scenario("driver_failure_eof stop async_free ready_async")
def eof_closes(s: Play) -> None:
    """`driver_failure_eof` ends the port normally."""
    p = s.open("judge")
    s.cmd(p, "ne")
    assert s.exit_reason(p) == "normal"


@scenario("driver_failure_eof ready_async stop")
def eof_option(s: Play) -> None:
    """With the option `eof`, `driver_failure_eof` sends a message and the port stays open."""
    p = s.open("judge", "r:s1", ("eof",))
    s.cmd(p, "ne")
    assert s.message() == (p, "eof")
    s.await_(1)
    s.close(p)


@scenario("driver_exit stop async_free ready_async")
def exit_tells_nobody(s: Play) -> None:
    """`driver_exit` ends the port, and its owner is not told."""
    p = s.open("judge")
    s.cmd(p, "nx")
    assert s.failure(lambda: s.cmd(p, "")) == "badarg"
    assert s.quiet()


@scenario("init stop async_return ready_async async_free finish")
def unload_in_flight(s: Play) -> None:
    """Unloading kills the port and waits for its job: `finish` comes after `async_free`."""
    s.load()
    p = s.open("judge_unloaded")
    s.cmd(p, "n(s1w2)")
    s.await_(1)
    s.erl.erl_ddll.monitor("driver", ("judge_unloaded", "unloaded"))
    assert s.erl.erl_ddll.try_unload("judge_unloaded") == ("ok", "pending_driver")
    assert s.exit_reason(p) == "driver_unloaded"
    s.give(2)
    s.gone("driver")


@scenario("stop ready_async async_free finish send", times=5)
def unload_blocks(s: Play) -> None:
    """`unload_driver` returns after the last job and `finish`."""
    s.load()
    p = s.open("judge_unloaded")
    s.cmd(p, "n")
    assert s.erl.erl_ddll.unload_driver("judge_unloaded") == "ok"
    s.mark()


@scenario("stop async_return async_free finish")
def unload_after_close(s: Play) -> None:
    """A closed port's job keeps the driver as well."""
    s.load()
    p = s.open("judge_unloaded")
    s.cmd(p, "n(s1w2)")
    s.await_(1)
    s.close(p)
    s.erl.erl_ddll.monitor("driver", ("judge_unloaded", "unloaded"))
    assert s.erl.erl_ddll.try_unload("judge_unloaded") == ("ok", "pending_driver")
    s.give(2)
    s.gone("driver")


@scenario("start ready_async stop finish")
def unload_waits_for_port(s: Play) -> None:
    """A driver loaded by `load` waits for its ports, which go on; even new ones may be opened."""
    s.load("load")
    p = s.open("judge_unloaded", "r:s1")
    s.erl.erl_ddll.monitor("driver", ("judge_unloaded", "unloaded"))
    assert s.erl.erl_ddll.try_unload("judge_unloaded") == ("ok", "pending_driver")
    s.cmd(p, "n")
    s.await_(1)
    q = s.open("judge_unloaded")
    s.close(p)
    s.close(q)
    s.gone("driver")


@scenario("init stop async_return async_free ready_async finish")
def loader_ends(s: Play) -> None:
    """The process that loaded the driver ends: the driver is unloaded, and its ports are killed."""

    def load() -> None:
        s.load()
        s.tell(3)
        s.gates.wait(4)

    s.on(1, load)
    s.await_(3)
    p = s.open("judge_unloaded")
    s.cmd(p, "n(s1w2)")
    s.await_(1)
    s.erl.erl_ddll.monitor("driver", ("judge_unloaded", "unloaded"))
    s.tell(4)
    assert s.exit_reason(p) == "driver_unloaded"
    s.give(2)
    s.gone("driver")


@scenario("flush stop finish", times=2)
def loader_owns_port(s: Play) -> None:
    """The process that has loaded the driver ends, and with it its port: `stop` at once, though the driver queue is not empty."""
    p = loaded_and_opened(s, "load_driver")
    assert s.exit_reason(p) == "driver_unloaded"
    s.gone("driver")


@scenario("flush driver_deq stop finish", times=2)
def loader_owns_port_load(s: Play) -> None:
    """With `load` in place of `load_driver` the port ends as its owner does, and flushes."""
    p = loaded_and_opened(s, "load")
    assert s.exit_reason(p) == "normal"
    s.gone("driver")


def loaded_and_opened(s: Play, how: str) -> Port:
    """A port of a process that loads the driver, and ends when this one is linked to the port."""
    me = s.erl.self()

    def own() -> None:
        s.load(how)
        p = s.open("judge_unloaded", "f:d1")
        s.cmd(p, "q1")
        s.erl.send(me, ("port", p))
        s.await_(4)

    s.on(2, own)
    port: Port = s.message()[1]
    s.erl.link(port)
    s.erl.erl_ddll.monitor("driver", ("judge_unloaded", "unloaded"))
    s.tell(4)
    return port


@scenario("set_busy_port output")
def busy_suspends(s: Play) -> None:
    """A sender is suspended while the port is busy."""
    p = s.open("judge")
    s.cmd(p, "b1")
    s.on(2, lambda: s.cmd(p, "s1"))
    s.control(p, "b0")
    s.await_(1)
    s.close(p)


@scenario("output set_busy_port ready_async")
def busy_until_ready(s: Play) -> None:
    """Busy from the command until its job is done: the next command waits for `ready_async`."""
    p = s.open("judge", "r:b0s1")
    s.cmd(p, "b1n")
    s.cmd(p, "b1n")
    s.await_(1, 1)
    s.close(p)


@scenario("output set_busy_port ready_async send")
def busy_message(s: Play) -> None:
    """A command sent as a message waits as well."""
    p = s.open("judge", "r:b0s1")
    s.cmd(p, "b1n")
    s.command(p, "n")
    s.await_(1, 1)
    s.close(p)


@scenario("set_busy_port output driver_output")
def busy_nosuspend(s: Play) -> None:
    """With `nosuspend` the command is not sent, and the caller is told so."""
    p = s.open("judge")
    s.cmd(p, "b1")
    assert s.cmd(p, "o", "nosuspend") is False
    s.control(p, "b0")
    assert s.cmd(p, "o", "nosuspend") is True
    s.close(p)


@scenario("set_busy_port output driver_output")
def busy_force_refused(s: Play) -> None:
    """`force` is for drivers that say they can stand it."""
    p = s.open("judge")
    s.cmd(p, "b1")
    assert s.failure(lambda: s.cmd(p, "o", "force")) == "notsup"
    s.close(p)


@scenario("set_busy_port output driver_output")
def busy_force(s: Play) -> None:
    """A driver with `ERL_DRV_FLAG_SOFT_BUSY` gets a forced command while it is busy."""
    p = s.open("judge_soft")
    s.cmd(p, "b1")
    assert s.cmd(p, "o", "force") is True
    s.close(p)


@scenario("set_busy_port output control stop")
def busy_close(s: Play) -> None:
    """`control` and close get through to a busy port; who was suspended gets `badarg`."""
    p = s.open("judge")
    s.cmd(p, "b1")

    def late() -> None:
        assert s.failure(lambda: s.cmd(p, "o")) == "badarg"
        s.tell(2)

    s.on(2, late)
    s.control(p, "")
    s.close(p)
    s.await_(2)


@scenario("output driver_output send", schedulers=(2,), times=5)
def busy_queue(s: Play) -> None:
    """Commands for a locked port wait in its queue; above the limit the sender is suspended."""
    p = s.open("judge")
    s.on(2, lambda: s.cmd(p, "l100s1w2o"))
    s.await_(1)
    s.give(2)
    s.command(p, " " * 120)
    s.command(p, "s3")
    s.mark()
    s.await_(3)
    s.close(p)


@scenario("output driver_output send", schedulers=(2,))
def messages_wait(s: Play) -> None:
    """Who sends a command as a message to a locked port goes on at once."""
    p = s.open("judge")
    s.on(2, lambda: s.cmd(p, "s1w2o"))
    s.await_(1)
    s.command(p, "s3")
    s.mark()
    s.give(2)
    s.await_(3)
    s.close(p)


@scenario("output control set_busy_port stop", schedulers=(2,))
def held_while_busy(s: Play) -> None:
    """A command that waits for a locked port is held if the port is busy then; a close stays behind it."""
    p = s.open("judge")
    s.on(2, lambda: s.cmd(p, "s1w2b1o"))
    s.await_(1)
    s.command(p, "s3")
    s.give(2)
    s.on(2, lambda: s.control(p, "b0"))
    s.close(p)
    s.await_(3)


@scenario("driver_set_timer timeout stop")
def timer(s: Play) -> None:
    """A timer fires once."""
    p = s.open("judge", "t:s1")
    s.cmd(p, "t1")
    s.await_(1)
    s.close(p)


@scenario("driver_set_timer timeout stop")
def timer_replaced(s: Play) -> None:
    """A port has one timer: the second takes the first one's place."""
    p = s.open("judge", "t:s1")
    s.cmd(p, "t1t2")
    s.await_(1)
    s.close(p)


@scenario("driver_set_timer driver_cancel_timer timeout ready_async stop")
def timer_cancelled(s: Play) -> None:
    """A cancelled timer does not fire; to cancel none is no mistake."""
    p = s.open("judge", "r:s1")
    assert s.control(p, "ct9000TcT") == [1, 0]
    s.cmd(p, "n")
    s.await_(1)
    s.close(p)


@scenario("port_close timeout stop", times=5)
def timer_closed(s: Play) -> None:
    """Close takes the timer along, if it has not fired."""
    p = s.open("judge")
    s.cmd(p, "t0")
    s.close(p)


@scenario("stop driver_set_timer timeout")
def timer_in_stop(s: Play) -> None:
    """A timer that `stop` sets never fires."""
    p = s.open("judge", "z:t0")
    s.close(p)


@scenario("driver_set_timer driver_output timeout")
def timer_zero(s: Play) -> None:
    """A timer of 0 ms fires after the callback that has set it."""
    p = s.open("judge", "t:s1")
    s.cmd(p, "t0o")
    s.await_(1)
    s.close(p)


@scenario("timeout async_return ready_async stop")
def timer_and_job(s: Play) -> None:
    """A timer fires while a job runs: the caller is answered in time, the late result is dropped."""
    p = s.open("judge", "t:s1 r:s3")
    s.cmd(p, "n(w2)t0")
    s.await_(1)
    s.give(2)
    s.await_(3)
    s.close(p)


@scenario("timeout driver_cancel_timer ready_async", times=5)
def timer_or_job(s: Play) -> None:
    """Which is first, the timer or the job? Both orders, but no timeout after its cancelling."""
    p = s.open("judge", "r:cs1")
    s.cmd(p, "t1n")
    s.await_(1)
    s.close(p)


@scenario("timeout driver_async async_invoke ready_async")
def abandoned(s: Play) -> None:
    """The job of a command that was given up holds its thread: the next command's job waits behind it."""
    p = s.open("judge", "t:k0s1 r:s3")
    s.cmd(p, "k0(w2)t0")
    s.await_(1)
    s.give(2)
    s.await_(3, 3)
    s.close(p)


@scenario(
    "start output control driver_set_timer timeout process_exit async_invoke ready_async stop"
)
def bare(s: Play) -> None:
    """NULL `output` swallows commands, NULL `control` is `badarg`, NULL `timeout` does nothing."""
    p = s.open("judge_bare", "s:t0n r:s1")
    assert s.cmd(p, "n") is True
    s.command(p, "n")
    assert s.failure(lambda: s.control(p, "")) == "badarg"
    s.await_(1)
    s.close(p)


@scenario("control process_exit stop")
def monitor(s: Play) -> None:
    """A monitored process ends: `process_exit`."""
    p = s.open("judge", "p:s1")
    s.on(2, lambda: s.control(p, "p"))
    s.await_(1)
    s.close(p)


@scenario("control process_exit ready_async stop")
def monitor_given_up(s: Play) -> None:
    """A monitor that is given up says nothing."""
    p = s.open("judge", "r:s1")

    def watched() -> None:
        assert s.control(p, "pP") == [0, 0]
        s.cmd(p, "n")

    s.on(1, watched)
    s.await_(1)
    s.close(p)


@scenario("control process_exit stop")
def monitor_closed(s: Play) -> None:
    """A monitor goes with its port."""
    p = s.open("judge")

    def watched() -> None:
        s.control(p, "ps1")
        s.gates.wait(2)

    s.on(1, watched)
    s.await_(1)
    s.close(p)
    s.tell(2)


@scenario("output driver_output stop")
def connect(s: Play) -> None:
    """`port_connect` gives the port to another process: that one gets its messages, and its end is the port's."""
    p = s.open("judge")

    def heir() -> None:
        assert s.message() == (p, ("data", b"o"))

    s.erl.port_connect(p, s.on(2, heir))
    s.cmd(p, "o")
    assert s.exit_reason(p) == "normal"


@scenario("output stop")
def stranger(s: Play) -> None:
    """Any process may call `port_command`; a message from a stranger is `badsig` to the owner."""
    p = s.open("judge")

    def call() -> None:
        s.cmd(p, "")
        s.command(p, "")

    s.on(1, call)
    assert s.exit_reason(p) == "badsig"
    s.close(p)


@scenario("async_invoke erl_drv_output_term async_return ready_async")
def job_sends(s: Play) -> None:
    """A job may send; its message comes before that of its `ready_async`."""
    p = s.open("judge", "r:M")
    s.cmd(p, "n(M)")
    assert s.message() == (1,)
    assert s.message() == (0,)
    s.close(p)


@scenario("stop async_invoke erl_drv_output_term erl_drv_send_term async_return async_free")
def job_sends_late(s: Play) -> None:
    """What a job sends after its port has closed is refused."""
    p = s.open("judge")
    s.cmd(p, "n(s1w2Mm)")
    s.await_(1)
    s.close(p)
    s.give(2)


@scenario("stop erl_drv_output_term async_return", times=10)
def job_sends_at_close(s: Play) -> None:
    """A job sends while the port is being closed: before, or not at all."""
    p = s.open("judge")
    s.cmd(p, "n(s1M)")
    s.await_(1)
    s.close(p)


@scenario("control stop", crashes=True)
def bare_integer(s: Play) -> None:
    """A callback sends an integer as the whole term, to a process that has its messages off the heap: the emulator crashes."""
    s.off_heap()
    p = s.open("judge")
    s.control(p, "u100000")
    s.drain(100_000)
    s.close(p)


@scenario("async_invoke async_return ready_async stop", crashes=True)
def job_sends_big_map(s: Play) -> None:
    """A job sends a map of 129 keys: the emulator crashes."""
    p = s.open("judge", "r:s1")
    s.cmd(p, "n(H)")
    assert len(s.message()) == 129
    s.await_(1)
    s.close(p)


@scenario("control stop")
def callback_sends_big_map(s: Play) -> None:
    """A callback sends a map of 129 keys, and it arrives."""
    p = s.open("judge")
    s.control(p, "H")
    assert len(s.message()) == 129
    s.close(p)


@scenario("flush erl_drv_output_term ready_async driver_output driver_deq stop")
def closing_is_mute(s: Play) -> None:
    """What a closing port or its job sends is lost, although `driver_output` says 0."""
    p = s.open("judge", "r:od1s3")
    s.cmd(p, "q1n(s1w2M)")
    s.await_(1)
    s.close(p)
    assert s.exit_reason(p) == "normal"
    s.give(2)
    s.await_(3)
    assert s.quiet()


@scenario("control async_invoke erl_drv_output_term async_return ready_async")
def cancel(s: Play) -> None:
    """A flag cancels a job that looks at it; `ready_async` comes all the same."""
    p = s.open("judge", "r:s3")
    s.cmd(p, "n(s1w2iM)")
    s.await_(1)
    s.control(p, "i")
    s.give(2)
    s.await_(3)
    s.close(p)


@scenario("control erl_drv_output_term ready_async", times=5)
def cancel_at_once(s: Play) -> None:
    """The flag comes in time, or too late."""
    p = s.open("judge", "r:s3")
    s.cmd(p, "n(iM)")
    s.control(p, "i")
    s.await_(3)
    s.close(p)


@scenario("async_invoke async_return ready_async erl_drv_output_term")
def cancel_queued(s: Play) -> None:
    """A job in the queue that is cancelled has its turn all the same, and costs the wait until then."""
    p = s.open("judge", "r:s3")
    s.cmd(p, "k0(w2)k0(iM)")
    s.control(p, "i")
    s.give(2)
    s.await_(3, 3)
    s.close(p)


@scenario("driver_enq_bin driver_deq stop")
def binary(s: Play) -> None:
    """A binary is born with count 1; the driver queue holds a reference while it holds the binary."""
    p = s.open("judge")
    assert s.control(p, "BrIrQrd1rArA") == [1, 2, 3, 2, 1]
    s.close(p)


@scenario("driver_async ready_async stop")
def port_data_lock(s: Play) -> None:
    """Each job has a reference to the port data lock, and the port one."""
    p = s.open("judge", "r:s1")
    assert s.control(p, "LCk0(w2)Ck0C") == [1, 2, 3]
    s.give(2)
    s.await_(1, 1)
    s.close(p)


@scenario(
    "halt stop async_invoke async_return ready_async async_free",
    once=True,
    async_threads=(1, 2),
    times=3,
)
def halt_flushes(s: Play) -> None:
    """`halt` closes the ports and runs every queued job to its end; whether the last is freed is a race."""
    p = s.open("judge", "z:g2")
    s.cmd(p, "k0(s1w2)k0")
    s.await_(1)
    s.erl.halt(0)


@scenario(
    "halt stop async_invoke async_return ready_async async_free", once=True, async_threads=(1, 2)
)
def halt_at_once(s: Play) -> None:
    """`halt` without `flush` stops everything where it is: no `stop`, and the job does not come to its end."""
    p = s.open("judge")
    s.cmd(p, "k0(s1w2)k0")
    s.await_(1)
    s.erl.halt(0, flush=False)


@scenario(
    "halt flush async_return ready_async async_free driver_deq stop",
    once=True,
    async_threads=(1, 2),
)
def halt_waits_for_queue(s: Play) -> None:
    """`halt` flushes the driver queue, and its job is answered."""
    p = s.open("judge", "f:g2 r:d1")
    s.cmd(p, "q1n(s1w2)")
    s.await_(1)
    s.erl.halt(0)


# `driver_select`.


def selecting(s: Play, callbacks: str, driver: str = "judge") -> Port:
    """Open a port that selects a descriptor to read it, and gives it up in `stop`."""
    return s.open(driver, f"s:OS5 z:D4 {callbacks}")


@scenario("output driver_select ready_input stop stop_select", async_threads=(1,))
def select(s: Play) -> None:
    """A byte arrives: `ready_input`.  `stop` gives the descriptor up: `stop_select`."""
    p = selecting(s, "i:Gs1")
    s.cmd(p, "W")
    s.await_(1)
    s.close(p)


@scenario("async_invoke async_return ready_async ready_input", async_threads=(1, 2), times=2)
def select_job(s: Play) -> None:
    """A job writes the byte: `ready_input` comes while the job runs, or before or after `ready_async`."""
    p = selecting(s, "i:Gs1 r:s3")
    s.cmd(p, "n(W)")
    s.await_(1, 3)
    s.close(p)


@scenario("ready_input stop stop_select", async_threads=(1,), times=3)
def select_close(s: Play) -> None:
    """The port is closed when the byte has arrived: `ready_input` comes before `stop`, or never."""
    p = selecting(s, "i:G")
    s.cmd(p, "W")
    s.mark()
    s.close(p)


@scenario("async_return ready_input stop stop_select", async_threads=(1, 2), times=3)
def select_close_job(s: Play) -> None:
    """A job writes the byte while the port is being closed."""
    p = selecting(s, "i:G")
    s.cmd(p, "n(s1W)")
    s.await_(1)
    s.mark()
    s.close(p)


@scenario("output driver_select send ready_input", async_threads=(1,), times=20)
def select_off(s: Play) -> None:
    """The descriptor is switched off in the callback that made it ready, and on later: no `ready_input` in between."""
    p = selecting(s, "i:Gs1")
    s.cmd(p, "WD1")
    s.mark()
    s.cmd(p, "S1")
    s.await_(1)
    s.close(p)


@scenario("output driver_select ready_input", async_threads=(1,), times=20)
def select_off_and_on(s: Play) -> None:
    """The descriptor is switched off and on again at once: one `ready_input`, and seldom another for nothing."""
    p = selecting(s, "i:Gs1")
    s.cmd(p, "WD1S1")
    s.await_(1)
    s.close(p)


@scenario("output ready_input stop", async_threads=(1,), times=3)
def select_read_before(s: Play) -> None:
    """The callback that made the descriptor ready reads the byte itself: `ready_input` may come all the same."""
    p = selecting(s, "")
    s.cmd(p, "WoG")
    s.mark()
    s.close(p)


@scenario("output ready_input stop", async_threads=(1,), times=20)
def select_read_and_again(s: Play) -> None:
    """The byte is read, and the descriptor switched off and on: a report from before may still count."""
    p = selecting(s, "")
    s.cmd(p, "WoGD1S1")
    s.mark()
    s.close(p)


@scenario("output ready_input stop", async_threads=(1,))
def select_level(s: Play) -> None:
    """There are two bytes, and `ready_input` reads one: it is called again."""
    p = selecting(s, "i:Gs1")
    s.cmd(p, "WW")
    s.await_(1, 1)
    s.close(p)


@scenario("output driver_select ready_input stop_select stop", async_threads=(1,))
def select_again(s: Play) -> None:
    """`ready_input` does not read, but switches itself off; the byte is still there for the next `driver_select`."""
    p = selecting(s, "i:D1s1")
    s.cmd(p, "W")
    s.await_(1)
    s.cmd(p, "S1")
    s.await_(1)
    s.close(p)


@scenario("output ready_input ready_output", async_threads=(1,))
def select_both(s: Play) -> None:
    """The descriptor is ready both ways: `ready_output` comes first."""
    p = s.open("judge", "s:O z:D4 i:Gs1 o:D2s3")
    s.cmd(p, "WS7")
    s.await_(3, 1)
    s.close(p)


@scenario("output ready_input ready_output stop", async_threads=(1,))
def select_both_off(s: Play) -> None:
    """The descriptor is ready both ways, and `ready_output` switches both off: no `ready_input`."""
    p = s.open("judge", "s:O z:D4 o:D3s3")
    s.cmd(p, "WS7")
    s.await_(3)
    s.mark()
    s.close(p)


@scenario("output ready_input ready_output", async_threads=(1,), times=3)
def select_one_by_one(s: Play) -> None:
    """The descriptor is ready both ways, and is selected to read and then to write."""
    p = s.open("judge", "s:O z:D4 i:Gs1 o:D2s3")
    s.cmd(p, "WS5S2")
    s.await_(1, 3)
    s.close(p)


@scenario("output ready_output driver_select", async_threads=(1,))
def select_write(s: Play) -> None:
    """`ready_output` is called until it switches itself off."""
    p = s.open("judge", "s:O z:D4 o:D2s1")
    s.cmd(p, "S6")
    s.await_(1)
    s.cmd(p, "S2")
    s.await_(1)
    s.close(p)


@scenario("output driver_select stop_select driver_output stop", async_threads=(1,))
def select_stop(s: Play) -> None:
    """`stop_select` is called before `driver_select` returns."""
    p = s.open("judge", "s:OS5")
    s.cmd(p, "D4o")
    s.close(p)


@scenario("output driver_select stop_select driver_output stop", async_threads=(1,))
def select_stop_unknown(s: Play) -> None:
    """`stop_select` is called for a descriptor that was never selected."""
    p = s.open("judge", "s:O")
    s.cmd(p, "D4o")
    s.close(p)


@scenario("output driver_select stop_select driver_output stop", async_threads=(1,))
def select_stop_silent(s: Play) -> None:
    """`ERL_DRV_USE_NO_CALLBACK` calls no `stop_select`."""
    p = s.open("judge", "s:OS5")
    s.cmd(p, "D13oK")
    s.close(p)


@scenario("output driver_select ready_input stop_select stop", async_threads=(1,))
def select_stop_ready(s: Play) -> None:
    """The descriptor is given up for good in the callback that made it ready."""
    p = s.open("judge", "s:OS5")
    s.cmd(p, "WD4")
    s.mark()
    s.close(p)


@scenario("output driver_select ready_input stop_select stop", async_threads=(1,))
def select_end(s: Play) -> None:
    """The end of the data makes a descriptor ready; `ready_input` gives it up."""
    p = s.open("judge", "s:OS5 i:GD4s1")
    s.cmd(p, "X")
    s.await_(1)
    s.close(p)


@scenario("port_close flush ready_input driver_deq stop stop_select", async_threads=(1,))
def select_flush(s: Play) -> None:
    """A closing port still reads; its `ready_input` empties the driver queue."""
    p = selecting(s, "f:W i:Gd1")
    s.cmd(p, "q1")
    s.close(p)


@scenario(
    "flush async_return ready_async ready_input driver_deq stop async_free", async_threads=(1,)
)
def select_flush_job(s: Play) -> None:
    """A job writes the byte with which a closing port ends: its `ready_async` comes before, or it is freed."""
    p = selecting(s, "i:Gd1")
    s.cmd(p, "q1n(s1w2W)")
    s.await_(1)
    s.close(p)
    s.give(2)


@scenario("ready_input driver_failure_atom stop stop_select", async_threads=(1,))
def select_fail(s: Play) -> None:
    """`ready_input` fails the port: `stop` runs inside that call."""
    p = selecting(s, "i:f")
    s.cmd(p, "W")
    assert s.exit_reason(p) == "judged"


@scenario("ready_input driver_failure_eof stop stop_select", async_threads=(1,))
def select_eof(s: Play) -> None:
    """`ready_input` reads the end of the data, and closes the port."""
    p = selecting(s, "i:Ge")
    s.cmd(p, "X")
    assert s.exit_reason(p) == "normal"


@scenario("start driver_select stop_select", async_threads=(1,))
def select_start_refuses(s: Play) -> None:
    """A `start` that fails gives up what it has selected."""
    assert s.failure(lambda: s.open("judge", "s:OS5D4R-1")) == "einval"


@scenario("stop stop_select finish", async_threads=(1,))
def select_unload(s: Play) -> None:
    """The driver is unloaded while a port selects: `finish` comes after `stop_select`."""
    s.load()
    p = selecting(s, "", "judge_unloaded")
    s.cmd(p, "")
    s.erl.erl_ddll.monitor("driver", ("judge_unloaded", "unloaded"))
    assert s.erl.erl_ddll.try_unload("judge_unloaded") == ("ok", "pending_driver")
    assert s.exit_reason(p) == "driver_unloaded"
    s.gone("driver")


@scenario("output driver_output ready_input", async_threads=(1,))
def select_waits(s: Play) -> None:
    """`ready_input` waits for the callback of its port."""
    p = selecting(s, "i:Gs1")
    s.cmd(p, "n(Wg2)w2o")
    s.await_(1)
    s.close(p)


@scenario("output driver_output ready_input", async_threads=(1,))
def select_driver_lock(s: Play) -> None:
    """With a lock for the driver, `ready_input` waits for the callback of another port."""
    p = s.open("judge_lock")
    q = selecting(s, "i:Gs1", "judge_lock")
    s.cmd(q, "n(w3Wg2)")
    s.cmd(p, "g3w2o")
    s.await_(1)
    s.close(p)
    s.close(q)


@scenario("output driver_output ready_input", async_threads=(1,), times=3)
def select_or_command(s: Play) -> None:
    """A further command comes before `ready_input`, or after it."""
    p = selecting(s, "i:Gs1")
    s.cmd(p, "W")
    s.mark()
    s.cmd(p, "o")
    s.await_(1)
    s.close(p)


@scenario("output ready_input timeout", async_threads=(1,), times=3)
def select_and_timer(s: Play) -> None:
    """A timer and a byte: either may be first."""
    p = selecting(s, "i:Gs1 t:s3")
    s.cmd(p, "Wt0")
    s.await_(1, 3)
    s.close(p)


@scenario("output ready_input set_busy_port", async_threads=(1,))
def select_busy(s: Play) -> None:
    """A busy port is read all the same; its `ready_input` lets the sender go on."""
    p = selecting(s, "i:Gb0s1")
    s.cmd(p, "b1W")
    s.cmd(p, "")
    s.await_(1)
    s.close(p)


@scenario("halt stop stop_select", once=True, async_threads=(1,), times=1)
def halt_selected(s: Play) -> None:
    """`halt` closes the ports, and they give up what they select."""
    p = selecting(s, "")
    s.cmd(p, "")
    s.erl.halt(0)
