"""The worker processes of `--jobs`, and how Ctrl-C ends them.

They are spawned: a forked process would have copies of locks that threads of this one hold.

A terminal gives Ctrl-C to all processes at once, and `kill` to one.  Either way this process ends
the workers, which else would work on until their task is done, or for ever.  A worker whose run has
gone on for a while first says where its threads stand.  If this process is killed, the kernel ends
the workers.
"""

from __future__ import annotations

import contextlib
import os
import signal
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import active_children, get_context
from pathlib import Path
from types import FrameType
from typing import NoReturn

from driverref.command import loading, status
from driverref.threads.parent import end_with_parent
from driverref.threads.watch import tell, under_way

LAST_WORDS = 2.0
"""How many seconds a worker has to say where it stands."""


@contextlib.contextmanager
def workers(file: Path, processes: int | None) -> Iterator[Executor | None]:
    """Give worker processes that load the file before they work; without a number, no executor.

    They are ended if an exception leaves the block.
    """
    if processes is None:
        yield None
        return
    others = set(active_children())
    with ProcessPoolExecutor(processes, get_context("spawn"), begin, (file,)) as executor:
        try:
            yield executor
        except BaseException:
            ours = [child for child in active_children() if child not in others]
            for child in ours:
                assert child.pid is not None
                with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                    os.kill(child.pid, signal.SIGINT)
            for child in ours:
                child.join(LAST_WORDS)
                child.kill()
            raise


def begin(file: Path) -> None:
    """Prepare a worker process: load the scenario's module, and discard what is printed."""
    end_with_parent()
    signal.signal(signal.SIGINT, leave)
    warnings.simplefilter("ignore", RuntimeWarning)  # the first run has been made, and has warned
    loading.begin_worker(file)


def leave(number: int, frame: FrameType | None) -> NoReturn:
    """End a worker process at once, and say where its run stands."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if story := under_way(frame):
        tell(story)
    os._exit(status.INTERRUPTED)
