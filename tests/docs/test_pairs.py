"""Wrong lines beside right ones: where they stand in a file, and how a page shows them."""

from __future__ import annotations

from pathlib import Path

import pytest
from _ext.pairs import files, lines, shown, words_of
from book import DOCS

TWO = """\
#ifdef WRONG
/* wrong: */
    free(job);

    free(job);
/* wrong. */
#else
/* right: */
    free(job);
/* right. */
#endif
"""

PARTS = """\
%% wrong owner:
open() -> here.
%% wrong owner.
%% wrong answer:
ask() -> nothing.
%% wrong answer.
"""

PAGE = """\
# Symptoms

```{pair} files/one.c
:finds: DataRace UseAfterFree
```

```{pair} files/two.erl
:part: owner
```
"""


def test_the_lines_of_a_side_stand_between_its_marks_without_their_margin() -> None:
    assert lines(TWO, "wrong") == "free(job);\n\nfree(job);"
    assert lines(TWO, "right") == "free(job);"


def test_a_part_has_its_own_marks() -> None:
    assert lines(PARTS, "wrong", "owner") == "open() -> here."
    assert lines(PARTS, "wrong", "answer") == "ask() -> nothing."


@pytest.mark.parametrize("text", ["", TWO + TWO, TWO.replace("/* wrong. */", "")])
def test_a_side_that_is_missing_or_stands_twice_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="places between 'wrong:' and 'wrong.'"):
        lines(text, "wrong")


def test_the_pairs_of_a_page_come_with_what_is_found_in_them(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    one, two = shown(page)
    assert (one.file, one.part, one.finds) == (
        tmp_path / "files" / "one.c",
        "",
        ("DataRace", "UseAfterFree"),
    )
    assert (two.file, two.part, two.finds) == (tmp_path / "files" / "two.erl", "owner", ())


def test_a_reader_can_download_the_header_that_the_pairs_include() -> None:
    names = {path.name for path in files(DOCS / "my-driver.md")}
    assert names >= {"closes.c", "symptom.h", "symptoms.erl", "square_drv.c"}


def test_a_fault_is_told_in_words() -> None:
    assert words_of("UseAfterFree") == "a use after free"
    assert words_of("Leak") == "a leak"
    assert words_of("InvalidFree") == "an invalid free"
