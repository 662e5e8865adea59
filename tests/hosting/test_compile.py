"""From the C file to a driver: the compiler's words, the cache, C++, several files, stand-ins."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cc import HEAD, TAIL, faults, needs_compiler, run, sent, small

from driverref import Emulator
from driverref.errors import Misuse
from driverref.hosting import CompileError, c_driver, kept, tools
from driverref.hosting.run import Run

pytestmark = [pytest.mark.slow, needs_compiler]


def test_a_compiler_error_is_shown_as_the_compiler_said_it(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match=r"small_drv.c:\d+:\d+: error: .*nonsense"):
        small(tmp_path, "static void test(void) { nonsense; }")


def test_a_function_that_is_nowhere_is_told_by_the_linker(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="undefined reference to `nowhere'"):
        small(tmp_path, "void nowhere(void); static void test(void) { nowhere(); }")


def test_what_is_missing_is_said_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CompileError, match="there is no such file"):
        c_driver(tmp_path / "none.c")
    with pytest.raises(CompileError, match="there is no no-such-cc: on Debian"):
        small(tmp_path, "static void test(void) {}", cc="no-such-cc")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CompileError, match="there is no C compiler"):
        tools.compiler(None, False)
    with pytest.raises(CompileError, match=r"there is no C\+\+ compiler"):
        tools.compiler(None, True)
    with pytest.raises(CompileError, match="readelf, of the package binutils"):
        tools.call(["readelf"])
    monkeypatch.setattr(Path, "is_file", lambda path: False)
    with pytest.raises(CompileError, match="needs erl_driver.h"):
        tools.header_folder(["-I/nowhere"])


def test_flags_and_libs_are_lists(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="c_driver: flags must be a list of str"):
        c_driver(tmp_path / "x.c", flags="-w")


def test_it_is_compiled_once_for_each_content(tmp_path: Path) -> None:
    (tmp_path / "part.h").write_text('#define WORD "one"\n')
    text = '#include "part.h"\nstatic void test(void) { say(WORD); }'
    first = small(tmp_path, text)
    assert run(first) == b"one"
    again = small(tmp_path, text)
    assert again._module is first._module
    (tmp_path / "part.h").write_text('#define WORD "two"\n')
    assert run(small(tmp_path, text)) == b"two"
    (tmp_path / "part.h").unlink()
    with pytest.raises(CompileError, match="part.h"):
        small(tmp_path, text)


def test_several_sources_flags_and_a_library(tmp_path: Path) -> None:
    (tmp_path / "more.c").write_text(
        "#include <math.h>\nint more(double x) { return (int)floor(x) + N; }"
    )
    (tmp_path / "main.c").write_text(
        HEAD
        + 'int more(double);\nstatic void test(void) { HOLDS(more(2.5) == 9); say("ok"); }'
        + TAIL
    )
    driver = c_driver(tmp_path / "main.c", tmp_path / "more.c", flags=["-w", "-DN=7"], libs=["-lm"])
    assert run(driver) == b"ok"
    assert str(driver).startswith("<CDriver ")
    assert pickle.loads(pickle.dumps(driver))._module is driver._module


def test_a_driver_in_c_plus_plus(tmp_path: Path) -> None:
    source = tmp_path / "plus_drv.cc"
    source.write_text("""
