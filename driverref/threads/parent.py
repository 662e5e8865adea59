"""A process that another one has started ends with it, however that is.

A process that is killed cannot end those that it has started.  One that loops would go on for ever.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from multiprocessing import parent_process

PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Have the kernel end this process when the one ends that has started it.

    Linux can do that; elsewhere nothing is done.
    """
    parent = parent_process()
    if parent is None or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent.pid:  # it has ended meanwhile
        os.kill(os.getpid(), signal.SIGKILL)
