"""The driver of the judge of values, for the model: `values_drv.c`, word for word.

`CALLS` has the functions of the header that a script can name, with the arguments that they are
called with.  `Values` is the driver, and `DRIVERS` its variants.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import Any

from driverref import Atom, Driver, Pid, Port
from driverref import erl_driver as c
from driverref.threads import running_thread

HOLD = 500
"""Milliseconds for which a gate holds, as in `values.erl`."""


class Stage:
    """What the drivers of a case share: the gates, what was said, the ports that were opened."""

    def __init__(self) -> None:
        self.threads = running_thread.get().runtime.threads
        self.open = [self.threads.queue(f"gate {number}") for number in range(5)]
        self.come = [self.threads.queue(f"the way to gate {number}") for number in range(5)]
        self.limit: int | None = None
        self.waiting = self.passed = 0
        self.said: list[tuple[str, object]] = []
        self.opened: list[Port] = []
        self.newest: State | None = None

    def wait(self, gate: int) -> None:
        """Wait until the gate is opened, or its limit has passed."""
        self.come[gate].put(gate)
        self.waiting += 1
        while self.open[gate].get_until(self.limit) is None:
            pass  # the limit has been set
        self.waiting -= 1
        self.passed += 1

    def set_limit(self) -> None:
        self.limit = self.threads.read_clock() + HOLD * 1_000_000
        for gate in self.open:
            gate.put(None)


class State:
    """A port's state."""

    port: c.ErlDrvPort
    target: c.ErlDrvPort
    term: Port

    def __init__(
        self, stage: Stage, opener: Pid, command: str = "", previous: State | None = None
    ) -> None:
        self.stage, self.opener = stage, opener
        self.scripts = dict(word.split(":", 1) for word in command.split(" ") if ":" in word)
        self.result, self.error = 0, errno.ENOENT
        self.refuses = self.ready = False
        self.previous = previous
        self.created: State | None = None
        self.monitor: Any = None
        self.pdl: Any = None
        self.thread: Any = None

    def is_of(self, port: c.ErlDrvPort) -> None:
        self.port = self.target = port
        self.term = c.driver_mk_port(port)
        self.stage.opened.append(self.term)


# The calls.

Said = list[tuple[str, object]]
"""What is said of a call that says more than its result: a name and a value each."""


def pointer(value: object) -> str:
    return "NULL" if value is None else "pointer"


def binary(size: int = 1) -> Any:
    made = c.driver_alloc_binary(size)
    assert made is not None
    made.orig_bytes[:] = b"b" * size
    return made


def vector() -> c.ErlIOVec:
    return c.ErlIOVec(1, 2, [c.SysIOVec(b"ab", 2)], [None])


def counted() -> c.ErlIOVec:
    bin = binary()  # noqa: A001 - the header's name
    return c.ErlIOVec(1, 1, [c.SysIOVec(bin.orig_bytes, 1)], [bin])


def sent(call: str) -> tuple[str, str]:
    return "sent", call


def read_timer(s: State) -> Said:
    result = c.driver_read_timer(s.target, left := c.Key(77))
    return [
        ("driver_read_timer", result),
        ("time_left", {0: "0", 77: "unwritten"}.get(left.value, "some")),
    ]


def limits(s: State) -> str:
    low, high = c.Key(0), c.Key(0)
    c.erl_drv_busy_msgq_limits(s.target, low, high)
    shown = (-1 if k.value == c.ERL_DRV_BUSY_MSGQ_DISABLED else k.value for k in (low, high))
    return "{} to {}".format(*shown)


def peekq(s: State) -> Said:
    pieces = c.driver_peekq(s.target)
    length = -1 if pieces is None else len(pieces)
    return [("driver_peekq", pointer(pieces or None)), ("vlen", length)]


def peekqv(s: State) -> int:
    queued = c.driver_peekqv(s.target)
    return -1 if queued is None else queued.size


def monitor(s: State) -> int:
    s.monitor = c.driver_monitor_process(s.target, s.opener)
    return s.monitor if isinstance(s.monitor, int) else 0


def create_lock(s: State) -> str:
    s.pdl = c.driver_pdl_create(s.target)
    return pointer(s.pdl)


