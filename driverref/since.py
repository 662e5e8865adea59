"""Calls that did not always exist.

A function of `erl_driver.h` that came, or went, after R7B says so with `@since`.  Where it is
absent, it raises `Misuse`: in C the driver would not even load, because a symbol is missing.  A BIF
that is absent is `undef`, as in Erlang.
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
"""From when to when each such function existed: `(since, until)`, by its name."""


def since(version: str, until: str | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a function that came with `version` and went with `until`.

    A call raises `Misuse` in a release that lacks it.  Any thread; without an emulator it is for
    the function to see.
    """

    def mark(function: Callable[P, R]) -> Callable[P, R]:
        name = function.__name__
        LIVES[name] = version, until
        present: set[str] = set()  # releases that were asked and have it

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            emulator = running().runtime
            if emulator is not None and (release := emulator.release).version not in present:
                if (why := release.lacks(name, version, until)) is not None:
                    raise Misuse(why)
                present.add(release.version)
            return function(*args, **kwargs)

        return call

    return mark


def check_bif(release: Release, what: str, version: str) -> None:
    """Raise `undef` in a release before `version`, with which a BIF or an option of it came."""
    if why := release.lacks(what, version):
        raise ErlangError("undef", why)
