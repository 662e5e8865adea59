"""The player in a page that has no files beside it: a notebook, a report.

The looks, the script and the game stand in the text itself.  The player looks for a box with a
table and the game in it, and puts its button there.
"""

from __future__ import annotations

from pathlib import Path

from driverref.explore.outcomes import Outcomes
from driverref.player.game import game, script

WEB = Path(__file__).parent / "web"
"""The folder of what a page loads: `player.js` and `player.css`."""


MOST = 300
"""The schedules of a table that is played.  Each is run again when the table is shown."""


def in_page(table: str, outcomes: Outcomes) -> str:
    """Return a table of outcomes, as HTML, that can be played.

    Its rows are those of `outcomes`, in their order.  Without JavaScript it is the table alone, and
    so it is with more than `MOST` schedules.
    """
    if outcomes.inequivalent > MOST:
        return table
    code = (WEB / "player.js").read_text("utf-8")
    looks = (WEB / "player.css").read_text("utf-8")
    return (
        f'<div class="driverref-outcomes">{table}'
        f'<div class="driverref-play"><script type="application/json">'
        f"{script(game(outcomes))}</script></div></div>"
        f"<style>{looks}</style><script>{code}</script>"
    )