def create_port(s: State) -> int | str:
    made = State(s.stage, s.opener)
    port = c.driver_create_port(s.target, s.opener, "values created", made)
    if isinstance(port, int):
        return port
    made.is_of(port)
    s.created = made
    return "port"


def system_info() -> str:
    info = c.driver_system_info()
    version = f"{info.driver_major_version}.{info.driver_minor_version}"
    return f"{version}, {info.async_threads} async threads, {info.scheduler_threads} schedulers"


def own_data(s: State) -> Said:
    c.erl_drv_tsd_key_create("values", key := c.ErlDrvTSDKey())
    before = pointer(c.erl_drv_tsd_get(key))
    c.erl_drv_tsd_set(key, s)
    return [("erl_drv_tsd_get", before), ("erl_drv_tsd_get", pointer(c.erl_drv_tsd_get(key)))]


def after(first: Callable[[Any], object], then: Callable[[Any], object], made: object) -> object:
    first(made)
    return then(made)


def mutex() -> c.ErlDrvMutex | None:
    return c.erl_drv_mutex_create(None)


def rwlock() -> c.ErlDrvRWLock | None:
    return c.erl_drv_rwlock_create("values")


def cond() -> c.ErlDrvCond | None:
    return c.erl_drv_cond_create("values")


Arguments = Callable[[State, int], tuple[Any, ...]]

PORT_ALONE = """
driver_cancel_timer driver_sizeq driver_async_port_key driver_failure_eof driver_mk_port driver_connected
driver_caller driver_lock_driver get_port_flags
""".split()
PORT_AND_NUMBER = """
driver_set_timer driver_deq set_busy_port set_port_control_flags
driver_failure driver_failure_posix driver_exit
""".split()

CALLS: dict[str, Arguments] = {
    **dict.fromkeys(PORT_ALONE, lambda s, n: (s.target,)),
    **dict.fromkeys(PORT_AND_NUMBER, lambda s, n: (s.target, n)),
    "driver_output": lambda s, n: (s.target, b"a"),
    "driver_output2": lambda s, n: (s.target, b"a", b"a"),
    "driver_output_binary": lambda s, n: (s.target, b"a", binary(), 0, 1),
    "driver_outputv": lambda s, n: (s.target, b"a", vector(), 0),
    "driver_output_term": lambda s, n: (s.target, sent("driver_output_term")),
    "driver_send_term": lambda s, n: (s.target, s.opener, sent("driver_send_term")),
    "erl_drv_output_term": lambda s, n: (s.term, sent("erl_drv_output_term")),
    "erl_drv_send_term": lambda s, n: (s.term, s.opener, sent("erl_drv_send_term")),
    "driver_enq": lambda s, n: (s.target, b"a"),
    "driver_pushq": lambda s, n: (s.target, b"a"),
    "driver_enq_bin": lambda s, n: (s.target, binary(), 0, 1),
    "driver_pushq_bin": lambda s, n: (s.target, binary(), 0, 1),
    "driver_enqv": lambda s, n: (s.target, vector(), 0),
    "driver_pushqv": lambda s, n: (s.target, vector(), 0),
    "driver_failure_atom": lambda s, n: (s.target, "failed"),
    "driver_demonitor_process": lambda s, n: (s.target, s.monitor),
    "driver_get_monitored_process": lambda s, n: (s.target, s.monitor),
    "driver_compare_monitors": lambda s, n: (s.monitor, s.monitor),
    "driver_pdl_get_refc": lambda s, n: (s.pdl,),
    "driver_pdl_inc_refc": lambda s, n: (s.pdl,),
    "driver_pdl_dec_refc": lambda s, n: (s.pdl,),
    "driver_pdl_lock": lambda s, n: (s.pdl,),
    "driver_pdl_unlock": lambda s, n: (s.pdl,),
    "erl_drv_monotonic_time": lambda s, n: (c.ERL_DRV_NSEC,),
    "erl_drv_time_offset": lambda s, n: (c.ERL_DRV_NSEC,),
    "erl_drv_convert_time_unit": lambda s, n: (1999, c.ERL_DRV_MSEC, c.ERL_DRV_SEC),
    "erl_drv_consume_timeslice": lambda s, n: (s.target, 1),
    "erl_errno_id": lambda s, n: (n,),
    "erl_drv_putenv": lambda s, n: ("VALUES", "5"),
    "erl_drv_getenv": lambda s, n: ("VALUES_UNSET", bytearray(64), c.Key(64)),
    "erl_drv_set_os_pid": lambda s, n: (s.target, 7),
    "erl_drv_init_ack": lambda s, n: (s.target, n or s),
    "driver_vec_to_buf": lambda s, n: (vector(), bytearray(4), 4),
    "driver_alloc": lambda s, n: (n,),
    "driver_realloc": lambda s, n: (c.driver_alloc(1), n),
    "driver_binary_get_refc": lambda s, n: (binary(),),
    "driver_binary_inc_refc": lambda s, n: (binary(),),
    "erl_drv_mutex_trylock": lambda s, n: (mutex(),),
    "erl_drv_mutex_name": lambda s, n: (mutex(),),
    "erl_drv_cond_name": lambda s, n: (cond(),),
    "erl_drv_cond_signal": lambda s, n: (cond(),),
    "erl_drv_cond_broadcast": lambda s, n: (cond(),),
    "erl_drv_rwlock_name": lambda s, n: (rwlock(),),
    "erl_drv_rwlock_tryrlock": lambda s, n: (rwlock(),),
    "erl_drv_rwlock_tryrwlock": lambda s, n: (rwlock(),),
    "erl_drv_equal_tids": lambda s, n: (c.erl_drv_thread_self(), c.erl_drv_thread_self()),
    "erl_drv_thread_name": lambda s, n: (s.thread,),
    "erl_drv_thread_join": lambda s, n: (s.thread, c.Pointer()),
    "erl_drv_tsd_key_create": lambda s, n: ("values", c.ErlDrvTSDKey()),
}
"""The arguments of the calls that a script has under the header's own name."""

