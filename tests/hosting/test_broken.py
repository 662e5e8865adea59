"""Each C driver that is broken on purpose is found, with the right line; the unbroken ones are silent."""

from __future__ import annotations

from pathlib import Path

import pytest
from broken import BOOK, CASES, Broken, Scene
from cc import needs_compiler

from driverref import Emulator, explore
from driverref.explore import Outcomes
from driverref.hosting import CDriver, c_driver

pytestmark = [pytest.mark.slow, needs_compiler]

SCENES = list(dict.fromkeys(case.scene for case in CASES))


def explored(driver: CDriver, scene: Scene) -> Outcomes:
    def scenario(erl: Emulator) -> None:
        erl.erl_ddll.load_driver(driver())
        scene.play(erl)

    return explore(
        scenario,
        async_threads=scene.async_threads,
        schedulers=scene.schedulers,
        limit=2000,
        progress=False,
    )


@pytest.mark.rule("hosting.fault-names-its-line", "hosting.crash-is-an-outcome")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_mistake_is_found_and_its_line_is_named(case: Broken, tmp_path: Path) -> None:
    source = tmp_path / Path(case.scene.driver).name
    source.write_text(case.source())
    outcomes = explored(c_driver(source, flags=["-w"]), case.scene)
    found = [fault for fault in outcomes.faults if fault.name == case.fault]
    assert found, f"not found:\n{outcomes}"
    if case.at:
        line = f"{source.name}:{case.line()} in "
        assert any(place.startswith(line) for fault in found for place in fault.places), (
            f"{line}\n{outcomes.faults}"
        )


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: f"{scene.driver}-{SCENES.index(scene)}")
def test_the_unbroken_driver_is_silent(scene: Scene) -> None:
    outcomes = explored(c_driver(BOOK / scene.driver), scene)
    assert not outcomes.faults, outcomes


def test_there_are_enough_of_each_kind() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)
