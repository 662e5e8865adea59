"""What the package says of itself, on an index, to a citing author and to other people's machines."""

from __future__ import annotations

import email
import email.message
import os
import re
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml
from hatchling.build import build_wheel

import driverref

pytestmark = pytest.mark.slow  # builds the wheel

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        return ZipFile(folder / build_wheel(str(folder)))
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def metadata(wheel: ZipFile) -> email.message.Message:
    (name,) = [name for name in wheel.namelist() if name.endswith("/METADATA")]
    return email.message_from_bytes(wheel.read(name))


def test_the_wheel_has_what_a_type_checker_and_the_commands_need(wheel: ZipFile) -> None:
    names = set(wheel.namelist())
    assert {"driverref/py.typed", "driverref/book/index.md", "driverref/hosting/c/host.h"} <= names
    assert {"driverref/command/template/my_driver.py"} <= names
    assert not [name for name in names if name.startswith(("tests/", "docs/"))]


def test_one_version_stands_everywhere(metadata: email.message.Message) -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert metadata["Version"] == driverref.__version__ == cited["version"]


def test_an_index_learns_where_the_project_lives(metadata: email.message.Message) -> None:
    urls = dict(line.split(", ", 1) for line in metadata.get_all("Project-URL", []))
    assert set(urls) >= {"Homepage", "Documentation", "Source", "Issues", "Changelog"}
    assert metadata["Author"] == "the driverref authors"
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert (cited["repository-code"], cited["url"]) == (urls["Source"], urls["Documentation"])


def test_a_user_installs_nothing_that_only_developers_need(
    metadata: email.message.Message,
) -> None:
    assert metadata.get_all("Provides-Extra") == ["distributed"]


def test_each_link_of_the_readme_works_on_an_index(metadata: email.message.Message) -> None:
    page = metadata.get_payload()
    assert isinstance(page, str)
    assert metadata["Description-Content-Type"] == "text/markdown"
    targets = re.findall(r"\]\(([^)]+)\)", page)
    assert targets
    assert [target for target in targets if not target.startswith("https://")] == []
    (picture,) = re.findall(r"!\[.*\]\((.*)\)", page)
    _, _, path = picture.partition("/main/")
    assert (ROOT / path).read_text("utf-8").startswith("<svg")


def test_other_machines_run_the_commands_that_people_run() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/check.yml").read_text("utf-8"))
    steps = workflow["jobs"]["check"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]
    published = yaml.safe_load((ROOT / ".readthedocs.yaml").read_text("utf-8"))
    (command,) = published["build"]["commands"]
    assert command.startswith("make html ")
