"""Port data locks, on a whole emulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from desk import begin, end

from driverref import Driver, Emulator
from driverref.erl_driver import (
    driver_async,
    driver_deq,
    driver_enq,
    driver_exit,
    driver_output,
    driver_pdl_create,
    driver_pdl_dec_refc,
    driver_pdl_get_refc,
    driver_pdl_inc_refc,
    driver_pdl_lock,
    driver_pdl_unlock,
    driver_sizeq,
    erl_drv_mutex_create,
    erl_drv_mutex_destroy,
    erl_drv_mutex_lock,
    erl_drv_mutex_unlock,
)
from driverref.errors import Leak, Misuse, UseAfterFree


@pytest.fixture(params=["simulated", pytest.param("native", marks=pytest.mark.native)])
def erl(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    with Emulator(async_threads=1, threads=request.param) as erl:
        yield erl


class Plain(Driver):
    """A driver whose `control` does what the test says."""

    driver_name = "plain"

    def start(self, port: Any, command: object) -> Any:
        return port

    def control(self, port: Any, command: int, buf: memoryview) -> bytes:
        self.result = self.script(port)
        return b""

    script: Callable[[Any], Any]
    result: Any = None


def in_control(erl: Emulator, script: Callable[[Any], Any]) -> Any:
    """What `script(port)` returns in a callback of a port, which is then closed."""
    driver = Plain()
    driver.script = script
    erl.erl_ddll.load_driver(driver)
    port = erl.open_port(("spawn_driver", "plain"))
    erl.port_control(port, 1, b"")
    erl.port_close(port)
    return driver.result


def test_a_port_has_one_data_lock(erl: Emulator) -> None:
    def script(port: Any) -> tuple[object, ...]:
        pdl = driver_pdl_create(port)
        assert pdl is not None
        assert port.pdl is pdl
        return (
            driver_pdl_create(port),
            driver_pdl_get_refc(pdl),
            str(pdl) == f"port data lock of {port.id}",
        )

    assert in_control(erl, script) == (None, 1, True)


def test_references_keep_the_lock_and_the_last_one_frees_it(erl: Emulator) -> None:
    def script(port: Any) -> Any:
        pdl = driver_pdl_create(port)
        assert pdl is not None
        assert driver_pdl_inc_refc(pdl) == 2
        driver_pdl_lock(pdl)
        assert driver_pdl_get_refc(pdl) == 3  # the lock itself is one while it is held
        driver_pdl_unlock(pdl)
        return pdl

    pdl = in_control(erl, script)
    assert driver_pdl_get_refc(pdl) == 1  # the port is gone and its reference with it
    assert driver_pdl_dec_refc(pdl) == 0
    for call in (
        driver_pdl_lock,
        driver_pdl_unlock,
        driver_pdl_get_refc,
        driver_pdl_inc_refc,
        driver_pdl_dec_refc,
    ):
        with pytest.raises(
            UseAfterFree, match=f"{call.__name__}: port data lock of .* was freed at"
        ):
            call(pdl)


def test_a_lock_freed_while_held_lives_until_it_is_unlocked(erl: Emulator) -> None:
    def script(port: Any) -> Any:
        pdl = driver_pdl_create(port)
        assert pdl is not None
        driver_pdl_lock(pdl)
        return pdl

    pdl = in_control(erl, script)
    driver_pdl_unlock(pdl)
    with pytest.raises(UseAfterFree):
        driver_pdl_get_refc(pdl)


def test_a_data_lock_has_one_holder(erl: Emulator) -> None:
    def script(port: Any) -> None:
        pdl = driver_pdl_create(port)
        assert pdl is not None
        with pytest.raises(Misuse, match=r"driver_pdl_unlock: .* does not hold port data lock of"):
            driver_pdl_unlock(pdl)
        driver_pdl_lock(pdl)
        with pytest.raises(Misuse, match=r"driver_pdl_lock: .* holds port data lock of .* already"):
            driver_pdl_lock(pdl)
        driver_pdl_unlock(pdl)
        assert driver_pdl_get_refc(pdl) == 1

    in_control(erl, script)


def test_a_reference_too_many_is_a_leak() -> None:
    def script(port: Any) -> None:
        pdl = driver_pdl_create(port)
        assert pdl is not None
        driver_pdl_inc_refc(pdl)

    place = r"test_port_data_lock.py:\d+ in script"
    lock = rf"port data lock of #Port<0\.1> created at {place}; a reference taken at {place}$"
    with pytest.raises(Leak, match=lock), Emulator() as erl:
        in_control(erl, script)


class Buffered(Driver):
    """Its job waits for `go`, then looks at the driver data and uses the driver queue."""

    driver_name = "buffered"

    def __init__(self) -> None:
        self.seen: list[object] = []

    def init(self) -> None:
        self.go = erl_drv_mutex_create("go")

    def finish(self) -> None:
        erl_drv_mutex_destroy(self.go)

    def start(self, port: Any, command: object) -> dict[str, Any]:
        return {"port": port, "pdl": driver_pdl_create(port), "alive": True}

    def control(self, data: dict[str, Any], command: int, buf: memoryview) -> bytes:
        erl_drv_mutex_lock(self.go)
        driver_async(data["port"], None, self.work, data, None)
        refc = driver_pdl_get_refc(data["pdl"])
        if command:
            driver_exit(data["port"], 0)  # runs stop
        erl_drv_mutex_unlock(self.go)
        return bytes([refc])

    def work(self, data: dict[str, Any]) -> None:
        erl_drv_mutex_lock(self.go)
        erl_drv_mutex_unlock(self.go)
        driver_pdl_lock(data["pdl"])
        port = data["port"]
        used = driver_enq(port, b"abc"), driver_sizeq(port), driver_deq(port, 3)
        driver_pdl_unlock(data["pdl"])
        self.seen.append((data["alive"], *used))

    def ready_async(self, data: dict[str, Any], same: object) -> None:
        driver_output(data["port"], b"done")

    def stop(self, data: dict[str, Any]) -> None:
        data["alive"] = False


@pytest.mark.rule("locks.pdl-protects-queue-only")
def test_the_data_lock_protects_the_queue_and_not_the_driver_data(erl: Emulator) -> None:
    driver = Buffered()
    erl.erl_ddll.load_driver(driver)
    refcs = []
    for close in (False, True):
        port = erl.open_port(("spawn_driver", "buffered"))
        refcs.append(erl.port_control(port, int(close), b""))
        if not close:
            assert erl.receive() == (port, ("data", b"done"))
    erl.stop()
    assert refcs == [[2], [2]]  # the port's reference and the job's
    assert driver.seen == [
        (True, 0, 3, 0),  # the port is open: any thread that holds the lock may use the queue
        (False, -1, -1, -1),  # stop has run: the lock is still there, what it was to protect is not
    ]


def test_without_the_data_lock_the_queue_is_the_callbacks(erl: Emulator) -> None:
    def script(port: Any) -> None:
        driver_pdl_create(port)
        tid = begin(lambda _: refused(port))
        assert end(tid)[0].startswith("driver_enq: ")

    def refused(port: Any) -> str:
        with pytest.raises(Misuse) as caught:
            driver_enq(port, b"abc")
        return str(caught.value)

    in_control(erl, script)
