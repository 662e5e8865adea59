"""The worker processes of `--jobs`: they find the scenario, keep quiet, and end with the command."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from multiprocessing import active_children
from pathlib import Path
from time import monotonic
from typing import NoReturn

import pytest

from driverref.command import loading, workers
from driverref.threads import watch


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Each story plays in an empty folder; Python's path and Ctrl-C are left as they were."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    before = signal.getsignal(signal.SIGINT)
    yield tmp_path
    signal.signal(signal.SIGINT, before)


def test_a_worker_finds_the_scenario_and_keeps_quiet(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "mine.py"
    file.write_text("def s(erl): pass\nprint('at once')\n")
    with warnings.catch_warnings(), loading.quiet:
        workers.begin(file)
        print("later")
    assert sys.modules[loading.MODULE].s
    assert capsys.readouterr().out == ""
    assert signal.getsignal(signal.SIGINT) is workers.leave


class Left(BaseException):
    """Stands for the end of the process."""


def test_a_worker_leaves_at_once_and_says_where_it_stands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def leave(code: int) -> NoReturn:
        assert code == 130
        raise Left

    monkeypatch.setattr(os, "_exit", leave)
    with pytest.raises(Left):
        workers.leave(signal.SIGINT, None)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(watch, "EVERY", 0.0)
    with watch.watching():
        watch.began("a long run")
        with pytest.raises(Left):
            workers.leave(signal.SIGINT, sys._getframe())
    assert capsys.readouterr().err.startswith("a long run has gone on for 0 s; it stands at test_w")


def test_without_a_number_there_are_no_workers() -> None:
    with workers.workers(Path("mine.py"), None) as executor:
        assert executor is None


def spin() -> None:
    while True:
        pass


@pytest.mark.slow
@pytest.mark.parametrize("gone", [False, True])
def test_workers_that_work_for_ever_end_with_the_block(folder: Path, gone: bool) -> None:
    (folder / "mine.py").write_text("def s(erl): pass\n")
    executor = workers.workers(Path("mine.py"), 2)
    with pytest.raises(Left):
        leave_while_they_work(executor, gone)
    assert not active_children()


def leave_while_they_work(executor: AbstractContextManager[Executor | None], gone: bool) -> None:
    with executor as working:
        assert working is not None
        working.submit(monotonic).result()
        working.submit(spin)
        if gone:
            for child in active_children():
                child.kill()
        raise Left
