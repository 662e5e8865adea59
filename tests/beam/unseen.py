"""Why the real emulator never showed some orders that the model has.

`run.py --unseen` lists the orders of the model that are not in the record.  Each of them has a
reason here, and no other has: an order that comes to be seen, or that the model comes to lose, is
taken out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Reason:
    """Why some orders of a scenario were not seen."""

    scenario: str
    kind: Literal["too rare", "impossible"]
    """Whether it may happen, or may not for something that the model does not have."""
    why: str
    orders: tuple[str, ...]
    """Events, separated by spaces."""


REASONS = (
    Reason(
        "close_at_once",
        "too rare",
        "The process must be scheduled out between the two steps of its close, saying `port_close` and closing, "
        "and the job must end in just this gap. That it begins in the gap as well was seen in one run of "
        "6,720.",
        ("async_invoke(1) port_close async_return(1) ready_async(1) stop",),
    ),
    Reason(
        "busy_queue",
        "too rare",
        "The sender goes on when the first command has been taken off the port's queue, and must send the second "
        "before the other scheduler has given the port's lock back, which is its next step: no code of a driver runs "
        "in between, so nothing can hold it up there, and 20,000 further runs with schedulers that spin did not "
        "show it.",
        ("output driver_output output send output",),
    ),
)


def reasons(scenario: str) -> dict[str, Reason]:
    """The orders of a scenario that were not seen, each with its reason."""
    return {
        order: reason
        for reason in REASONS
        if reason.scenario == scenario
        for order in reason.orders
    }
