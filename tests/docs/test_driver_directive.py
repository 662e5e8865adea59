"""The directive `{driver}`: a driver in tabs, and what of its files is shown where."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from _ext import driver_files
from bs4 import BeautifulSoup
from small_book import TEST, article, build

C = """\
/* SPDX-License-Identifier: 0BSD
 *
 * echo_drv: an echo.
 *
 *   cc -o echo_drv.so echo_drv.c
 */
#define _DEFAULT_SOURCE
#include <erl_driver.h>

static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    driver_output((ErlDrvPort)data, buf, len);
}
/* The table of callbacks, and more. */
static ErlDrvEntry entry = {
    .driver_name = "echo_drv",
};
"""

ERLANG = """\
%% SPDX-License-Identifier: 0BSD
%%
%%   erlc echo_drv.erl
%%
%% It prints:
%%
%%   hello
-module(echo_drv).
"""

NIF = """\
/* SPDX-License-Identifier: 0BSD
 *
 * echo_nif: an echo.
 *
 * `echo(Text)` returns the text.
 * A NIF has no port.
 *
 * Compile it:
 *
 *   cc -o echo_nif.so echo_nif.c
 */
#include <erl_nif.h>

static ErlNifFunc functions[] = {
    {"echo", 1, echo, 0},
};
"""

PAGE = """\
# A page

````{driver} echo_drv Echo
```python
>>> class Echo:
...     driver_name = "echo_drv"
...
```
````

```python
>>> Echo.driver_name
'echo_drv'
```

```{rule} key.order
Jobs begin in order.
```

```{program}
```

```{real-thing} echo
```

```{real-thing} lock
:others:
```

```{toctree}
reference/rules
```
"""


def echo_book(folder: Path, c: str = C, erlang: str = ERLANG, nif: str = NIF) -> BeautifulSoup:
    """Build a book with a driver beside its page; a text that is empty is no file."""
    (folder / "docs").mkdir(parents=True)
    files = {
        "echo_drv.c": c,
        "echo_drv.erl": erlang,
        "echo_nif.c": nif,
        "echo_nif.erl": ERLANG.replace("echo_drv", "echo_nif"),
    }
    for name, text in files.items():
        if text:
            (folder / "docs" / name).write_text(text, "utf-8")
    built = build(folder, PAGE, TEST)
    assert built.returncode == 0, built.stderr
    return article(folder)


def page_of(folder: Path) -> Path:
    """Write the page and its files, without a build."""
    (folder / "echo_drv.c").write_text(C, "utf-8")
    (folder / "echo_drv.erl").write_text(ERLANG, "utf-8")
    (folder / "page.md").write_text(PAGE, "utf-8")
    return folder / "page.md"


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> BeautifulSoup:
    """The page of a book with a driver."""
    return echo_book(tmp_path_factory.mktemp("echo"))


@pytest.mark.slow
def test_the_driver_stands_in_tabs(echo: BeautifulSoup) -> None:
    tabs = echo.select("div.sd-tab-set")[0]
    labels = [(label.text.strip(), label["data-sync-id"]) for label in tabs.select("label")]
    names = ["C", "Python", "Erlang", "NIF"]
    assert labels == [(name, name.lower()) for name in names]
    c, python, erlang, *_ = (pre.text.strip() for pre in tabs.select("pre"))
    assert c.startswith("#define _DEFAULT_SOURCE\n#include <erl_driver.h>"), "all that is compiled"
    assert c.endswith("}")
    assert python.startswith(">>> class Echo:")
    assert erlang == "-module(echo_drv)."


@pytest.mark.slow
def test_how_to_compile_it_and_the_table_are_folded(echo: BeautifulSoup) -> None:
    (folded,) = echo.select("details.sd-dropdown")
    assert folded.select("summary")[0].text.strip() == "Compile it, load it, run it"
    session, table = (pre.text.strip() for pre in folded.select("pre"))
    assert session == "$ cc -o echo_drv.so echo_drv.c\n$ erlc echo_drv.erl\nhello"
    assert table.startswith("static ErlDrvEntry")
    links = [link["href"] for link in folded.select("a")]
    assert [re.sub(r".*/", "", str(link)) for link in links] == ["echo_drv.c", "echo_drv.erl"]


@pytest.mark.slow
def test_the_tab_of_the_nif_has_all_that_is_said_of_it(echo: BeautifulSoup) -> None:
    nif = echo.select("div.sd-tab-content")[-1]
    assert nif.select("p")[0].text == "echo(Text) returns the text.\nA NIF has no port."
    c, erlang, session = (pre.text.strip() for pre in nif.select("pre"))
    assert c.startswith("#include <erl_nif.h>"), "all that is compiled"
    assert c.endswith("};")
    assert erlang == "-module(echo_nif)."
    assert session == "$ cc -o echo_nif.so echo_nif.c\n$ erlc echo_nif.erl\nhello"
    links = [re.sub(r".*/", "", str(link["href"])) for link in nif.select("a")]
    assert links == ["echo_nif.c", "echo_nif.erl"]


@pytest.mark.slow
def test_a_driver_that_stands_above_is_not_shown_again(echo: BeautifulSoup) -> None:
    assert not echo.select("div.real-thing"), "as the driver of the question, and as another"


@pytest.mark.slow
def test_without_a_nif_there_is_no_tab_of_it(tmp_path: Path) -> None:
    tabs = echo_book(tmp_path, nif="").select("div.sd-tab-set")[0]
    assert [label.text.strip() for label in tabs.select("label")] == ["C", "Python", "Erlang"]


@pytest.mark.slow
def test_the_python_is_a_part_of_the_page_s_program(tmp_path: Path) -> None:
    echo_book(tmp_path)
    program = (tmp_path / "html" / "_programs" / "index.py").read_text("utf-8")
    assert "class Echo:" in program


@pytest.mark.slow
@pytest.mark.parametrize(
    ("c", "erlang", "message"),
    [
        ("", ERLANG, "echo_drv.c"),
        (C, "", "echo_drv.erl"),
        (
            C.replace("/* The table", "/* A table"),
            ERLANG,
            "there is no '/. The table of callbacks'",
        ),
        (C.replace("static ErlDrvEntry", "ErlDrvEntry"), ERLANG, "no 'static ErlDrvEntry'"),
        (C, ERLANG.replace("-module", "-modul"), "there is no '-module'"),
    ],
)
def test_a_file_that_cannot_be_shown_stops_the_build(
    tmp_path: Path, c: str, erlang: str, message: str
) -> None:
    with pytest.raises(AssertionError, match=message):
        echo_book(tmp_path, c, erlang)


def test_the_table_has_to_stand_behind_the_code() -> None:
    with pytest.raises(ValueError, match="or nothing before it"):
        driver_files.code(f"{driver_files.TABLE}. */\n#include <erl_driver.h>\n")


STEP = """\
#include <erl_driver.h>

