"""The search against every schedule there is: drivers in C, broken on purpose and made up."""

from __future__ import annotations

import random
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import dfs
import pytest
from broken import CASES, Broken
from cc import needs_compiler, sent, small

from driverref import Emulator, explore
from driverref.explore import Scenario
from driverref.hosting import c_driver
from driverref.threads.simulated import SimulatedThreads

pytestmark = [pytest.mark.slow, needs_compiler]

LIMIT = 1500
"""Schedules of a driver, at most: each of them is run."""

TOO_MANY = (
    "flow: an endless loop that uses memory",
    "flow: an endless loop that does nothing",
    "flow: two locks in two orders",
    "flow: a relaxed flag publishes a result",
    "key: the jobs hold no count",
    "key: a callback reads what jobs write",
    "free: plain counters",
    "timeout: a late result answers again",
    "timeout: the job is freed first",
    "queue: stop forgets those that wait",
    "queue: the one at work stays in the list",
    "state: the total without its mutex",
    "term: a job reads the state that stop frees",
)
"""The broken drivers that have more schedules, or whose runs take long."""

FEW = [case for case in CASES if case.name not in TOO_MANY]


def agree(scenario: Scenario, **options: Any) -> None:
    """The search finds what every schedule shows, texts included."""
    seen = dfs.every_schedule(dfs.on_emulator(scenario, **options), LIMIT)
    found = explore(scenario, progress=False, **options)
    assert {*map(str, found)} == {*map(str, seen.outcomes)}


def test_the_drivers_that_are_left_out_are_broken_drivers() -> None:
    assert {case.name for case in CASES} >= set(TOO_MANY)
    assert len(FEW) + len(SEEDS) >= 100


@pytest.mark.parametrize("case", FEW, ids=lambda case: case.name)
def test_the_search_finds_what_every_schedule_of_a_broken_driver_shows(
    case: Broken, tmp_path: Path
) -> None:
    source = tmp_path / Path(case.scene.driver).name
    source.write_text(case.source())
    driver = c_driver(source, flags=["-w"])

    def scenario(erl: Emulator) -> None:
        erl.erl_ddll.load_driver(driver())
        case.scene.play(erl)

    options = {"async_threads": case.scene.async_threads, "schedulers": case.scene.schedulers}
    agree(scenario, **options)


LINES = [
    "x = 1;",
    "y += x;",
    "y = 2;",
    "atomic_fetch_add(&a, 1);",
    "if (atomic_load(&a) == 1) x = 3;",
    "atomic_store_explicit(&a, 5, memory_order_release);",
    "if (atomic_load_explicit(&a, memory_order_relaxed)) y = x;",
    "pthread_mutex_lock(&m); x++; pthread_mutex_unlock(&m);",
    "erl_drv_mutex_lock(d); y++; erl_drv_mutex_unlock(d);",
    "if (p && p[0]) p[0] = 2;",
    "free(p); p = NULL;",
    "pthread_mutex_lock(&m); if (p) free(p); p = NULL; pthread_mutex_unlock(&m);",
    "usleep(10);",
]


def made_up(seed: int) -> str:
    """A driver whose callback and job do a few things at random to what they share."""
    draw = random.Random(seed)
    job, then = (" ".join(draw.choices(LINES, k=draw.randint(1, 2))) for _ in range(2))
    return f"""
int x, y;
atomic_int a;
pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
ErlDrvMutex *d;
char *p;
static void work(void *unused) {{ {job} }}
static void last(void) {{ if (p) free(p); erl_drv_mutex_destroy(d); }}
#define STOP last
static void test(void)
{{
    d = erl_drv_mutex_create("d");
    p = malloc(1);
    p[0] = 1;
    driver_async(port, NULL, work, NULL, NULL);
    {then}
}}
"""


# Of the first 64 those whose drivers have few schedules.
SEEDS = [
    *(0, 2, 5, 6, 8, 10, 12, 15, 17, 18, 19, 22, 23, 24, 25, 27, 28, 31, 35),
    *(36, 38, 39, 42, 44, 48, 50, 51, 52, 57, 58, 59, 60, 61, 62),
]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_search_finds_what_every_schedule_of_a_driver_that_is_made_up_shows(
    seed: int, tmp_path: Path
) -> None:
    driver = small(tmp_path, made_up(seed))

    def scenario(erl: Emulator) -> None:
        sent(erl, driver)

    agree(scenario, async_threads=1)


def test_of_a_race_that_shows_either_way_round_one_text_stands_for_both(tmp_path: Path) -> None:
    """Two faults of one class with the same places are one outcome, and its text is the first's."""
    driver = small(tmp_path, made_up(34))
    texts: set[str] = set()

    def scenario(erl: Emulator) -> None:
        sent(erl, driver)

    play = dfs.on_emulator(scenario, async_threads=1)

    def run(threads: SimulatedThreads) -> Hashable:
        outcome = play(threads)
        texts.add(str(outcome))
        return outcome

    seen = dfs.every_schedule(run, LIMIT)
    found = explore(scenario, progress=False, async_threads=1)
    assert set(found) == set(seen.outcomes)
    assert {*map(str, found)} < texts
    assert len(texts) == len(seen.outcomes) + 1
