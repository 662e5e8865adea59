"""Words that several modules put together in the same way."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 run`, `2,000 runs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(words: Sequence[str]) -> str:
    """Return words as a list in a sentence: `25`, `25 and 27`, `25, 27 and 29`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def plain(markdown: str) -> str:
    """Return a line of Markdown without the marks for code and for stress."""
    return markdown.replace("`", "").replace("*", "")


def coded(markdown: str) -> str:
    """Return a line as HTML, in which what stands between backticks is code."""
    return re.sub("`([^`]+)`", r'<code class="literal">\1</code>', escape(markdown))
