"""The records of the releases: what is in them, and how one is asked for."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from era_support import every_era

from driverref import Emulator
from driverref.release import ERAS, OTP_25, RELEASES, Release


def test_a_release_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        OTP_25.max_async_threads = 1  # type: ignore[misc]


def test_another_release_is_a_copy_with_other_values() -> None:
    other = dataclasses.replace(OTP_25, name="24", ready_async_batch=1)
    assert other != OTP_25
    assert other.max_async_threads == OTP_25.max_async_threads


@every_era
def test_limits_are_in_order(release: Release) -> None:
    r = release
    assert 0 <= r.min_async_threads <= r.default_async_threads <= r.max_async_threads
    assert r.ready_async_batch is None or r.ready_async_batch > 0
    assert (r.ready_async_batch is None) == (r.completions == "stack")
    assert r.max_schedulers > 0
    if r.busy_msgq_limits is not None:
        assert r.busy_msgq_limits[0] < r.busy_msgq_limits[1]


@pytest.mark.parametrize("field", dataclasses.fields(Release), ids=lambda field: str(field.name))
def test_every_field_tells_releases_apart(field: Any) -> None:
    assert len({getattr(release, field.name) for release in RELEASES.values()}) > 1


def test_no_two_eras_are_one() -> None:
    known = {"name", "version", "years", "covers", "erts", "driver_version", "nif_version"}
    behaviours = [
        tuple(v for k, v in vars_of(release).items() if k not in known) for release in ERAS
    ]
    assert len(set(behaviours)) == len(ERAS)


def vars_of(release: Release) -> dict[str, Any]:
    return {field.name: getattr(release, field.name) for field in dataclasses.fields(release)}


TABLE = {
    #                         R7B-3      R11B-5    R13B      R14B04    R16B       25
    "max_schedulers":        (1,         1024,     1024,     1024,     1024,      1024),
    "default_async_threads": (0,         0,        0,        0,        10,        1),
    "min_async_threads":     (0,         0,        0,        0,        0,         1),
    "max_async_threads":     (256,       1024,     1024,     1024,     1024,      1024),
    "completions":           ("stack",   "stack",  "stack",  "stack",  "queue",   "queue"),
    "async_thread_completes": (False,    True,     True,     True,     False,     False),
    "slots":                 (1024,      0,        0,        0,        0,         0),
    "frees_for_closed_port": (True,      False,    True,     True,     True,      True),
    "packs_vectors":         (False,     True,     True,     True,     True,      True),
    "copies_small_parts":    (False,     False,    False,    False,    False,     True),
    "empty_binary_is_element": (False,   False,    False,    False,    False,     True),
    "driver_async_locks_driver": (False, True,     True,     True,     False,     False),
    "driver_async_cancel":   ("newest",  "newest", "newest", "search", "nothing", None),
    "resets_timer":          (False,     True,     True,     True,     True,      True),
    "timer_needs_timeout":   (True,      True,     False,    False,    False,     False),
    "halt":                  ("exit",    "join",   "join",   "join",   "flush",   "flush"),
    "smp_halt":              ("exit",    "exit",   "exit",   "join",   "flush",   "flush"),
    "threads_send_terms":    (False,     True,     True,     True,     False,     False),
    "bare_integer_crashes":  (False,     False,    False,    False,    False,     True),
    "big_map_crashes":       (False,     False,    False,    False,    False,     True),
    "unknown_errno":         ("unknown",) * 6,
    "nif_version":           (None,      None,     None,     (2, 2),   (2, 4),    (2, 16)),
    "oldest_interface":      (0,         1,        1,        1,        2,         2),
    "loads_plain_entries":   (True,      True,     True,     True,     False,     False),
    "create_port_takes_lock": (False,    False,    False,    False,    True,      True),
    "getenv_tells_size":     (True,      True,     True,     True,     True,      False),
}  # fmt: skip
"""The eras as the sources tell them, a column a record of `ERAS`."""


@pytest.mark.parametrize("field", TABLE)
def test_the_records_say_what_the_sources_say(field: str) -> None:
    assert tuple(getattr(release, field) for release in ERAS) == TABLE[field]


@pytest.mark.parametrize("name", RELEASES)
def test_a_release_is_asked_for_by_name(name: str) -> None:
    with Emulator(release=name) as erl:
        assert erl.system_info("otp_release") == name
        assert erl.system_info("version") == RELEASES[name].erts


NIF_VERSIONS = {
    "23": (2, 15),
    "24": (2, 16),
    "26": (2, 17),
    "27": (2, 17),
    "28": (2, 17),
    "29": (2, 18),
}
"""As the history in `erl_nif.h` of OTP 29 has them; 25, 27 and 29 were asked."""


@pytest.mark.parametrize("name", ["23", "24", "26", "27", "28", "29"])
def test_from_23_on_only_the_names_differ_and_what_27_and_29_changed(name: str) -> None:
    same = dataclasses.replace(RELEASES[name], name="25", version=OTP_25.version, erts=OTP_25.erts)
    assert same == dataclasses.replace(
        OTP_25,
        big_map_crashes=int(name) < 27,
        unknown_errno="unknown" if int(name) < 29 else "errno_{}",
        nif_version=NIF_VERSIONS[name],
    )


def test_releases_that_differ_in_their_names_only_behave_alike() -> None:
    assert RELEASES["24"].behaviour == OTP_25.behaviour
    assert RELEASES["24"] != OTP_25
    assert len({era.behaviour for era in ERAS}) == len(ERAS)


def test_the_newest_one_knows_what_came_last() -> None:
    with Emulator(release="27") as erl:
        assert erl.halt(3, flush_timeout=10) == 3


def test_without_a_name_it_is_25() -> None:
    with Emulator() as erl:
        assert erl.system_info("otp_release") == "25"
        assert erl.system_info("driver_version") == "3.3"


def test_before_there_was_one_the_drivers_version_is_undefined() -> None:
    with Emulator(release="R7B-3") as erl:
        assert erl.system_info("driver_version") is None


@pytest.mark.parametrize("wrong", ["R7B", "30", "", "r7b-3"])
def test_a_release_that_is_not_there_is_refused_and_those_there_are_are_named(wrong: str) -> None:
    with pytest.raises(ValueError, match="release must be one of") as refused:
        Emulator(release=wrong)
    assert all(f"{era.name} (for {era.covers})" in str(refused.value) for era in ERAS)


@pytest.mark.parametrize("wrong", [25, None, ["25"]])
def test_what_is_no_name_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="release must be a release's name, or a Release"):
        Emulator(release=wrong)


@pytest.mark.parametrize(
    ("since", "until", "those"),
    [
        ("R7B-0", None, "R7B-3 R11B-5 R13B R14B04 R16B 25"),
        ("R8B-0", None, "R11B-5 R13B R14B04 R16B 25"),
        ("R13A", None, "R13B R14B04 R16B 25"),
        ("R13B03", "R15B", "R13B R14B04"),
        ("R16B02", None, "R16B 25"),
        ("R16B04", None, "25"),
        ("R6B-0", "R9C", "R7B-3"),
        ("R7B-0", "17.0", "R7B-3 R11B-5 R13B R14B04 R16B"),
        ("25.3", None, ""),
    ],
)
def test_a_life_ends_before_the_release_that_lacks_it(
    since: str, until: str | None, those: str
) -> None:
    have = [release.name for release in ERAS if release.lacks("it", since, until) is None]
    assert have == those.split()
