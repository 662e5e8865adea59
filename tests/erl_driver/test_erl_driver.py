"""The header: which functions of `erl_driver.h` are here, under their own names, and which are not.

`DECLARED` is what the header of Erlang/OTP 25 declares, in its order.
"""

from __future__ import annotations

import inspect
import re

import pytest
from scripted import made_of
from support import Kind, both, opened

from driverref import Driver, Emulator, erl_driver
from driverref.errors import Misuse
from driverref.runtime.driver import CALLBACKS

DECLARED = """
    erl_drv_busy_msgq_limits driver_select driver_output driver_output2 driver_output_binary driver_outputv
    driver_vec_to_buf driver_set_timer driver_cancel_timer driver_read_timer erl_drv_consume_timeslice
    erl_errno_id driver_failure_eof driver_failure_atom driver_failure_posix driver_failure driver_exit
    driver_pdl_create driver_pdl_lock driver_pdl_unlock driver_pdl_get_refc driver_pdl_inc_refc
    driver_pdl_dec_refc driver_monitor_process driver_demonitor_process driver_get_monitored_process
    driver_compare_monitors set_busy_port set_port_control_flags get_port_flags driver_free_binary
    driver_alloc_binary driver_realloc_binary driver_binary_get_refc driver_binary_inc_refc
    driver_binary_dec_refc driver_free driver_alloc driver_realloc driver_enq driver_pushq driver_deq
    driver_sizeq driver_enq_bin driver_pushq_bin driver_peekqv driver_peekq driver_enqv driver_pushqv
    add_driver_entry remove_driver_entry driver_system_info erl_drv_mutex_destroy erl_drv_mutex_create
    erl_drv_mutex_trylock erl_drv_mutex_lock erl_drv_mutex_unlock erl_drv_cond_destroy erl_drv_cond_create
    erl_drv_cond_signal erl_drv_cond_broadcast erl_drv_cond_wait erl_drv_rwlock_destroy
    erl_drv_rwlock_create erl_drv_rwlock_tryrlock erl_drv_rwlock_rlock erl_drv_rwlock_runlock
    erl_drv_rwlock_tryrwlock erl_drv_rwlock_rwlock erl_drv_rwlock_rwunlock erl_drv_tsd_key_create
    erl_drv_tsd_key_destroy erl_drv_tsd_set erl_drv_tsd_get erl_drv_thread_opts_destroy
    erl_drv_thread_opts_create erl_drv_thread_create erl_drv_thread_self erl_drv_equal_tids
    erl_drv_thread_exit erl_drv_thread_join erl_drv_mutex_name erl_drv_cond_name erl_drv_rwlock_name
    erl_drv_thread_name null_func driver_mk_atom driver_mk_port driver_connected driver_caller
    driver_mk_term_nil driver_create_port driver_output_term driver_send_term erl_drv_output_term
    erl_drv_send_term driver_async_port_key driver_async driver_lock_driver driver_get_now
    erl_drv_monotonic_time erl_drv_time_offset erl_drv_convert_time_unit driver_dl_open driver_dl_sym
    driver_dl_close driver_dl_error erl_drv_putenv erl_drv_getenv erl_drv_init_ack erl_drv_set_os_pid
""".split()

ABSENT = {
    "add_driver_entry": "for drivers that are linked into the emulator",
    "remove_driver_entry": "for drivers that are linked into the emulator",
    "null_func": "a placeholder of the header itself",
    "driver_dl_open": "there are no shared objects",
    "driver_dl_sym": "there are no shared objects",
    "driver_dl_close": "there are no shared objects",
    "driver_dl_error": "there are no shared objects",
}

LOOKS_LIKE_C = re.compile(r"(driver|erl|set|get)_\w+\Z")
GONE = {"driver_async_cancel"}
"""What older headers declared; `since` says until when."""
BESIDE = {"set_errno", "driver_term_nil"}
"""What looks like a function of the header and is none: the assignment `errno = ...`, and a constant."""


