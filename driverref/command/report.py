"""What exploring has found, as one file of HTML.

The page loads no other file, and has light and dark colours as the reader's system has.  Without
JavaScript all can be read; with it the table can be played (`player`).  Each outcome is a fold with
the timeline of its witness.  The folds of faults are open.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from html import escape

from driverref.explore import Fault, Outcomes, label
from driverref.explore.outcomes import whole
from driverref.timeline import svg
from driverref.trace import Trace

STYLE = """
:root { color-scheme: light dark; --timeline-callback: #3f7fd0; --timeline-erlang: #c2567a }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif }
h1 { font-size: 1.4rem; overflow-wrap: anywhere }
table { border-collapse: collapse; display: block; overflow-x: auto }
th, td { padding: .3rem .8rem; border-bottom: 1px solid #8886 }
th, td { text-align: left; vertical-align: top }
code, pre { font-family: ui-monospace, Menlo, Consolas, monospace }
code, pre { white-space: pre-wrap; overflow-wrap: anywhere }
details { margin: 1rem 0; padding: .5rem 1rem; border: 1px solid #8886; border-radius: .4rem }
td details { margin: 0; padding: 0; border: 0 } td pre { margin: .3rem 0 }
.picture { overflow-x: auto }
.picture svg { width: max(min(100%, var(--wide) * 1rem),
  min(100% * var(--wide) / var(--core), var(--wide) * .85rem)) }
summary { cursor: pointer } details.fault { border-left: .3rem solid #c9362b }
"""


def page(
    name: str,
    outcomes: Outcomes,
    pictures: Mapping[Hashable, str] | None = None,
    again: str | None = None,
    table: str | None = None,
) -> str:
    """Return the page about a scenario called `name`, with a picture for each outcome.

    Without `pictures`, and without the `table` that can be played, the runs are made here.  `again`
    is the command that shows a witness, but for the witness at its end; without it, the call in
    Python stands there.
    """
    if pictures is None:
        pictures = {
            outcome: picture(outcome, outcomes.replay(outcome).trace) for outcome in outcomes
        }
    folds = "\n".join(_fold(outcome, outcomes, pictures, again) for outcome in outcomes)
    return f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Outcomes of {escape(name)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>Outcomes of <code>{escape(name)}</code></h1>
{outcomes._repr_html_() if table is None else table}
<h2>A run for each outcome</h2>
{folds}
</body>
</html>
"""


def picture(outcome: Hashable, trace: Trace) -> str:
    """Return the picture of a run that ends with the outcome."""
    return svg(trace, title=f"A run that ends with {label(outcome)}")


def _fold(
    outcome: Hashable, outcomes: Outcomes, pictures: Mapping[Hashable, str], again: str | None
) -> str:
    """Return the fold of one outcome."""
    said, fault = label(outcome), isinstance(outcome, Fault)
    story = f"<pre>{escape(whole(outcome))}</pre>" if fault else ""
    call = outcomes.again(outcome)
    command = call if again is None else f"{again} {outcomes[outcome].witness}"
    return f"""\
<details{' class="fault" open' if fault else ""}>
<summary><code>{escape(said)}</code></summary>
{story}
<p><code>{escape(command)}</code></p>
<div class="picture">{pictures[outcome]}</div>
</details>"""
