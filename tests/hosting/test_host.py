"""The host itself: what it refuses, and how little a run leaves behind."""

from __future__ import annotations

import ctypes
import resource
from pathlib import Path

import pytest
from cc import HEAD, faults, needs_compiler, run, sent, small

from driverref import Emulator, explore
from driverref.diagnostics import where
from driverref.errors import InvalidFree, UseAfterFree
from driverref.hosting import CompileError, building, c_driver, library, lines
from driverref.hosting.faults import variable_at
from driverref.hosting.host import host
from driverref.hosting.lines import Table

pytestmark = [pytest.mark.slow, needs_compiler]

SAYS_OK = 'static void test(void) { char *p = malloc(8); p[0] = 1; free(p); say("ok"); }'


def test_a_machine_without_memory_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = small(tmp_path, SAYS_OK)
    assert run(driver) == b"ok"
    lib = host().library
    with monkeypatch.context() as patched:
        patched.setattr(lib, "dr_lend", lambda *words: 0)
        with pytest.raises(MemoryError, match="what the emulator lends"):
            run(driver)
    with monkeypatch.context() as patched:
        patched.setattr(lib, "dr_new_call", lambda *words: 0)
        patched.setattr(host(), "_calls", {})
        with pytest.raises(MemoryError, match="another stack"):
            run(driver)
    monkeypatch.setitem(library.FUNCTIONS, "dr_start", (None,))
    monkeypatch.setattr(ctypes, "PyDLL", lambda path: _Refusing())
    with pytest.raises(CompileError, match="address space"):
        library.load(Path("runtime.so"))


class _Refusing:
    """A runtime whose machine refuses it the memory."""

    def __getattr__(self, name: str) -> object:
        function = lambda *words: 1  # noqa: E731
        setattr(self, name, function)
        return function


def test_a_buffer_that_a_job_reads_while_it_is_taken_back(tmp_path: Path) -> None:
    source = tmp_path / "lent_drv.c"
    source.write_text(
        HEAD
        + """
int seen;
static void work(void *p) { seen = *(char *)p; }
static void output(ErlDrvData d, char *buf, ErlDrvSizeT len)
{
    driver_async(port, NULL, work, buf, NULL);
    usleep(1000);
}
static ErlDrvSSizeT control(ErlDrvData d, unsigned c, char *buf, ErlDrvSizeT len, char **r, ErlDrvSizeT n)
{
    *r = malloc(2);
    memset(*r, 1, 2);
    return 2;
}
static ErlDrvData start(ErlDrvPort p, char *c) { port = p; return 0; }
static ErlDrvEntry entry = {.driver_name = "lent", .start = start, .output = output, .control = control,
    .extended_marker = ERL_DRV_EXTENDED_MARKER, .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION};
DRIVER_INIT(lent) { return &entry; }
"""
    )
    driver = c_driver(source, flags=["-w"])

    def scenario(erl: Emulator) -> None:
        erl.erl_ddll.load_driver(driver())
        port = erl.open_port(("spawn_driver", "lent"))
        erl.port_command(port, b"x")
        erl.port_close(port)

    found = explore(scenario, async_threads=1, progress=False).faults
    assert {fault.name for fault in found} == {"UseAfterFree"}
    assert any("lent for the call only" in fault.text for fault in found)

    # A reply of control is freed by the emulator, as a block of driver_alloc.
    def reply() -> None:
        with Emulator() as erl:
            erl.erl_ddll.load_driver(driver())
            erl.port_control(erl.open_port(("spawn_driver", "lent")), 1, b"")

    with pytest.raises(
        InvalidFree, match="driver_free cannot free a malloc block of 2 bytes: use free"
    ):
        reply()


def test_ten_thousand_runs_leave_nothing_behind(tmp_path: Path) -> None:
    driver = small(tmp_path, SAYS_OK)
    broken = "static void test(void) { char *p = malloc(8); free(p); p[0] = 1; }"
    (tmp_path / "broken").mkdir()
    abandoned = small(tmp_path / "broken", broken)

    def once() -> None:
        assert run(driver) == b"ok"
        with pytest.raises(UseAfterFree):
            run(abandoned)

    for _ in range(50):
        once()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(500):
        once()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2000  # KB


def test_an_address_that_is_nobody_s_has_no_place(tmp_path: Path) -> None:
    small(tmp_path, SAYS_OK)
    served = host()
    assert served.place(0) == where(None)
    assert served.beginning(0) is None
    assert served.function(8) == "a function of a library"
    assert variable_at(served, 8) is None
    assert Table([], [], []).variable(5) is None
    assert Table([], [], []).line(5) is None
    with Emulator() as erl:
        assert sent(erl, small(tmp_path, SAYS_OK)) == b"ok"
        assert served.run is not None
        assert served.name(8) == (8, "in memory that is not the driver's")


def test_all_is_made_again_in_an_empty_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = (building.runtime, building.declared, building._linked_in)
    monkeypatch.setenv("DRIVERREF_CACHE", str(tmp_path / "cache"))
    for function in cached:
        function.cache_clear()
    try:
        source = tmp_path / "small_drv.c"
        source.write_text("int driver_init(void) { return 0; }")
        assert building.build([source]).object.exists()
    finally:
        for function in cached:
            function.cache_clear()


