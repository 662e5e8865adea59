"""Every BIF, called with arguments that are right: for tests that go through all of them."""

from __future__ import annotations

from collections.abc import Callable

from scripted import made_of

from driverref import Emulator, Port, Ref

Call = Callable[[Emulator, Port], object]


def named(erl: Emulator, port: Port) -> str:
    """The name of a port, which is given it here."""
    erl.register("p", port)
    return "p"


CALLS: dict[str, Call] = {
    "self": lambda erl, port: erl.self(),
    "spawn": lambda erl, port: erl.spawn(print),
    "receive": lambda erl, port: erl.receive(timeout=0),
    "process_flag": lambda erl, port: erl.process_flag("trap_exit", True),
    "link": lambda erl, port: erl.link(port),
    "unlink": lambda erl, port: erl.unlink(port),
    "monitor": lambda erl, port: erl.monitor("port", port),
    "demonitor": lambda erl, port: erl.demonitor(Ref(1)),
    "make_ref": lambda erl, port: erl.make_ref(),
    "monotonic_time": lambda erl, port: erl.monotonic_time("second"),
    "os_getenv": lambda erl, port: erl.os_getenv("NAME"),
    "os_putenv": lambda erl, port: erl.os_putenv("NAME", "value"),
    "is_process_alive": lambda erl, port: erl.is_process_alive(erl.self()),
    "process_info": lambda erl, port: erl.process_info(erl.self(), "links"),
    "register": lambda erl, port: erl.register("p", port),
    "unregister": lambda erl, port: erl.unregister(named(erl, port)),
    "whereis": lambda erl, port: erl.whereis(named(erl, port)),
    "registered": lambda erl, port: erl.registered(),
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
    "erl_ddll.try_load": lambda erl, port: erl.erl_ddll.try_load(made_of()),
    "erl_ddll.reload": lambda erl, port: erl.erl_ddll.reload(made_of()),
    "erl_ddll.reload_driver": lambda erl, port: erl.erl_ddll.reload_driver(made_of()),
    "erl_ddll.format_error": lambda erl, port: erl.erl_ddll.format_error("not_loaded"),
    "erl_ddll.unload_driver": lambda erl, port: erl.erl_ddll.unload_driver("d"),
    "erl_ddll.unload": lambda erl, port: erl.erl_ddll.unload("d"),
    "erl_ddll.try_unload": lambda erl, port: erl.erl_ddll.try_unload("d"),
    "erl_ddll.monitor": lambda erl, port: erl.erl_ddll.monitor("driver", ("d", "unloaded")),
    "erl_ddll.demonitor": lambda erl, port: erl.erl_ddll.demonitor(Ref(1)),
    "erl_ddll.info": lambda erl, port: erl.erl_ddll.info("d", "port_count"),
    "erl_ddll.loaded_drivers": lambda erl, port: erl.erl_ddll.loaded_drivers(),
}
"""Every BIF, called with arguments that are right."""
