"""The C and Erlang files beside the pages: what a reader copies compiles, runs, and keeps what its head promises.

A pair is `<name>.c` and `<name>.erl`, or an Erlang file that several drivers share and that gets the driver's name; the
head of the C file names it then (`_ext.driver_files.erlang_of`).  The head comments are the test's input: the indented lines that begin with
`cc`, `erlc`, `erl` or `NAME=` are the commands, and the indented lines under "prints:" are what `main/0` prints, where
`...` stands for anything; without them each format in the Erlang file has to be found in what was printed.  `main/0`
returns when it has shown what it shows.

To see what is left behind, the C is compiled once more with `LEDGER`, which counts what the file takes and gives back.
A second emulator runs `main/0` whole, then kills it again and again at other moments, with all its processes, ports and
the driver, and looks at the balance when the library has been unloaded.  Every other time the async threads are held
up, so that jobs are still queued when their port is gone.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
from _ext.driver_files import commands, erlang_of, head, nif_of, promised, shown
from book import DOCS

pytestmark = pytest.mark.slow


QUESTIONS = DOCS / "questions"
FOLDERS = sorted(page.parent for page in QUESTIONS.glob("*/index.md"))
PAIRS = sorted(
    path
    for kind in ("drv", "nif")
    for path in DOCS.rglob(f"*_{kind}.c")
    if erlang_of(path).is_file()
)
NAMES = [path.stem for path in PAIRS]
LEAKS = {"owner_drv"}
"""Steps of the tutorial that leak when their port is closed: the ledger finds it."""
PATIENCE = 100
"""Seconds after which a tool that has not ended is given up."""

MISSING = [tool for tool in ("erl", "erlc", "cc") if shutil.which(tool) is None]
real = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
pairs = pytest.mark.parametrize("source", PAIRS, ids=NAMES)

FLAGS = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
if sys.platform == "darwin":
    FLAGS += ["-undefined", "dynamic_lookup"]


def like(line: str, pattern: str) -> bool:
    """Whether a line is as promised, up to what `...` stands for."""
    return bool(re.fullmatch(".*".join(map(re.escape, pattern.split("..."))), line))


def check(printed: str, source: Path) -> None:
    """Hold what was printed against what the pair says."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    promise = promised(source)
    if promise:
        assert len(lines) == len(promise), printed
        assert all(map(like, lines, promise)), printed
        return
    erlang = erlang_of(source).read_text()
    formats = re.findall(r'io:format\("((?:[^"\\]|\\.)*)"', erlang)
    assert formats, f"{source.stem}: main/0 prints nothing"
    for text in formats:
        pattern = re.sub(r"~[0-9.*]*t?[a-zP]", "...", text.removesuffix("~n"))
        assert re.search(".*".join(map(re.escape, pattern.split("..."))), printed), printed


