"""The vector of `outputv`: for every datum the model makes the one that real emulators made.

The record is `tests/beam/vectors.json`, written by `make beam`.  Without Erlang the record is
checked; with it, the emulator is asked for vectors that nothing has chosen.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import Kind, both

sys.path.append(str(Path(__file__).parent / "beam"))
import vectors
from otp import Missing, tools

DOCS = Path(__file__).parents[1] / "docs"
RECORD: dict[str, Any] = json.loads(vectors.RECORD.read_text("utf-8"))


@both
@pytest.mark.rule("memory.vector-element-0", "memory.vector-binaries", "memory.vector-packed")
def test_the_model_makes_every_vector_that_the_emulator_made(threads: Kind) -> None:
    with vectors.model(threads=threads) as ask:
        differ = {name: (ask(r), said) for name, r, said in RECORD["rows"] if ask(r) != said}
    assert differ == {}


def test_the_record_is_of_these_data_and_of_three_emulators() -> None:
    assert list(RECORD["emulators"]) == ["25", "27", "29"]
    assert [[name, recipe] for name, recipe, _ in RECORD["rows"]] == [
        list(row) for row in vectors.recipes().items()
    ]
    assert vectors.readable(RECORD) == vectors.RECORD.read_text("utf-8")
    for page in ("trust.md", "binaries.md", "questions/memory/index.md"):
        numbers = re.findall(r"\b\d+\b", (DOCS / page).read_text("utf-8"))
        assert str(len(RECORD["rows"])) in numbers, page


def test_the_record_has_each_kind_of_vector() -> None:
    """No element, an empty one, shared binaries, parts, merged bytes, packed ones, and `badarg`."""
    said = {name: text for name, _, text in RECORD["rows"]}
    assert said["an empty list"] == "1 0 0 0:-"
    assert said["an empty binary"] == "2 0 0 0:- 0:-"
    assert said["a byte and three"].endswith(" 0:- 4:0@0/4#1")
    assert said["one binary twice"].endswith(" 0:- 65:0@0/65#1 65:0@0/65#1")
    assert said["two alike"].endswith(" 0:- 65:0@0/65#1 65:1@0/65#1")
    assert said["64 bytes of 1000"].endswith(" 0:- 64:0@0/64#1")
    assert said["65 bytes of 1000"].endswith(" 0:- 65:0@7/1000#1")
    assert said["16 of 65"].endswith(" 0:- 1040:0@0/1040#1")
    assert said["a tail that is a byte"] == said["a byte too large"] == "badarg"
    # Random data is of use only if it is of every kind too.
    drawn = [text for name, text in said.items() if name.startswith("random")]
    for part in ("badarg", "0:- 0:-", "@0/500", "#1 2:"):
        assert any(part in text for text in drawn) or part == "badarg"
    assert sum(len(text.split()) > 16 for text in drawn) > 20


SIZES = st.sampled_from([0, 1, 20, 63, 64, 65, 66, 255, 256, 257, 300])


@st.composite
def binaries(draw: st.DrawFn) -> list[Any]:
    size = draw(SIZES)
    return ["b", draw(st.integers(0, 3)) * 1000 + size, size]


@st.composite
def parts(draw: st.DrawFn) -> list[Any]:
    whole = draw(binaries())
    first, last = sorted(draw(st.tuples(*[st.integers(0, whole[2])] * 2)))
    return ["p", whole, first, last - first]


data = st.recursive(
    st.integers(0, 255) | binaries() | parts(),
    lambda inner: (
        st.lists(inner, max_size=6).map(lambda items: ["l", *items])
        | st.tuples(st.lists(inner, min_size=1, max_size=4), binaries()).map(lambda i: ["i", *i])
        | st.tuples(st.integers(1, 20), inner).map(lambda x: ["x", *x])
    ),
    max_leaves=12,
).filter(lambda recipe: not isinstance(recipe, int))


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Asks the real emulator."""
    folder = tmp_path_factory.mktemp("vectors")
    try:
        with vectors.emulator(folder, tools("asked for vectors", folder)) as ask:
            yield ask
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.mark.slow
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data)
def test_the_emulator_and_the_model_make_the_same_vector_of_any_data(
    emulator: Any, recipe: Any
) -> None:
    with vectors.model() as ask:
        assert ask(recipe) == emulator(recipe)
