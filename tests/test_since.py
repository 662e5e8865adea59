"""Calls that did not always exist: which release has which, and what a call of an absent one says."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from scripted import made_of
from support import Kind, both, opened

from driverref import Emulator, erl_driver, instrument
from driverref.errors import Misuse
from driverref.release import ERAS, R13B, Release
from driverref.since import LIVES

HEADERS = {
    ("R6B-0", "R9C"): "sys_alloc_from sys_free",
    ("R7B-0", "17.0"): "driver_async_cancel",
    ("R8B-0", None): "driver_peekqv",
    ("R9B-0", None): "get_port_flags",
    ("R9C-0", None): "driver_mk_term_nil",
    ("R11B-0", None): """
        driver_binary_get_refc driver_binary_inc_refc driver_binary_dec_refc
    """,
    ("R11B-2", None): "driver_lock_driver",
    ("R11B-3", None): """
        driver_pdl_create driver_pdl_lock driver_pdl_unlock driver_pdl_get_refc driver_pdl_inc_refc driver_pdl_dec_refc
        driver_monitor_process driver_demonitor_process driver_get_monitored_process driver_compare_monitors
        driver_system_info driver_get_now
    """,
    ("R12B-0", None): """
        erl_drv_mutex_create erl_drv_mutex_destroy erl_drv_mutex_lock erl_drv_mutex_trylock erl_drv_mutex_unlock
        erl_drv_cond_create erl_drv_cond_destroy erl_drv_cond_signal erl_drv_cond_broadcast erl_drv_cond_wait
        erl_drv_rwlock_create erl_drv_rwlock_destroy erl_drv_rwlock_rlock erl_drv_rwlock_tryrlock
        erl_drv_rwlock_runlock erl_drv_rwlock_rwlock erl_drv_rwlock_tryrwlock erl_drv_rwlock_rwunlock
        erl_drv_thread_opts_create erl_drv_thread_opts_destroy erl_drv_thread_create erl_drv_thread_join
        erl_drv_thread_exit erl_drv_thread_self erl_drv_equal_tids
        erl_drv_tsd_key_create erl_drv_tsd_key_destroy erl_drv_tsd_set erl_drv_tsd_get
    """,
    ("R12B-1", None): "erl_drv_getenv erl_drv_putenv",
    ("R16A", None): "erl_drv_output_term erl_drv_send_term erl_drv_busy_msgq_limits",
    ("R16B", None): "erl_drv_consume_timeslice",
    ("R16B02", None): """
        driver_async_port_key erl_drv_mutex_name erl_drv_cond_name erl_drv_rwlock_name erl_drv_thread_name
    """,
    ("18.3", None): "erl_drv_monotonic_time erl_drv_time_offset erl_drv_convert_time_unit",
    ("19.0", None): "erl_drv_init_ack erl_drv_set_os_pid",
}
"""What the headers of the releases declare, by the release that came with it and the one it was gone in."""

NAMES = [name for names in HEADERS.values() for name in names.split()]


def test_the_calls_that_did_not_always_exist_are_those_of_the_headers() -> None:
    lives = {name: life for life, names in HEADERS.items() for name in names.split()}
    assert lives == LIVES


def function(name: str) -> Callable[..., Any]:
    """The function of `erl_driver.h`, or of the emulator's `sys.h`."""
    found: Callable[..., Any] = getattr(erl_driver, name, None) or getattr(instrument, name)
    return found


def refusal(name: str) -> str:
    """What a call, whose arguments nobody looks at, is refused with; empty if the call is there."""
    with suppress(TypeError):  # no arguments: it looks at them
        try:
            function(name)()
        except Misuse as error:
            said, _, place = str(error).partition("; called at ")
            assert place.startswith("test_since.py:")
            return said if "does not have it" in said else ""
    return ""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.rule("era.calls")
def test_a_call_is_refused_in_every_era_that_lacks_it_and_in_no_other(name: str) -> None:
    absent = []
    for release in ERAS:
        with Emulator(release=release, async_threads=1):
            if said := refusal(name):
                absent.append(release)
                assert said == release.lacks(name, *LIVES[name])
    assert absent == [release for release in ERAS if release.lacks(name, *LIVES[name])]
    assert absent


@both
@pytest.mark.rule("era.calls")
def test_the_refusal_names_the_call_the_release_and_its_life(threads: Kind) -> None:
    said: list[str] = []
    for release, name in (("R11B-5", "erl_drv_mutex_create"), ("25", "driver_async_cancel")):
        with Emulator(release=release, async_threads=1, threads=threads) as erl:
            erl.port_command(opened(erl, made_of(output=asks_for(name, said))), b"")
    assert said == [
        "erl_drv_mutex_create: R11B-5 does not have it; it came with R12B-0",
        "driver_async_cancel: 25 does not have it; it came with R7B-0 and went with 17.0",
    ]


def asks_for(name: str, said: list[str]) -> Callable[[object, memoryview], None]:
    """An `output` that makes an absent call, and writes down with what it was refused."""

    def output(port: object, buf: memoryview) -> None:
        said.append(refusal(name))

    return output


@pytest.mark.parametrize(("version", "there"), [("R11B-5", False), ("R12B-0", True)])
def test_a_release_of_ones_own_has_the_calls_of_its_version(version: str, there: bool) -> None:
    release: Release = replace(R13B, name="mine", version=version)
    with Emulator(release=release):
        assert (refusal("erl_drv_mutex_create") == "") == there


def test_a_call_without_an_emulator_is_for_the_function_to_see() -> None:
    with pytest.raises(Misuse, match="erl_drv_mutex_create") as refused:
        erl_driver.erl_drv_mutex_create("m")
    assert "does not have it" not in str(refused.value)


def test_what_is_marked_keeps_its_name_and_its_docstring() -> None:
    assert erl_driver.driver_pdl_create.__name__ == "driver_pdl_create"
    assert "data lock" in str(erl_driver.driver_pdl_create.__doc__)
