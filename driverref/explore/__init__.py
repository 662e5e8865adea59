"""Every schedule, every outcome.

A real emulator shows one schedule a run.  `explore` runs a scenario under all schedules that differ
in anything a program can see, and counts what came of each: what the scenario returned, or the
fault in which the run ended.

The files of this folder, in reading order:

* `run` makes one run: an `Experiment` is a scenario with its options, its outcome a value or a
  `Fault`.
* `schedules` are those that are not searched for: the one that a witness names, and some at random.
* `history` says which steps of a run happened before which, and which of them race.
* `search` finds the schedules from that.
* `sequential` makes the runs one after the other, `share` has several workers make them.
* `outcomes` counts what came of the runs and prints the table.
* `journal` notes the run under way, for when it ends its process.
* `strategy` has `explore` itself, which puts these together.
* `comparison` explores on every era, `check` is for a test, `progress` draws a bar.

The package and the function have one name, and in `driverref` that name is bound to the function.
So the package's names are attributes of the function as well: `driverref.explore.assert_outcomes`
works, and so does `from driverref.explore import assert_outcomes`.  A type checker knows no
attributes of a function; typed code uses the second form.
"""

from driverref.explore.check import UnexpectedOutcomes, assert_outcomes
from driverref.explore.comparison import Comparison, System, compare
from driverref.explore.outcomes import Found, Outcomes, label, replay
from driverref.explore.run import Fault, Order, Scenario
from driverref.explore.strategy import explore

__all__ = [
    "Comparison",
    "Fault",
    "Found",
    "Order",
    "Outcomes",
    "Scenario",
    "System",
    "UnexpectedOutcomes",
    "assert_outcomes",
    "compare",
    "explore",
    "label",
    "replay",
]

vars(explore).update({name: value for name, value in globals().items() if name[0] != "_"})