OTHERS: dict[str, Callable[[State, int], object]] = {
    "driver_create_port": lambda s, n: create_port(s),
    "driver_read_timer": lambda s, n: read_timer(s),
    "driver_pushqv_of_a_binary": lambda s, n: c.driver_pushqv(s.target, counted(), 0),
    "driver_peekq": lambda s, n: peekq(s),
    "driver_peekqv": lambda s, n: peekqv(s),
    "erl_drv_busy_msgq_limits": lambda s, n: limits(s),
    "driver_monitor_process": lambda s, n: monitor(s),
    "driver_pdl_create": lambda s, n: create_lock(s),
    "driver_system_info": lambda s, n: system_info(),
    "driver_get_now": lambda s, n: 0 * c.driver_get_now().secs,
    "driver_vec_to_buf_1": lambda s, n: c.driver_vec_to_buf(vector(), bytearray(4), 1),
    "driver_realloc_of_null": lambda s, n: pointer(c.driver_realloc(None, n)),
    "driver_free_of_null": lambda s, n: after(c.driver_free, lambda _: None, None),
    "driver_alloc_binary": lambda s, n: binary(n).orig_size,
    "driver_realloc_binary": lambda s, n: getattr(
        c.driver_realloc_binary(binary(3), n), "orig_size", None
    ),
    "driver_binary_dec_refc": lambda s, n: after(
        c.driver_binary_inc_refc, c.driver_binary_dec_refc, binary()
    ),
    "driver_free_binary_of_null": lambda s, n: after(c.driver_free_binary, lambda _: None, None),
    "erl_drv_mutex_trylock_held": lambda s, n: after(
        c.erl_drv_mutex_lock, c.erl_drv_mutex_trylock, mutex()
    ),
    "erl_drv_mutex_name_of_null": lambda s, n: pointer(c.erl_drv_mutex_name(None)),
    "erl_drv_rwlock_tryrlock_read": lambda s, n: after(
        c.erl_drv_rwlock_rlock, c.erl_drv_rwlock_tryrlock, rwlock()
    ),
    "erl_drv_rwlock_tryrwlock_read": lambda s, n: after(
        c.erl_drv_rwlock_rlock, c.erl_drv_rwlock_tryrwlock, rwlock()
    ),
    "erl_drv_rwlock_tryrlock_written": lambda s, n: after(
        c.erl_drv_rwlock_rwlock, c.erl_drv_rwlock_tryrlock, rwlock()
    ),
    "erl_drv_equal_tids_other": lambda s, n: c.erl_drv_equal_tids(
        c.erl_drv_thread_self(), s.thread
    ),
    "erl_drv_tsd_get": lambda s, n: own_data(s),
}
"""Calls that need more than arguments."""


