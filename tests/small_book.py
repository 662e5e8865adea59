"""A book of one page, built as the book is."""

from __future__ import annotations

import subprocess
from pathlib import Path

from book import sphinx
from bs4 import BeautifulSoup

DESCRIBED = '''\
def double(n):
    """Twice `n`.

    | n | twice |
    |---|-------|
    | 1 | 2     |

    >>> double(2)
    4
    """
    return 2 * n
'''


RELEASES = "---\norphan: true\n---\n# Releases\n"

TERMS = "\n\n".join(f"{term}\n  See the book." for term in ("outcome", "schedule", "witness"))
GLOSSARY = f"---\norphan: true\n---\n# Glossary\n\n```{{glossary}}\n{TERMS}\n```\n"


TEST = 'import pytest\n\n@pytest.mark.rule("key.order")\ndef test_order(): ...\n'


def build(folder: Path, page: str, test: str) -> subprocess.CompletedProcess[str]:
    """Build a book of one page, the pages of the reference that its tables link to, and one test."""
    (folder / "docs" / "reference").mkdir(parents=True, exist_ok=True)
    (folder / "docs" / "index.md").write_text(page, "utf-8")
    table = "# Rules\n\n```{rule-list}\n```\n"
    (folder / "docs" / "reference" / "rules.md").write_text(table, "utf-8")
    (folder / "docs" / "reference" / "releases.md").write_text(RELEASES, "utf-8")
    (folder / "docs" / "reference" / "glossary.md").write_text(GLOSSARY, "utf-8")
    (folder / "described.py").write_text(DESCRIBED, "utf-8")
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "tests" / "test_key.py").write_text(test, "utf-8")
    tests = f"rule_tests={folder / 'tests'}"
    return sphinx(folder / "docs", folder / "html", "-D", tests)


def article(book: Path, page: str = "index") -> BeautifulSoup:
    return BeautifulSoup((book / "html" / f"{page}.html").read_text("utf-8"), "html.parser")
