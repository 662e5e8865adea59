"""What Erlang does with my_drv.c: a scenario to change.

    driverref check my_drv.c --command 1
        puts the driver, as it is, through what every driver has to survive.
    driverref explore my_drv.c my_drv.py --observe ready_async,stop,async_free
        runs the scenario in every order that makes a difference and prints what can come of it.
    driverref timeline my_drv.c my_drv.py --svg my_drv.svg
        draws one run.
    python -m pytest test_my_drv.py
        runs the test: it fails if an order of events ends in a fault.

They need a C compiler and erl_driver.h: on Debian and Ubuntu, apt install gcc erlang-dev.

Licence: 0BSD.  Do with it what you like.
"""

from driverref import Emulator


# Change this: outcomes differ by what the function returns, and by the order of the events that
# --observe names.  The driver is loaded already.
def scenario(erl: Emulator) -> object:
    """Send two commands, wait for one answer, and close the port."""
    port = erl.open_port(("spawn_driver", "my_drv"))
    erl.port_command(port, b"1")
    erl.port_command(port, b"3")
    _, (_, answer) = erl.receive()
    erl.port_close(port)
    return bytes(answer)
