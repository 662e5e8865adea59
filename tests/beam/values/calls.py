"""What the driver's calls return: each call of the header, in each state of its port, on each kind of thread.

`PORT_CALLS` are made in callbacks only; `THREAD_CALLS` may be made by any thread; `OTHER_CALLS`
have nothing to do with a port.
"""

from __future__ import annotations

from collections.abc import Iterator

from values.states import CLOSE, HEIR, OTHER_PORT, PORT, open_port
from values.steps import FORGET, SETTLE, Case, S, Step, Steps, ask, do, go_on, reached, stop

PORT_CALLS = """
driver_set_timer=9000 driver_cancel_timer driver_read_timer
driver_set_timer=9000,driver_read_timer
driver_output driver_output2 driver_output_binary driver_outputv driver_output_term driver_send_term
erl_drv_output_term erl_drv_send_term
driver_enq driver_pushq driver_enq_bin driver_pushq_bin driver_enqv driver_pushqv
driver_pushqv_of_a_binary
driver_sizeq driver_deq driver_deq=1 driver_deq=2 driver_deq=3 driver_peekq driver_peekqv
driver_enq,driver_sizeq driver_enq,driver_peekq driver_enq,driver_peekqv driver_enq,driver_deq=1
driver_async() driver_async_port_key
set_busy_port=1 set_busy_port=0 erl_drv_busy_msgq_limits set_port_control_flags=1
driver_failure_atom driver_failure_posix=2 driver_failure_posix=9999 driver_failure_eof driver_failure=7 driver_failure
driver_exit driver_exit=2 driver_exit=9999
driver_mk_port driver_connected driver_caller
driver_monitor_process
driver_monitor_process,driver_demonitor_process
driver_monitor_process,driver_demonitor_process,driver_demonitor_process
driver_monitor_process,driver_get_monitored_process driver_monitor_process,driver_compare_monitors
driver_pdl_create driver_pdl_create,driver_pdl_create driver_pdl_create,driver_pdl_get_refc
driver_pdl_create,driver_async(),driver_pdl_get_refc
driver_pdl_create,driver_pdl_inc_refc,driver_pdl_dec_refc
driver_pdl_create,driver_pdl_lock,driver_pdl_get_refc,driver_pdl_unlock,driver_pdl_get_refc
driver_create_port driver_create_port,created,driver_create_port driver_create_port,created,driver_output
driver_create_port,created,driver_connected driver_create_port,created,get_port_flags
driver_create_port,created,driver_enq,driver_sizeq driver_create_port,created,driver_async()
driver_create_port,created,driver_set_timer driver_create_port,created,driver_failure_atom
driver_create_port,driver_failure_atom
get_port_flags driver_lock_driver erl_drv_consume_timeslice erl_drv_set_os_pid
""".split()

THREAD_CALLS = "erl_drv_output_term erl_drv_send_term".split()

OTHER_CALLS = """
driver_system_info erl_drv_monotonic_time erl_drv_time_offset erl_drv_convert_time_unit driver_get_now
erl_errno_id=2 erl_errno_id=0 erl_errno_id=9999 erl_drv_putenv erl_drv_getenv
driver_alloc=0 driver_alloc=8 driver_realloc=0 driver_realloc=8 driver_realloc_of_null=8 driver_free_of_null
driver_alloc_binary=0 driver_alloc_binary=8 driver_realloc_binary=8 driver_realloc_binary=0
driver_binary_get_refc driver_binary_inc_refc driver_binary_dec_refc driver_free_binary_of_null
driver_vec_to_buf driver_vec_to_buf_1
erl_drv_mutex_trylock erl_drv_mutex_trylock_held erl_drv_mutex_name erl_drv_mutex_name_of_null
erl_drv_cond_name erl_drv_cond_signal erl_drv_cond_broadcast
erl_drv_rwlock_name erl_drv_rwlock_tryrlock erl_drv_rwlock_tryrwlock erl_drv_rwlock_tryrlock_read
erl_drv_rwlock_tryrwlock_read erl_drv_rwlock_tryrlock_written
erl_drv_equal_tids erl_drv_tsd_key_create erl_drv_tsd_get
thread(),erl_drv_thread_join thread(),erl_drv_thread_name thread(),erl_drv_equal_tids_other
""".split()


LINKED = do("linked", "link", PORT)
TWO_BYTES = do("owner", "port_command", PORT, b"driver_enq,driver_enq")


def command(script: str, actor: str = "asker", how: str = "port_command") -> Step:
    arguments = (PORT, 0) if how == "port_control" else (PORT,)
    return ask(actor, how, *arguments, script.encode())