def call(argv: list[str], folder: Path, **environment: str) -> str:
    """Run a tool, insist that it ends well, and return all it wrote."""
    with subprocess.Popen(
        argv,
        cwd=folder,
        env=os.environ | {"ERL_CRASH_DUMP_BYTES": "0"} | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as tool:
        try:
            written, _ = tool.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(tool.pid, 9)
            written, _ = tool.communicate()
            raise AssertionError(f"{argv} did not end; it wrote:\n{written}") from None
    assert tool.returncode == 0, f"{argv} ended with {tool.returncode}:\n{written}"
    return written


@pytest.fixture(scope="session")
def include() -> Path:
    """The folder of `erl_driver.h` and `erl_nif.h`."""
    say_root = "io:put_chars(code:root_dir()), halt()."
    folder = Path(call(["erl", "-noinput", "-eval", say_root], QUESTIONS), "usr", "include")
    if not (folder / "erl_driver.h").is_file():
        pytest.skip("not installed: erl_driver.h")
    return folder


class Builder:
    """Compiles each pair once, as it is and with the ledger.  Any thread."""

    def __init__(self, include: Path, folder: Path) -> None:
        self.include = include
        self.folder = folder
        self.lock = Lock()
        self.built: dict[tuple[Path, bool], Future[Path]] = {}

    def __call__(self, source: Path, counting: bool = False) -> Path:
        """The folder in which a pair was compiled."""
        with self.lock:
            mine = Future[Path]()
            future = self.built.setdefault((source, counting), mine)
            folder = self.folder / f"{source.stem}-{len(self.built)}"
        if future is mine:
            try:
                folder.mkdir()
                mine.set_result(self.compile(source, counting, folder))
            except BaseException as error:
                mine.set_exception(error)
        return future.result()

    def compile(self, source: Path, counting: bool, folder: Path) -> Path:
        more = []
        if counting:
            (folder / "ledger.h").write_text(LEDGER)
            for file in self.harness.iterdir():
                shutil.copy(file, folder)
            more = ["-w", "-include", "ledger.h"]
            more += ["-DLEDGER_NIF"] if source.stem.endswith("_nif") else []
        files = ["-I", str(self.include), "-o", f"{source.stem}.so", str(source)]
        call(["cc", *FLAGS, *more, *files], folder)
        call(["erlc", "+warnings_as_errors", str(erlang_of(source))], folder)
        return folder

    @cached_property
    def harness(self) -> Path:
        """The folder of what kills and holds up, compiled."""
        source, folder = self.folder / "harness_source", self.folder / "harness"
        with self.lock:
            if not folder.exists():
                source.mkdir()
                (source / "harness.erl").write_text(HARNESS)
                (source / "plug.c").write_text(PLUG)
                call(["erlc", "+warnings_as_errors", "harness.erl"], source)
                call(["cc", *FLAGS, "-I", str(self.include), "-o", "plug.so", "plug.c"], source)
                folder.mkdir()
                for name in "harness.beam", "plug.so":
                    shutil.copy(source / name, folder)
        return folder


@pytest.fixture(scope="session")
def build(include: Path, tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """`build(source, counting)`: the folder in which a pair was compiled; compiled once."""
    return Builder(include, tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def ahead(
    request: pytest.FixtureRequest, build: Builder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Any]]]:
    """Everything that the tests which were chosen will ask for, by their names, begun at once and as many at a time as
    there are processors: most of the time an emulator starts, or waits.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        begun = {}
        if not hasattr(request.config, "workerinput"):  # a worker would begin the others' as well
            for item in request.session.items:
                if isinstance(item, pytest.Function) and (work := WORK.get(item.originalname)):
                    folder = tmp_path_factory.mktemp("ahead")
                    begun[item.nodeid] = pool.submit(work, build, folder, **item.callspec.params)
        yield begun
        for future in begun.values():
            future.cancel()


@pytest.fixture
def done(
    request: pytest.FixtureRequest, ahead: dict[str, Future[Any]], build: Builder, tmp_path: Path
) -> Any:
    """What the test's `WORK` has come to."""
    if request.node.nodeid in ahead:
        return ahead[request.node.nodeid].result()
    return WORK[request.node.originalname](build, tmp_path, **request.node.callspec.params)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_question_shows_a_small_driver_and_a_nif_and_has_a_larger_driver(folder: Path) -> None:
    (small,) = shown(folder / "index.md")
    nif = nif_of(small.c)
    larger = {f"{folder.name}_drv.c", f"{folder.name}_drv.erl"}
    assert {path.name for path in folder.iterdir()} >= {nif.name, *larger}
    # Both do the same work, up to what a driver does when its port is closed.
    ends = ("closed", "unloaded")
    work = [line for line in promised(small.c) if not line.startswith(ends)]
    assert [line for line in promised(nif) if line in work] == work


@pairs
def test_a_file_carries_its_licence_and_says_what_it_is(source: Path) -> None:
    for path in source, erlang_of(source):
        lines = [line.strip() for line in head(path)]
        assert "SPDX-License-Identifier: 0BSD" in lines, path.name
        assert any(len(line.split()) > 4 for line in lines), path.name
        assert "\t" not in path.read_text(), path.name
        assert path.read_text().isascii(), path.name
        assert max(map(len, path.read_text().splitlines())) <= 120, path.name


@pairs
def test_a_driver_is_of_the_extended_kind(source: Path) -> None:
    if source.stem.endswith("_drv"):
        for word in (
            "ERL_DRV_EXTENDED_MARKER",
            "ERL_DRV_EXTENDED_MAJOR_VERSION",
            "ERL_DRV_EXTENDED_MINOR_VERSION",
            "ERL_DRV_FLAG_USE_PORT_LOCKING",
        ):
            assert word in source.read_text()


def follow_heads(build: Builder, folder: Path, source: Path) -> str:
    """What is printed by the commands that the heads of a pair give, beside nothing but the two files."""
    both = source, erlang_of(source)
    for path in both:
        shutil.copy(path, folder)
    lines = list(dict.fromkeys(line for path in both for line in commands(path)))
    for tool in "cc ", "erlc ", "erl ":
        assert any(line.startswith(tool) for line in lines), f"no command {tool}"
    if sys.platform == "darwin":
        lines = [line.replace("-shared", "-shared -undefined dynamic_lookup") for line in lines]
    for flag in "-std=c11 -Wall -Wextra -Werror -fPIC -shared".split():
        assert any(flag in line for line in lines if line.startswith("cc "))
    return call(["sh", "-euc", "\n".join(lines)], folder)


@real
@pairs
def test_the_commands_in_the_heads_are_all_one_needs(source: Path, done: str) -> None:
    check(done, source)


def main_of(source: Path) -> list[str]:
    """The module whose `main` plays a pair and, if it is shared, the name of the driver."""
    module = erlang_of(source).stem
    return [module] if module == source.stem else [module, source.stem]


def run_main(build: Builder, folder: Path, source: Path, schedulers: int, threads: int) -> str:
    """What `main/0` prints, in a folder of its own: others run it at the same time, and it may write files."""
    options = ["+A", f"{threads}", "+S", f"{schedulers}", "-noshell", "-pa", str(build(source))]
    module, *driver = main_of(source)
    return call(["erl", *options, "-s", module, "main", *driver, "-s", "erlang", "halt"], folder)


@real
@pytest.mark.parametrize("threads", [1, 4], ids="+A{}".format)
@pytest.mark.parametrize("schedulers", [1, 2], ids="+S{}".format)
@pairs
def test_main_prints_what_the_head_says(
    source: Path, schedulers: int, threads: int, done: str
) -> None:
    check(done, source)


def balances(build: Builder, folder: Path, source: Path, threads: int) -> set[str]:
    """What the ledger says each time that the library is unloaded, while `main/0` is run and killed."""
    ledger = folder / "ledger"
    options = ["+A", f"{threads}", "-noshell", "-pa", str(build(source, counting=True))]
    arguments = ["-run", "harness", "main", *main_of(source), "-s", "erlang", "halt"]
    printed = call(["erl", *options, *arguments], folder, LEDGER=str(ledger))
    assert "harness: done" in printed, printed
    return set(ledger.read_text().splitlines())


@real
@pytest.mark.parametrize("threads", [1, 4], ids="+A{}".format)
@pairs
def test_nothing_is_left_behind_whenever_it_is_killed(
    source: Path, threads: int, done: set[str]
) -> None:
    if source.stem in LEAKS:
        assert any(re.match("blocks [1-9]", line) for line in done)
    else:
        assert done == {"nothing left"}


WORK: dict[str, Callable[..., Any]] = {
    "test_the_commands_in_the_heads_are_all_one_needs": follow_heads,
    "test_main_prints_what_the_head_says": run_main,
    "test_nothing_is_left_behind_whenever_it_is_killed": balances,
}
"""What the tests wait for."""


@real
@pytest.mark.parametrize(
    ("right", "wrong", "found"),
    [
        ("is closed */\n    driver_free(job);", "*/", "blocks [1-9]"),
        ("work, job, driver_free)", "work, job, NULL)", "blocks [1-9]"),
        ("    erl_drv_mutex_destroy(total_lock);", "", "locks 1"),
        ("    driver_free(data);", "driver_free(data); *(char *)data = 0;", "after free [1-9]"),
    ],
    ids=["no free in ready_async", "no async_free", "a lock that stays", "a write too late"],
)
def test_the_ledger_notices(
    right: str, wrong: str, found: str, build: Builder, tmp_path: Path
) -> None:
    source = tmp_path / "state_drv.c"
    text = (QUESTIONS / "state" / source.name).read_text()
    assert text.count(right) == 1
    source.write_text(text.replace(right, wrong))
    shutil.copy(QUESTIONS / "state" / "state_drv.erl", tmp_path)
    assert any(re.search(found, line) for line in balances(build, tmp_path, source, 1))


HARNESS = r"""
-module(harness).
-export([main/1]).

main(Names) ->
    [Module | _] = Main = [list_to_atom(Name) || Name <- Names],
    end_of(start(Main, group_leader())),
    unload(Module, lists:last(Names)),
    ok = erl_ddll:load_driver(filename:dirname(code:which(?MODULE)), "plug"),
    Plug = open_port({spawn_driver, "plug"}, []),
    Before = census(),
    [killed(Main, Round, Plug) || Round <- lists:seq(0, 39)],
    Sink = spawn(fun sink/0),
    end_of(start(Main, Sink)),
    exit(Sink, kill),
    unload(Module, lists:last(Names)),
    same(Before, census(), 2000),
    io:format("harness: done~n").

%% Kills main and whatever it has started, sooner or later: after 0, 4, 16, 36 us and so on up to 6 ms.
killed(Main, Round, Plug) ->
    [port_command(Plug, "") || Round rem 2 =:= 0, _ <- lists:seq(1, erlang:system_info(thread_pool_size))],
    Sink = spawn(fun sink/0),
    {Pid, Monitor} = start(Main, Sink),
    spin(erlang:monotonic_time(microsecond) + 4 * Round * Round),
    exit(Pid, kill),
    receive
        {'DOWN', Monitor, process, Pid, Reason} when Reason =:= normal; Reason =:= killed -> ok;
        {'DOWN', Monitor, process, Pid, Reason} -> exit({main, Round, Reason})
    end,
    [exit(P, kill) || P <- processes(), process_info(P, group_leader) =:= {group_leader, Sink}],
    exit(Sink, kill).

spin(Until) ->
    erlang:yield(),
    case erlang:monotonic_time(microsecond) < Until of
        true -> spin(Until);
        false -> ok
    end.

%% main/0, or main/1 of a module that gets the driver's name.
start([Module | Driver], Leader) ->
    Arguments = [[Name] || Name <- Driver],
    spawn_monitor(fun() -> group_leader(Leader, self()), ok = apply(Module, main, Arguments) end).

end_of({Pid, Monitor}) ->
    receive
        {'DOWN', Monitor, process, Pid, normal} -> ok;
        {'DOWN', Monitor, process, Pid, Reason} -> exit({main, Reason})
    end.

unload(Module, Driver) ->
    true = code:delete(Module),
    code:purge(Module),
    gone(Driver).

gone(Name) ->
    {ok, Loaded} = erl_ddll:loaded_drivers(),
    case lists:member(Name, Loaded) of
        false -> ok;
        true -> receive after 1 -> gone(Name) end
    end.

%% What a library could leave: ports, processes, descriptors, threads.
census() ->
    {length(erlang:ports()), length(processes()), entries("/proc/self/fd"), entries("/proc/self/task")}.

entries(Folder) ->
    case file:list_dir(Folder) of
        {ok, Names} -> length(Names);
        {error, _} -> unknown
    end.

%% What was killed may take a moment to be gone.
same(Before, Before, _) -> ok;
same(Before, After, 0) -> exit({left, Before, After});
same(Before, _, Left) -> receive after 5 -> same(Before, census(), Left - 1) end.

sink() ->
    receive
        {io_request, From, Tag, _} -> From ! {io_reply, Tag, ok};
        _ -> ok
    end,
    sink().
"""

PLUG = r"""
/* Each command holds up an async thread for 2 ms. */
#define _GNU_SOURCE
#include <unistd.h>
#include <erl_driver.h>

static ErlDrvPort port;
static ErlDrvData start(ErlDrvPort opened, char *command) { (void)command; port = opened; return NULL; }
static void hold(void *data) { (void)data; usleep(2000); }
static void output(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    (void)data, (void)buf, (void)len;
    driver_async(port, NULL, hold, NULL, NULL);
}
static ErlDrvEntry entry = {
    .driver_name = "plug", .start = start, .output = output,
    .extended_marker = ERL_DRV_EXTENDED_MARKER, .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
};
DRIVER_INIT(plug) { return &entry; }
"""

LEDGER = r"""
/* Stands before a driver or a NIF and counts.  A freed block is overwritten and never used again.  So a later read of
 * it returns nonsense, and a later write to it is found. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef LEDGER_NIF
#include <erl_nif.h>
#else
#include <erl_driver.h>
#endif

typedef struct { unsigned char *at; size_t size; int freed; } LedgerBlock;
static LedgerBlock *ledger_blocks;
static size_t ledger_used, ledger_room;
static pthread_mutex_t ledger_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_long ledger_binaries, ledger_resources, ledger_envs, ledger_locks, ledger_threads, ledger_others;

static void ledger_die(const char *what)
{
    fprintf(stderr, "ledger: %s\n", what);
    abort();
}

static void *ledger_in(void *at, size_t size)
{
    if (at == NULL)
        return NULL;
    memset(at, 0xA5, size); /* new memory is not zero */
    pthread_mutex_lock(&ledger_lock);
    if (ledger_used == ledger_room) {
        ledger_room = ledger_room ? 2 * ledger_room : 1024;
        ledger_blocks = (realloc)(ledger_blocks, ledger_room * sizeof *ledger_blocks);
        if (ledger_blocks == NULL)
            ledger_die("no memory");
    }
    ledger_blocks[ledger_used++] = (LedgerBlock){at, size, 0};
    pthread_mutex_unlock(&ledger_lock);
    return at;
}

static void ledger_out(void *at)
{
    size_t i;

    if (at == NULL)
        return;
    pthread_mutex_lock(&ledger_lock);
    for (i = ledger_used; i > 0 && ledger_blocks[i - 1].at != at; i--)
        ;
    if (i == 0)
        ledger_die("freed what was never allocated");
    if (ledger_blocks[i - 1].freed)
        ledger_die("freed twice");
    ledger_blocks[i - 1].freed = 1;
    memset(at, 0xDB, ledger_blocks[i - 1].size);
    pthread_mutex_unlock(&ledger_lock);
}

/* Only for a block that the file itself could have been given. */
static void *ledger_move(void *to, void *at, size_t size)
{
    size_t i, old = 0;

    if (to == NULL || at == NULL)
        return to;
    for (i = 0; i < ledger_used; i++)
        if (ledger_blocks[i].at == at)
            old = ledger_blocks[i].size;
    memcpy(to, at, old < size ? old : size);
    ledger_out(at);
    return to;
}

__attribute__((destructor)) static void ledger_close(void)
{
    const char *name = getenv("LEDGER");
    FILE *file = name ? fopen(name, "a") : NULL;
    size_t i, j;
    long left = 0, spoilt = 0;

    if (file == NULL)
        return;
    for (i = 0; i < ledger_used; i++) {
        left += !ledger_blocks[i].freed;
        for (j = 0; ledger_blocks[i].freed && j < ledger_blocks[i].size; j++)
            if (ledger_blocks[i].at[j] != 0xDB) {
                spoilt++;
                break;
            }
    }
    if (left || spoilt || ledger_binaries || ledger_resources || ledger_envs || ledger_locks || ledger_threads
        || ledger_others)
        fprintf(file, "blocks %ld, written after free %ld, binaries %ld, resources %ld, envs %ld, locks %ld, "
                "threads %ld, others %ld\n", left, spoilt, ledger_binaries, ledger_resources, ledger_envs, ledger_locks,
                ledger_threads, ledger_others);
    else
        fprintf(file, "nothing left\n");
    fclose(file);
}

static void *ledger_malloc(size_t n) { return ledger_in((malloc)(n), n); }
static void *ledger_calloc(size_t n, size_t m)
{
    void *at = ledger_in((malloc)(n * m), n * m);
    return at ? memset(at, 0, n * m) : NULL;
}
static void *ledger_realloc(void *p, size_t n) { return ledger_move(ledger_malloc(n), p, n); }
static char *ledger_strdup(const char *s)
{
    void *at = ledger_malloc(strlen(s) + 1);
    return at ? strcpy(at, s) : NULL;
}
#define malloc ledger_malloc
#define calloc ledger_calloc
#define realloc ledger_realloc
#undef strdup
#define strdup ledger_strdup
#define free ledger_out

#define LEDGER_PAIR(count, name, made, take, types, names, drop, type) \
    static made ledger_##take types { made got = take names; if (got) count++; return got; } \
    static void ledger_##drop(type it) { count--; drop(it); }

#ifdef LEDGER_NIF
static void *ledger_enif_alloc(size_t n) { return ledger_in(enif_alloc(n), n); }
static void *ledger_enif_realloc(void *p, size_t n) { return ledger_move(ledger_enif_alloc(n), p, n); }
#define enif_alloc ledger_enif_alloc
#define enif_realloc ledger_enif_realloc
#define enif_free ledger_out
static int ledger_enif_alloc_binary(size_t n, ErlNifBinary *b)
{ int ok = enif_alloc_binary(n, b); if (ok) { ledger_binaries++; memset(b->data, 0xA5, n); } return ok; }
static void ledger_enif_release_binary(ErlNifBinary *b) { ledger_binaries--; enif_release_binary(b); }
static ERL_NIF_TERM ledger_enif_make_binary(ErlNifEnv *e, ErlNifBinary *b)
{ ledger_binaries--; return enif_make_binary(e, b); }
#define enif_alloc_binary ledger_enif_alloc_binary
#define enif_release_binary ledger_enif_release_binary
#define enif_make_binary ledger_enif_make_binary
static void *ledger_enif_alloc_resource(ErlNifResourceType *t, size_t n)
{ void *at = enif_alloc_resource(t, n); if (at) { ledger_resources++; memset(at, 0xA5, n); } return at; }
static void ledger_enif_release_resource(void *r) { ledger_resources--; enif_release_resource(r); }
static void ledger_enif_keep_resource(void *r) { ledger_resources++; enif_keep_resource(r); }
#define enif_alloc_resource ledger_enif_alloc_resource
#define enif_release_resource ledger_enif_release_resource
#define enif_keep_resource ledger_enif_keep_resource
LEDGER_PAIR(ledger_envs, env, ErlNifEnv *, enif_alloc_env, (void), (), enif_free_env, ErlNifEnv *)
LEDGER_PAIR(ledger_locks, mutex, ErlNifMutex *, enif_mutex_create, (char *n), (n), enif_mutex_destroy, ErlNifMutex *)
LEDGER_PAIR(ledger_locks, cond, ErlNifCond *, enif_cond_create, (char *n), (n), enif_cond_destroy, ErlNifCond *)
LEDGER_PAIR(ledger_locks, rw, ErlNifRWLock *, enif_rwlock_create, (char *n), (n), enif_rwlock_destroy, ErlNifRWLock *)
#define enif_alloc_env ledger_enif_alloc_env
#define enif_free_env ledger_enif_free_env
#define enif_mutex_create ledger_enif_mutex_create
#define enif_mutex_destroy ledger_enif_mutex_destroy
#define enif_cond_create ledger_enif_cond_create
#define enif_cond_destroy ledger_enif_cond_destroy
#define enif_rwlock_create ledger_enif_rwlock_create
#define enif_rwlock_destroy ledger_enif_rwlock_destroy
static int ledger_enif_thread_create(char *n, ErlNifTid *t, void *(*f)(void *), void *a, ErlNifThreadOpts *o)
{ int e = enif_thread_create(n, t, f, a, o); if (e == 0) ledger_threads++; return e; }
static int ledger_enif_thread_join(ErlNifTid t, void **r) { ledger_threads--; return enif_thread_join(t, r); }
#define enif_thread_create ledger_enif_thread_create
#define enif_thread_join ledger_enif_thread_join
#else
static void *ledger_driver_alloc(ErlDrvSizeT n) { return ledger_in(driver_alloc(n), n); }
static void *ledger_driver_realloc(void *p, ErlDrvSizeT n) { return ledger_move(ledger_driver_alloc(n), p, n); }
#define driver_alloc ledger_driver_alloc
#define driver_realloc ledger_driver_realloc
#define driver_free ledger_out
static ErlDrvBinary *ledger_driver_alloc_binary(ErlDrvSizeT n)
{ ErlDrvBinary *b = driver_alloc_binary(n); if (b) { ledger_binaries++; memset(b->orig_bytes, 0xA5, n); } return b; }
static void ledger_driver_free_binary(ErlDrvBinary *b) { ledger_binaries--; driver_free_binary(b); }
static ErlDrvSInt ledger_driver_binary_inc_refc(ErlDrvBinary *b)
{ ledger_binaries++; return driver_binary_inc_refc(b); }
static ErlDrvSInt ledger_driver_binary_dec_refc(ErlDrvBinary *b)
{ ledger_binaries--; return driver_binary_dec_refc(b); }
#define driver_alloc_binary ledger_driver_alloc_binary
#define driver_free_binary ledger_driver_free_binary
#define driver_binary_inc_refc ledger_driver_binary_inc_refc
#define driver_binary_dec_refc ledger_driver_binary_dec_refc
LEDGER_PAIR(ledger_locks, m, ErlDrvMutex *, erl_drv_mutex_create, (char *n), (n), erl_drv_mutex_destroy, ErlDrvMutex *)
LEDGER_PAIR(ledger_locks, c, ErlDrvCond *, erl_drv_cond_create, (char *n), (n), erl_drv_cond_destroy, ErlDrvCond *)
LEDGER_PAIR(ledger_locks, r, ErlDrvRWLock *, erl_drv_rwlock_create, (char *n), (n), erl_drv_rwlock_destroy,
            ErlDrvRWLock *)
#define erl_drv_mutex_create ledger_erl_drv_mutex_create
#define erl_drv_mutex_destroy ledger_erl_drv_mutex_destroy
#define erl_drv_cond_create ledger_erl_drv_cond_create
#define erl_drv_cond_destroy ledger_erl_drv_cond_destroy
#define erl_drv_rwlock_create ledger_erl_drv_rwlock_create
#define erl_drv_rwlock_destroy ledger_erl_drv_rwlock_destroy
static int ledger_erl_drv_thread_create(char *n, ErlDrvTid *t, void *(*f)(void *), void *a, ErlDrvThreadOpts *o)
{ int e = erl_drv_thread_create(n, t, f, a, o); if (e == 0) ledger_threads++; return e; }
static int ledger_erl_drv_thread_join(ErlDrvTid t, void **r) { ledger_threads--; return erl_drv_thread_join(t, r); }
#define erl_drv_thread_create ledger_erl_drv_thread_create
#define erl_drv_thread_join ledger_erl_drv_thread_join

/* What `control` and `call` leave in *rbuf is the emulator's. */
static ErlDrvEntry ledger_entry;
static void ledger_hand_over(char *given, char *now)
{
    size_t i;

    if (now == given || now == NULL)
        return;
    pthread_mutex_lock(&ledger_lock);
    for (i = ledger_used; i > 0 && ledger_blocks[i - 1].at != (unsigned char *)now; i--)
        ;
    if (i > 0)
        ledger_blocks[i - 1] = ledger_blocks[--ledger_used];
    else
        ledger_binaries--;
    pthread_mutex_unlock(&ledger_lock);
}
static ErlDrvSSizeT ledger_control(ErlDrvData d, unsigned c, char *b, ErlDrvSizeT n, char **r, ErlDrvSizeT m)
{
    char *given = *r;
    ErlDrvSSizeT size = ledger_entry.control(d, c, b, n, r, m);
    ledger_hand_over(given, *r);
    return size;
}
static ErlDrvSSizeT ledger_call(ErlDrvData d, unsigned c, char *b, ErlDrvSizeT n, char **r, ErlDrvSizeT m, unsigned *f)
{
    char *given = *r;
    ErlDrvSSizeT size = ledger_entry.call(d, c, b, n, r, m, f);
    ledger_hand_over(given, *r);
    return size;
}
#undef DRIVER_INIT
#define DRIVER_INIT(NAME) \
    static ErlDrvEntry *ledger_driver_init(void); \
    ERL_DRIVER_EXPORT ErlDrvEntry *ERLANG_DRIVER_NAME(NAME)(void) \
    { \
        ErlDrvEntry *entry = ledger_driver_init(); \
        ledger_entry = *entry; \
        entry->control = entry->control ? ledger_control : NULL; \
        entry->call = entry->call ? ledger_call : NULL; \
        return entry; \
    } \
    static ErlDrvEntry *ledger_driver_init(void)
#endif
"""
