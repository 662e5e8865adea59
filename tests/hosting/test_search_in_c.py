"""The search against every schedule there is: drivers in C, broken on purpose and made up."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import dfs
import pytest
from broken import CASES, Broken
from cc import needs_compiler, sent, small

from driverref import Emulator, explore
from driverref.explore import Scenario
from driverref.hosting import c_driver

pytestmark = [pytest.mark.slow, needs_compiler]

LIMIT = 1500
LONG = ("Endless", "timeout: a late", "state: the total", "free: plain")


def agrees(scenario: Scenario, **options: Any) -> bool:
    """Whether both could be compared: the search finds what every schedule shows, texts included."""
    try:
        seen = dfs.every_schedule(dfs.on_emulator(scenario, **options), LIMIT)
    except dfs.TooMany:
        return False
    found = explore(scenario, progress=False, **options)
    assert {*map(str, found)} == {*map(str, seen.outcomes)}
    return True


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_search_finds_what_every_schedule_of_a_broken_driver_shows(
    case: Broken, tmp_path: Path
) -> None:
    if any(word in (case.fault, case.name) or case.name.startswith(word) for word in LONG):
        pytest.skip("too long, or with too many schedules")
    source = tmp_path / Path(case.scene.driver).name
    source.write_text(case.source())
    driver = c_driver(source, flags=["-w"])

    def scenario(erl: Emulator) -> None:
        erl.erl_ddll.load_driver(driver())
        case.scene.play(erl)

    options = {"async_threads": case.scene.async_threads, "schedulers": case.scene.schedulers}
    if not agrees(scenario, **options):
        pytest.skip(f"more than {LIMIT} schedules")


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


@pytest.mark.parametrize("seed", range(20))
def test_the_search_finds_what_every_schedule_of_a_driver_that_is_made_up_shows(
    seed: int, tmp_path: Path
) -> None:
    driver = small(tmp_path, made_up(seed))

    def scenario(erl: Emulator) -> None:
        sent(erl, driver)

    if not agrees(scenario, async_threads=1):
        pytest.skip(f"more than {LIMIT} schedules")
