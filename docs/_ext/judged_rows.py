"""What the real emulator did, beside what the model has, as rows of HTML tables.

`scenario_rows` shows one scenario in detail, `scenario_line` in one line. `unseen_row` says why
some of the model's orders were never seen. `real_thing` puts the tables around them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from _ext.judged import Judged, Seen, options_in_words
from _ext.words import counted

if TYPE_CHECKING:
    from unseen import Reason

SHOWN = 5
"""How many orders of a scenario are rows of the table. The others are in a row that opens."""


def scenario_rows(one: Judged) -> Iterator[str]:
    """Yield a scenario's rows: what it is about, what was seen, what else the model has."""
    played = f"{counted(one.runs, 'run')}, {options_in_words(one.options)}"
    yield (
        f'<tr class="scenario"><th scope="rowgroup" colspan="3">{in_html(one.why)}'
        f"<span><code>{escape(one.name)}</code>: {played}</span></th></tr>"
    )
    for seen in one.seen[:SHOWN]:
        verdict = "yes" if seen.admitted else fault("no")
        yield f"<tr><td>{order_of(one, seen)}</td><td>{seen.runs:,}</td><td>{verdict}</td></tr>"
    for number, what in (one.hung, "hung"), (one.crashed, "crashed"):
        if number:
            verdict = "<code>Misuse</code>" if one.misuse else "no"
            yield f"<tr><td>{fault(what)}</td><td>{number:,}</td><td>{verdict}</td></tr>"
    if further := one.seen[SHOWN:]:
        items = "".join(f"<li>{further_order(one, seen)}</li>" for seen in further)
        summary = counted(len(further), "further order")
        yield (
            f'<tr class="more"><td colspan="3"><details><summary>{summary}</summary>'
            f"<ul>{items}</ul></details></td></tr>"
        )
    yield f'<tr class="more"><td colspan="3">{besides(one)}</td></tr>'


def order_of(one: Judged, seen: Seen) -> str:
    """Return an order of events, and with which options it was seen if not with all."""
    order = f"<code>{escape(' '.join(seen.order) or '(no event)')}</code>"
    if len(seen.options) < len(one.options):
        order += f"<span>only with {options_in_words(seen.options)}</span>"
    return order


def further_order(one: Judged, seen: Seen) -> str:
    """Return an order, in how many runs it was seen, and a remark if the model does not have it."""
    verdict = "" if seen.admitted else " " + fault("not in the model")
    return f"{order_of(one, seen)}: {seen.runs:,}{verdict}"


def besides(one: Judged) -> str:
    """Return how many orders the model has that were not seen, as a sentence."""
    if one.misuse:
        return "In the model every schedule is a <code>Misuse</code>: the emulator may do anything."
    if not one.others:
        return "The model has no others." if one.complete else "The model may have others."
    least = "" if one.complete else "at least "
    return f"The model has {least}{counted(one.others, 'other')}."


def scenario_line(one: Judged) -> str:
    """Return a scenario as one row: what it is about, runs, orders, and the model's verdict."""
    refused = sum(not seen.admitted for seen in one.seen)
    if one.misuse:
        told = fault(f"{one.crashed} crashed")
        return scenario_row(one, f"{told}, and a <code>Misuse</code> in the model")
    faults = [f"lacks {refused}"] * bool(refused)
    faults += [f"{one.hung} hung"] * bool(one.hung)
    faults += [f"{one.crashed} crashed"] * bool(one.crashed)
    plus = "" if one.complete else "+"
    verdict = [f"has {'it' if len(one.seen) == 1 else f'all {len(one.seen)}'}"] * (not refused)
    verdict += [fault(", ".join(faults))] * bool(faults)
    verdict += [f"{one.others}{plus} unseen"] * bool(one.others)
    return scenario_row(one, ", ".join(verdict))


def scenario_row(one: Judged, verdict: str) -> str:
    """Return a scenario as one row: what it is about, runs, orders, and a verdict."""
    return (
        f'<tr><th scope="row">{in_html(one.why)}<span><code>{escape(one.name)}</code></span></th>'
        f"<td>{one.runs:,}</td><td>{len(one.seen):,}</td><td>{verdict}</td></tr>"
    )


def unseen_row(reason: Reason) -> str:
    """Return orders of the model as one row, with the reason why they were never seen."""
    orders = "".join(f"<li><code>{escape(order)}</code></li>" for order in reason.orders)
    why = f"<strong>{reason.kind}</strong>: {in_html(reason.why)}"
    return f"<tr><td><ul>{orders}</ul></td><td>{why}</td></tr>"


def fault(text: str) -> str:
    """Return text that is marked as a fault."""
    return f'<strong class="fault">{text}</strong>'


def in_html(text: str) -> str:
    """Return a sentence with `code` in it as HTML."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
