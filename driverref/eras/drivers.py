"""How drivers were loaded and unloaded in earlier releases."""

from __future__ import annotations

from driverref.runtime.driver_state import KILLING, UNLOADING
from driverref.runtime.loaded_driver import LoadedDriver
from driverref.terms import Atom


class OldDriver(LoadedDriver):
    """A driver whose `init` cannot refuse, or whose unloading waits for jobs."""

    def init(self) -> bool:
        """Run `init`.  Before ERTS 5.6 its result is not looked at."""
        return super().init() or not self.runtime.release.init_may_refuse

    def may_kill_ports(self) -> bool:
        """R7B leaves the ports alone until the last job is done (`ddll_drv.c`)."""
        return not (self.runtime.release.unload_waits_for_jobs and self.has_jobs())

    def unload_reason(self) -> object:
        """R7B kills with -1, later releases with an atom."""
        reason = self.runtime.release.unload_reason
        return Atom(reason) if isinstance(reason, str) else reason


def unload_if_jobless(driver: LoadedDriver) -> None:
    """After a job: unload the driver if that has waited for jobs and this was the last one."""
    waits = driver.runtime.release.unload_waits_for_jobs
    state = driver.state.value
    if waits and state in (UNLOADING, KILLING) and not driver.has_jobs():
        if state is UNLOADING:  # else it was a job of a port that is being killed
            driver.transit("its ports are killed")
            driver.kill_the_ports()
        driver.finish_if_idle()
