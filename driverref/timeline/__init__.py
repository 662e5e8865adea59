"""A trace as a picture and as a table.

`words` makes the table and everything that is said, `links` finds what led to what, `picture` lays both out as SVG.
"""

from driverref.timeline.picture import svg
from driverref.timeline.words import duration, lanes, text

__all__ = ["duration", "lanes", "svg", "text"]
