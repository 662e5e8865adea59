"""Each page's program is offered on the page, runs by itself, and prints what the page shows."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest
from _ext import pages, program
from book import WITH_EXAMPLES, page_id, run, same, shown

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=page_id)
def test_a_page_s_program_prints_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    file = tmp_path / program.filename(page_id(page))
    file.write_text(program.program(page, page_id(page)), "utf-8")
    same(shown(page), run([file.name], tmp_path))


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=page_id)
def test_a_page_with_examples_offers_its_program(page: Path) -> None:
    found = [fence.directive for fence in pages.fences(page.read_text("utf-8"))]
    assert found.count("program") == 1, "put ```{program} on the page, once"


def test_no_two_pages_have_programs_of_one_name() -> None:
    names = [program.filename(page_id(page)) for page in WITH_EXAMPLES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("x = 1\n", "x = 1\n"),
        ("x\n", "_show(x)\n"),
        ("x; y\n", "_show(x); _show(y)\n"),
        ("print(x)\n", "print(x)\n"),
        ("f(\n    x,\n)\n", "_show(f(\n    x,\n))\n"),
        ("(a\n + b)\n", "(_show(a\n + b))\n"),
        ('"ü", x  # why\n', '_show("ü", x)  # why\n'),
        ("with a as b:\n    b\n", "with a as b:\n    _show(b)\n"),
        ("def f():\n    x\n", "def f():\n    x\n"),
        ("class C:\n    x\n", "class C:\n    x\n"),
        (
            "try:\n    a\nexcept E:\n    b\nfinally:\n    c\n",
            "try:\n    _show(a)\nexcept E:\n    _show(b)\nfinally:\n    _show(c)\n",
        ),
        ("match a:\n    case 1:\n        b\n", "match a:\n    case 1:\n        _show(b)\n"),
    ],
)
def test_what_the_prompt_prints_is_printed(source: str, code: str) -> None:
    assert program.shown(source) == code


def test_an_example_that_raises_prints_its_last_line() -> None:
    assert program.runnable(doctest.Example("f()", "", "E: why\n")) == (
        "try:\n    _show(f())\nexcept Exception as error:\n    _show_error(error)\n"
    )


def test_a_program_is_what_its_page_does(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        """\
# A page

```python
>>> for n in range(2):
...     n
...     print("printed")
0
printed
1
printed
>>> None
>>> "text"
'text'
```

```python
>>> 1 / 0
Traceback (most recent call last):
    ...
ZeroDivisionError: division by zero
```
""",
        "utf-8",
    )
    (tmp_path / "program.py").write_text(program.program(page, "page"), "utf-8")
    printed = run(["program.py"], tmp_path)
    assert printed == "0\nprinted\n1\nprinted\n'text'\nZeroDivisionError: division by zero\n"


def test_a_page_without_examples_has_no_program(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A page\n", "utf-8")
    assert program.program(page, "page") == ""
