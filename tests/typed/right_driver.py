"""A driver as its author writes it, with every callback: mypy and pyright find nothing in it."""

# pyright: strict

from __future__ import annotations

from driverref import Atomic, Driver, Emulator, Pid, Port, Struct, compare, explore, replay
from driverref.erl_driver import (
    ERL_DRV_ERROR_GENERAL,
    ERL_DRV_FLAG_SOFT_BUSY,
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    PORT_CONTROL_FLAG_BINARY,
    ErlDrvBinary,
    ErlDrvMonitor,
    ErlDrvMutex,
    ErlDrvPort,
    ErlIOVec,
    Key,
    driver_alloc,
    driver_alloc_binary,
    driver_async,
    driver_async_port_key,
    driver_caller,
    driver_deq,
    driver_enqv,
    driver_free,
    driver_get_monitored_process,
    driver_monitor_process,
    driver_output,
    driver_set_timer,
    driver_sizeq,
    driver_vec_to_buf,
    erl_drv_mutex_create,
    erl_drv_mutex_destroy,
    erl_drv_mutex_lock,
    erl_drv_mutex_unlock,
    set_port_control_flags,
)
from driverref.posix import usleep


class Job(Struct):
    """What a job carries."""

    number: int
    text: bytes
    cancelled: Atomic


class State:
    """The driver data of one port."""

    def __init__(self, port: ErlDrvPort, lock: ErlDrvMutex) -> None:
        self.port = port
        self.lock = lock
        self.jobs = 0
        self.ended: list[Pid] = []


class Everything(Driver):
    """Has every callback of the entry."""

    driver_name = "everything"
    driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING | ERL_DRV_FLAG_SOFT_BUSY

    def __init__(self, microseconds: int = 5) -> None:
        self.microseconds = microseconds

    def init(self) -> int:
        return 0

    def start(self, port: ErlDrvPort, command: str) -> State | int:
        if command.split()[1:] == ["refused"]:
            return ERL_DRV_ERROR_GENERAL
        set_port_control_flags(port, PORT_CONTROL_FLAG_BINARY)
        driver_monitor_process(port, driver_caller(port))
        driver_set_timer(port, 5)
        lock = erl_drv_mutex_create("state")
        return ERL_DRV_ERROR_GENERAL if lock is None else State(port, lock)

    def stop(self, state: State) -> None:
        erl_drv_mutex_destroy(state.lock)

    def output(self, state: State, data: memoryview) -> None:
        self.submit(state, bytes(data))

    def outputv(self, state: State, ev: ErlIOVec) -> None:
        data = bytearray(ev.size)
        driver_vec_to_buf(ev, data, ev.size)
        self.submit(state, bytes(data))
        driver_enqv(state.port, ev)

    def submit(self, state: State, text: bytes) -> None:
        """Have a job done."""
        job = driver_alloc(Job)
        if job is None:
            return
        state.jobs += 1
        job.number, job.text, job.cancelled = state.jobs, text, Atomic(0)
        key = Key(driver_async_port_key(state.port))
        driver_async(state.port, key, self.work, job, self.release)
        assert key.value == 0

    def work(self, job: Job) -> None:
        """Run on an async thread."""
        usleep(self.microseconds)
        if not job.cancelled.load():
            job.text = job.text.upper()

    def ready_async(self, state: State, job: Job) -> None:
        driver_output(state.port, job.text)
        self.release(job)
        driver_deq(state.port, driver_sizeq(state.port))

    def release(self, job: Job) -> None:
        """Free what a job carries."""
        driver_free(job)

    def control(self, state: State, command: int, data: memoryview) -> bytes | ErlDrvBinary | int:
        if command == 0:
            return bytes([state.jobs])
        binary = driver_alloc_binary(len(data))
        if binary is None:
            return -1
        binary.orig_bytes[:] = bytes(data)
        return binary

    def call(self, state: State, command: int, term: object) -> tuple[str, object]:
        erl_drv_mutex_lock(state.lock)
        erl_drv_mutex_unlock(state.lock)
        return ("ok", term)

    def timeout(self, state: State) -> None:
        driver_output(state.port, b"tick")

    def flush(self, state: State) -> None:
        driver_deq(state.port, driver_sizeq(state.port))

    def process_exit(self, state: State, monitor: ErlDrvMonitor) -> None:
        state.ended.append(driver_get_monitored_process(state.port, monitor))

    def ready_input(self, state: State, event: int) -> None: ...

    def ready_output(self, state: State, event: int) -> None: ...

    def stop_select(self, event: int, reserved: object) -> None: ...

    def emergency_close(self, state: State) -> None: ...

    def finish(self) -> None: ...


def scenario(erl: Emulator) -> bytes:
    """Erlang's side: open a port, send it a command, and return the answer."""
    erl.erl_ddll.load_driver(Everything())
    port: Port = erl.open_port(("spawn_driver", "everything"), ["binary"])
    erl.port_command(port, [b"he", b"llo"])
    match erl.receive():
        case (Port(), ("data", bytes(data))):
            erl.port_close(port)
            return data
        case _:
            return b""


def main() -> None:
    """Run the scenario, explore it, and compare the releases."""
    with Emulator(async_threads=1, seed=1) as erl:
        erl.erl_ddll.load_driver(Everything())
        port = erl.open_port(("spawn_driver", "everything"))
        assert erl.port_control(port, 0, b"") == b"\0"
        assert erl.port_control(port, 1, b"copied") == b"copied"
        if erl.system_info("otp_release") == "25":
            assert erl.port_call(port, 7, [1, 2]) == ("ok", [1, 2])
        erl.port_close(port)
        erl.erl_ddll.unload_driver("everything")
    outcomes = explore(scenario, async_threads=1, progress=False)
    assert set(outcomes) == {b"HELLO", b"tick"}
    for found in outcomes.values():
        replayed = replay(scenario, found.witness, async_threads=1)
        assert replayed.trace.order("start", "stop") == ["start", "stop"]
    for system, there in compare(scenario, async_threads=1, limit=3).items():
        assert there.schedules <= 3, system


if __name__ == "__main__":
    main()
