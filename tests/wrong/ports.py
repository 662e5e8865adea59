"""Two ports of one driver: what they share, and under which lock."""

from __future__ import annotations

from typing import Any

from support import opened

from driverref import Atom, Driver, Emulator, Port, Struct
from driverref.erl_driver import (
    ERL_DRV_FLAG_USE_PORT_LOCKING,
    ErlDrvPort,
    driver_free,
    driver_mk_port,
    driver_output,
    erl_drv_mutex_create,
    erl_drv_mutex_destroy,
    erl_drv_mutex_lock,
    erl_drv_mutex_unlock,
    erl_drv_output_term,
)
from driverref.errors import DataRace, DoubleFree, Misuse, UseAfterFree
from wrong.case import Runner, Wrong, new


class Shared(Struct):
    """What all ports share."""

    count: int


class State(Struct):
    """The driver data of a port."""

    port: ErlDrvPort
    peer: State | None
    heard: int
    shared: Shared


def on_two_schedulers(erl: Emulator, driver: Driver, jobs: int) -> None:
    """Two processes, each on a scheduler of its own, open a port and command it."""
    assert erl.erl_ddll.load_driver(driver) == "ok"

    def use() -> None:
        port = erl.open_port(("spawn_driver", driver.driver_name))
        erl.port_command(port, b"work")

    erl.spawn(use, scheduler=2)
    use()


class OneCountManyLocks(Runner):
    driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING

    def init(self) -> None:
        self.shared = new(Shared, count=0)

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        self.shared.count += 1

    def finish(self) -> None:
        driver_free(self.shared)


class OneCountOneLock(OneCountManyLocks):
    driver_flags = 0


ONE_COUNT_MANY_LOCKS = Wrong(
    "one-count-many-locks",
    "With port locking two ports run at the same time, and a global variable has no lock any more.",
    DataRace,
    0,
    OneCountManyLocks,
    OneCountOneLock,
    on_two_schedulers,
    schedulers=2,
)


class FreeHasNoLock(Runner):
    """Counts the jobs of all ports that have not come back, under the driver's lock."""

    def init(self) -> None:
        self.shared = new(Shared, count=0)

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        self.change(+1)
        super().output(port, buf)

    def change(self, by: int) -> None:
        self.shared.count += by

    def async_free(self, job: Any) -> None:
        self.change(-1)
        driver_free(job)

    def finish(self) -> None:
        driver_free(self.shared)


class FreeHasItsLock(FreeHasNoLock):
    def init(self) -> None:
        super().init()
        self.mtx = erl_drv_mutex_create("count")

    def change(self, by: int) -> None:
        erl_drv_mutex_lock(self.mtx)
        super().change(by)
        erl_drv_mutex_unlock(self.mtx)

    def finish(self) -> None:
        erl_drv_mutex_destroy(self.mtx)
        super().finish()


def closed_elsewhere(erl: Emulator, driver: Driver, jobs: int) -> None:
    """A process on another scheduler submits the jobs and ends, and its port with it; meanwhile a command here."""
    port = opened(erl, driver)

    def use() -> None:
        theirs = erl.open_port(("spawn_driver", driver.driver_name))
        for _ in range(jobs - 1):
            erl.port_command(theirs, b"work")

    erl.spawn(use, scheduler=2)
    erl.port_command(port, b"work")


FREE_HAS_NO_LOCK = Wrong(
    "free-has-no-lock",
    "Callbacks have the driver's lock, so a count needs none; but async_free runs without any once its port is gone.",
    DataRace,
    2,
    FreeHasNoLock,
    FreeHasItsLock,
    closed_elsewhere,
    schedulers=2,
)


class TalksToAll(Runner):
    driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING

    def init(self) -> None:
        self.ports: list[ErlDrvPort] = []
        self.port_ids: list[Port] = []

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        self.ports.append(port)
        self.port_ids.append(driver_mk_port(port))
        return port

    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        for each in self.ports:
            driver_output(each, buf)


class TalksById(TalksToAll):
    def output(self, port: ErlDrvPort, buf: memoryview) -> None:
        for each in self.port_ids:
            erl_drv_output_term(each, Atom("hello"))


def two_ports(erl: Emulator, driver: Driver, jobs: int) -> None:
    """Open two ports and command the first."""
    port = opened(erl, driver)
    erl.open_port(("spawn_driver", driver.driver_name))
    erl.port_command(port, b"hello")


TALKS_TO_ALL = Wrong(
    "talks-to-all",
    "A port's callback sends through the driver's other ports, whose locks it does not hold.",
    Misuse,
    0,
    TalksToAll,
    TalksById,
    two_ports,
)


class PeerStays(Runner):
    """The second port is the first one's peer."""

    def init(self) -> None:
        self.first: State | None = None

    def start(self, port: ErlDrvPort, command: str) -> State:
        state = new(State, port=port, peer=self.first, heard=0)
        if self.first is not None:
            self.first.peer = state
        self.first = state
        return state

    def output(self, state: State, buf: memoryview) -> None:
        if state.peer is not None:
            state.peer.heard += 1

    def stop(self, state: State) -> None:
        driver_free(state)


class PeerLeaves(PeerStays):
    def stop(self, state: State) -> None:
        if state.peer is not None:
            state.peer.peer = None
        driver_free(state)


def first_closes(erl: Emulator, driver: Driver, jobs: int) -> None:
    """Open two ports, close the first and command the second."""
    first = opened(erl, driver)
    second = erl.open_port(("spawn_driver", driver.driver_name))
    erl.port_close(first)
    erl.port_command(second, b"hello")


PEER_STAYS = Wrong(
    "peer-stays",
    "A port keeps a pointer to the state of another, which closes.",
    UseAfterFree,
    0,
    PeerStays,
    PeerLeaves,
    first_closes,
)


class FirstStopFreesAll(Runner):
    def init(self) -> None:
        self.shared = new(Shared, count=0)

    def stop(self, port: ErlDrvPort) -> None:
        driver_free(self.shared)


class FinishFreesAll(FirstStopFreesAll):
    def stop(self, port: ErlDrvPort) -> None:
        pass

    def finish(self) -> None:
        driver_free(self.shared)


FIRST_STOP_FREES_ALL = Wrong(
    "first-stop-frees-all",
    "What init has allocated is freed by stop, which is right as long as nobody opens a second port.",
    DoubleFree,
    0,
    FirstStopFreesAll,
    FinishFreesAll,
    two_ports,
)
