"""What `load_driver` checks before it loads a driver: whether the emulator can call its entry.

A C compiler refuses a callback of the wrong type, and a name that the entry does not have.  Python
would notice the wrong type when the callback is called.  It would never notice the wrong name: a
callback that is not defined is NULL.  So three things are checked here:

* the name, the flags and the version;
* each callback: it must be possible to call it with the parameters that `Driver` declares, and the
  call must run it, which the call of an `async def` or of a generator does not;
* each public method: its name must not look like a misspelt callback (`_meant`).

The check comes before anything is changed, so a driver that is refused leaves no trace.

What the emulator itself looks at is the version: `version_fits`.
"""

from __future__ import annotations

import inspect
import re
from types import FunctionType
from weakref import WeakSet

from driverref.errors import is_int, wrong_type
from driverref.release import Release
from driverref.runtime.driver import CALLBACKS, ERL_DRV_EXTENDED_MARKER, Driver

PARAMETERS = {name: list(inspect.signature(getattr(Driver, name)).parameters) for name in CALLBACKS}
"""The parameters of each callback, `self` first."""

LIKE_HELPERS = {"ready_input", "ready_output", "stop_select"}
"""Callbacks that helpers look like, such as `read_input`: what only looks like them may pass."""

_FOUND_RIGHT: WeakSet[type[Driver]] = WeakSet()
"""Classes that need no second look: `explore` loads the same driver in every schedule."""


def check_entry(call: str, driver: object) -> None:
    """Raise `TypeError` unless the emulator can load `driver`.  `call` is the BIF."""
    if not isinstance(driver, Driver):
        raise wrong_type(call, "driver", "an instance of a Driver subclass", driver)
    kind = type(driver)
    name = kind.__name__
    # One word, because `open_port` takes the first word of its command for the name.
    if not isinstance(driver.driver_name, str) or len(driver.driver_name.split()) != 1:
        raise wrong_type(call, f"{name}.driver_name", "a str of one word", driver.driver_name)
    if not isinstance(driver.driver_flags, int):
        raise wrong_type(call, f"{name}.driver_flags", "ERL_DRV_FLAG_* or'ed", driver.driver_flags)
    if not is_int(driver.extended_marker):
        expected = "ERL_DRV_EXTENDED_MARKER, or 0"
        raise wrong_type(call, f"{name}.extended_marker", expected, driver.extended_marker)
    for part in ("major_version", "minor_version"):
        version = getattr(driver, part)
        if version is not None and not is_int(version):
            raise wrong_type(call, f"{name}.{part}", "an int or None", version)
    # A driver may set a callback on the instance.  Then the class alone does not say what is
    # called.
    of_the_class = vars(driver).keys().isdisjoint(CALLBACKS)
    if of_the_class and kind in _FOUND_RIGHT:
        return
    null = []
    for callback in CALLBACKS:
        function = getattr(driver, callback)
        if function is None:
            if callback not in LIKE_HELPERS:
                null.append(callback)
        else:
            _check_callback(call, f"{name}.{callback}", function, PARAMETERS[callback])
    _check_names(call, kind, null)
    if of_the_class:
        _FOUND_RIGHT.add(kind)


def version_fits(driver: Driver, release: Release) -> bool:
    """Whether the emulator loads a driver that was compiled with its version of `erl_driver.h`.

    If not, loading it is `driver_incorrect_version`.  Source:
    `erl_bif_ddll.c:do_load_driver_entry`.
    """
    if release.driver_version is None:
        return True
    major, minor = driver.major_version, driver.minor_version
    if driver.extended_marker == ERL_DRV_EXTENDED_MARKER:
        own_major, own_minor = release.driver_version
        major = own_major if major is None else major
        minor = own_minor if minor is None else minor
        return release.oldest_interface <= major and (major, minor) <= release.driver_version
    # An entry of before R11B-3, whose fields end before the marker, if they are all 0 behind it.
    rest = (driver.extended_marker, major, minor, driver.driver_flags, driver.process_exit)
    return release.loads_plain_entries and not any(rest)