typedef struct {
    int n;

    int m;
} Job;

static void work(void *job)
{
    other(job);

    other(job);
}

/* What it is. */
static ErlDrvSSizeT control(ErlDrvData data, unsigned command,
                            char **rbuf)
{
}

/* The table of callbacks. */
"""


def test_a_step_shows_some_definitions_of_its_file() -> None:
    _, job, work, control, _ = re.split(r"\n\n(?=\S)", STEP)
    assert driver_files.parts(STEP, ["control", "Job"]) == f"{control}\n\n{job}"
    assert driver_files.parts(STEP, ["work"]) == work
    with pytest.raises(ValueError, match="other is defined 0 times"):
        driver_files.parts(STEP, ["other"])
    with pytest.raises(ValueError, match="work is defined 2 times"):
        driver_files.parts(STEP.replace("control", "work"), ["work"])


@pytest.mark.slow
def test_a_step_has_no_erlang_and_a_link_to_its_file(tmp_path: Path) -> None:
    (tmp_path / "docs" / "steps").mkdir(parents=True)
    (tmp_path / "docs" / "steps" / "echo_drv.c").write_text(C, "utf-8")
    step = PAGE.replace("{driver} echo_drv Echo\n", "{driver} steps/echo_drv Echo\n:only: output\n")
    page_text = re.sub(r"```{real-thing}[^`]*```\n", "", step)
    built = build(tmp_path, page_text, TEST)
    assert built.returncode == 0, built.stderr
    page = article(tmp_path)
    assert [label.text.strip() for label in page.select("label.sd-tab-label")] == ["C", "Python"]
    assert page.select("pre")[0].text.startswith("static void output(")
    assert page.select("pre")[1].text.startswith(">>> class Echo:")
    (link,) = page.select("a.file-link")
    assert (tmp_path / "html" / str(link["href"])).read_text("utf-8") == C


BEFORE = """\
#include <erl_driver.h>

typedef struct {
    int n;
} Job;

static void work(void *job)
{
    one(job);
    if (two(job)) {
        three(job);
    }
    four(job);
}

