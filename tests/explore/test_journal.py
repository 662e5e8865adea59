"""The journal of a run: at each moment the beginning of its witness, for another process to read."""

from __future__ import annotations

from pathlib import Path

import pytest

from driverref import Emulator, explore, replay
from driverref.explore.journal import Journal, Kept, read


def raced(erl: Emulator) -> str:
    """Three processes send their names; in which order they come."""
    me = erl.self()
    for name in "abc":
        erl.spawn(erl.send, me, name)
    return "".join(str(erl.receive()) for _ in "abc")


@pytest.mark.parametrize("strategy", ["all", "random", "pct"])
def test_what_is_noted_when_a_run_ends_is_its_witness(
    strategy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever steps of it were not first come: those that it repeats, or those of its own."""
    file = tmp_path / "journal"
    noted: dict[str, str] = {}

    def scenario(erl: Emulator) -> str:
        came = raced(erl)
        found = read(file)
        assert found is not None
        noted[found.witness] = came
        return came

    monkeypatch.setattr(Kept, "journal", Journal(file))
    limit = None if strategy == "all" else 20
    found = explore(scenario, strategy=strategy, limit=limit, schedulers=2)  # type: ignore[arg-type]
    monkeypatch.setattr(Kept, "journal", None)
    assert set(noted.values()) == set(found)
    assert len(set(found)) > 2
    again: list[str] = []
    for witness in list(noted):
        replay(lambda erl: again.append(raced(erl)), witness)
    assert again == list(noted.values())
