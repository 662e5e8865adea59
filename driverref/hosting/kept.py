"""Where compiled drivers are kept, and for how long: a folder of the user's cache.

Each entry is a folder or a file whose name begins with its kind.  It is made under another name and
renamed, and it is renamed before it is removed, so no process ever finds half of one.  To use an
entry sets its time.  When something was made, the entries that were not used for longest are
removed, but none that was used in the last hour: a process may be about to load it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

MOST = {"driver-": 300, "read-": 300, "linked-in-": 10, "runtime-": 10}
"""How many entries of each kind are kept.  A driver takes some 100 kB."""

HOUR = 3600


def cache_folder() -> Path:
    """Where compiled drivers are kept: `DRIVERREF_CACHE`, or a folder of the user's cache."""
    own = os.environ.get("DRIVERREF_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(own) if own else Path(base).expanduser() / "driverref"


def used(entry: Path) -> bool:
    """Whether there is such an entry.  If there is, it counts as used now."""
    try:
        os.utime(entry)
    except FileNotFoundError:
        return False
    except OSError:  # it is another user's
        pass
    return True


def once(name: str, make: Callable[[Path], object]) -> Path:
    """Return the folder of this name, and have `make` fill it if it is not there."""
    folder = cache_folder() / name
    if not used(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=folder.parent))
        try:
            make(new)
            new.rename(folder)
        except OSError:  # another process was faster
            if not folder.exists():
                raise
        finally:
            shutil.rmtree(new, ignore_errors=True)
        prune()
    return folder


def write(entry: Path, text: str) -> None:
    """Make an entry that is a file, in place of the one that is there."""
    new = entry.with_name(f"new.{os.getpid()}.{entry.name}")
    new.write_text(text)
    new.replace(entry)


def prune() -> None:
    """Remove the entries that were not used for longest, where there are too many."""
    for kind, most in MOST.items():
        entries = []
        for path in cache_folder().glob(f"{kind}*"):
            with suppress(OSError):  # another process has just removed it
                entries.append((path.stat().st_mtime, path))
        entries.sort(reverse=True)
        for time, path in entries[most:]:
            if time < entries[0][0] - HOUR:
                _remove(path)


def _remove(path: Path) -> None:
    away = Path(tempfile.mkdtemp(prefix="gone.", dir=path.parent))
    with suppress(OSError):  # another process was faster
        path.rename(away / path.name)
    shutil.rmtree(away, ignore_errors=True)
