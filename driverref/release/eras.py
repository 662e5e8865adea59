"""The records: one for each era.

The first, `R7B_3`, is complete.  Each later one is a `replace` of the record before it, so what
stands in it is what changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from driverref.release.record import Release

_CALLBACKS_R7B = frozenset(
    "init start stop output outputv control ready_input ready_output ready_async timeout"
    " finish".split()
)
_CALLBACKS_R11B = _CALLBACKS_R7B | {"flush", "call", "process_exit"}
_CALLBACKS_R13B = _CALLBACKS_R11B | {"stop_select"}

R7B_3 = Release(
    name="R7B-3",
    version="R7B-3",
    years="2000 to 2006",
    covers="R7B to R10B",
    erts="5.0.2.4",
    driver_version=None,
    nif_version=None,
    callbacks=_CALLBACKS_R7B,
    driver_flags=0,
    oldest_interface=0,
    loads_plain_entries=True,
    init_may_refuse=False,
    max_schedulers=1,
    default_async_threads=0,
    min_async_threads=0,
    max_async_threads=256,
    numbers_inline_jobs=True,
    completions="stack",
    async_thread_completes=False,
    ready_async_batch=None,
    slots=1024,
    frees_for_closed_port=True,
    driver_async_cancel="newest",
    pdl_held_for_completion=True,
    packs_vectors=False,
    copies_small_parts=False,
    empty_binary_is_element=False,
    closed_before_stop=True,
    halt="exit",
    smp_halt="exit",
    unload_reason=-1,
    unload_waits_for_jobs=True,
    driver_async_locks_driver=False,
    resets_timer=False,
    zero_timeout_in_line=False,
    timer_needs_timeout=True,
    busy_holds_any_message=True,
    signals_wait=True,
    busy_msgq_limits=None,
    create_port_takes_lock=False,
    getenv_tells_size=True,
    threads_send_terms=False,
    bare_integer_crashes=False,
    big_map_crashes=False,
    unknown_errno="unknown",
)

R11B_5 = replace(
    R7B_3,
    name="R11B-5",
    version="R11B-5",
    years="2006 to 2009",
    covers="R11B-3 to R12B-5",
    erts="5.5.5",
    driver_version=(1, 1),
    oldest_interface=1,
    callbacks=_CALLBACKS_R11B,
    driver_flags=0b1,
    max_schedulers=1024,
    max_async_threads=1024,
    async_thread_completes=True,
    slots=0,
    frees_for_closed_port=False,
    pdl_held_for_completion=False,
    packs_vectors=True,
    closed_before_stop=False,
    halt="join",
    unload_reason="driver_unloaded",
    unload_waits_for_jobs=False,
    driver_async_locks_driver=True,
    resets_timer=True,
    threads_send_terms=True,
)

R13B = replace(
    R11B_5,
    name="R13B",
    version="R13B03",
    years="2009 to 2011",
    covers="R13A to R14B02",
    erts="5.7.4",
    driver_version=(1, 4),
    callbacks=_CALLBACKS_R13B,
    driver_flags=0b11,
    init_may_refuse=True,
    frees_for_closed_port=True,
    timer_needs_timeout=False,
)

R14B04 = replace(
    R13B,
    name="R14B04",
    version="R14B04",
    years="2011",
    covers="R14B03 and R14B04",
    erts="5.8.5",
    driver_version=(1, 5),
    nif_version=(2, 2),
    driver_async_cancel="search",
    smp_halt="join",
)

R16B = replace(
    R14B04,
    name="R16B",
    version="R16B03",
    years="2011 to 2020",
    covers="R15B to 22",
    erts="5.10.4",
    driver_version=(2, 2),
    oldest_interface=2,
    loads_plain_entries=False,
    nif_version=(2, 4),
    driver_flags=0b111,
    default_async_threads=10,
    numbers_inline_jobs=False,
    completions="queue",
    async_thread_completes=False,
    ready_async_batch=20,
    driver_async_cancel="nothing",
    pdl_held_for_completion=True,
    halt="flush",
    smp_halt="flush",
    driver_async_locks_driver=False,
    busy_holds_any_message=False,
    signals_wait=False,
    busy_msgq_limits=(4096, 8192),
    create_port_takes_lock=True,
    threads_send_terms=False,
)

OTP_25 = replace(
    R16B,
    name="25",
    version="25.2.3",
    years="since 2020",
    covers="23 to 29",
    erts="13.1.5",
    driver_version=(3, 3),
    nif_version=(2, 16),
    driver_flags=0b1111,
    callbacks=_CALLBACKS_R13B | {"emergency_close"},
    default_async_threads=1,
    min_async_threads=1,
    copies_small_parts=True,
    empty_binary_is_element=True,
    zero_timeout_in_line=True,
    getenv_tells_size=False,
    driver_async_cancel=None,
    bare_integer_crashes=True,
    big_map_crashes=True,
)

_LIKE_25 = {"23": ("11.0", (2, 15)), "24": ("12.0", (2, 16)), "26": ("14.0", (2, 17))}

_OTP_27 = replace(
    OTP_25, name="27", version="27", erts="15.0", nif_version=(2, 17), big_map_crashes=False
)

_OTP_29 = replace(
    _OTP_27,
    name="29",
    version="29",
    erts="17.0",
    nif_version=(2, 18),
    unknown_errno="errno_{}",
)

_LIKE_27 = {"28": ("16.0", (2, 17))}

ERAS = (R7B_3, R11B_5, R13B, R14B04, R16B, OTP_25)
"""One record for each era, oldest first."""

RELEASES: Mapping[str, Release] = {
    **{era.name: era for era in (*ERAS, _OTP_27, _OTP_29)},
    **{
        name: replace(like, name=name, version=name, erts=erts, nif_version=nif)
        for like, others in ((OTP_25, _LIKE_25), (_OTP_27, _LIKE_27))
        for name, (erts, nif) in others.items()
    },
}
"""Every release that `Emulator` takes, by name."""
