"""A trace as a picture and as a table.

* `words` makes the table and all other text.
* `rows` finds what can be known beside the events: how long a callback ran, where data is.
* `links` finds the cause of each effect.
* `picture` draws the events and the links as SVG.
* `standalone` makes a file of a picture.
"""

from driverref.timeline.picture import svg
from driverref.timeline.standalone import as_file
from driverref.timeline.words import duration, lanes, text

__all__ = ["as_file", "duration", "lanes", "svg", "text"]