static void stop(ErlDrvData data)
{
    one(data);
    two(data);
    if (three(data)) {
        four(data);
    }
    last(data);
}
"""


def after(*changes: tuple[str, str]) -> tuple[str, list[str]]:
    """Return what has changed, and the lines of it that are new."""
    text = BEFORE
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    lines, numbers = driver_files.changes(text.rstrip(), BEFORE.rstrip())
    return lines, [lines.splitlines()[number - 1].strip() for number in numbers]


def test_a_definition_that_has_not_changed_is_left_out() -> None:
    lines, new = after(("    int n;\n", "    int n;\n    int m;\n"))
    assert lines == "typedef struct {\n    int n;\n    int m;\n} Job;"
    assert new == ["int m;"]


def test_a_definition_that_is_new_is_shown_whole() -> None:
    other = "static void other(void)\n{\n}"
    lines, new = after(("static void work", f"{other}\n\nstatic void work"))
    assert (lines, "\n".join(new)) == (other, other)


def test_long_runs_of_old_lines_are_left_out() -> None:
    lines, new = after(("    last(data);\n", "    last(data);\n    more(data);\n"))
    kept = "    /* ... */\n    last(data);\n    more(data);\n}"
    assert lines == f"static void stop(ErlDrvData data)\n{{\n{kept}"
    assert new == ["more(data);"]


def test_a_run_that_is_left_out_closes_the_braces_that_it_opens() -> None:
    lines, new = after(("    if (three(data)) {\n", "    if (other(data)) {\n"))
    assert lines.splitlines()[2:] == [
        "    one(data);",
        "    two(data);",
        "    if (other(data)) {",
        "        four(data);",
        "    }",
        "    last(data);",
        "}",
    ]
    assert new == ["if (other(data)) {"]


def test_a_line_is_not_new_if_only_its_comment_is() -> None:
    assert after(("    four(job);", "    four(job);   /* why */")) == ("", [])


@pytest.mark.slow
def test_a_step_shows_what_has_changed_and_folds_its_file(tmp_path: Path) -> None:
    steps = tmp_path / "docs" / "steps"
    steps.mkdir(parents=True)
    longer = C.replace("echo_drv", "more_drv").replace(
        "{\n    driver", "{\n    more();\n    driver"
    )
    head = longer.replace(
        " */\n#define", " *\n *   erlc +warnings_as_errors step.erl\n */\n#define"
    )
    assert head != longer != C
    (steps / "echo_drv.c").write_text(C, "utf-8")
    (steps / "more_drv.c").write_text(head, "utf-8")
    (steps / "step.erl").write_text(ERLANG, "utf-8")
    options = ":only: output\n:since: steps/echo_drv\n"
    step = PAGE.replace("{driver} echo_drv Echo\n", f"{{driver}} steps/more_drv Echo\n{options}")
    page_text = re.sub(r"```{real-thing}[^`]*```\n", "", step)
    built = build(tmp_path, page_text, TEST)
    assert built.returncode == 0, built.stderr
    page = article(tmp_path)
    assert [line.text.strip() for line in page.select("span.hll")] == ["more();"]
    (folded,) = page.select("details.sd-dropdown")
    title = f"The whole file, {len(head.splitlines())} lines, and how to compile and run it"
    assert folded.select("summary")[0].text.strip() == title
    session, whole = (pre.text.strip() for pre in folded.select("pre"))
    assert "$ erlc +warnings_as_errors step.erl" in session
    assert whole == head.strip()
    links = [re.sub(r".*/", "", str(link["href"])) for link in folded.select("a")]
    assert links == ["more_drv.c", "step.erl"]
    same = build(tmp_path, page_text.replace("steps/echo_drv\n", "steps/more_drv\n"), TEST)
    assert "nothing has changed since more_drv.c" in same.stderr


def test_the_head_of_a_c_file_names_an_erlang_file_that_others_share(tmp_path: Path) -> None:
    c = tmp_path / "echo_drv.c"
    c.write_text(C, "utf-8")
    assert driver_files.erlang_of(c) == tmp_path / "echo_drv.erl"
    c.write_text(C.replace(" */\n#define", " *   erlc step.erl\n */\n#define"), "utf-8")
    assert driver_files.erlang_of(c) == tmp_path / "step.erl"
    assert driver_files.commands(c) == ["cc -o echo_drv.so echo_drv.c", "erlc step.erl"]


def test_a_page_s_drivers_are_found_with_their_python(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    (found,) = driver_files.shown(page)
    assert not found.only
    assert (found.name, found.python_class) == ("echo_drv", "Echo")
    assert found.python == 'class Echo:\n    driver_name = "echo_drv"\n'
    assert (found.c, found.erlang) == (tmp_path / "echo_drv.c", tmp_path / "echo_drv.erl")


def test_the_heads_say_what_is_called_and_printed(tmp_path: Path) -> None:
    page_of(tmp_path)
    c, erlang = tmp_path / "echo_drv.c", tmp_path / "echo_drv.erl"
    assert driver_files.commands(c) == ["cc -o echo_drv.so echo_drv.c"]
    assert driver_files.commands(erlang) == ["erlc echo_drv.erl"]
    assert driver_files.promised(c) == ["hello"]
    c.write_text("int echo;\n", "utf-8")
    with pytest.raises(ValueError, match="no comment at the head"):
        driver_files.head(c)
