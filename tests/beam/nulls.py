"""`make beam`: what the real emulator does with NULL, for each pointer of `erl_driver.h`.

`nulls_drv.c` makes each call with NULL in one place and right arguments in all others; `RIGHT` has
the same arguments for the model.  Each call has an emulator of its own, because many end it: then
the answer is `crash`, and in the model it is `Misuse`.  Else the model has to return what C does.

The record, `nulls.json`, has the answer of each emulator that was asked.  They differ in one place.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))
from otp import Missing, Tools, call, tools

from driverref import Driver, Emulator, Ref, erl_driver
from driverref.errors import Misuse
from driverref.posix import pipe

HERE = Path(__file__).resolve().parent
RECORD = HERE / "nulls.json"
NAME = re.compile(r'"(\w+\.\w+)"')
"""How `nulls_drv.c` names what is NULL: the function and its parameter."""

ASK = """
    ok = erl_ddll:load_driver(".", "nulls_drv"),
    process_flag(trap_exit, true),
    Port = open_port({spawn_driver, "nulls_drv " ++ hd(init:get_plain_arguments())}, [binary]),
    Said = port_control(Port, 0, []),
    timer:sleep(100), % for what a thread does not survive
    io:format("~s~n", [Said]), halt().
"""

c: Any = erl_driver


class World:
    """What the calls are given.  Made in a callback of a port."""

    def __init__(self, port: erl_driver.ErlDrvPort) -> None:
        self.port, self.id, self.me = port, c.driver_mk_port(port), c.driver_caller(port)
        self.binary = c.driver_alloc_binary(8)
        self.binary.orig_bytes[:] = b"x" * 8
        iov = [c.SysIOVec(self.binary.orig_bytes, 8)]
        self.ev = c.ErlIOVec(1, 8, iov, [self.binary])
        self.monitor = c.ErlDrvMonitor(Ref(99), self.me)
        self.mutex, self.cond = c.erl_drv_mutex_create("m"), c.erl_drv_cond_create("c")
        self.rwlock, self.opts = c.erl_drv_rwlock_create("r"), c.erl_drv_thread_opts_create("o")
        self.pdl, self.self = c.driver_pdl_create(port), c.erl_drv_thread_self()
        self.key = c.ErlDrvTSDKey()
        c.erl_drv_tsd_key_create("k", self.key)
        self.block = c.driver_alloc(8)
        self.socket, _ = pipe()
        c.erl_drv_putenv("NULLS", "x")


def nothing(data: object) -> object:
    """What a job or a thread does."""
    return data


RIGHT: dict[str, Callable[[World], tuple[Any, ...]]] = {
    "driver_async": lambda w: (w.port, c.Key(0), nothing, None, None),
    "driver_async_port_key": lambda w: (w.port,),
    "driver_output": lambda w: (w.port, b"x"),
    "driver_output2": lambda w: (w.port, b"x", b"x"),
    "driver_output_binary": lambda w: (w.port, b"x", w.binary, 0, 1),
    "driver_outputv": lambda w: (w.port, b"x", w.ev, 0),
    "driver_output_term": lambda w: (w.port, []),
    "driver_send_term": lambda w: (w.port, w.me, []),
    "erl_drv_output_term": lambda w: (w.id, []),
    "erl_drv_send_term": lambda w: (w.id, w.me, []),
    "driver_mk_atom": lambda w: ("x",),
    "driver_enq": lambda w: (w.port, b"x"),
    "driver_pushq": lambda w: (w.port, b"x"),
    "driver_enq_bin": lambda w: (w.port, w.binary, 0, 1),
    "driver_pushq_bin": lambda w: (w.port, w.binary, 0, 1),
    "driver_enqv": lambda w: (w.port, w.ev, 0),
    "driver_pushqv": lambda w: (w.port, w.ev, 0),
    "driver_deq": lambda w: (w.port, 0),
    "driver_sizeq": lambda w: (w.port,),
    "driver_peekq": lambda w: (w.port,),
    "driver_peekqv": lambda w: (w.port,),
    "driver_vec_to_buf": lambda w: (w.ev, bytearray(8), 1),
    "driver_select": lambda w: (w.port, w.socket, c.ERL_DRV_READ, 0),
    "driver_set_timer": lambda w: (w.port, 1),
    "driver_cancel_timer": lambda w: (w.port,),
    "driver_read_timer": lambda w: (w.port, c.Key(0)),
    "set_busy_port": lambda w: (w.port, 0),
    "erl_drv_busy_msgq_limits": lambda w: (w.port, c.Key(0), c.Key(0)),
    "set_port_control_flags": lambda w: (w.port, 0),
    "driver_failure_atom": lambda w: (w.port, "x"),
    "driver_failure_posix": lambda w: (w.port, 1),
    "erl_drv_init_ack": lambda w: (w.port, None),
    "driver_failure_eof": lambda w: (w.port,),
    "driver_failure": lambda w: (w.port, 1),
    "driver_exit": lambda w: (w.port, 1),
    "driver_create_port": lambda w: (w.port, w.me, "x", None),
    "driver_mk_port": lambda w: (w.port,),
    "driver_connected": lambda w: (w.port,),
    "driver_caller": lambda w: (w.port,),
    "driver_monitor_process": lambda w: (w.port, w.me),
    "driver_demonitor_process": lambda w: (w.port, w.monitor),
    "driver_get_monitored_process": lambda w: (w.port, w.monitor),
    "driver_compare_monitors": lambda w: (w.monitor, w.monitor),
    "driver_alloc": lambda w: (8,),
    "driver_realloc": lambda w: (w.block, 1),
    "driver_free": lambda w: (w.block,),
    "memset": lambda w: (w.block, 0, 1),
    "sizeof": lambda w: (w.block,),
    "driver_alloc_binary": lambda w: (8,),
    "driver_realloc_binary": lambda w: (w.binary, 1),
    "driver_free_binary": lambda w: (w.binary,),
    "driver_binary_get_refc": lambda w: (w.binary,),
    "driver_binary_inc_refc": lambda w: (w.binary,),
    "driver_binary_dec_refc": lambda w: (w.binary,),
    "erl_drv_mutex_create": lambda w: ("m",),
    "erl_drv_cond_create": lambda w: ("c",),
    "erl_drv_rwlock_create": lambda w: ("r",),
    "erl_drv_cond_wait": lambda w: (w.cond, w.mutex),
    **{
        f"erl_drv_mutex_{what}": lambda w: (w.mutex,)
        for what in "destroy name lock trylock unlock".split()
    },
    **{
        f"erl_drv_cond_{what}": lambda w: (w.cond,)
        for what in "destroy name signal broadcast".split()
    },
    **{
        f"erl_drv_rwlock_{what}": lambda w: (w.rwlock,)
        for what in "destroy name rlock tryrlock runlock rwlock tryrwlock rwunlock".split()
    },
    "driver_pdl_create": lambda w: (w.port,),
    **{
        f"driver_pdl_{what}": lambda w: (w.pdl,)
        for what in "lock unlock get_refc inc_refc dec_refc".split()
    },
    "erl_drv_thread_opts_create": lambda w: ("o",),
    "erl_drv_thread_opts_destroy": lambda w: (w.opts,),
    "erl_drv_thread_create": lambda w: ("t", c.ErlDrvTid(), nothing, None, w.opts),
    "erl_drv_thread_join": lambda w: (w.self, c.Pointer()),
    "erl_drv_equal_tids": lambda w: (w.self, w.self),
    "erl_drv_thread_name": lambda w: (w.self,),
    "erl_drv_thread_exit": lambda w: (None,),
    "erl_drv_thread_self": lambda w: (),
    "erl_drv_tsd_key_create": lambda w: ("k", c.ErlDrvTSDKey()),
    "erl_drv_tsd_key_destroy": lambda w: (w.key,),
    "erl_drv_tsd_set": lambda w: (w.key, w),
    "erl_drv_tsd_get": lambda w: (w.key,),
    "driver_system_info": lambda w: (),
    "erl_drv_monotonic_time": lambda w: (0,),
    "erl_drv_time_offset": lambda w: (0,),
    "erl_drv_convert_time_unit": lambda w: (1, 0, 1),
    "driver_get_now": lambda w: (),
    "driver_mk_term_nil": lambda w: (),
    "erl_errno_id": lambda w: (2,),
    "erl_drv_putenv": lambda w: ("NULLS", "x"),
    "erl_drv_getenv": lambda w: ("NULLS", bytearray(8), c.Key(8)),
    "driver_lock_driver": lambda w: (w.port,),
    "get_port_flags": lambda w: (w.port,),
    "erl_drv_set_os_pid": lambda w: (w.port, 1),
    "erl_drv_consume_timeslice": lambda w: (w.port, 1),
    "set_errno": lambda w: (1,),
}
"""The right arguments of each call."""

NO_LENGTH = {"driver_vec_to_buf.buf": {"len": 0}}
"""What else is different where a buffer is NULL: its length is 0.  Most carry it with them here."""

VALUES = {f"{name}.term" for name in RIGHT if name.endswith("_term")}
"""Pointers of C that are values here: a term is an array of words there, and NULL is none of them."""


class Calls(Driver):
    """Makes a call with `None` for one parameter, in `control`."""

    driver_name = "nulls"

    def __init__(self, what: str) -> None:
        self.what = what
        self.said = ""
        self.error: Misuse | None = None

    def start(self, port: erl_driver.ErlDrvPort, command: str) -> erl_driver.ErlDrvPort:
        return port

    def process_exit(self, port: erl_driver.ErlDrvPort, monitor: object) -> None:
        pass

    def control(self, port: erl_driver.ErlDrvPort, command: int, buf: memoryview) -> None:
        name, _, parameter = self.what.partition(".")
        function = getattr(c, name)
        bound = inspect.signature(function).bind(*RIGHT[name](World(port)))
        bound.arguments |= {parameter: None} | NO_LENGTH.get(self.what, {})
        try:
            result = function(*bound.args, **bound.kwargs)
        except Misuse as error:
            self.said, self.error = "crash", error
            return
        except TypeError as error:
            self.said = f"TypeError: {error}"
            return
        # What C has for nothing, and for NULL, is `None` both times.
        self.said = str(result) if isinstance(result, int) else "pointer" if result else "none"


def model(what: str, release: str) -> str:
    """What the model does where `what`, a function and its parameter, is NULL."""
    return said_by(Calls(what), release)


def said_by(calls: Calls, release: str) -> str:
    """What the driver says when its call has been made."""
    erl = Emulator(release=release)
    erl.erl_ddll.load_driver(calls)
    erl.process_flag("trap_exit", True)
    port = erl.open_port(("spawn_driver", "nulls"))
    erl.port_control(port, 0, b"")
    # Much of the world is left over, and none of this is about leaks.
    erl.halt(flush=False)
    return calls.said


def same(what: str, emulator: str, said: str) -> bool:
    """Whether the model's answer is that of the emulator."""
    if what in VALUES:
        return emulator == "-1" and said.startswith("TypeError: ")
    return said == ("none" if emulator in ("NULL", "done") else emulator)


