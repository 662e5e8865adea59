"""What the real emulator did, beside what the model has, as rows of HTML tables.

`scenario_rows` shows one scenario in detail, `scenario_line` in one line. `totals_row` sums up a
release. `unseen_row` says why some of the model's orders were never seen. `real_thing` puts the
tables around them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from _ext.judged import Emulator, Judged, Seen, options_in_words
from _ext.words import counted, listed

if TYPE_CHECKING:
    from unseen import Reason

SHOWN = 5
"""How many orders of a scenario are rows of the table. The others are in a row that opens."""


def scenario_rows(one: Judged) -> Iterator[str]:
    """Yield a scenario's rows.

    They are: what it is about, a row for each release, a row for each order, what else the model
    has.
    """
    yield (
        f'<tr class="scenario"><th scope="rowgroup" colspan="3">{in_html(one.why)}'
        f"<span><code>{escape(one.name)}</code>: {options_in_words(one.options)}</span></th></tr>"
    )
    for release in one.runs:
        yield release_row(one, release)
    for seen in one.seen[:SHOWN]:
        runs = f"{seen.runs.total():,}"
        yield f"<tr><td>{order_of(one, seen)}</td><td>{runs}</td><td>{verdict(seen)}</td></tr>"
    if further := one.seen[SHOWN:]:
        items = "".join(f"<li>{further_order(one, seen)}</li>" for seen in further)
        summary = counted(len(further), "further order")
        yield (
            f'<tr class="more"><td colspan="3"><details><summary>{summary}</summary>'
            f"<ul>{items}</ul></details></td></tr>"
        )
    yield f'<tr class="more"><td colspan="3">{besides(one)}</td></tr>'


def release_row(one: Judged, release: str) -> str:
    """Return what one release did, as one row."""
    seen = [order for order in one.seen if order.runs[release]]
    what = f"OTP {escape(release)}: {counted(len(seen), 'order')}"
    for number, how in (one.hung[release], "hung"), (one.crashed[release], "crashed"):
        if number:
            what += f", {fault(f'{number:,} {how}')}"
    said = "yes" if all(order.admitted for order in seen) else fault("no")
    if release in one.misuse:
        said = "<code>Misuse</code>"
    return f'<tr class="release"><td>{what}</td><td>{one.runs[release]:,}</td><td>{said}</td></tr>'


def order_of(one: Judged, seen: Seen, remark: str = "") -> str:
    """Return an order of events with a remark, and on a line below where it was seen.

    What was seen with all options and on all releases has no such line.
    """
    order = f"<code>{escape(' '.join(seen.order) or '(no event)')}</code>"
    only = [f"on OTP {release}" for release in seen.runs] * (len(seen.runs) < len(one.runs))
    if len(seen.options) < len(one.options):
        only.append(f"with {options_in_words(seen.options)}")
    return order + remark + f"<span>only {', '.join(only)}</span>" * bool(only)


def verdict(seen: Seen) -> str:
    """Return whether the model has an order."""
    return "yes" if seen.admitted else fault("no")


def further_order(one: Judged, seen: Seen) -> str:
    """Return an order, in how many runs it was seen, and a remark if the model does not have it."""
    lacking = "" if seen.admitted else " " + fault("not in the model")
    return order_of(one, seen, f": {counted(seen.runs.total(), 'run')}{lacking}")


def besides(one: Judged) -> str:
    """Return how many orders the model has that were not seen, and where it has a `Misuse`."""
    every = "every schedule is a <code>Misuse</code>: the emulator may do anything."
    if len(one.misuse) == len(one.runs):
        return f"In the model {every}"
    least = "" if one.complete else "at least "
    others = f"The model has {least}{counted(one.others, 'other')}."
    if not one.others:
        others = "The model has no others." if one.complete else "The model may have others."
    if one.misuse:
        return f"On OTP {listed(one.misuse)} {every} {others}"
    return others


def scenario_line(one: Judged) -> str:
    """Return a scenario as one row: what it is about, runs, orders, and the model's verdict."""
    refused = sum(not seen.admitted for seen in one.seen)
    faults = [f"lacks {refused}"] * bool(refused)
    faults += [f"{one.hung.total()} hung"] * bool(one.hung.total())
    faults += [f"{one.crashed.total()} crashed"] * bool(one.crashed.total())
    plus = "" if one.complete else "+"
    has = "it" if len(one.seen) == 1 else f"all {len(one.seen)}"
    said = [f"has {has}"] * (not refused and bool(one.seen))
    said += [fault(", ".join(faults))] * bool(faults)
    if one.misuse:
        said.append(f"a <code>Misuse</code> on OTP {listed(one.misuse)}")
    said += [f"{one.others}{plus} unseen"] * bool(one.others)
    return (
        f'<tr><th scope="row">{in_html(one.why)}<span><code>{escape(one.name)}</code></span></th>'
        f"<td>{one.runs.total():,}</td><td>{len(one.seen):,}</td><td>{', '.join(said)}</td></tr>"
    )


def totals_row(release: str, emulator: Emulator, total: Counter[str]) -> str:
    """Return the sums over all scenarios of one release, as one row."""
    refused, lost = total["refused"], total["lost"]
    said = [fault(f"lacks {refused}") if refused else "has every one"]
    said += [fault(f"{lost:,} hung or crashed")] * bool(lost)
    return (
        f'<tr><th scope="row">OTP {escape(release)}'
        f"<span>ERTS {escape(emulator['erts'])}, {escape(emulator['machine'])}</span></th>"
        f"<td>{total['runs']:,}</td><td>{total['orders']:,}</td><td>{', '.join(said)}</td></tr>"
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
