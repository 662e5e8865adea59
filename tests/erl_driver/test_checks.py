"""What every call of the header has in common: it is a step, or it uses nothing that is shared."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import FunctionType
from typing import Any

import pytest
from support import vector_of

import driverref.erl_driver as c
from driverref import Driver, Emulator, Pid, Struct
from driverref.erl_driver import ErlDrvPort
from driverref.posix import pipe
from driverref.threads.schedule import FirstCome
from driverref.threads.simulated import SimulatedThreads
from driverref.threads.steps import Access
from driverref.trace import Trace


class Field(Struct):
    """A block with a field."""

    number: int


class Left(Exception):
    """The call has returned: what the driver has made is not given back."""


class World(Driver):
    """A driver with one of everything, for a call to be given."""

    driver_name = "world"
    driver_flags = c.ERL_DRV_FLAG_USE_PORT_LOCKING

    def __init__(self, call: Callable[[World], object]) -> None:
        self.call_it = call

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        self.handle, self.port, self.pid = port, c.driver_mk_port(port), c.driver_caller(port)
        block: Any = c.driver_alloc(8)
        self.block = block
        block[:] = bytes(8)
        binary: Any = c.driver_alloc_binary(4)
        self.binary = binary
        binary.orig_bytes[:] = b"four"
        self.vector = vector_of(b"abc")
        self.mutex, self.cond = c.erl_drv_mutex_create("m"), c.erl_drv_cond_create("c")
        self.rwlock, self.opts = c.erl_drv_rwlock_create("r"), c.erl_drv_thread_opts_create("o")
        self.pdl = c.driver_pdl_create(port)
        self.key = c.ErlDrvTSDKey()
        c.erl_drv_tsd_key_create("k", self.key)
        self.monitor: Any = c.driver_monitor_process(port, self.pid)
        self.socket, _ = pipe()
        self.tid = c.ErlDrvTid()
        c.erl_drv_thread_create("t", self.tid, str, 1, None)
        return port

    def process_exit(self, drv_data: Any, monitor: c.ErlDrvMonitor) -> None:
        """For `driver_monitor_process`."""

    def timeout(self, drv_data: Any) -> None:
        """For `driver_set_timer`."""

    def control(self, drv_data: Any, command: int, buf: memoryview) -> bytes:
        self.call_it(self)
        return b""


def locked(lock: str, name: str, before: str = "") -> Callable[[World], object]:
    """The call `name` on a lock of the world, on which the call `before` was made."""

    def run(w: World) -> object:
        if before:
            getattr(c, before)(getattr(w, lock))
        return getattr(c, name)(getattr(w, lock))

    return run


CALLS: dict[str, Callable[[World], object]] = {
    "driver_alloc": lambda w: c.driver_alloc(Field),
    "driver_alloc_binary": lambda w: c.driver_alloc_binary(1),
    "driver_async": lambda w: c.driver_async(w.handle, None, str, 1, None),
    "driver_async_port_key": lambda w: c.driver_async_port_key(w.handle),
    "driver_binary_dec_refc": lambda w: c.driver_binary_dec_refc(w.binary),
    "driver_binary_get_refc": lambda w: c.driver_binary_get_refc(w.binary),
    "driver_binary_inc_refc": lambda w: c.driver_binary_inc_refc(w.binary),
    "driver_caller": lambda w: c.driver_caller(w.handle),
    "driver_cancel_timer": lambda w: c.driver_cancel_timer(w.handle),
    "driver_compare_monitors": lambda w: c.driver_compare_monitors(w.monitor, w.monitor),
    "driver_connected": lambda w: c.driver_connected(w.handle),
    "driver_demonitor_process": lambda w: c.driver_demonitor_process(w.handle, w.monitor),
    "driver_create_port": lambda w: c.driver_create_port(w.handle, w.pid, "made", w),
    "driver_deq": lambda w: c.driver_deq(w.handle, 0),
    "driver_enq": lambda w: c.driver_enq(w.handle, b"a"),
    "driver_enq_bin": lambda w: c.driver_enq_bin(w.handle, w.binary, 0, 4),
    "driver_enqv": lambda w: c.driver_enqv(w.handle, w.vector, 0),
    "driver_exit": lambda w: c.driver_exit(w.handle, 0),
    "driver_failure": lambda w: c.driver_failure(w.handle, 1),
    "driver_failure_atom": lambda w: c.driver_failure_atom(w.handle, "broken"),
    "driver_failure_eof": lambda w: c.driver_failure_eof(w.handle),
    "driver_failure_posix": lambda w: c.driver_failure_posix(w.handle, 2),
    "driver_free": lambda w: c.driver_free(w.block),
    "driver_free_binary": lambda w: c.driver_free_binary(w.binary),
    "driver_get_monitored_process": lambda w: c.driver_get_monitored_process(w.handle, w.monitor),
    "driver_get_now": lambda w: c.driver_get_now(),
    "driver_lock_driver": lambda w: c.driver_lock_driver(w.handle),
    "driver_mk_atom": lambda w: c.driver_mk_atom("x"),
    "driver_mk_term_nil": lambda w: c.driver_mk_term_nil(),
    "driver_mk_port": lambda w: c.driver_mk_port(w.handle),
    "driver_monitor_process": lambda w: c.driver_monitor_process(w.handle, w.pid),
    "driver_output": lambda w: c.driver_output(w.handle, b"a"),
    "driver_output2": lambda w: c.driver_output2(w.handle, b"a", b"b"),
    "driver_output_binary": lambda w: c.driver_output_binary(w.handle, b"", w.binary, 0, 4),
    "driver_output_term": lambda w: c.driver_output_term(w.handle, (1, 2)),
    "driver_outputv": lambda w: c.driver_outputv(w.handle, b"", w.vector, 0),
    "driver_pdl_create": lambda w: c.driver_pdl_create(w.handle),
    "driver_pdl_dec_refc": lambda w: c.driver_pdl_dec_refc(w.pdl),
    "driver_pdl_get_refc": lambda w: c.driver_pdl_get_refc(w.pdl),
    "driver_pdl_inc_refc": lambda w: c.driver_pdl_inc_refc(w.pdl),
    "driver_pdl_lock": locked("pdl", "driver_pdl_lock"),
    "driver_pdl_unlock": locked("pdl", "driver_pdl_unlock", "driver_pdl_lock"),
    "driver_peekq": lambda w: c.driver_peekq(w.handle),
    "driver_peekqv": lambda w: c.driver_peekqv(w.handle),
    "driver_pushq": lambda w: c.driver_pushq(w.handle, b"a"),
    "driver_pushq_bin": lambda w: c.driver_pushq_bin(w.handle, w.binary, 0, 4),
    "driver_pushqv": lambda w: c.driver_pushqv(w.handle, w.vector, 0),
    "driver_read_timer": lambda w: c.driver_read_timer(w.handle, c.Key(0)),
    "driver_realloc": lambda w: c.driver_realloc(w.block, 16),
    "driver_realloc_binary": lambda w: c.driver_realloc_binary(w.binary, 8),
    "driver_select": lambda w: c.driver_select(w.handle, w.socket, c.ERL_DRV_READ, 0),
    "driver_send_term": lambda w: c.driver_send_term(w.handle, w.pid, (1, 2)),
    "driver_set_timer": lambda w: c.driver_set_timer(w.handle, 5),
    "driver_sizeq": lambda w: c.driver_sizeq(w.handle),
    "driver_system_info": lambda w: c.driver_system_info(),
    "driver_vec_to_buf": lambda w: c.driver_vec_to_buf(w.vector, bytearray(3), 3),
    "erl_drv_busy_msgq_limits": lambda w: c.erl_drv_busy_msgq_limits(w.handle, c.Key(1), None),
    "erl_drv_cond_broadcast": lambda w: c.erl_drv_cond_broadcast(w.cond),
    "erl_drv_cond_create": lambda w: c.erl_drv_cond_create("c2"),
    "erl_drv_cond_destroy": lambda w: c.erl_drv_cond_destroy(w.cond),
    "erl_drv_cond_name": lambda w: c.erl_drv_cond_name(w.cond),
    "erl_drv_cond_signal": lambda w: c.erl_drv_cond_signal(w.cond),
    "erl_drv_init_ack": lambda w: c.erl_drv_init_ack(w.handle, w),
    "erl_drv_equal_tids": lambda w: c.erl_drv_equal_tids(w.tid, w.tid),
    "erl_drv_consume_timeslice": lambda w: c.erl_drv_consume_timeslice(w.handle, 1),
    "erl_drv_convert_time_unit": lambda w: c.erl_drv_convert_time_unit(1, 0, 1),
    "erl_drv_getenv": lambda w: c.erl_drv_getenv("K", bytearray(9), c.Key(9)),
    "erl_drv_monotonic_time": lambda w: c.erl_drv_monotonic_time(c.ERL_DRV_MSEC),
    "erl_drv_putenv": lambda w: c.erl_drv_putenv("K", "value"),
    "erl_drv_set_os_pid": lambda w: c.erl_drv_set_os_pid(w.handle, 1),
    "erl_drv_time_offset": lambda w: c.erl_drv_time_offset(c.ERL_DRV_MSEC),
    "erl_errno_id": lambda w: c.erl_errno_id(2),
    "get_port_flags": lambda w: c.get_port_flags(w.handle),
    "erl_drv_mutex_create": lambda w: c.erl_drv_mutex_create("m2"),
    "erl_drv_mutex_destroy": lambda w: c.erl_drv_mutex_destroy(w.mutex),
    "erl_drv_mutex_lock": locked("mutex", "erl_drv_mutex_lock"),
    "erl_drv_mutex_name": lambda w: c.erl_drv_mutex_name(w.mutex),
    "erl_drv_mutex_trylock": locked("mutex", "erl_drv_mutex_trylock"),
    "erl_drv_mutex_unlock": locked("mutex", "erl_drv_mutex_unlock", "erl_drv_mutex_lock"),
    "erl_drv_output_term": lambda w: c.erl_drv_output_term(w.port, (1, 2)),
    "erl_drv_rwlock_create": lambda w: c.erl_drv_rwlock_create("r2"),
    "erl_drv_rwlock_destroy": lambda w: c.erl_drv_rwlock_destroy(w.rwlock),
    "erl_drv_rwlock_name": lambda w: c.erl_drv_rwlock_name(w.rwlock),
    "erl_drv_rwlock_rlock": locked("rwlock", "erl_drv_rwlock_rlock"),
    "erl_drv_rwlock_runlock": locked("rwlock", "erl_drv_rwlock_runlock", "erl_drv_rwlock_rlock"),
    "erl_drv_rwlock_rwlock": locked("rwlock", "erl_drv_rwlock_rwlock"),
    "erl_drv_rwlock_rwunlock": locked("rwlock", "erl_drv_rwlock_rwunlock", "erl_drv_rwlock_rwlock"),
    "erl_drv_rwlock_tryrlock": locked("rwlock", "erl_drv_rwlock_tryrlock"),
    "erl_drv_rwlock_tryrwlock": locked("rwlock", "erl_drv_rwlock_tryrwlock"),
    "erl_drv_send_term": lambda w: c.erl_drv_send_term(w.port, Pid(1), (1, 2)),
    "erl_drv_thread_create": lambda w: c.erl_drv_thread_create("u", c.ErlDrvTid(), str, 1, None),
    "erl_drv_thread_join": lambda w: c.erl_drv_thread_join(w.tid, None),
    "erl_drv_thread_name": lambda w: c.erl_drv_thread_name(w.tid),
    "erl_drv_thread_opts_create": lambda w: c.erl_drv_thread_opts_create("o2"),
    "erl_drv_thread_opts_destroy": lambda w: c.erl_drv_thread_opts_destroy(w.opts),
    "erl_drv_thread_self": lambda w: c.erl_drv_thread_self(),
    "erl_drv_tsd_get": lambda w: c.erl_drv_tsd_get(w.key),
    "erl_drv_tsd_key_create": lambda w: c.erl_drv_tsd_key_create("k2", c.ErlDrvTSDKey()),
    "erl_drv_tsd_key_destroy": lambda w: c.erl_drv_tsd_key_destroy(w.key),
    "erl_drv_tsd_set": lambda w: c.erl_drv_tsd_set(w.key, 1),
    "memset": lambda w: c.memset(w.block, 0, 8),
    "set_busy_port": lambda w: c.set_busy_port(w.handle, 1),
    "set_errno": lambda w: c.set_errno(2),
    "set_port_control_flags": lambda w: c.set_port_control_flags(w.handle, 0),
    "sizeof": lambda w: c.sizeof(w.block),
}
"""Every call of the header, with arguments that are right."""

OTHERWISE = {
    "driver_async_cancel": "R7B only",
    "erl_drv_cond_wait": "it would wait for ever",
    "erl_drv_thread_exit": "only a thread of the driver's own may call it",
}


def test_the_list_has_every_call() -> None:
    functions = {name for name in vars(c)["__all__"] if isinstance(getattr(c, name), FunctionType)}
    assert functions == CALLS.keys() | OTHERWISE.keys()


@pytest.mark.parametrize("call", CALLS)
def test_a_call_is_a_step_before_it_uses_what_threads_share(call: str) -> None:
    made = -1
    early: list[object] = []

    class Logged(FirstCome):
        logs = True

    threads = SimulatedThreads(schedule=Logged())
    declare = threads.declare

    def look(access: Access) -> None:
        if made == threads.made:
            early.append(access)
        declare(access)

    def watched(w: World) -> None:
        nonlocal made
        made = threads.made
        CALLS[call](w)
        made = -1
        raise Left

    threads.declare = look
    with suppress(Left), Emulator._on(threads, Trace(), schedulers=2, async_threads=1) as erl:
        erl.process_flag("trap_exit", True)
        erl.erl_ddll.load_driver(World(watched))
        erl.port_control(erl.open_port(("spawn_driver", "world")), 0, b"")
    assert not early, f"{call} uses {early} before its first step"