def made(state: State, call: str, n: int) -> object:
    """Make a call: its value as the driver says it, or several with their names."""
    if call.startswith("driver_pdl") and call != "driver_pdl_create" and state.pdl is None:
        return "no lock"
    if "monitor" in call and call.startswith("driver_") and call != "driver_monitor_process":
        if not isinstance(state.monitor, c.ErlDrvMonitor):
            return "no monitor"
    if call in OTHERS:
        value = OTHERS[call](state, n)
    elif (function := getattr(c, call, None)) is None:
        return "no such call"
    else:
        value = function(*CALLS[call](state, n))
    match call:
        case "driver_alloc" | "driver_realloc":
            return pointer(value)
        case "driver_async_port_key" if value:
            return "the port's number"
        case "erl_drv_monotonic_time" | "erl_drv_time_offset":
            unknown = value == getattr(c, "ERL_DRV_TIME_ERROR", None)
            return "ERL_DRV_TIME_ERROR" if unknown else "time"
        case "driver_connected" | "driver_caller" | "driver_mk_port":
            return [] if value is None else value  # C's NULL is Erlang's empty list here
    return "returned" if value is None else value


# The driver.


class Values(Driver):
    """Calls what it is told to call, and says what the call returned."""

    driver_name = "values"
    driver_flags = c.ERL_DRV_FLAG_USE_PORT_LOCKING

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def init(self) -> int | None:
        self.say("init")
        return None

    def finish(self) -> None:
        self.say("finish")

    def start(self, port: c.ErlDrvPort, command: str) -> State | int:
        state = State(self.stage, c.driver_caller(port), command, self.stage.newest)
        self.stage.newest = state
        state.is_of(port)
        self.callback(state, "start")
        c.set_errno(state.error)
        return state.result or state

    def stop(self, state: State) -> None:
        self.callback(state, "stop")

    def output(self, state: State, buf: memoryview) -> None:
        self.told(state, "output", bytes(buf))

    def control(self, state: State, command: int, buf: memoryview) -> bytes | int:
        self.told(state, "control", bytes(buf))
        return -1 if state.refuses else b"ok"

    def call(self, state: State, command: int, term: Any) -> object:
        self.told(state, "call", term)
        return None if state.refuses else Atom("ok")

    def timeout(self, state: State) -> None:
        self.callback(state, "timeout")

    def flush(self, state: State) -> None:
        self.callback(state, "flush")

    def ready_async(self, state: State, job: object) -> None:
        if not state.ready:  # a job of its script would come back here for ever
            state.ready = True
            self.callback(state, "ready_async")

    def process_exit(self, state: State, monitor: c.ErlDrvMonitor) -> None:
        self.callback(state, "process_exit")

    def say(self, origin: str, call: str = "", value: object = "") -> None:
        self.stage.said.append((f"{origin} {call}".strip() + "=" * (value != ""), value))

    def callback(self, state: State, name: str) -> None:
        self.told(state, name, state.scripts.get(name, "").encode())

    def told(self, state: State, origin: str, script: bytes) -> None:
        self.say(origin)
        self.run(state, origin, script.decode())

    def run(self, state: State, origin: str, script: str) -> None:
        for part in parts(script):
            call, _, rest = part.replace("(", "=", 1).partition("=")
            if "(" in part:
                self.begin(state, origin, call, rest.removesuffix(")"))
            else:
                self.do(state, origin, call, int(rest or 0))

    def begin(self, state: State, origin: str, call: str, script: str) -> None:
        """Have a job, or a thread, do what a script says."""

        def work(_: object) -> None:
            self.run(state, "job" if call == "driver_async" else "thread", script)

        def freed(_: object) -> None:
            self.callback(state, "async_free")

        if call == "driver_async":
            number = c.driver_async(state.target, None, work, None, freed)
            self.say(origin, call, "id" if number > 0 else number)
        else:
            state.thread = c.ErlDrvTid()
            result = c.erl_drv_thread_create("values", state.thread, work, None, None)
            self.say(origin, "erl_drv_thread_create", result)

    def do(self, state: State, origin: str, call: str, n: int) -> None:
        match call:
            case "wait":
                self.stage.wait(n)
            case "result":
                state.result = n
            case "errno":
                state.error = n
            case "refuse":
                state.refuses = True
            case "previous":
                assert state.previous
                state.target = state.previous.port
            case "created":
                if state.created:
                    state.target = state.created.port
            case _:
                value = made(state, call, n)
                for name, said in value if isinstance(value, list) and value else [(call, value)]:
                    self.say(origin, name, said)