@pytest.mark.rule("header.names")
def test_every_function_is_here_under_its_name_or_absent_for_a_reason() -> None:
    here = {name for name in vars(erl_driver) if LOOKS_LIKE_C.match(name)}
    assert here == set(DECLARED) - set(ABSENT) | BESIDE | GONE
    assert set(ABSENT) <= set(DECLARED)
    assert len(DECLARED) == len(set(DECLARED)) == 111


@pytest.mark.rule("header.names")
@pytest.mark.parametrize("name", sorted(set(DECLARED) - set(ABSENT)))
def test_every_function_is_documented_and_names_its_parameters(name: str) -> None:
    function = getattr(erl_driver, name)
    assert function.__name__ == name
    text = inspect.getdoc(function)
    assert text is not None
    assert f"`{name}`" in text or "Source: " in text
    kinds = {parameter.kind for parameter in inspect.signature(function).parameters.values()}
    assert kinds <= {inspect.Parameter.POSITIONAL_OR_KEYWORD}


@pytest.mark.rule("header.names")
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("driver_async", "port key async_invoke async_data async_free"),
        ("driver_async_port_key", "port"),
        ("driver_set_timer", "port t"),
        ("driver_read_timer", "port time_left"),
        ("driver_failure_atom", "port string"),
        ("driver_failure_posix", "port error"),
        ("set_busy_port", "port on"),
        ("driver_enq_bin", "port bin offset len"),
        ("erl_drv_thread_create", "name tid func arg opts"),
        ("erl_drv_cond_wait", "cnd mtx"),
    ],
)
def test_parameters_are_in_c_s_order(name: str, parameters: str) -> None:
    assert " ".join(inspect.signature(getattr(erl_driver, name)).parameters) == parameters


@both
@pytest.mark.rule("header.async-in-header")
def test_one_header_declares_driver_async_and_its_key(threads: Kind) -> None:
    from driverref.erl_driver import driver_async, driver_async_port_key, driver_output

    answers = []

    def output(port: erl_driver.ErlDrvPort, buf: memoryview) -> None:
        key = erl_driver.Key(driver_async_port_key(port))
        answers.append(driver_async(port, key, lambda data: None, b"done", None))

    with Emulator(threads=threads) as erl:
        port = opened(erl, made_of(output=output, ready_async=driver_output))
        erl.port_command(port, b"")
        assert erl.receive() == (port, ("data", b"done"))
    assert answers == [1]


@pytest.mark.rule("cancel.no-such-call")
def test_there_is_nothing_to_cancel_a_job_with() -> None:
    assert [name for name in DECLARED if "cancel" in name] == ["driver_cancel_timer"]
    cancels = {name for name in vars(erl_driver) if "cancel" in name}
    assert cancels - GONE == {"driver_cancel_timer"}
    with Emulator() as erl:
        port = opened(erl, made_of(output=lambda port, buf: erl_driver.driver_async_cancel(1)))
        with pytest.raises(Misuse, match="25 does not have it; it came with R7B-0 and went with"):
            erl.port_command(port, b"")
        erl.stop()


