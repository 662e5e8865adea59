"""The calling process of a BIF: each BIF refuses where it must, and heeds exit signals."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scripted import Box, made_of
from support import Kind, Signal, both

from driverref import Emulator, Port, Ref
from driverref.erl_driver import ErlDrvPort
from driverref.erlang.erl_ddll import ErlDdll
from driverref.erlang.ports import Ports
from driverref.erlang.processes import Processes
from driverref.errors import EmulatorStopped, Misuse, ProcessExit

Call = Callable[[Emulator, Port], object]

CALLS: dict[str, Call] = {
    "self": lambda erl, port: erl.self(),
    "spawn": lambda erl, port: erl.spawn(print),
    "receive": lambda erl, port: erl.receive(timeout=0),
    "process_flag": lambda erl, port: erl.process_flag("trap_exit", True),
    "link": lambda erl, port: erl.link(port),
    "unlink": lambda erl, port: erl.unlink(port),
    "monitor": lambda erl, port: erl.monitor("port", port),
    "demonitor": lambda erl, port: erl.demonitor(Ref(1)),
    "exit": lambda erl, port: erl.exit(port, "normal"),
    "open_port": lambda erl, port: erl.open_port(("spawn_driver", "d")),
    "port_command": lambda erl, port: erl.port_command(port, b""),
    "send": lambda erl, port: erl.send(port, "hello"),
    "port_control": lambda erl, port: erl.port_control(port, 0, b""),
    "port_call": lambda erl, port: erl.port_call(port, 0, b""),
    "port_close": lambda erl, port: erl.port_close(port),
    "port_connect": lambda erl, port: erl.port_connect(port, erl.self()),
    "port_info": lambda erl, port: erl.port_info(port),
    "ports": lambda erl, port: erl.ports(),
    "system_info": lambda erl, port: erl.system_info("port_count"),
    "halt": lambda erl, port: erl.halt(),
    "erl_ddll.load_driver": lambda erl, port: erl.erl_ddll.load_driver(made_of()),
    "erl_ddll.load": lambda erl, port: erl.erl_ddll.load(made_of()),
    "erl_ddll.unload_driver": lambda erl, port: erl.erl_ddll.unload_driver("d"),
    "erl_ddll.unload": lambda erl, port: erl.erl_ddll.unload("d"),
    "erl_ddll.try_unload": lambda erl, port: erl.erl_ddll.try_unload("d"),
    "erl_ddll.monitor": lambda erl, port: erl.erl_ddll.monitor("driver", ("d", "unloaded")),
    "erl_ddll.loaded_drivers": lambda erl, port: erl.erl_ddll.loaded_drivers(),
}
"""Every BIF, called with arguments that are right."""

every_bif = pytest.mark.parametrize("bif", CALLS)


def public(kind: type) -> set[str]:
    """The public methods of a class."""
    return {name for name, member in vars(kind).items() if name[0] != "_" and callable(member)}


def test_the_list_has_every_bif() -> None:
    ddll = {f"erl_ddll.{name}" for name in public(ErlDdll)}
    assert public(Processes) | public(Ports) | ddll | {"system_info", "halt"} == CALLS.keys()


@every_bif
@both
def test_no_bif_can_be_called_in_a_callback(bif: str, threads: Kind) -> None:
    refused = Box()

    def output(port: ErlDrvPort, buf: memoryview) -> None:
        with pytest.raises(Misuse) as error:
            CALLS[bif](erl, port.id)
        refused.put(str(error.value))

    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(made_of(output=output))
        erl.port_command(erl.open_port(("spawn_driver", "d")), b"")
    assert "is Erlang's side; a driver's code, on process <0.1.0>, cannot" in refused.value


@every_bif
@both
def test_no_bif_answers_when_the_emulator_has_stopped(bif: str, threads: Kind) -> None:
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(made_of())
        port = erl.open_port(("spawn_driver", "d"))
    with pytest.raises(EmulatorStopped, match="it has stopped"):
        CALLS[bif](erl, port)


def after_a_deadly_signal(bif: str, threads: Kind) -> None:
    """Call a BIF when an exit signal has come that the process has not noticed yet."""
    with Emulator(threads=threads) as erl:
        erl.erl_ddll.load_driver(made_of())
        port, me, sent = erl.open_port(("spawn_driver", "d")), erl.self(), Signal()

        def end() -> None:
            erl.exit(me, "gone")
            sent.give()

        erl.spawn(end)
        sent.wait()
        CALLS[bif](erl, port)
        pytest.fail(f"{bif} has returned")


@every_bif
@both
def test_no_bif_goes_on_once_a_deadly_exit_signal_has_come(bif: str, threads: Kind) -> None:
    with pytest.raises(ProcessExit, match="gone"):
        after_a_deadly_signal(bif, threads)
