"""A picture in a file of its own.

A page sets the colour of an inline picture's text and lines, because they have the `currentColor`
of the page.  The style sheet of a page does not reach a picture in another file (`<img src=...>`,
or the file opened by itself).  There the text would be black, also on a dark ground.  So such a
picture brings its own two colours.
"""

from __future__ import annotations

THEME = "svg{color:#1f2328}@media(prefers-color-scheme:dark){svg{color:#e6edf3}}"


def as_file(svg: str) -> str:
    """Return the text of a file with a picture that `svg` has drawn."""
    return svg.replace("<style>", f"<style>{THEME}", 1) + "\n"
