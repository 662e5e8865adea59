"""What the commands print and write, whatever the text is and wherever it goes."""

from __future__ import annotations

import errno
import io
import sys
from pathlib import Path
from typing import NoReturn

import pytest
from command_line import given, refused

from driverref.__main__ import main
from driverref.command import BadInput, console

PLAIN = "def s(erl): return 1\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each story plays in a folder of its own, and leaves Python's path as it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    (tmp_path / "plain.py").write_text(PLAIN)
    return tmp_path


def scenario(text: str) -> str:
    Path("mine.py").write_text(text, "utf-8")
    return "mine.py"


CONTROL = "\x1b[31m\a\x00\x7f\x9b\r\x0b\u2028\u202e\u2066"
ESCAPED = r"\x1b[31m\x07\x00\x7f\x9b\r\x0b\u2028\u202e\u2066"


@pytest.mark.parametrize("command", ["explore", "compare", "timeline"])
@pytest.mark.parametrize(
    "text",
    [
        f"class E(Exception): pass\ndef s(erl): raise E({CONTROL!r})\n",
        f"class E(Exception):\n  def __str__(self): return {CONTROL!r}\ndef s(erl): raise E\n",
        f"class R:\n  def __repr__(self): return {CONTROL!r}\ndef s(erl): raise KeyError(R())\n",
    ],
)
def test_no_control_character_of_a_fault_reaches_a_terminal(command: str, text: str) -> None:
    result = given(command, scenario(text))
    assert result.exit_code == 1
    assert ESCAPED in result.output
    assert not set(CONTROL.replace("[31m", "")) & set(result.output)


def test_nor_one_of_an_outcome_or_of_a_file_s_name() -> None:
    text = f"class R:\n  def __repr__(self): return {CONTROL!r}\nR = R()\ndef s(erl): return R\n"
    assert ESCAPED in given("explore", scenario(text)).stdout
    assert refused("explore", f"none{CONTROL}.py").startswith("none\\x1b")


def test_an_error_that_cannot_be_printed_has_its_name() -> None:
    text = "class E(Exception):\n  def __str__(self): return 1 / 0\ndef s(erl): raise E\n"
    assert given("explore", scenario(text)).stdout.splitlines()[1].startswith("E: <E>; raised at")


@pytest.mark.parametrize(
    "text",
    [
        "def s(erl): return 'x' * 100_000\n",
        "def s(erl): raise ValueError('x' * 100_000)\n",
        "def s(erl): return ('x',) * 30_000\n",
    ],
)
def test_a_long_outcome_leaves_a_table_that_can_be_read(text: str) -> None:
    for command in ("explore", "compare"):
        table, _, below = given(command, scenario(text)).stdout.partition("\n\n")
        assert max(map(len, table.splitlines())) < 400
        assert len(below) < 11_000
        assert below.splitlines()[0].endswith(" more characters)")
    given("explore", "mine.py", "--html", "out.html")
    assert Path("out.html").stat().st_size < 100_000


def test_an_outcome_that_fails_when_it_is_counted_is_told() -> None:
    text = "class R:\n  def {}: raise KeyError('no')\nR = R()\ndef s(erl): return R\n"
    for method in ("__hash__(self)", "__eq__(self, other)"):
        extra = "" if "hash" in method else "  def __hash__(self): return 1\n"
        file = scenario(text.format(method).replace("\nR =", f"\n{extra}R ="))
        assert "cannot be counted (KeyError: 'no'): return something" in refused("explore", file)


# Where it goes.


@pytest.mark.parametrize(
    ("number", "status"),
    [(errno.EPIPE, 141), (errno.ENOSPC, 74), (errno.EIO, 74), (errno.EDQUOT, 74)],
)
@pytest.mark.parametrize(
    "words", ["explore plain.py", "releases", "--help", "explore plain.py --json"]
)
def test_an_output_that_takes_no_more(
    number: int, status: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.TextIOWrapper):
        def write(self, text: str) -> int:
            if text:
                raise OSError(number, "no more")
            return 0

    monkeypatch.setattr(sys, "stdout", Full(io.BytesIO(), "utf-8"))
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == status


def test_an_error_output_that_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> NoReturn:
            raise OSError(errno.ENOSPC, "no more")

    monkeypatch.setattr(sys, "stderr", Full())
    console.complain("an error")


def test_an_output_that_is_no_file_needs_no_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", text := io.StringIO())
    console.say("\N{GREEK SMALL LETTER OMEGA}")
    assert text.getvalue() == "\N{GREEK SMALL LETTER OMEGA}\n"


# Files.

WRITES = [("explore", "--html"), ("timeline", "--svg")]


@pytest.mark.rule("command.nothing-overwritten")
@pytest.mark.parametrize(("command", "option"), WRITES)
def test_a_file_that_no_command_has_written_is_kept(command: str, option: str) -> None:
    said = "exists, and driverref has not written it; --force overwrites it"
    for name, text in (("plain.py", PLAIN), ("empty", ""), ("page.html", "<!doctype html>\n")):
        Path(name).write_text(text)
        assert refused(command, "plain.py", option, name) == f"{name} {said}"
        assert Path(name).read_text() == text


@pytest.mark.rule("command.nothing-overwritten")
@pytest.mark.parametrize(("command", "option"), WRITES)
def test_a_result_is_overwritten_and_with_force_anything(command: str, option: str) -> None:
    for _ in range(2):
        assert given(command, "plain.py", option, "out").exit_code == 0
    Path("other").write_text("precious")
    assert given(command, "plain.py", option, "other", "--force").exit_code == 0
    assert Path("other").read_text() == Path("out").read_text()
    assert given(command, "plain.py", option, "/dev/null").exit_code == 0


def test_a_file_that_comes_while_the_command_works_is_kept() -> None:
    file = scenario("def s(erl): __import__('pathlib').Path('out').write_text('precious')\n")
    result = given("explore", file, "--html", "out")
    assert (result.exit_code, Path("out").read_text()) == (2, "precious")


def test_a_file_that_cannot_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, mode: str) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied")

    Path("out").write_text("secret")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(BadInput, match="out: Permission denied"):
        console.check_free(Path("out"), False)


def test_a_full_disk_is_told_with_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("not here: /dev/full")
    result = given("explore", "plain.py", "--html", "/dev/full")
    assert result.exit_code == 74
    assert "Error: /dev/full cannot be written: No space left on device\n" in result.stderr
