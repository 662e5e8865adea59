"""C11's atomics in C: which orders publish, and which do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from cc import faults, needs_compiler, run, small

pytestmark = [pytest.mark.slow, needs_compiler]

MESSAGE = """
static int data;
static atomic_int flag;
static void work(void *p) {{ data = 1; {publish} }}
int seen;
static void test(void)
{{
    driver_async(port, NULL, work, NULL, NULL);
    if ({look})
        seen = data;
}}
"""

PUBLISH = {
    "release": "atomic_store_explicit(&flag, 1, memory_order_release);",
    "relaxed": "atomic_store_explicit(&flag, 1, memory_order_relaxed);",
    "seq_cst": "atomic_store(&flag, 1);",
    "change": "atomic_fetch_or_explicit(&flag, 1, memory_order_release);",
    "fence": "atomic_thread_fence(memory_order_release); atomic_store_explicit(&flag, 1, memory_order_relaxed);",
    "release, then a relaxed change": "atomic_store_explicit(&flag, 1, memory_order_release);"
    " atomic_fetch_add_explicit(&flag, 2, memory_order_relaxed);",
    "release, then a relaxed store": "atomic_store_explicit(&flag, 0, memory_order_release);"
    " atomic_store_explicit(&flag, 1, memory_order_relaxed);",
}
LOOK = {
    "acquire": "atomic_load_explicit(&flag, memory_order_acquire) & 1",
    "relaxed": "atomic_load_explicit(&flag, memory_order_relaxed) & 1",
    "fence": "(atomic_load_explicit(&flag, memory_order_relaxed) & 1) && (atomic_thread_fence(memory_order_acquire), 1)",
    "exchange": "atomic_exchange_explicit(&flag, 0, memory_order_acq_rel) & 1",
    "compare": "atomic_compare_exchange_strong_explicit(&flag, &(int){1}, 5, memory_order_acquire, memory_order_relaxed)",
}
RELAXED = {"relaxed", "release, then a relaxed store"}


@pytest.mark.rule("hosting.orders-of-c11")
@pytest.mark.parametrize("look", LOOK)
@pytest.mark.parametrize("publish", PUBLISH)
def test_a_message_is_published_by_a_release_that_is_acquired(
    publish: str, look: str, tmp_path: Path
) -> None:
    text = MESSAGE.format(publish=PUBLISH[publish], look=LOOK[look])
    kinds = {fault.name for fault in faults(small(tmp_path, text))}
    ordered = publish not in RELAXED and look != "relaxed"
    if look == "compare" and publish == "release, then a relaxed change":
        # It compares with 1, which is what the release has stored.
        ordered = True
    assert kinds == (set() if ordered else {"DataRace"})


def test_a_compare_and_exchange_that_fails_releases_nothing(tmp_path: Path) -> None:
    text = MESSAGE.format(
        publish="int two = 2; atomic_compare_exchange_strong_explicit(&flag, &two, 1, memory_order_release, memory_order_relaxed);"
        " atomic_store_explicit(&flag, 1, memory_order_relaxed);",
        look=LOOK["acquire"],
    )
    assert {fault.name for fault in faults(small(tmp_path, text))} == {"DataRace"}


def test_an_atomic_and_a_plain_use_race(tmp_path: Path) -> None:
    text = """
int x;
static void work(void *p) { __atomic_store_n(&x, 1, __ATOMIC_SEQ_CST); }
static void test(void) { driver_async(port, NULL, work, NULL, NULL); x = 2; }
"""
    assert {fault.name for fault in faults(small(tmp_path, text))} == {"DataRace"}


def test_the_operations_do_what_they_do(tmp_path: Path) -> None:
    text = """
#define ALL(T, name) \\
    static T name; \\
    static int all_##name(void) { \\
        T v = 5; \\
        __atomic_store_n(&name, 6, 5); \\
        return __atomic_fetch_add(&name, 1, 5) == 6 && __atomic_fetch_sub(&name, 2, 5) == 7 \\
            && __atomic_fetch_or(&name, 8, 5) == 5 && __atomic_fetch_and(&name, 9, 5) == 13 \\
            && __atomic_fetch_xor(&name, 1, 5) == 9 && __atomic_exchange_n(&name, 3, 5) == 8 \\
            && __atomic_fetch_nand(&name, 1, 5) == 3 && __atomic_load_n(&name, 5) == (T)~1 \\
            && !__atomic_compare_exchange_n(&name, &v, 1, 0, 5, 5) && v == (T)~1 \\
            && __atomic_compare_exchange_n(&name, &v, 1, 1, 5, 5) && name == 1; \\
    }
ALL(unsigned char, a) ALL(unsigned short, b) ALL(unsigned, c) ALL(unsigned long, d)
static void test(void)
{
    HOLDS(all_a() && all_b() && all_c() && all_d());
    atomic_signal_fence(memory_order_seq_cst);
    atomic_thread_fence(memory_order_seq_cst);
    say("ok");
}
"""
    assert run(small(tmp_path, text)) == b"ok"


def test_a_large_atomic_array_counts_as_few_words(tmp_path: Path) -> None:
    text = """
static atomic_long many[200];
static void work(void *p) { for (int i = 0; i < 3; i++) atomic_fetch_add(&many[i], 1); }
static void test(void) { driver_async(port, NULL, work, NULL, NULL); atomic_fetch_add(&many[1], 1); }
"""
    assert faults(small(tmp_path, text)) == []