DEFINED = {
    "ERL_DRV_BUSY_MSGQ_DISABLED": 2**64 - 1,
    "ERL_DRV_BUSY_MSGQ_READ_ONLY": 0,
    "ERL_DRV_BUSY_MSGQ_LIM_MAX": 2**64 - 2,
    "ERL_DRV_BUSY_MSGQ_LIM_MIN": 1,
    "ERL_DRV_ERROR_GENERAL": -1,
    "ERL_DRV_ERROR_ERRNO": -2,
    "ERL_DRV_ERROR_BADARG": -3,
    "ERL_DRV_FLAG_USE_PORT_LOCKING": 1,
    "ERL_DRV_FLAG_SOFT_BUSY": 2,
    "ERL_DRV_FLAG_NO_BUSY_MSGQ": 4,
    "ERL_DRV_FLAG_USE_INIT_ACK": 8,
    "PORT_CONTROL_FLAG_BINARY": 1,
    "PORT_CONTROL_FLAG_HEAVY": 2,
    "PORT_FLAG_BINARY": 1,
    "PORT_FLAG_LINE": 2,
    "DO_READ": 1,
    "DO_WRITE": 2,
    "ERL_DRV_READ": 1,
    "ERL_DRV_WRITE": 2,
    "ERL_DRV_USE": 4,
    "ERL_DRV_USE_NO_CALLBACK": 12,
    "DRIVER_CALL_KEEP_BUFFER": 1,
    "ERL_DRV_TIME_ERROR": -(2**63),
    "ERL_DRV_SEC": 0,
    "ERL_DRV_MSEC": 1,
    "ERL_DRV_USEC": 2,
    "ERL_DRV_NSEC": 3,
    "ERL_DRV_EXTENDED_MARKER": 0xFEEEEEED,
    "ERL_DRV_EXTENDED_MAJOR_VERSION": 3,
    "ERL_DRV_EXTENDED_MINOR_VERSION": 3,
    "ERL_DRV_MIN_REQUIRED_MAJOR_VERSION_ON_LOAD": 2,
}
"""What the header defines as a number, where a pointer has 64 bits; the tags of terms are left out."""

UNDEFINED = {
    "ERL_DRV_BUSY_MSGQ_LIM_MAX": "the limits are what erl_drv_busy_msgq_limits takes",
    "ERL_DRV_BUSY_MSGQ_LIM_MIN": "the limits are what erl_drv_busy_msgq_limits takes",
    "DRIVER_CALL_KEEP_BUFFER": "a reply is an object, which nothing has to free",
}


@pytest.mark.rule("header.names")
def test_every_number_has_its_value_or_is_absent_for_a_reason() -> None:
    here = {name: getattr(erl_driver, name) for name in vars(erl_driver) if name.isupper()}
    expected = {name: value for name, value in DEFINED.items() if name not in UNDEFINED}
    expected["ERL_DRV_BUSY_MSGQ_DISABLED"] &= 2**32 - 1  # all bits of a Key, which has 32
    assert here == expected
    assert set(UNDEFINED) <= set(DEFINED)


TYPES = set(
    "ErlDrvBinary ErlDrvCond ErlDrvMonitor ErlDrvMutex ErlDrvNowData ErlDrvPDL ErlDrvPort ErlDrvRWLock ErlDrvSysInfo"
    " ErlDrvTSDKey ErlDrvThreadOpts ErlDrvTid ErlIOVec SysIOVec".split()
)
"""The types of the header that a driver in Python needs a name for."""

OF_C = {
    "Key": "an unsigned int that a call writes to",
    "Pointer": "a pointer that a call writes to",
    "memset": "of the C library",
    "sizeof": "an operator",
}
"""What C has without the header."""


@pytest.mark.rule("header.names")
def test_import_star_binds_the_names_of_the_header_and_no_others() -> None:
    bound: dict[str, object] = {}
    exec("from driverref.erl_driver import *", bound)
    functions = set(DECLARED) - set(ABSENT) | BESIDE | GONE
    numbers = set(DEFINED) - set(UNDEFINED)
    assert bound.keys() - {"__builtins__"} == functions | numbers | TYPES | set(OF_C)


def test_a_driver_s_callbacks_are_those_of_the_driver_entry() -> None:
    assert set(CALLBACKS) == set(
        "init start stop output ready_input ready_output finish control timeout outputv ready_async"
        " flush call process_exit stop_select emergency_close".split()
    )


@pytest.mark.parametrize("name", CALLBACKS)
def test_every_callback_is_declared_with_types_and_says_when_it_is_called(name: str) -> None:
    declared = getattr(Driver, name)
    assert inspect.getdoc(declared)
    signature = inspect.signature(declared)
    assert signature.return_annotation is not signature.empty
    for parameter in list(signature.parameters.values())[1:]:
        assert parameter.annotation is not parameter.empty
        assert parameter.kind is parameter.POSITIONAL_ONLY