def in_callback(call: str) -> Iterator[tuple[str, Steps]]:
    """A call of a port's, in each callback and each state of the port."""
    opens = ("spawn_driver", S(f"values start:{call}"))
    yield "in start", (ask("owner", "open_port", opens, [], save="P"), SETTLE)
    yield "in output", (open_port(), LINKED, FORGET, command(call))
    yield "in control", (open_port(), LINKED, FORGET, command(call, how="port_control"))
    yield (
        "in call",
        (open_port(), LINKED, FORGET, ask("asker", "port_call", PORT, 0, call.encode())),
    )
    queued = (TWO_BYTES, FORGET)
    yield "in output, with a driver queue", (open_port(), LINKED, *queued, command(call))
    busy = do("owner", "port_command", PORT, b"set_busy_port=1")
    yield "in control, busy", (open_port(), LINKED, busy, FORGET, command(call, how="port_control"))
    yield (
        "in output after driver_failure_atom",
        (open_port(), LINKED, FORGET, command(f"driver_failure_atom,{call}")),
    )
    yield (
        "in output after driver_exit",
        (open_port(), LINKED, FORGET, command(f"driver_exit,{call}")),
    )
    yield (
        "in stop",
        (open_port(f"values stop:{call}"), LINKED, FORGET, ask("owner", "port_close", PORT)),
    )
    yield (
        "in stop after driver_failure_atom",
        (open_port(f"values stop:{call}"), LINKED, FORGET, command("driver_failure_atom")),
    )
    yield (
        "in flush",
        (open_port(f"values flush:{call}"), LINKED, *queued, ask("owner", "port_close", PORT)),
    )
    closing = (open_port(), LINKED, TWO_BYTES, CLOSE, FORGET)
    yield "in control, closing", (*closing, command(call, how="port_control"))
    orphan = (open_port(), LINKED, TWO_BYTES, stop("owner", "normal"), FORGET)
    yield "in control, with the owner gone", (*orphan, command(call, how="port_control"))
    job = do("owner", "port_command", PORT, b"driver_async(wait=1)")
    yield (
        "in ready_async",
        (
            open_port(f"values ready_async:{call},wait=2"),
            LINKED,
            job,
            reached(1),
            FORGET,
            go_on(1),
            reached(2),
            go_on(2),
        ),
    )
    yield (
        "in ready_async, closing",
        (
            open_port(f"values ready_async:{call},wait=2"),
            LINKED,
            TWO_BYTES,
            job,
            reached(1),
            CLOSE,
            FORGET,
            go_on(1),
            reached(2),
            go_on(2),
        ),
    )
    timer = do("owner", "port_command", PORT, b"driver_set_timer")
    yield (
        "in timeout",
        (open_port(f"values timeout:{call},wait=2"), FORGET, timer, reached(2), go_on(2)),
    )
    # The monitored process is the one that opened the port, which is another's by then.
    given_away = (
        do("owner", "port_command", PORT, b"driver_monitor_process"),
        do("owner", "port_connect", PORT, HEIR),
        do("owner", "unlink", PORT),
    )
    yield (
        "in process_exit",
        (
            open_port(f"values process_exit:{call}"),
            *given_away,
            FORGET,
            stop("owner", "normal"),
            SETTLE,
        ),
    )
    yield (
        "of a closed port, in another's output",
        (
            open_port("values_lock", save="Q"),
            open_port("values_lock"),
            do("owner", "port_close", OTHER_PORT),
            FORGET,
            command(f"previous,{call}"),
        ),
    )
    yield (
        "of a closing port, in another's output",
        (
            open_port("values_lock", save="Q"),
            open_port("values_lock"),
            do("owner", "port_command", OTHER_PORT, b"driver_enq,driver_enq"),
            do("owner", "port_close", OTHER_PORT),
            FORGET,
            command(f"previous,{call}"),
        ),
    )
    yield (
        "of a connected port, in another's output",
        (
            open_port("values_lock", save="Q"),
            open_port("values_lock"),
            FORGET,
            command(f"previous,{call}"),
        ),
    )


def in_thread(call: str, kind: str) -> Iterator[tuple[str, Steps]]:
    """A call that any thread may make, in each state of the port that it names."""
    begun = do("owner", "port_command", PORT, f"{kind}(wait=1,{call},wait=2)".encode())
    ready = (open_port(), LINKED, begun, reached(1))
    after = (go_on(1), reached(2), go_on(2), SETTLE)
    yield "", (*ready, FORGET, *after)
    yield ", closing", (open_port(), LINKED, TWO_BYTES, begun, reached(1), CLOSE, FORGET, *after)
    yield ", closed", (*ready, CLOSE, FORGET, *after)
    yield (
        ", closing with the owner gone",
        (
            open_port(),
            LINKED,
            TWO_BYTES,
            begun,
            reached(1),
            stop("owner", "normal"),
            FORGET,
            *after,
        ),
    )
    yield ", killed", (*ready, do("asker", "exit", PORT, "kill"), FORGET, *after)


def in_async_free(call: str) -> Steps:
    """A call in `async_free`, which has no lock: only what names the port by its identifier."""
    job = do("owner", "port_command", PORT, b"driver_async(wait=1)")
    opens = open_port(f"values async_free:{call}")
    return (opens, LINKED, job, reached(1), CLOSE, FORGET, go_on(1), SETTLE)


FAILURES = ("driver_failure", "driver_exit")
"""Calls that crash the emulator in some callbacks; `driver_pushqv` breaks its memory in all."""


ONE_LOCK = {"of a closing port, in another's output", "of a connected port, in another's output"}
"""Where the driver has one lock for its ports, which `driver_create_port` waits for."""


def call_cases() -> Iterator[Case]:
    """Every call in every state."""
    for call in PORT_CALLS:
        for where, steps in in_callback(call):
            waits = call.startswith("driver_create_port") and where in ONE_LOCK
            if waits and "," in call:
                continue
            fails = any(part.startswith(FAILURES) for part in call.split(",")) and where in (
                "in start",
                "in process_exit",
            )
            alone = fails or waits or call in ("driver_pushqv", "driver_lock_driver")
            yield Case(call, where, steps, alone=alone)
    for call in (*THREAD_CALLS, *OTHER_CALLS):
        for kind, place in (("driver_async", "in a job"), ("thread", "in a thread")):
            for where, steps in in_thread(call, kind):
                if call in THREAD_CALLS or not where:
                    yield Case(call, place + where, steps)
    for call in THREAD_CALLS:
        yield Case(call, "in async_free, closed", in_async_free(call))
    for call in OTHER_CALLS:
        yield Case(call, "in output", (open_port(), FORGET, command(call)))
