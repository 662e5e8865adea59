"""The environment variables of the emulator, as a driver reads and sets them.

The environment is the emulator's own, and empty when it starts: what a run does must not depend on
the shell that it was started from.  `os:getenv` and `os:putenv` have the same one.  A string of C
is a `str` here, and UTF-8 in a buffer.

Any thread may call both functions.  Sources: `io.c:erl_drv_getenv`; `sys_env.c`, and before OTP 21
`sys.c:erts_sys_getenv`.
"""

from __future__ import annotations

from driverref.erl_driver.checks import check_type
from driverref.errors import OutOfBounds, wrong_value
from driverref.memory import Memory
from driverref.runtime.async_pool import Key
from driverref.since import since
from driverref.threads import current

__all__ = ["erl_drv_getenv", "erl_drv_putenv"]


@since("R12B-1")
def erl_drv_putenv(key: str, value: str) -> int:
    """Set an environment variable, which later calls and `os:getenv` find.  Returns 0.

    `ValueError` for text with a NUL in it.

    Any thread.  Stands for `erl_drv_putenv`.
    """
    call = "erl_drv_putenv"
    runtime = current(call).runtime
    _encoded(call, "key", key)
    _encoded(call, "value", value)
    runtime.threads.step()
    runtime.environment[key] = value
    return 0


@since("R12B-1")
def erl_drv_getenv(key: str, value: bytearray | Memory | None, value_size: Key) -> int:
    """Write the value of an environment variable, and the NUL that ends it, to the buffer `value`.

    `value_size.value` is the size of the buffer in bytes.  Returns 0 if the value fits, with its
    length without the NUL in `value_size`.  Returns 1 if the value does not fit, and -1 if there is
    no such variable.

    The manual says that with 1 `value_size` is the size needed.  It was, until OTP 19 or 20.  Since
    then `value_size` is one less than before, with 1 and with -1.  So try again with twice the
    size.

    Any thread.  Stands for `erl_drv_getenv`.
    """
    call = "erl_drv_getenv"
    runtime = current(call).runtime
    _encoded(call, "key", key)
    check_type(call, "value_size", value_size, Key, "a Key")
    check_type(call, "value", value, bytearray | Memory | None, "a block or a bytearray")
    size = value_size.value
    runtime.threads.step()
    found = runtime.environment.get(key)
    text = b"" if found is None else _encoded(call, "value", found) + b"\0"
    if found is None or len(text) > size:
        if not runtime.release.getenv_tells_size:
            value_size.value = (size - 1) & 0xFFFFFFFF  # unsigned, as in C
        elif found is not None:
            value_size.value = len(text)
        return -1 if found is None else 1
    check_type(call, "value", value, bytearray | Memory, "a block or a bytearray")
    assert value is not None
    if size > (room := len(value)):
        raise OutOfBounds(f"{call}: value_size is {size}, but value has {room} bytes")
    value[: len(text)] = text
    value_size.value = len(text) - 1
    return 0


def _encoded(call: str, parameter: str, string: str) -> bytes:
    """The bytes of a string of C."""
    check_type(call, parameter, string, str, "a str")
    try:
        if "\0" not in string:
            return string.encode()
    except UnicodeEncodeError:
        pass
    raise wrong_value(call, parameter, "text without NUL", string)
