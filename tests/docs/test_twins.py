"""A driver that a page shows in C and in Python is the same driver: the same functions, and the same calls."""

from __future__ import annotations

import pytest
from _ext.driver_files import Shown, parts, shown
from book import PAGES
from twins import differences, struct_differences, table_differences

SHOWN = [driver for page in PAGES for driver in shown(page)]

DIFFERENT: dict[str, tuple[str, ...]] = {
    # A list knows its length, and the array at the end of a struct in C does not.
    "capitals_drv": ("Job: number 2 is count in C, and parts in Python",),
}
"""What is allowed to differ, by the name of the driver, each with the reason in a comment."""

every_driver = pytest.mark.parametrize("driver", SHOWN, ids=lambda driver: driver.c.stem)


@every_driver
def test_c_and_python_have_the_same_functions_with_the_same_calls(driver: Shown) -> None:
    c = driver.c.read_text("utf-8").partition("DRIVER_INIT(")[0]
    if driver.only:
        found = differences(parts(c, driver.only), driver.python)
    else:
        found = differences(c, driver.python)
        found += table_differences(c, driver.python, driver.python_class)
    found += struct_differences(c, driver.python)
    assert found == list(DIFFERENT.get(driver.name, ()))


def test_what_is_allowed_to_differ_is_shown() -> None:
    assert DIFFERENT.keys() <= {driver.name for driver in SHOWN}


C = r"""
#include <erl_driver.h>
#define WAIT(n) \
    usleep(n)
typedef struct { int n; } Job;          /* driver_free(job) */
static const char *texts[] = {"driver_output()", "}"};
static void work(void *);
static void work(void *data)
{
    Job *job = data;
    if (!atomic_load(&job->n)) {
        usleep(1);                      // driver_free(job)
    }
}
static void release(void *job) { driver_free(job); }
static ErlDrvData start(ErlDrvPort port, char *command)
{
    atomic_init(&flag, false);
    return (ErlDrvData)port;
}
static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    Job *job = driver_alloc(sizeof *job);
    char brace = '{';
    if (driver_async(data, NULL, work, job, release) == -1)
        release(job);
    atomic_compare_exchange_strong(&job->n, &old, 1);
}
/* The table of callbacks. */
static ErlDrvEntry entry = {
    .driver_name = "twin",
    .start = start,
    .output = output,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
};
"""

PYTHON = """
class Job(Struct):
    n: int
def work(job):
    if not job.n.load():
        usleep(1)
def release(job):
    driver_free(job)
class Twin(Driver):
    driver_name = "twin"
    def start(self, port, command):
        self.flag = Atomic(False)
        return port
    def output(self, port, buf):
        job = driver_alloc(Job)
        if driver_async(port, None, work, job, release) == -1:
            release(job)
        job.n.compare_exchange(0, 1)
"""


def test_twins_are_alike() -> None:
    assert differences(C, PYTHON) == []
    assert table_differences(C, PYTHON, "Twin") == []


@pytest.mark.parametrize(
    ("right", "wrong", "found"),
    [
        ("    n: int\n", "    m: int\n", ["Job: number 1 is n in C, and m in Python"]),
        ("    n: int\n", "    pass\n", ["Job: number 1 is n in C, and no more in Python"]),
        (
            "    n: int\n",
            "    n: int\n    m: int\n",
            ["Job: number 2 is no more in C, and m in Python"],
        ),
        ("class Job", "class Other", []),  # such as one that another step of a tutorial shows
    ],
)
def test_a_struct_that_differs_is_found(right: str, wrong: str, found: list[str]) -> None:
    assert struct_differences(C, PYTHON) == []
    assert PYTHON.count(right) == 1
    assert struct_differences(C, PYTHON.replace(right, wrong)) == found


def test_each_name_of_a_declaration_is_a_field() -> None:
    c = "typedef struct { int a, b; struct x *c; char d[4], e[]; } Job;"
    python = "class Job(Struct):\n a: int\n b: int\n c: object\n d: bytes\n e: bytes"
    assert struct_differences(c, python) == []


def test_a_method_is_a_function_like_any_other() -> None:
    inside = """
class Twin(Driver):
    def work(self, job):
        pass
    def output(self, port, buf):
        driver_async(port, None, self.work, None, None)
"""
    c = "void work(void *p) { } void output(int d) { driver_async(d, NULL, work, NULL, NULL); }"
    assert differences(c, inside) == []


def test_a_field_is_no_call() -> None:
    c = "void work(void *p) { use(p->driver_major_version, job.usleep); }"
    assert differences(c, "def work(p): use(p.driver_major_version, job.usleep)") == []


@pytest.mark.parametrize(
    ("right", "wrong", "found"),
    [
        (
            "        usleep(1)\n",
            "        pass\n",
            "work: number 2 is usleep in C, and no more in Python",
        ),
        (
            "            release(job)\n",
            "            pass\n",
            "output: number 5 is release in C, and atomic_compare_exchange in Python",
        ),
        (
            "work, job, release)",
            "work, job, None)",
            "output: number 5 is release in C, and atomic_compare_exchange",
        ),
        ("work, job, release", "release, job, work", "output: number 3 is work in C, and release"),
        (
            "    driver_free(job)",
            "    driver_free(job); driver_free(job)",
            "release: number 2 is no more in C",
        ),
        (
            "def release(job):\n    driver_free(job)\n",
            "",
            "functions: number 2 is release in C, and start in Python",
        ),
        (
            "    def start",
            "    def begin",
            "functions: number 3 is start in C, and begin in Python",
        ),
        ("Atomic(False)", "False", "start: number 1 is atomic_init in C, and no more in Python"),
    ],
)
def test_a_twin_that_differs_is_found(right: str, wrong: str, found: str) -> None:
    assert PYTHON.count(right) == 1
    unlike = differences(C, PYTHON.replace(right, wrong))
    assert any(line.startswith(found) for line in unlike), unlike


@pytest.mark.parametrize(
    ("right", "wrong", "found"),
    [
        (".output = output,", ".output = start,", ".output is start"),
        (".output = output,", "", "only one has output"),
        (".output = output,", ".output = output, .stop = stop,", "only one has stop"),
        ('"twin"', '"other"', 'driver_name is "other" in C, and twin in Python'),
        ('.driver_name = "twin",', "", "driver_name is None in C, and twin in Python"),
    ],
)
def test_a_table_that_differs_is_found(right: str, wrong: str, found: str) -> None:
    assert table_differences(C.replace(right, wrong), PYTHON, "Twin") == [found]