def names() -> list[str]:
    """All that the driver in C has NULL for."""
    return NAME.findall((HERE / "nulls_drv.c").read_text("utf-8"))


def ask(directory: Path, found: Tools, several: list[str]) -> dict[str, str]:
    """What the real emulator does where each of these is NULL."""
    source = str(HERE / "nulls_drv.c")
    command = found.compile_c("-Wno-deprecated-declarations", "-o", "nulls_drv.so", source)
    call(command, directory)

    def one(what: str) -> str:
        done = subprocess.run(
            [found.erl, "-noinput", "-eval", ASK, "-extra", what],
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "ERL_CRASH_DUMP": os.devnull},
        )
        return "crash" if done.returncode else done.stdout.strip()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(several, pool.map(one, several), strict=True))


def readable(data: dict[str, Any]) -> str:
    """The record as JSON, one pointer a line."""
    rows = ",\n".join(f"  {json.dumps(w)}: {json.dumps(said)}" for w, said in data["said"].items())
    return f'{{\n "emulators": {json.dumps(data["emulators"])},\n "said": {{\n{rows}\n }}\n}}\n'


def main() -> int:
    """Ask the emulator, write down what it says, and compare with the model; 1 if they differ."""
    try:
        with TemporaryDirectory() as name:
            found = tools("asked about NULL", Path(name))
            said = ask(Path(name), found, names())
    except Missing as missing:
        print(missing)
        return 1
    data = json.loads(RECORD.read_text("utf-8")) if RECORD.exists() else {}
    release, known = found.release, data.get("said", {})
    wrong = {
        what: other
        for what, answer in said.items()
        if not same(what, answer, other := model(what, release))
    }
    for what, other in wrong.items():
        print(f"{what}: OTP {release} says {said[what]}, but the model {other}")
    print(f"{len(said)} pointers that are NULL, on OTP {release}: {len(wrong)} differ")
    rows = {
        what: dict(sorted({**known.get(what, {}), release: answer}.items()))
        for what, answer in said.items()
    }
    emulators = dict(sorted({**data.get("emulators", {}), release: found.erts}.items()))
    RECORD.write_text(readable({"emulators": emulators, "said": rows}), "utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
