"""A catalogue of wrong drivers, each with the driver that does the same thing right.

A module is a theme.  A case is a `Wrong` in it, and stands behind its drivers.
"""

from __future__ import annotations

from wrong import buffers, jobs, leaks, locks, own_threads, owners, ports, queue, timers
from wrong.case import Wrong

THEMES = (owners, leaks, buffers, jobs, locks, queue, timers, ports, own_threads)

CASES = [case for theme in THEMES for case in vars(theme).values() if isinstance(case, Wrong)]
