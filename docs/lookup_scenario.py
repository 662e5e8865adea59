"""A scenario for `lookup_drv.c`, and its test, which finds the leak."""

from pathlib import Path

from driverref.explore import assert_outcomes
from driverref.hosting import c_driver

HERE = Path(__file__).parent

Lookup = c_driver(HERE / "lookup_drv.c", flags=["-DNDEBUG"], libs=["-lm"])


def asked(erl):
    erl.erl_ddll.load_driver(Lookup())
    port = erl.open_port(("spawn_driver", "lookup_drv"))
    erl.port_command(port, b"erlang")
    _, (_, answer) = erl.receive()
    return bytes(answer)


def test_asked():
    assert_outcomes(asked, {b"ERLANG", b"timeout"}, async_threads=1)
