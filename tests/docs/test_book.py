"""The book as it is read: nothing unrun in the sources, nothing broken or remote in the HTML.

The HTML is built once (`built_book`) and looked at with a parser, not with regular expressions.
"""

from __future__ import annotations

import json
import re
import runpy
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit
from xml.parsers import expat

import book
import pytest
from _ext import pages
from book import PAGES, ROOT, WITH_EXAMPLES, copied, page_id, run, same, shown, sphinx
from bs4 import BeautifulSoup, Tag

import driverref
import driverref.erl_driver

pytestmark = pytest.mark.slow


LOADED = {
    "src": "*",
    "srcset": "*",
    "poster": "*",
    "data": "object",
    "background": "*",
    "xlink:href": "*",
    "action": "form",
}
"""Attributes that make a browser fetch something, and the elements on which they do."""

PASTE = """\
import code, json, sys, traceback

class Prompt(code.InteractiveConsole):
    def showtraceback(self):
        print("".join(traceback.format_exception_only(*sys.exc_info()[:2])), end="")

    def showsyntaxerror(self, *_, **__):
        raise

prompt = Prompt({"__name__": "__main__"})
for block in json.load(sys.stdin):
    for line in block.split("\\n"):
        unfinished = prompt.push(line)
    if unfinished:
        assert not prompt.push(""), "the prompt still waits for more: " + block
"""
"""A Python prompt: each block is pasted and entered, a line at a time; after an error it goes on.

It is as strict as the prompt is: a compound statement needs an empty line before the next one.
"""


@cache
def html_pages(book: Path) -> dict[Path, BeautifulSoup]:
    return {
        path: BeautifulSoup(path.read_text("utf-8"), "html.parser")
        for path in sorted(book.rglob("*.html"))
    }


def remote(address: str) -> bool:
    parts = urlsplit(address.strip())
    return bool(parts.netloc) and parts.scheme in {"", "http", "https", "ftp", "ws", "wss"}


# The sources


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_block_that_looks_like_python_is_run(page: Path) -> None:
    collected = {example.line for block in pages.blocks(page) for example in block.examples}
    found = [
        f"{page}:{line}: {why}" for line, why in pages.silent(page.read_text("utf-8"), collected)
    ]
    assert "\n".join(found) == ""


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_wrong_and_right_stand_above_the_lines_and_not_behind_them(page: Path) -> None:
    """Behind a line they are out of sight on a phone."""
    behind = [
        line
        for fence in pages.fences(page.read_text("utf-8"))
        if fence.info == "c"
        for line in fence.content.splitlines()
        if re.search(r"\S\s*/\* (wrong|right)", line)
    ]
    assert behind == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("```pycon\n>>> 1\n1\n```", 1),
        ("```py\nx = 1\n```", 1),
        ("```python3\nx = 1\n```", 1),
        ("```python\nx = 1\n```", 1),
        ("```\n>>> 1\n1\n```", 1),
        ("~~~python\n>>> 1\n1\n~~~", 1),
        (":::python\n>>> 1\n1\n:::", 1),
        ("```python {.wide}\n>>> 1\n1\n```", 1),
        ("```{code-block} pycon\n>>> 1\n1\n```", 1),
        ("```{code-block} python\nx = 1\n```", 1),
        (":::{code-block} python\nx = 1\n:::", 1),
        ("```{testcode}\nx = 1\n```", 1),
        ("```{eval-rst}\n>>> 1\n1\n```", 1),
        ("text\n\n    >>> 1\n    1\n", 3),
        ("::::{tip}\n\n```pycon\n>>> 1\n1\n```\n::::", 3),
        ("```python\n>>> 1\n1\n```", 2),
    ],
)
def test_a_block_that_is_not_run_is_found(text: str, line: int) -> None:
    assert [found for found, _ in pages.silent(text, set())] == [line]


@pytest.mark.parametrize(
    "text",
    [
        "```python\n>>> 1\n1\n```",
        "```python\n>>> # a remark\n>>> 1\n1\n```",
        "```c\nint x;\n```",
        "```{rule} key.order\nIt says >>> in its text.\n```",
        "::::{tip}\n\n```console\n$ make html\n```\n::::",
    ],
)
def test_a_block_that_is_run_or_is_not_python_is_fine(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, "utf-8")
    collected = {example.line for block in pages.blocks(page) for example in block.examples}
    assert list(pages.silent(text, collected)) == []


# The HTML


def test_every_page_says_what_it_is(built_book: Path) -> None:
    for path, page in html_pages(built_book).items():
        html = page.find("html")
        assert isinstance(html, Tag), path
        assert html.get("lang") == "en", path
        assert page.title is not None, path
        assert page.title.get_text(strip=True), path
        assert page.find("meta", attrs={"name": "viewport"}), path
        assert len(page.find_all("h1")) == 1, path


