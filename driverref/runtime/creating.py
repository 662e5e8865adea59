"""A port that a driver makes, by `driver_create_port`: open at once, without `open_port`.

The new port has a driver, an owner and driver data, and is linked to its owner, as any other.  Two
things are its own:

* With a lock for each port, the thread that made the port holds the new lock too.  It keeps it
  until the callback has returned and the creator is unlocked (`ErlDrvPort.leave`).  So the callback
  may use the new port, and whatever others send to it comes after the callback.
* It has no options, so its data is a list of bytes, and `start` is not called.

Source: `io.c:driver_create_port`, `create_port`, `erts_port_handle_xports`.
"""

from __future__ import annotations

from driverref.runtime.driver_state import KILLING
from driverref.runtime.port import ErlDrvPort
from driverref.terms import Pid


def create_port(creator: ErlDrvPort, owner: Pid, name: str, drv_data: object) -> ErlDrvPort | None:
    """Make a port of the creator's driver, whose lock the caller holds.

    `None` if the owner has ended, the driver's ports are being killed, or the port table is full.
    """
    runtime, driver = creator.runtime, creator.driver
    process = runtime.entities.find_process(owner)
    if process is None or (number := runtime.ports.new_number()) is None:
        return None
    port = ErlDrvPort(runtime, driver, process, number)
    port.name, port.parallelism, port.drv_data = name, creator.parallelism, drv_data
    own_lock = port.lock is not creator.lock
    # Before the identifier leads to the port, as in `open_port`.  No other thread knows the lock.
    if own_lock:
        port.lock.acquire()
    with runtime.drivers_lock:
        # An unloading that kills the ports would miss one that came now.
        may_open = driver.state.value is not KILLING
        if may_open:
            runtime.ports.enter(port)
            driver.port_opened(port.id)
    if may_open and runtime.entities.link(port, process):
        port.transit("created")
        if own_lock:
            creator.created.append(port)
        return port
    if may_open:
        # The owner has ended since the first look.
        port.transit("start failed")
        runtime.closing.gone(port)
    if own_lock:
        port.lock.release()
    return None
