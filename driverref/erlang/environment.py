"""Module `os`: the environment variables of the emulator.

The environment is the emulator's own, and empty when it starts; a driver has the same one
(`erl_driver.environment`).

Source: `os.erl`; `erl_bif_os.c`.
"""

from __future__ import annotations

from typing import Literal

from driverref.erlang.calling import Calling
from driverref.errors import badarg
from driverref.runtime.core import Runtime


class Environment:
    """The functions of `os` about variables.  `runtime` is the emulator that they belong to."""

    runtime: Runtime

    def os_getenv(self, name: str) -> str | Literal[False]:
        """Return the value of a variable, or `False` without one.  Stands for `os:getenv/1`."""
        with Calling(self.runtime, "os_getenv"):
            _check_name("os_getenv", name)
            found: str | None = self.runtime.environment.get(name)
            return False if found is None else found

    def os_putenv(self, name: str, value: str) -> bool:
        """Set a variable.  Returns `True`.  Stands for `os:putenv/2`."""
        with Calling(self.runtime, "os_putenv"):
            _check_name("os_putenv", name)
            if not _is_text(value):
                raise badarg("os_putenv", "value", "a string without NUL", value)
            self.runtime.environment[name] = value
        return True


def _check_name(call: str, name: object) -> None:
    if not _is_text(name) or "=" in str(name):
        raise badarg(call, "name", 'a string without NUL and "="', name)


def _is_text(value: object) -> bool:
    if not isinstance(value, str) or "\0" in value:
        return False
    # What Python's `str` has and no encoding: half of a surrogate pair.
    return not any("\ud800" <= character <= "\udfff" for character in value)
