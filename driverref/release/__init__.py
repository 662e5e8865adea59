"""What differs between releases of the emulator, as one frozen record an era.

No other module compares versions: it reads a field.  A call that not every release has is marked
with `since`, beside the call.

* `record`: the fields.
* `eras`: the records.
"""

from __future__ import annotations

from driverref.errors import wrong_type, wrong_value
from driverref.release.eras import ERAS as ERAS
from driverref.release.eras import OTP_25 as OTP_25
from driverref.release.eras import R7B_3 as R7B_3
from driverref.release.eras import R11B_5 as R11B_5
from driverref.release.eras import R13B as R13B
from driverref.release.eras import R14B04 as R14B04
from driverref.release.eras import R16B as R16B
from driverref.release.eras import RELEASES as RELEASES
from driverref.release.record import Release as Release


def find(release: object) -> Release:
    """Return the record of `release`, which is a `Release` or the name of one.

    Raises `TypeError` for anything else, and for an unknown name a `ValueError` that lists the
    names and the releases each stands for.
    """
    if isinstance(release, Release):
        return release
    if not isinstance(release, str):
        raise wrong_type("Emulator", "release", "a release's name, or a Release", release)
    if release not in RELEASES:
        names = ", ".join(f"{era.name} (for {era.covers})" for era in ERAS)
        raise wrong_value("Emulator", "release", f"one of {names}", release)
    return RELEASES[release]