def test_every_picture_says_what_it_shows(built_book: Path) -> None:
    for path, page in html_pages(built_book).items():
        for picture in page.select("article svg[role=img]"):
            for name in ("title", "desc"):
                found = picture.find(name, recursive=False)
                assert found is not None, f"{path}: an svg without {name}"
                assert found.get_text(strip=True), f"{path}: an svg with an empty {name}"
        assert not page.select("article svg:not([role]):not([aria-hidden=true])"), path
        for image in page.find_all("img"):
            assert image.get("alt") is not None, f"{path}: {image}"


def test_no_id_stands_twice_on_a_page(built_book: Path) -> None:
    for path, page in html_pages(built_book).items():
        ids = Counter(str(tag["id"]) for tag in page.find_all(id=True))
        assert [name for name, count in ids.items() if count > 1] == [], path


def test_links_between_pages_lead_somewhere(built_book: Path) -> None:
    ids = {
        path: {str(tag["id"]) for tag in page.find_all(id=True)}
        for path, page in html_pages(built_book).items()
    }
    broken = []
    for path, page in html_pages(built_book).items():
        for link in page.find_all("a", href=True):
            parts = urlsplit(str(link["href"]))
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.is_file():
                broken.append(f"{path}: {link['href']}: no such file")
            elif anchor and target in ids and anchor not in ids[target]:
                broken.append(f"{path}: {link['href']}: no such place")
    assert "\n".join(broken) == ""


def test_the_page_for_what_does_not_exist_works_at_any_address(built_book: Path) -> None:
    page = html_pages(built_book)[built_book / "404.html"]
    assert list(loads(page)) == []
    base = runpy.run_path(str(ROOT / "conf.py"))["html_baseurl"]
    links = [str(link["href"]) for link in page.find_all("a")]
    assert len(links) > 20
    for link in links:
        assert link.startswith(base)
        assert (built_book / link.removeprefix(base) / ".").exists(), link


def test_an_address_of_before_the_reference_was_split_is_one_still(built_book: Path) -> None:
    """Each place of the pages of the reference is a place of the page that lists them, too."""
    split = sorted((built_book / "reference").glob("api-*.html"))
    assert len(split) > 3
    here = html_pages(built_book)[built_book / "reference" / "api.html"]
    ids = {str(tag["id"]) for tag in here.select("article [id]")}
    for path in split:
        title = html_pages(built_book)[path].select("article h1")[0].parent
        assert isinstance(title, Tag)
        for tag in html_pages(built_book)[path].select("article [id]"):
            if tag is not title and not re.fullmatch(r"id\d+|cell\d+", str(tag["id"])):
                assert tag["id"] in ids, f"{path}: {tag['id']}"
    for old in ("what-the-driver-calls", "what-erlang-calls", "what-you-want-to-know", "releases"):
        assert old in ids


def loads(page: BeautifulSoup) -> Iterator[str]:
    """Every address from which a page loads something."""
    for attribute, name in LOADED.items():
        for tag in page.find_all(True if name == "*" else name, attrs={attribute: True}):
            yield str(tag[attribute])
    for link in page.find_all("link", href=True):
        if "canonical" not in link.get_attribute_list("rel"):
            yield str(link["href"])
    for tag in page.find_all(True, style=True):
        yield from styled(str(tag["style"]))
    for style in page.find_all("style"):
        yield from styled(style.get_text())
    for script in page.find_all("script"):
        yield from scripted(script.get_text())


def styled(css: str) -> Iterator[str]:
    """Every address from which a style sheet loads something."""
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    yield from re.findall(r"url\(\s*['\"]?([^'\")]+)", css)
    yield from re.findall(r"@import\s+['\"]([^'\"]+)", css)


def scripted(script: str) -> Iterator[str]:
    """Every address that a script hands to something that loads."""
    call = r"(?:fetch|import|open|Worker|WebSocket|EventSource|importScripts|sendBeacon)"
    yield from re.findall(call + r"\(\s*[`'\"]((?:https?|wss?):?//[^`'\"]+)", script)
    yield from re.findall(r"(?:src|href)\s*=\s*[`'\"]((?:https?:)?//[^`'\"]+)", script)