#include <erl_driver.h>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>
static std::map<std::string, int> made{{"one", 1}};      // a constructor allocates
static ErlDrvPort port;
struct alignas(64) Wide { char c[64]; };
static std::mutex lock;
static ErlDrvData start(ErlDrvPort p, char *) { port = p; return ErlDrvData(0); }
static void output(ErlDrvData, char *, ErlDrvSizeT)
{
    std::lock_guard<std::mutex> held(lock);
    std::vector<int> many(100, 7);
    auto wide = std::make_unique<Wide>();
    int *array = new int[3]();
    delete[] array;
    made["two"] += 2;
    std::string text = "said ";
    text += std::to_string(made.size());
    text.append(100, '.');
    try {
        many.at(1000) = 1;
    } catch (const std::out_of_range &) {
        text += "caught";
    }
    made.erase("two");
    driver_output(port, &text[0], 6);
}
static ErlDrvEntry entry = {};
extern "C" {
DRIVER_INIT(small)
{
    entry.driver_name = (char *)"small";
    entry.start = start;
    entry.output = output;
    entry.extended_marker = (int)ERL_DRV_EXTENDED_MARKER;
    entry.major_version = ERL_DRV_EXTENDED_MAJOR_VERSION;
    return &entry;
}
}
""")
    driver = c_driver(source, flags=["-std=c++17"])
    assert [run(driver) for _ in range(3)] == [b"said 2"] * 3


def test_an_init_that_the_emulator_does_not_find_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "mangled_drv.cpp"
    source.write_text("#include <erl_driver.h>\nDRIVER_INIT(mangled_drv) { return nullptr; }\n")
    with pytest.raises(CompileError, match=r"mangled_drv\.cpp: .*extern \"C\".*no_driver_init"):
        c_driver(source)


def test_python_stands_in_for_a_function_of_a_library(tmp_path: Path) -> None:
    def lookup(run: Run, a: memoryview) -> int:
        assert run.text(a[0]) == "name"
        return 40 + a[1]

    text = """
int lookup(const char *name, int more);
static void test(void) { HOLDS(lookup("name", 2) == 42); say("ok"); }
"""
    assert run(small(tmp_path, text, stand_ins={"lookup": lookup})) == b"ok"


def test_one_emulator_at_a_time_runs_drivers_in_c(tmp_path: Path) -> None:
    driver = small(tmp_path, 'static void test(void) { say("ok"); }')
    with Emulator() as erl:
        assert sent(erl, driver) == b"ok"
        code = (
            "import threading\nfrom driverref import Emulator\n"
            "def other():\n"
            "    try:\n"
            "        with Emulator(): driver()\n"
            "    except Exception as error: found.append(error)\n"
            "thread = threading.Thread(target=other)\nthread.start()\nthread.join()\n"
        )
        found: list[Exception] = []
        exec(code, {"driver": driver, "found": found})
        assert isinstance(found[0], Misuse)
        assert "two emulators" in str(found[0])


def test_a_compiled_driver_is_loaded_by_another_process_without_a_compiler(tmp_path: Path) -> None:
    small(tmp_path, 'static void test(void) { say("ok"); }')
    (tmp_path / "again.py").write_text(
        "from driverref.hosting import building, c_driver\n"
        "building.call = None\n"
        f"c_driver({str(tmp_path / 'small_drv.c')!r}, flags=['-w'])\n"
    )
    subprocess.run([sys.executable, str(tmp_path / "again.py")], check=True, env=dict(os.environ))


def test_the_cache_is_where_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DRIVERREF_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert kept.cache_folder() == Path("/somewhere/driverref")
    monkeypatch.setenv("DRIVERREF_CACHE", "/mine")
    assert kept.cache_folder() == Path("/mine")


@pytest.mark.skipif(shutil.which("clang") is None, reason="there is no clang")
def test_with_clang_the_same_is_found(tmp_path: Path) -> None:
    text = """
int seen;
static void work(void *p) { seen = *(int *)p; MORE }
static void free_job(void *p) { free(p); }
#define READY free_job
static void test(void)
{
    int *p = malloc(4);
    *p = 1;
    driver_async(port, NULL, work, p, free_job);
    LAST
}
"""
    for more, last, fault in (
        ("", "", []),
        ("free(p);", "", ["DoubleFree"]),
        ("", "seen = 2;", ["DataRace"]),
        ("((volatile int *)p)[1] = 1;", "", ["OutOfBounds"]),
        ("for (;;);", "", ["Endless"]),
    ):
        driver = small(tmp_path, text.replace("MORE", more).replace("LAST", last), cc="clang")
        assert [found.name for found in faults(driver)] == fault, (more, last)