def parts(script: str) -> Iterator[str]:
    """The parts of a script: commas within brackets belong to a job's."""
    depth, part = 0, ""
    for letter in script:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            yield part
            part = ""
        else:
            part += letter
    if part:
        yield part


def variant(name: str, **members: Any) -> type[Values]:
    return type(name, (Values,), {"driver_name": name, **members})


def outputv(driver: Values, state: State, ev: c.ErlIOVec) -> None:
    driver.told(
        state, "outputv", b"".join(bytes(v.iov_base[: v.iov_len]) for v in ev.iov if v.iov_base)
    )


def refuse(driver: Values) -> int:
    driver.say("init")
    return -1


VERSIONS = {
    "minor_newer": ("PORT", "ERL_DRV_EXTENDED_MARKER", 3, 4),
    "minor_older": ("PORT", "ERL_DRV_EXTENDED_MARKER", 3, 2),
    "minor_negative": ("PORT", "ERL_DRV_EXTENDED_MARKER", 3, -1),
    "major_newer": ("PORT", "ERL_DRV_EXTENDED_MARKER", 4, 0),
    "major_older": ("PORT", "ERL_DRV_EXTENDED_MARKER", 2, 9),
    "major_oldest": ("PORT", "ERL_DRV_EXTENDED_MARKER", 2, 0),
    "major_too_old": ("PORT", "ERL_DRV_EXTENDED_MARKER", 1, 5),
    "major_none": ("PORT", "ERL_DRV_EXTENDED_MARKER", 0, 0),
    "marker_none": ("0", "0", 0, 0),
    "marker_none_with_version": ("0", "0", 3, 3),
    "marker_none_with_flags": ("PORT", "0", 0, 0),
    "marker_other": ("0", "1", 3, 3),
}
"""What drivers say they were compiled for: flags, marker, major and minor version."""


def compiled_for(name: str) -> type[Values]:
    flags, marker, major, minor = VERSIONS[name]
    return variant(
        f"values_{name}",
        driver_flags=LOCKING if flags == "PORT" else 0,
        extended_marker=getattr(c, marker, None) or int(marker),
        major_version=major,
        minor_version=minor,
    )


LOCKING = c.ERL_DRV_FLAG_USE_PORT_LOCKING
ACKNOWLEDGED: int = getattr(c, "ERL_DRV_FLAG_USE_INIT_ACK", 1 << 3)
NULL = dict.fromkeys("output control call timeout flush ready_async process_exit".split())


class Next(Values):
    """A new version of `values_spare`."""

    driver_name = "values_spare"

    def init(self) -> int | None:
        self.say("next")
        return None


NEWER: dict[str, type[Values]] = {
    "next/values_spare": Next,
    "refused/values_spare": variant("values_spare", init=refuse),
    "newer/values_spare": variant("values_spare", major_version=3, minor_version=4),
}
"""Other versions of a driver, by where they lie."""
VARIANTS: list[type[Values]] = [
    Values,
    variant("values_lock", driver_flags=0),
    variant("values_soft", driver_flags=LOCKING | c.ERL_DRV_FLAG_SOFT_BUSY),
    variant("values_bare", **NULL),
    variant("values_v", output=None, outputv=outputv),
    variant("values_ack", driver_flags=LOCKING | ACKNOWLEDGED),
    variant("values_spare"),
    variant("values_refuses", init=refuse),
    *map(compiled_for, VERSIONS),
]
DRIVERS = NEWER | {driver.driver_name: driver for driver in VARIANTS}
"""The variants, as `run_values.VARIANTS` compiles them."""
LOADED = ("values", "values_lock", "values_soft", "values_bare", "values_v", "values_ack")
"""Those that are loaded from the beginning."""