def test_nothing_is_loaded_from_another_host(built_book: Path) -> None:
    found = [(path, a) for path, page in html_pages(built_book).items() for a in loads(page)]
    for path in built_book.rglob("*.css"):
        found += [(path, address) for address in styled(path.read_text("utf-8"))]
    for path in built_book.rglob("*.js"):
        found += [(path, address) for address in scripted(path.read_text("utf-8"))]
    assert len(found) > 10, "the audit must see the book's own files"
    assert [f"{path}: {address}" for path, address in found if remote(address)] == []


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<img src="//cdn.example/x.png">',
        '<link rel="stylesheet" href="http://cdn.example/x.css">',
        '<p style="background: url(https://cdn.example/x.png)">',
        "<style>@import 'https://cdn.example/x.css';</style>",
        '<script>fetch("https://cdn.example/x.json")</script>',
        '<iframe src="https://cdn.example/"></iframe>',
    ],
)
def test_what_is_loaded_from_another_host_is_found(html: str) -> None:
    assert any(map(remote, loads(BeautifulSoup(html, "html.parser"))))


# The reference


@pytest.mark.parametrize("module", [driverref, driverref.erl_driver], ids=lambda m: m.__name__)
def test_the_reference_has_every_public_name(module: ModuleType, built_book: Path) -> None:
    packed = (
        (built_book / "objects.inv").read_bytes().split(b"\n", 4)[4]
    )  # below four lines of head
    entries = [line.split(" ") for line in zlib.decompress(packed).decode().splitlines()]
    documented = {name for name, kind, *_ in entries if kind.startswith("py:")}
    public = {
        name
        for name, value in vars(module).items()
        if name[0] != "_" and name != "annotations" and not isinstance(value, ModuleType)
    }
    assert public >= set(getattr(module, "__all__", ()))
    assert {name for name in public if f"{module.__name__}.{name}" not in documented} == set()


# What is copied


def buttons(page: BeautifulSoup) -> list[str]:
    """What the copy buttons of a page's Python blocks copy, in order."""
    settings = runpy.run_path(str(ROOT / "conf.py"))
    return [
        copied(block.get_text(), settings)
        for block in page.select("div.highlight-python pre, div.highlight-pycon pre")
        if block.find_parent(class_=["py", "real-thing"]) is None  # no blocks of the page's own
    ]


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=page_id)
def test_what_is_copied_prints_what_the_page_shows(
    page: Path, built_book: Path, tmp_path: Path
) -> None:
    blocks = buttons(html_pages(built_book)[built_book / f"{page_id(page)}.html"])
    assert len(blocks) == len(pages.blocks(page))
    assert not any(">>>" in block for block in blocks)
    same(shown(page), run(["-c", PASTE], tmp_path, stdin=json.dumps(blocks)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (">>> x = 1\n>>> x\n1\n", "x = 1\nx"),
        (">>> if x:\n...     x\n...\n1\n", "if x:\n    x\n"),
        ("$ make html\nopen file:///book\n", "make html"),
        ("$ make \\\n  html\n", "make \\\n  html"),
        (">>> f()\nTraceback (most recent call last):\n    ...\nE: why\n", "f()"),
        ("no prompt\n", "no prompt"),
    ],
)
def test_what_a_button_copies(text: str, expected: str) -> None:
    settings = runpy.run_path(str(ROOT / "conf.py"))
    assert copied(text, settings) == expected.removesuffix("\n")


def test_every_page_s_program_can_be_downloaded(built_book: Path) -> None:
    for page in WITH_EXAMPLES:
        html = html_pages(built_book)[built_book / f"{page_id(page)}.html"]
        (link,) = html.select("a.program")
        file = (built_book / page_id(page)).parent / str(link["href"])
        compile(file.read_text("utf-8"), str(file), "exec")


def form(built_book: Path, name: str) -> Path:
    """Write the book in another form, from the reading that the HTML was made of."""
    folder = built_book.parent / name
    built = sphinx(book.DOCS, folder, "-b", name, "-d", str(built_book / ".doctrees"))
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_every_page_of_the_epub_is_xml_and_offers_no_file_that_it_lacks(built_book: Path) -> None:
    epub = form(built_book, "epub")
    found = list(epub.rglob("*.xhtml"))
    assert len(found) > len(PAGES)
    for page in found:
        parser = expat.ParserCreate()
        parser.UseForeignDTD(True)  # which declares the entities
        parser.Parse(page.read_bytes(), True)
        assert "_programs/" not in page.read_text("utf-8")


@pytest.mark.parametrize("name", ["text", "man"])
def test_the_tables_of_outcomes_are_in_forms_without_html(built_book: Path, name: str) -> None:
    files = [path for path in form(built_book, name).rglob("*.*") if path.suffix in {".txt", ".1"}]
    text = "\n".join(path.read_text("utf-8") for path in files)
    ways = text.count("There are no other outcomes: ")
    assert ways >= 15
    assert len(re.findall(r"\| outcome +\||^outcome$", text, re.MULTILINE)) >= ways // 2
    assert re.search(r"OTP 29 ERTS", text), "the table of the record"
