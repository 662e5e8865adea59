"""The drivers of "My driver crashes, leaks, hangs ...", on the real emulator and under every schedule.

Each file is compiled with its wrong and with its right lines.  On the emulator the wrong lines show
the symptom of their section and the right ones do not; `driverref check` finds in the wrong lines
what the page says, and nothing in the right ones.

What an emulator did is told in one line: how it ended, and what it printed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from _ext.pairs import Shown, shown
from book import DOCS

from driverref.hosting import battery, c_driver

pytestmark = pytest.mark.slow

FOLDER = DOCS / "symptoms"
PAIRS = {pair.file.stem: pair for pair in shown(DOCS / "my-driver.md") if pair.file.suffix == ".c"}
MISSING = [tool for tool in ("erl", "erlc", "cc") if shutil.which(tool) is None]
needs = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
each = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)

PATIENCE = 15
"""Seconds after which an emulator hangs.  The longest of them is done within three."""

WRONG = {
    "closes": r"crash",
    "fails": r"crash",
    "number": r"crash",
    "stack": r"crash",
    "control": r"crash",
    "buffer": r"ended: \{(?!\"hello, driver\",\"GOODBYE WORLD\").*\}",
    "leaks": r"ended: \{bytes_left,\{after_1000_answers,\d{5,}\},\{after_1000_closes,\d{5,}\}\}",
    "counted": r"hang",
    "halts": r"hang",
    "queued": r"hang: true",
    "blocks": r'ended: \{<<"done">>,longest_gap_ms,[23]\d\d\}',
    "cores": r"ended: \{ms,\d+\}",
    "order": r"ended: \[(?!60,30,10\])",
    "late": r'ended: \{<<"timeout">>,<<"done">>\}',
    "loads": r"ended: \{\{error,driver_incorrect_version\},.*\}",
}
"""What the emulator does with the wrong lines."""

RIGHT = {
    "closes": r"ended: \{unloaded,ok\}",
    "fails": r"ended: \[(\{exit,normal\},?)+\]",
    "number": r"ended: \{#Port<[\d.]+>,7\}",
    "stack": r'ended: <<"done">>',
    "control": r'ended: \["x{100}"\]',
    "buffer": r'ended: \{<<"hello, driver">>,<<"GOODBYE WORLD">>\}',
    "leaks": r"ended: \{bytes_left,\{after_1000_answers,-?\d{1,4}\},\{after_1000_closes,-?\d{1,4}\}\}",
    "counted": r"ended: \{closed_after_ms,\d+,.*,unload,ok\}",
    "halts": r'ended: <<"done">> ok',
    "queued": r"ended: false",
    "blocks": r'ended: \{<<"done">>,longest_gap_ms,\d+\}',
    "cores": r"ended: \{ms,\d+\}",
    "order": r"ended: \[60,30,10\]",
    "late": r'ended: \{<<"timeout">>,<<"timeout">>\}',
    "loads": r"ended: \{ok,#Port<[\d.]+>\}",
}
"""What it does with the right lines."""


def command(*words: str, folder: Path) -> str:
    """Run a tool that has to succeed."""
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def include() -> Path:
    root = "io:put_chars(code:root_dir()), halt()."
    folder = Path(command("erl", "-noinput", "-eval", root, folder=DOCS), "usr", "include")
    if not (folder / "erl_driver.h").is_file():
        pytest.skip("not installed: erl_driver.h")
    return folder


def built(pair: Shown, wrong: bool, folder: Path, include: Path) -> None:
    """Compile a driver and what plays it."""
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", f"-I{include}"]
    side = ["-DWRONG"] if wrong else []
    library = f"{pair.file.stem}.so"
    command("cc", *flags, *side, "-o", library, str(pair.file), folder=folder)
    command("erlc", "+warnings_as_errors", str(FOLDER / "symptoms.erl"), folder=folder)


def played(name: str, folder: Path) -> str:
    """Return how the emulator ended, and what was printed."""
    threads = "4" if name == "order" else "1"
    words = ["erl", "+A", threads, "+S", "2:2", "-noshell", "-run", "symptoms", "main", name, "."]
    with subprocess.Popen(
        [*words, "-s", "erlang", "halt"],
        cwd=folder,
        env={
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(folder),
            "ERL_CRASH_DUMP_BYTES": "0",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as emulator:
        try:
            printed, _ = emulator.communicate(timeout=PATIENCE)
            how = "ended" if emulator.returncode == 0 else "crash"
        except subprocess.TimeoutExpired:
            emulator.kill()
            printed, _ = emulator.communicate()
            how = "hang"
    return f"{how}: {' '.join(printed.split())}".rstrip(": ")


def number(said: str) -> int:
    """Return the number of milliseconds that was printed."""
    return int(re.findall(r"\d+", said)[-1])


def test_each_pair_has_its_symptom_here() -> None:
    assert PAIRS.keys() == WRONG.keys() == RIGHT.keys()


@needs
@each
def test_the_wrong_lines_show_the_symptom_and_the_right_ones_do_not(
    pair: Shown, include: Path, tmp_path: Path
) -> None:
    name, said = pair.file.stem, {}
    for side, expected in ("wrong", WRONG), ("right", RIGHT):
        folder = tmp_path / side
        folder.mkdir()
        built(pair, side == "wrong", folder, include)
        said[side] = played(name, folder)
        assert re.match(expected[name], said[side]), f"{side}: {said[side]}"
    if name in {"blocks", "cores"}:  # told by time, so only beside each other
        assert number(said["wrong"]) > number(said["right"])


@needs
@each
def test_check_finds_in_the_wrong_lines_what_the_page_says_and_nothing_in_the_right_ones(
    pair: Shown,
) -> None:
    data = battery.Data(command=b"hello")
    for flags, finds in (["-DWRONG"], set(pair.finds)), ([], set()):
        driver = c_driver(pair.file, flags=flags)
        rows = battery.check(driver, data, limit=100, step_limit=2000)
        found = {mistake.fault.name for row in rows for mistake in row.mistakes}
        assert found == finds, f"{pair.file.name} {flags}"
