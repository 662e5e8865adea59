"""A driver's own threads, and data that each thread has for itself.

A thread that a driver starts lives until its function returns or calls `erl_drv_thread_exit`.
Nothing ends it from outside, and the emulator does not wait for it.  The driver has to join it.  It
may call every function that "any thread" may call.

The names, the order of the arguments and the results are those of `erl_driver.h`.  An out-parameter
is an object that the caller makes: `ErlDrvTid()`, `ErlDrvTSDKey()`, `Pointer()`.  `str` stands for
`char *` and `None` for NULL.  A wrong type is a `TypeError`.

A thread that is not joined, a key or options that are not destroyed are rows of the `Leak` when the
emulator has stopped.

Source: `erl_drv_thread.c`.
"""

from __future__ import annotations

from collections.abc import Callable
from errno import EAGAIN, EINVAL, ENOMEM
from typing import Any, NoReturn

from driverref.diagnostics import called
from driverref.erl_driver.checks import check_type
from driverref.erl_driver.handles import Handle, create, use
from driverref.errors import Misuse, null_pointer, wrong_type
from driverref.since import since
from driverref.threads import Thread, current, running

__all__ = [
    "ErlDrvTSDKey",
    "ErlDrvThreadOpts",
    "ErlDrvTid",
    "Pointer",
    "erl_drv_equal_tids",
    "erl_drv_thread_create",
    "erl_drv_thread_exit",
    "erl_drv_thread_join",
    "erl_drv_thread_name",
    "erl_drv_thread_opts_create",
    "erl_drv_thread_opts_destroy",
    "erl_drv_thread_self",
    "erl_drv_tsd_get",
    "erl_drv_tsd_key_create",
    "erl_drv_tsd_key_destroy",
    "erl_drv_tsd_set",
]

_OWN = object()
"""Where a driver's thread keeps its `DriverThread` among its thread specific data."""


class Pointer:
    """A `void *` that a call writes to.  After the call, `.value` is what it wrote."""

    __slots__ = ("value",)

    def __init__(self, value: Any = None) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Pointer({self.value!r})"


class ErlDrvThreadOpts(Handle):
    """Options for a thread, from `erl_drv_thread_opts_create`."""

    kind, parameter = "thread options", "opts"
    give_back = "erl_drv_thread_opts_destroy"

    suggested_stack_size = -1
    """Kilowords; -1 leaves it to the emulator.  A Python thread takes no notice."""


class DriverThread(Handle):
    """A thread that a driver has started, and what it returned."""

    kind, parameter = "thread", "tid"
    give_back, given_back = "erl_drv_thread_join", "joined"

    thread: Thread
    result: Any = None

    def start(self, func: Callable[[Any], Any], arg: Any) -> None:
        """Run `func(arg)` on a new thread.  An exception that leaves it crashes the emulator."""

        def run() -> None:
            me = current("erl_drv_thread_create")
            # A new thread belongs to no emulator.  With this, the calls that it makes find theirs.
            me.runtime = self.runtime
            # By this, `erl_drv_thread_exit` and `erl_drv_thread_self` know a driver's thread.
            me.tsd[_OWN] = self
            try:
                self.result = func(arg)
            except _Exit as left:
                self.result = left.value
            except Exception as error:
                # It goes on, to `crash`: in C it would be a fault of the process.
                called(error, func)
                raise
            self.runtime.note(me.lane, "erl_drv_thread_exit", None)

        self.thread = self.threads.start(self.name, run, self.runtime.crash)


class _Exit(BaseException):
    """Unwinds a thread that has called `erl_drv_thread_exit`."""

    # No `Exception`, so that a driver's `except Exception` does not keep the thread from its end.

    def __init__(self, value: Any) -> None:
        self.value = value


class ErlDrvTid:
    """A thread's identifier.  `ErlDrvTid()` is empty, for `erl_drv_thread_create` to fill."""

    __slots__ = ("own", "thread")

    def __init__(self) -> None:
        self.thread: Thread | None = None
        self.own: DriverThread | None = None

    def __repr__(self) -> str:
        return "ErlDrvTid()" if self.thread is None else f"<ErlDrvTid of {self.thread.name}>"


def _filled(call: str, parameter: str, tid: ErlDrvTid) -> Thread:
    """The thread that `tid` identifies.  `Misuse` if `tid` is empty."""
    check_type(call, parameter, tid, ErlDrvTid, "an ErlDrvTid")
    if tid.thread is None:
        raise Misuse(f"{call}: {parameter} identifies no thread: no call has filled it in")
    return tid.thread


