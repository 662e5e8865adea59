"""Calls that not every release has.

`@since` marks a function of `erl_driver.h` that came after R7B, or went.  In a release without it a
call raises `Misuse`.  In C the driver would not even load there, because a symbol is missing.  A
BIF that is absent raises `undef`, as in Erlang.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from driverref.errors import ErlangError, Misuse
from driverref.release import Release
from driverref.threads import running

P = ParamSpec("P")
R = TypeVar("R")

LIVES: dict[str, tuple[str, str | None]] = {}
"""By the name of a function, the release it came with, and the one it went with or `None`."""


def since(version: str, until: str | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a function that came with `version` and went with `until`.

    A call raises `Misuse` in a release that lacks it.  Any thread.  Outside an emulator no release
    is known, so the call goes through and the function itself has to check.
    """

    def mark(function: Callable[P, R]) -> Callable[P, R]:
        name = function.__name__
        LIVES[name] = version, until
        present: set[str] = set()  # releases known to have it: the next call need not ask again

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            runtime = running().runtime
            if runtime is not None and (release := runtime.release).version not in present:
                if (why := release.lacks(name, version, until)) is not None:
                    raise Misuse(why)
                present.add(release.version)
            return function(*args, **kwargs)

        return call

    return mark


def check_bif(release: Release, what: str, version: str) -> None:
    """Raise `undef` unless `release` has `what`, a BIF or an option that came with `version`."""
    if why := release.lacks(what, version):
        raise ErlangError("undef", why)
