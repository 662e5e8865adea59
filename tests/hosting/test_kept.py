"""Compiled drivers are kept, but not all of them and not for ever, whatever other processes do meanwhile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from driverref.hosting import kept

NOW = 1_000_000_000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of three drivers at most."""
    monkeypatch.setenv("DRIVERREF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kept, "MOST", {"driver-": 3, "read-": 3})
    return tmp_path / "cache"


def entry(folder: Path, name: str, hours_ago: float) -> Path:
    path = folder / name
    path.mkdir(parents=True)
    (path / "driver.so").touch()
    os.utime(path, times=(NOW - hours_ago * 3600,) * 2)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_was_not_used_for_longest_goes(folder: Path) -> None:
    for number in range(6):
        entry(folder, f"driver-{number}", hours_ago=2 * number)
    entry(folder, "other", hours_ago=1000)
    kept.prune()
    assert names(folder) == ["driver-0", "driver-1", "driver-2", "other"]


def test_what_was_used_in_the_last_hour_stays(folder: Path) -> None:
    for number in range(6):
        entry(folder, f"driver-{number}", hours_ago=number / 10)
    kept.prune()
    assert len(names(folder)) == 6


def test_to_use_an_entry_keeps_it(folder: Path) -> None:
    for number in range(4):
        entry(folder, f"driver-{number}", hours_ago=2 * number)
    assert kept.used(folder / "driver-3")
    assert not kept.used(folder / "driver-4")
    kept.prune()
    assert "driver-3" in names(folder)
    assert len(names(folder)) == 3


def test_an_entry_of_another_user_is_used_as_well(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "utime", refused)
    assert kept.used(folder)


def test_making_something_removes_what_is_old(folder: Path) -> None:
    for number in range(4):
        entry(folder, f"driver-{number}", hours_ago=number)
    made = kept.once("driver-new", lambda new: (new / "driver.so").touch())
    assert (made / "driver.so").exists()
    assert names(folder) == ["driver-0", "driver-1", "driver-new"]
    assert kept.once("driver-new", lambda new: pytest.fail("it is there")) == made


def test_another_process_may_be_faster(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def beaten(new: Path) -> None:
        entry(folder, "driver-x", 0)

    assert kept.once("driver-x", beaten).exists()
    for number in range(4):
        entry(folder, f"driver-{number}", hours_ago=2 + number)
    rename, stat = Path.rename, Path.stat

    def gone(path: Path, target: Path) -> Path:
        rename(path, target)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", gone)
    kept.prune()
    assert names(folder) == ["driver-0", "driver-1", "driver-x"]

    def removed(path: Path, **how: bool) -> os.stat_result:
        if path.name == "driver-0":
            raise FileNotFoundError
        return stat(path, **how)

    monkeypatch.setattr(Path, "stat", removed)
    kept.prune()
    assert len(names(folder)) == 3


def test_a_disk_that_is_full_is_told_and_leaves_nothing(folder: Path) -> None:
    def fail(new: Path) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        kept.once("driver-x", fail)
    assert names(folder) == []


def test_a_file_is_written_at_once(folder: Path) -> None:
    folder.mkdir()
    kept.write(folder / "read-x", "one")
    kept.write(folder / "read-x", "other")
    assert (folder / "read-x").read_text() == "other"
    assert names(folder) == ["read-x"]