def test_what_waits_for_a_condition_that_is_destroyed(tmp_path: Path) -> None:
    text = """
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static void work(void *p) { pthread_mutex_lock(&m); pthread_cond_wait(&c, &m); }
static void test(void) { driver_async(port, NULL, work, NULL, NULL); usleep(1000); pthread_cond_destroy(&c); }
"""
    kinds = {fault.name for fault in faults(small(tmp_path, text))}
    assert kinds == {"Misuse", "Deadlock"}


def test_driver_init_may_be_missing(tmp_path: Path) -> None:
    source = tmp_path / "none_drv.c"
    source.write_text("int nothing;")
    with pytest.raises(CompileError, match="DRIVER_INIT"):
        c_driver(source)


def test_a_process_that_is_gone_cannot_be_monitored(tmp_path: Path) -> None:
    source = tmp_path / "gone_drv.c"
    source.write_text(
        HEAD
        + """
static ErlDrvTermData first;
static void output(ErlDrvData d, char *buf, ErlDrvSizeT len)
{
    ErlDrvMonitor m;
    if (first == 0)
        first = driver_caller(port);
    else
        say(driver_monitor_process(port, first, &m) > 0 ? "gone" : "there");
}
static void process_exit(ErlDrvData d, ErlDrvMonitor *m) { }
static ErlDrvData start(ErlDrvPort p, char *c) { port = p; return 0; }
static ErlDrvEntry entry = {.driver_name = "gone", .start = start, .output = output, .process_exit = process_exit,
    .extended_marker = ERL_DRV_EXTENDED_MARKER, .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION};
DRIVER_INIT(gone) { return &entry; }
"""
    )
    with Emulator() as erl:
        erl.process_flag("trap_exit", True)
        erl.erl_ddll.load_driver(c_driver(source, flags=["-w"])())
        port = erl.open_port(("spawn_driver", "gone"), ("binary",))
        erl.link(erl.spawn(lambda: erl.port_command(port, b"")))
        assert erl.receive()[0] == "EXIT"
        erl.port_command(port, b"")
        assert erl.receive()[1] == ("data", b"gone")
        erl.port_close(port)


def test_the_table_of_lines_knows_where_a_file_s_code_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
more.c                                  7              0x20               x
more.c                                  -              0x30
main.c                                  3              0x10               x
main.c                                  4              0x18               x
main.c                                  -              0x20
"""
    monkeypatch.setattr(lines, "call", lambda command: text if command[0] == "readelf" else "")
    table = Table.read(Path("driver.so"), [Path("/here/main.c")])
    found = [table.line(address + 1) for address in (0x10, 0x18, 0x20, 0x30)]
    assert [str(line) for line in found] == [
        "main.c:3 in ?",
        "main.c:4 in ?",
        "more.c:7 in ?",
        "None",
    ]
    assert found[0] is not None
    assert found[0].file == "/here/main.c"


def test_a_text_that_is_no_text_is_told_in_every_schedule(tmp_path: Path) -> None:
    text = """
static void test(void) { char *p = malloc(2); memset(p, 'x', 2); erl_drv_mutex_create(p); }
"""
    assert [fault.name for fault in faults(small(tmp_path, text))] == ["OutOfBounds"]


VERSIONED = """
#include <erl_driver.h>
static ErlDrvData start(ErlDrvPort port, char *command) { (void)command; return (ErlDrvData)port; }
static ErlDrvEntry entry = {
    .driver_name = "versioned", .start = start, .extended_marker = (int)MARKER, .major_version = MAJOR,
    .minor_version = MINOR, .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING };
DRIVER_INIT(versioned) { return &entry; }
"""


@pytest.mark.rule("header.version-on-load")
@pytest.mark.parametrize(
    ("marker", "major", "minor", "release", "loads"),
    [
        ("ERL_DRV_EXTENDED_MARKER", 3, 3, "25", True),
        ("ERL_DRV_EXTENDED_MARKER", 3, 3, "R16B", True),  # as compiled there
        ("ERL_DRV_EXTENDED_MARKER", 3, 2, "R16B", False),
        ("ERL_DRV_EXTENDED_MARKER", 2, -1, "25", True),
        ("ERL_DRV_EXTENDED_MARKER", 3, 4, "25", False),
        ("ERL_DRV_EXTENDED_MARKER", -3, 0, "25", False),
        ("0", 0, 0, "25", False),
    ],
)
def test_the_entry_says_what_the_driver_was_compiled_for(
    marker: str, major: int, minor: int, release: str, loads: bool, tmp_path: Path
) -> None:
    source = tmp_path / "versioned.c"
    source.write_text(VERSIONED)
    driver = c_driver(source, flags=[f"-DMARKER={marker}", f"-DMAJOR={major}", f"-DMINOR={minor}"])
    with Emulator(release=release) as erl:
        answer = erl.erl_ddll.load_driver(driver())
        assert answer == ("ok" if loads else ("error", "driver_incorrect_version"))
