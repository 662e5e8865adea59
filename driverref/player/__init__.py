"""Be the scheduler: every schedule of an exploration as a game in a page.

The reader of a page chooses which thread goes on, or lets time pass, and sees what each thread
would do next, at which lines it stands, and what becomes of the port, the blocks and the jobs.  At
the end of each run there is one of the outcomes.

* `recording` makes a run again and writes down what each of its steps did.
* `structure` puts the steps of all runs together: equal ones are one.
* `game` is that structure in words and numbers, as the page gets it.
* `web/player.js` plays it, `web/player.css` has its looks; both know nothing of Sphinx or Jupyter.
* `page` has what a page without a folder of its own needs: all of it in one text.
"""

from driverref.diagnostics import Sources, from_files
from driverref.player.game import Labels, game, script
from driverref.player.page import WEB, in_page
from driverref.player.structure import Structure

__all__ = ["WEB", "Labels", "Sources", "Structure", "from_files", "game", "in_page", "script"]
