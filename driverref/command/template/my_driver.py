"""my_driver: a driver to change.

A command is a number, and a job works so many steps of 10 milliseconds on an async thread.  A job
cannot be stopped from outside.  So the port's state has a flag, which `stop` sets, and each job
looks at it before a step.  A job may outlive its port; the last user of the state frees it.

    python my_driver.py
        runs the scenario once and prints what ran where.
    driverref explore my_driver.py --observe ready_async,stop,async_free
        runs the scenario in every order that makes a difference and prints what can come of it.
    driverref timeline my_driver.py --svg my_driver.svg
        draws one run.
    python -m pytest test_my_driver.py
        runs the test: it fails if an order of events ends in a fault.

Licence: 0BSD.  Do with it what you like.
"""

from driverref import Atomic, Driver, Emulator, Struct
from driverref.erl_driver import ErlDrvPort, driver_alloc, driver_async, driver_free, driver_output
from driverref.posix import usleep


class State(Struct):
    """What belongs to a port.  Jobs read it too, so what changes is atomic."""

    port: ErlDrvPort
    closed: Atomic
    users: Atomic


class Job(Struct):
    """What belongs to one job: from `driver_async` until its return, the async thread's alone."""

    state: State
    steps: int


def let_go(state: State) -> None:
    """End one use of the state: by `stop`, or by a job.  On any thread."""
    if state.users.fetch_sub(1) == 1:
        driver_free(state)


def work(job: Job) -> None:
    """Do a job, on an async thread: the port may be gone, so `job.state.port` is not used."""
    while job.steps > 0 and not job.state.closed.load():
        usleep(10_000)
        job.steps -= 1


def free_job(job: Job) -> None:
    """Free a job: called by `ready_async`, and by the emulator if the port is gone by then."""
    let_go(job.state)
    driver_free(job)


# Change this: the callbacks of your driver.  They run on a scheduler, one at a time.
class MyDriver(Driver):
    """One object for all ports; what belongs to a port is in the `State` that `start` returns."""

    driver_name = "my_driver"

    def start(self, port: ErlDrvPort, command: str) -> State:
        state = driver_alloc(State)
        assert state is not None  # as in C, NULL if the machine has no such memory
        state.port, state.closed, state.users = port, Atomic(False), Atomic(1)
        return state

    def output(self, state: State, buf: memoryview) -> None:
        job = driver_alloc(Job)
        assert job is not None
        job.state, job.steps = state, int(bytes(buf))  # buf is lent for this call only
        state.users.fetch_add(1)
        driver_async(state.port, None, work, job, free_job)

    def ready_async(self, state: State, job: Job) -> None:
        driver_output(state.port, b"done")
        free_job(job)

    def stop(self, state: State) -> None:
        state.closed.store(True)
        let_go(state)


# Change this: what Erlang does with the driver.  Outcomes differ by what the function returns,
# and by the order of the events that --observe names.
def scenario(erl: Emulator) -> object:
    """Send two commands, wait for one answer, and close the port."""
    erl.erl_ddll.load_driver(MyDriver())
    port = erl.open_port(("spawn_driver", "my_driver"))
    erl.port_command(port, b"1")
    erl.port_command(port, b"3")
    answer = erl.receive()
    erl.port_close(port)
    return answer


if __name__ == "__main__":
    with Emulator(async_threads=1) as erl:
        print(scenario(erl))
    print(erl.trace)
