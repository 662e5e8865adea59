"""A witness: the text that names one run of a scenario.

    14:2,20:t
    14:2,20:t/schedulers=2/observe=ready_async,stop
    first-come/release=R7B-3

Before the first slash stands the schedule: the steps that are not first come (`schedules`), or
`first-come`.  After it stands each option that decides which steps a run makes, if it is not the
default.  So `replay` and the command line need nothing but the scenario and this text.  The
strategy, the seed and the limit are not in it: they decide which runs are made, and change none.

The text has no space and no character that has a meaning in a shell.

A new option of this kind is an entry in `RunOptions`, in `RUN_DEFAULTS` and in `READ`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import cast

from driverref.emulator import DEFAULTS, EmulatorOptions
from driverref.explore.schedules import parse
from driverref.release import RELEASES, Release, find


class RunOptions(EmulatorOptions, total=False):
    """The options that decide which steps a run makes."""

    observe: tuple[str, ...] | list[str]
    step_limit: int
    failing_allocations: bool


STEP_LIMIT = 10_000
"""How many steps a run may have, unless the caller says otherwise."""

RUN_DEFAULTS: RunOptions = {
    **DEFAULTS,
    "observe": (),
    "step_limit": STEP_LIMIT,
    "failing_allocations": False,
}
"""What holds where an option is neither given nor in the witness."""

READ: dict[str, Callable[[str], object]] = {
    "async_threads": int,
    "schedulers": int,
    "release": str,
    "observe": lambda names: tuple(names.split(",")),
    "step_limit": int,
    "failing_allocations": {"True": True}.__getitem__,
}
"""How the text of each option is read.  Raises `ValueError` for a text that is no value."""

OWN = "own"
"""Stands for a `Release` that the caller has made, which no text can name."""

SHORT = "..."
"""Stands for the options in a table whose rows would all repeat them."""


def ending(options: RunOptions) -> str:
    """Return the part of a witness that follows the schedule: `/schedulers=2`, or `""`."""
    told, release = _told(options), options.get("release", DEFAULTS["release"])
    usual = {**_told({"release": release}), "release": _text(DEFAULTS["release"])}
    return "".join(f"/{name}={text}" for name, text in told.items() if text != usual[name])


def shortened(witness: str) -> str:
    """Return the witness with `...` in place of its options."""
    schedule, slash, _ = witness.partition("/")
    return f"{schedule}/{SHORT}" if slash else schedule


def agreed(witness: str, given: RunOptions) -> RunOptions:
    """Return the options of the run that a witness names.

    `given` are options that were given beside the witness.  They may repeat it.  If the witness is
    `""`, or its options were shortened to `...`, they are the options.

    Raises `TypeError` for an option that does not exist, `ValueError` if `witness` is no witness,
    or if `given` has an option with another value.
    """
    check_names("replay", given, READ)
    named = _read(witness)
    if named is None:
        if witness and not given:
            raise ValueError(
                f"replay: {witness!r} is not the whole witness: {SHORT} stands for options; give"
                " the line below the table in its place, or the options beside it"
            )
        return {**given}
    if named.get("release") == OWN:
        release = given.get("release")
        if release is None or _text(release) != OWN:
            raise ValueError(
                f"replay: the witness {witness!r} is of a Release of your own: give it as release="
            )
        named["release"] = release
    told = _told(named)
    for name in given:
        # One option at a time: how many async threads there are by default depends on the release.
        beside = _told({**named, name: given[name]})  # type: ignore[literal-required]
        if beside[name] != told[name]:
            raise ValueError(
                f"replay: the witness {witness!r} is of {name}={told[name]}, and"
                f" {name}={beside[name]} was given with it: leave the option out"
            )
    return {**named, **given}


def check_names(call: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise `TypeError` if a name in `given` is that of no option in `known`."""
    known = list(known)
    for name in given:
        if name in ("threads", "trace"):
            raise TypeError(f"{call}: {name} is not for the caller to choose")
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"options are {', '.join(known)}"
            raise TypeError(f"{call}: there is no option {name}; {hint}")


def _read(witness: str) -> RunOptions | None:
    """Return the options in a witness; `None` if it is empty or shortened."""
    parse(witness)
    _, *parts = witness.split("/")
    if not witness or parts == [SHORT]:
        return None
    found: dict[str, object] = {}
    for part in parts:
        name, _, value = part.partition("=")
        try:
            if name in found or not value:
                raise ValueError
            found[name] = READ[name](value)
        except (KeyError, ValueError):
            raise ValueError(
                f"replay: {witness!r} is no witness: {part!r} should be OPTION=VALUE; options are"
                f" {', '.join(READ)}, each at most once"
            ) from None
    return cast(RunOptions, found)


def _told(options: Mapping[str, object]) -> dict[str, str]:
    """Return every option as text, also those that are not given."""
    whole = {**RUN_DEFAULTS, **options}
    if whole["async_threads"] is None:
        whole["async_threads"] = find(whole["release"]).default_async_threads
    return {name: _text(value) for name, value in whole.items()}


def _text(value: object) -> str:
    """Return the value of an option as text.  The order of names makes no difference to a run."""
    match value:
        case Release():
            return value.name if RELEASES.get(value.name) == value else OWN
        case tuple() | list():
            return ",".join(sorted({str(name) for name in value})) or "()"
    return str(value)