@since("R12B-0")
def erl_drv_thread_opts_create(name: str | None) -> ErlDrvThreadOpts | None:
    """Create thread options with default values, to change and give to `erl_drv_thread_create`.

    Returns `None` (NULL) if there is no memory.  Destroy them with `erl_drv_thread_opts_destroy`.

    Any thread.  Stands for `erl_drv_thread_opts_create`.
    """
    return create("erl_drv_thread_opts_create", ErlDrvThreadOpts, name)


@since("R12B-0")
def erl_drv_thread_opts_destroy(opts: ErlDrvThreadOpts | None) -> None:
    """Destroy thread options.  `Misuse` if they have been destroyed before.

    Any thread.  Stands for `erl_drv_thread_opts_destroy`.
    """
    opts, _ = use("erl_drv_thread_opts_destroy", ErlDrvThreadOpts, opts)
    opts.row.end("erl_drv_thread_opts_destroy")


@since("R12B-0")
def erl_drv_thread_create(
    name: str | None,
    tid: ErlDrvTid,
    func: Callable[[Any], Any],
    arg: Any,
    opts: ErlDrvThreadOpts | None,
) -> int:
    """Start a thread that runs `func(arg)`, and fill in `tid`.

    Returns 0.  Returns `EAGAIN` if the operating system has no thread left, and `ENOMEM` if there
    is no memory; then nothing is changed.

    `name` is the thread's name in messages and its lane in the trace.  It may be `None` (NULL), but
    from OTP 26 on not together with `opts`: the emulator would crash, and here that is `Misuse`.

    The driver must join the thread before it is unloaded.  There is no other way to give the thread
    back, and no way to end it from outside.

    Any thread.  Stands for `erl_drv_thread_create`.
    """
    check_type("erl_drv_thread_create", "tid", tid, ErlDrvTid, "an ErlDrvTid")
    if func is None:
        raise null_pointer("erl_drv_thread_create", "func")
    if not callable(func):
        raise wrong_type("erl_drv_thread_create", "func", "a function of one argument", func)
    if opts is not None:
        opts, _ = use("erl_drv_thread_create", ErlDrvThreadOpts, opts)
    release = current("erl_drv_thread_create").runtime.release
    # Since then the name is copied for the operating system, unless both are NULL (ERTS 14.0; 27
    # `erl_drv_thread.c`).
    crashes = not release.lacks("the crash on thread options without a name", "26.0")
    if name is None and opts is not None and crashes:
        raise null_pointer("erl_drv_thread_create", "opts is given, but name")
    own = create("erl_drv_thread_create", DriverThread, name)
    if own is None:
        return ENOMEM
    own.runtime.note(running().lane, "erl_drv_thread_create", own.name)
    try:
        own.start(func, arg)
    except RuntimeError:  # the operating system has no thread left
        own.row.end("erl_drv_thread_create")
        return EAGAIN
    # Filled in last: the new thread runs already and may find `tid` empty, as in C.
    tid.thread, tid.own = own.thread, own
    return 0


@since("R12B-0")
def erl_drv_thread_join(tid: ErlDrvTid, exit_value: Pointer | None) -> int:
    """Wait until a thread has ended.  `exit_value.value` becomes what its function returned.

    Returns 0, or `EINVAL` for a thread that no driver has started.  `Misuse` if the thread has been
    joined before, or is the caller.  In a callback the wait blocks the scheduler and the port.

    Any thread.  Stands for `erl_drv_thread_join`.
    """
    call = "erl_drv_thread_join"
    thread = _filled(call, "tid", tid)
    check_type(call, "exit_value", exit_value, Pointer | None, "a Pointer or None")
    if tid.own is None:
        return EINVAL
    # In C this is undefined: an error, or a wait that does not end.
    if current(call) is thread:
        raise Misuse(f"{call}: {thread.name} would wait for its own end")
    _, me = use(call, DriverThread, tid.own)
    me.runtime.note(me.lane, call, thread.name)
    # Ended before the wait: of two threads that join one, the second is told at once.
    tid.own.row.end(call)
    tid.own.threads.join(thread)
    if exit_value is not None:
        exit_value.value = tid.own.result
    return 0


@since("R12B-0")
def erl_drv_thread_exit(exit_value: Any) -> NoReturn:
    """End the calling thread, as if its function had returned `exit_value`.

    `Misuse` on a thread of the emulator.

    Only on a thread that a driver has started.  Stands for `erl_drv_thread_exit`.
    """
    me = current("erl_drv_thread_exit")
    # A scheduler or an async thread belongs to the emulator, which could not go on without it.
    if _OWN not in me.tsd:
        raise Misuse(f"erl_drv_thread_exit: {me.name} is not a thread that a driver has started")
    raise _Exit(exit_value)


