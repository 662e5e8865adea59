"""A driver of several hundred lines, of two files and with a library: checked, and spoiled in ways that a review overlooks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cc import needs_compiler
from click.testing import CliRunner

from driverref.__main__ import main
from driverref.command import status

STORE = Path(__file__).parent / "store"

pytestmark = [
    pytest.mark.slow,
    needs_compiler,
    pytest.mark.skipif(
        not Path("/usr/include/zlib.h").exists(),
        reason="there is no zlib.h: apt install zlib1g-dev",
    ),
]

PUT = "\\x01\\x00\\x00\\x00\\x09\\x01kvalue"


def check(folder: Path) -> dict[str, list[dict[str, object]]]:
    words = [
        "check",
        "--json",
        "--limit",
        "150",
        "--command",
        PUT,
        "--operation",
        "3",
        "--control",
        "k",
    ]
    files = [str(folder / "store_drv.c"), str(folder / "table.c")]
    done = CliRunner().invoke(main, [*words, *files, "--", "-lz"])
    report: dict[str, list[dict[str, object]]] = json.loads(done.stdout)
    # With --limit not all is run.
    assert done.exit_code == (status.FAULT if report["mistakes"] else status.NOT_ALL)
    return report


def test_the_driver_is_silent() -> None:
    assert check(STORE)["mistakes"] == []


@pytest.mark.parametrize(
    ("file", "old", "new", "fault", "at"),
    [
        (
            "table.c",
            "    erl_drv_rwlock_rwlock(table->lock);\n    place = find",
            "    place = find",
            "Misuse",
            "table_put",
        ),
        (
            "table.c",
            "    if (value == NULL)\n        return NULL;\n    value->size",
            "    value->size",
            "Crash",
            "value_new",
        ),
        ("table.c", "    value_drop(entry->value);", "    ;", "Leak", "value_new"),
        (
            "store_drv.c",
            "    if (job->error != Z_OK)\n        value_drop(value);",
            "",
            "Leak",
            "value_new",
        ),
        ("store_drv.c", "work, job, job_free)", "work, job, NULL)", "Leak", "new_job"),
    ],
)
def test_what_is_wrong_is_named(
    file: str, old: str, new: str, fault: str, at: str, tmp_path: Path
) -> None:
    folder = shutil.copytree(STORE, tmp_path / "store")
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    mistakes = check(folder)["mistakes"]
    named = [place["function"] for mistake in mistakes for place in mistake["places"]]  # type: ignore[attr-defined]
    assert fault in [mistake["fault"] for mistake in mistakes], mistakes
    assert at in named, mistakes
