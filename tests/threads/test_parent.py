"""A process that another one has started ends with it."""

from __future__ import annotations

import os
import signal
import sys
from types import SimpleNamespace

import pytest

from driverref.threads import parent


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the system is asked for, by a process that a living one has started."""
    asked: list[object] = []
    library = SimpleNamespace(prctl=lambda *words: asked.append(words))
    monkeypatch.setattr("ctypes.CDLL", lambda name: library)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "kill", lambda *words: asked.append(words))
    monkeypatch.setattr(parent, "parent_process", lambda: SimpleNamespace(pid=os.getppid()))
    return asked


def test_the_kernel_ends_it_with_the_one_that_has_started_it(asked: list[object]) -> None:
    parent.end_with_parent()
    assert asked == [(parent.PR_SET_PDEATHSIG, signal.SIGKILL)]


def test_it_ends_at_once_if_that_one_has_ended_already(
    asked: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parent, "parent_process", lambda: SimpleNamespace(pid=-1))
    parent.end_with_parent()
    assert asked[1:] == [(os.getpid(), signal.SIGKILL)]


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_elsewhere_and_in_the_first_process_nothing_is_asked(
    asked: list[object], platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    if platform == "linux":
        monkeypatch.setattr(parent, "parent_process", lambda: None)
    parent.end_with_parent()
    assert asked == []