@since("R12B-0")
def erl_drv_thread_self() -> ErlDrvTid:
    """Return the identifier of the calling thread, also of one that no driver has started.

    Any thread.  Stands for `erl_drv_thread_self`.
    """
    tid = ErlDrvTid()
    tid.thread = current("erl_drv_thread_self")
    own = tid.thread.tsd.get(_OWN)
    # A thread of the emulator has no such entry: its identifier can be compared, but not joined.
    tid.own = own if isinstance(own, DriverThread) else None
    return tid


@since("R12B-0")
def erl_drv_equal_tids(tid1: ErlDrvTid, tid2: ErlDrvTid) -> int:
    """Return 1 if both identify the same thread, else 0.  `Misuse` if one of them is empty.

    Any thread.  Stands for `erl_drv_equal_tids`.
    """
    call = "erl_drv_equal_tids"
    return int(_filled(call, "tid1", tid1) is _filled(call, "tid2", tid2))


@since("R16B02")
def erl_drv_thread_name(tid: ErlDrvTid | None) -> str | None:
    """Return the name that the thread was created with, or `unknown` if no driver has started it.

    Returns `None` (NULL) for `None`.  `Misuse` if `tid` is empty.

    Any thread.  Stands for `erl_drv_thread_name`.
    """
    if tid is None:
        return None
    _filled("erl_drv_thread_name", "tid", tid)
    return "unknown" if tid.own is None else tid.own.name


# Thread specific data.


class _Key(Handle):
    """The key that an `ErlDrvTSDKey` holds, while it exists."""

    kind, parameter = "tsd key", "key"
    give_back = "erl_drv_tsd_key_destroy"


class ErlDrvTSDKey:
    """A key to thread specific data.  `ErlDrvTSDKey()` is for `erl_drv_tsd_key_create` to fill."""

    __slots__ = ("key",)

    def __init__(self) -> None:
        self.key: _Key | None = None

    def __repr__(self) -> str:
        return "ErlDrvTSDKey()" if self.key is None else f"<ErlDrvTSDKey {self.key.name!r}>"


def _use_key(call: str, key: ErlDrvTSDKey) -> tuple[_Key, Thread]:
    """The key that `key` holds, after a check that it exists, and the calling thread."""
    # Not by `check_type`: C's key is a number, so `None` is not NULL.
    if not isinstance(key, ErlDrvTSDKey):
        raise wrong_type(call, "key", "an ErlDrvTSDKey", key)
    if key.key is None:
        raise Misuse(f"{call}: the key has not been created")
    return use(call, _Key, key.key)


@since("R12B-0")
def erl_drv_tsd_key_create(name: str | None, key: ErlDrvTSDKey) -> int:
    """Fill in `key`: a new key, under which every thread has a value of its own.

    Returns 0, or `ENOMEM` if there is no memory.  Destroy it with `erl_drv_tsd_key_destroy`.

    Any thread.  Stands for `erl_drv_tsd_key_create`.
    """
    check_type("erl_drv_tsd_key_create", "key", key, ErlDrvTSDKey, "an ErlDrvTSDKey")
    key.key = create("erl_drv_tsd_key_create", _Key, name)
    return ENOMEM if key.key is None else 0


@since("R12B-0")
def erl_drv_tsd_key_destroy(key: ErlDrvTSDKey) -> None:
    """Destroy a key.  `Misuse` if it has been destroyed before.  The values are not freed.

    Set the value to `None` in every thread first.  In C the number of the key goes to the next key
    that is created, and with it the values that threads have left there.

    Any thread.  Stands for `erl_drv_tsd_key_destroy`.
    """
    _use_key("erl_drv_tsd_key_destroy", key)[0].row.end("erl_drv_tsd_key_destroy")


@since("R12B-0")
def erl_drv_tsd_set(key: ErlDrvTSDKey, data: Any) -> None:
    """Set the calling thread's value.  The thread must set it to `None` before it ends.

    `Misuse` if the key does not exist.

    Any thread.  Stands for `erl_drv_tsd_set`.
    """
    own, me = _use_key("erl_drv_tsd_set", key)
    # The key is the object, not a number: a value left under a destroyed key is no later key's.
    me.tsd[own] = data


@since("R12B-0")
def erl_drv_tsd_get(key: ErlDrvTSDKey) -> Any:
    """Return the calling thread's value, or `None` (NULL) if it has set none.

    `Misuse` if the key does not exist.

    Any thread.  Stands for `erl_drv_tsd_get`.
    """
    own, me = _use_key("erl_drv_tsd_get", key)
    return me.tsd.get(own)