def _check_callback(call: str, where: str, function: object, parameters: list[str]) -> None:
    """Raise `TypeError` unless a call with these parameters is possible and runs the function."""
    if not callable(function):
        raise wrong_type(call, where, "a method, or None for NULL", function)
    # The second is for an object that can be called: it is its class that says how.
    for body in (function, type(function).__call__):
        if inspect.iscoroutinefunction(body):
            raise TypeError(
                f"{call}: {where} must not be async, because nothing awaits it: have a job wait"
            )
        if inspect.isgeneratorfunction(body) or inspect.isasyncgenfunction(body):
            raise TypeError(
                f"{call}: {where} must not yield, because a call would then run no line of it"
            )
    # The function of a method is looked at with `self`, so that the message shows what is written.
    if inspect.ismethod(function):
        function = function.__func__
    else:
        parameters = parameters[1:]
    if isinstance(function, FunctionType):
        # Without the annotations: Python 3.14 evaluates them, and a name in them may be one that is
        # imported for type checkers only.
        code, closure = function.__code__, function.__closure__
        bare = FunctionType(code, {}, argdefs=function.__defaults__, closure=closure)
        bare.__kwdefaults__ = function.__kwdefaults__
        function = bare
    try:
        signature = inspect.signature(function)
    except ValueError:  # a function written in C need not have one
        return
    try:
        signature.bind(*parameters)
    except TypeError:
        expected = ", ".join(parameters)
        got = signature.replace(return_annotation=inspect.Signature.empty)
        raise TypeError(f"{call}: {where} must take ({expected}), not {got}") from None


def _check_names(call: str, kind: type[Driver], null: list[str]) -> None:
    """Raise `TypeError` if a public method looks like a misspelling of a callback in `null`."""
    methods = {}
    for name in dir(kind):
        member = getattr(kind, name, None)
        function = getattr(member, "__func__", member)  # of a classmethod
        if isinstance(function, FunctionType):
            methods[name] = function
    # A method that another one mentions is called by it, and so is a helper whatever its name.
    mentioned = {name for function in methods.values() for name in function.__code__.co_names}
    for name in sorted(methods.keys() - mentioned):
        meant = None if name.startswith("_") or name in CALLBACKS else _meant(name, null)
        if meant is not None:
            raise TypeError(
                f"{call}: {kind.__name__}.{name} looks like the callback {meant}, which is not"
                f" defined: name it {meant}, or begin its name with an underscore"
            )


def _meant(name: str, null: list[str]) -> str | None:
    """The callback among `null` that `name` is a misspelling of, or `None`.

    Helpers must pass, and their names are often near a callback's: `started`, `outputs`,
    `stop_all`, `step`, `calc`.  So likeness is not measured.  Only mistakes that seldom make
    another word count:

    * capitals and underscores: `readyAsync`;
    * `on_` in front;
    * a letter doubled or not: `proces_exit`;
    * two neighbours exchanged: `sotp`;
    * in names of more than five letters, one letter too many, missing or wrong: `redy_async`.
    """
    letters = _letters(name)
    # `outputs` has a callback's name in it and is a helper, not a misspelling of `outputv`.
    whole = any(_letters(each) in letters for each in CALLBACKS)
    for callback in null:
        meant = _letters(callback)
        # The first three mistakes in one: both names are brought to the same form.
        if _once_each(letters) in (_once_each(meant), _once_each("on" + meant)):
            return callback
        one, other = _difference(letters, meant)
        # Two neighbours exchanged: everything else is alike.
        if len(one) == 2 and one == other[::-1]:
            return callback
        if len(one) < 2 and len(other) < 2 and len(meant) > 5 and not whole:
            return callback
    return None


def _letters(name: str) -> str:
    """The letters of a name, without capitals and underscores."""
    return name.replace("_", "").lower()


def _once_each(letters: str) -> str:
    """The letters, with one in place of each run of the same letter."""
    return re.sub(r"(.)\1+", r"\1", letters)


def _difference(one: str, other: str) -> tuple[str, str]:
    """What is left of both when the letters that they begin and end with alike are taken off."""
    while one and other and one[0] == other[0]:
        one, other = one[1:], other[1:]
    while one and other and one[-1] == other[-1]:
        one, other = one[:-1], other[:-1]
    return one, other
