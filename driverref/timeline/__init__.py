"""A trace as a picture and as a table.

`words` makes the table and everything that is said, `links` finds what led to what, `picture` lays
both out as SVG, and `standalone` makes a file of the picture.
"""

from driverref.timeline.picture import svg
from driverref.timeline.standalone import as_file
from driverref.timeline.words import duration, lanes, text

__all__ = ["as_file", "duration", "lanes", "svg", "text"]
