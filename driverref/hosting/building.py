"""Compile a driver's C sources for this host, once for each content.

    erl_driver.h  -> calls.inc, the functions it declares -> api.o     once for each header
    c/*.c         -> the runtime, one shared library                   once for each machine
    my_drv.c      -> my_drv.o, with -fsanitize=thread
    my_drv.o, api.o, libc.o, the runtime, libs -> my_drv.so, and the table of its lines

What was made is kept (`kept`).  It is found again by the content of all files that the compiler has
read, so a changed header is noticed.

What the compiler says is shown as it said it.  What is missing is said in one sentence.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from driverref.errors import wrong_type
from driverref.hosting.kept import cache_folder, once, used, write
from driverref.hosting.lines import Table
from driverref.hosting.tools import CompileError, call, compiler, header_folder

HERE = Path(__file__).parent / "c"
RUNTIME = "stacks arena blocks shadow modules tsan signals files run".split()
LINKED_IN = "api libc posix locks refused".split()
CPLUSPLUS = {".cc", ".cpp", ".cxx", ".C"}
IN_C = {"driver_alloc", "driver_realloc", "driver_free"}
"""The functions of the header that the runtime has itself."""

OWN = "-std=gnu11 -D_GNU_SOURCE -g -O2 -fPIC -fno-builtin".split()
DRIVER = (
    "-g -O1 -fPIC -fsanitize=thread -fno-builtin -fno-inline"
    " -fno-optimize-sibling-calls -fstack-clash-protection -U_FORTIFY_SOURCE"
).split()
"""How a driver is compiled: each use of memory and each loop calls the runtime."""
GCC = (
    "-fsanitize-coverage=trace-pc -fno-delete-null-pointer-checks -fno-ipa-pure-const"
    " -fno-ipa-modref -fno-tree-dse -fno-tree-dce -Wno-tsan"
).split()
"""For gcc: that a use of memory has no effect, or cannot be right, is no reason to leave it out."""
CLANG = ["-fsanitize-coverage=trace-pc,no-prune"]
"""For clang, which otherwise leaves out a loop that nothing else can come after."""
LINK = ["-shared", "-Wl,-Bsymbolic", "-Wl,-z,relro", "-Wl,-z,now", "-Wl,--no-undefined"]


def _digest(*parts: object) -> str:
    text = "\0".join(map(str, parts))
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _content(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return "gone"


@cache
def _sources() -> str:
    return _digest(OWN, *(file.read_text() for file in sorted(HERE.iterdir())))


@cache
def runtime() -> Path:
    """The runtime, compiled for this machine."""
    cc = compiler(None, False)

    def make(new: Path) -> None:
        own = [*OWN, "-fvisibility=hidden", f"-I{HERE}", "-shared", "-o", f"{new}/runtime.so"]
        name = f"-Wl,-soname,driverref-{_sources()}.so"
        call([cc, *own, name, *(f"{HERE / name}.c" for name in RUNTIME), "-lpthread"])

    return once(f"runtime-{_digest(_sources(), cc)}", make) / "runtime.so"


@cache
def declared(include: Path) -> list[str]:
    """The names of the functions that the header declares, in its order."""
    cc = compiler(None, False)
    text = call([cc, "-E", str(include / "erl_driver.h")])
    own, lines = False, []
    for line in text.splitlines():
        if line.startswith("#"):
            own = "erl_driver.h" in line
        elif own:
            lines.append(line)
    text = re.sub(r"__attribute__\s*\(\(.*?\)\)\)?", "", " ".join(lines))
    found = re.findall(r"\bextern\b[^;(]*?(\w+)\s*\([^;]*\)\s*;", text)
    return list(dict.fromkeys(found))


@cache
def _linked_in(include: Path) -> list[str]:
    """The objects that are linked into each driver."""
    cc, names = compiler(None, False), declared(include)

    def make(new: Path) -> None:
        calls = "".join(f"CALL({name})\n" for name in names if name not in IN_C)
        (new / "calls.inc").write_text(calls)
        for name in LINKED_IN:
            own = [*OWN, f"-I{new}", f"-I{HERE}", "-c", "-o", f"{new}/{name}.o"]
            call([cc, *own, f"{HERE / name}.c"])

    folder = once(f"linked-in-{_digest(_sources(), cc, names)}", make)
    return [f"{folder / name}.o" for name in LINKED_IN]


def _stand_ins(folder: Path, names: Sequence[str]) -> list[str]:
    """The object with the functions that Python stands in for, made in `folder`."""
    if not names:
        return []
    source = folder / "stand_ins.c"
    source.write_text('#include "stand_in.h"\n' + "".join(f"CALL({name})\n" for name in names))
    call([compiler(None, False), *OWN, f"-I{HERE}", "-c", "-o", f"{source}.o", str(source)])
    return [f"{source}.o"]


class Build:
    """A driver that has been compiled."""

    def __init__(self, folder: Path, sources: Sequence[Path]) -> None:
        self.object = folder / "driver.so"
        self.digest = folder.name
        self.sources = tuple(sources)
        self.table = Table.load(folder / "lines.json")
        """Which line each address of the code belongs to."""


def build(
    sources: Sequence[str | os.PathLike[str]],
    flags: Sequence[str] = (),
    libs: Sequence[str] = (),
    cc: str | None = None,
    stand_ins: Sequence[str] = (),
) -> Build:
    """Compile and link a driver, unless that has been done.

    `stand_ins` are functions that the driver calls and that Python has: they become requests.
    Raises `CompileError` with what the compiler said, or with what is missing; `TypeError` if
    `flags` or `libs` is a single string.
    """
    for parameter, value in (("flags", flags), ("libs", libs)):
        if isinstance(value, str):
            raise wrong_type("c_driver", parameter, "a list of str", value)
    files = [Path(source).absolute() for source in sources]
    for file in files:
        if not file.is_file():
            raise CompileError(f"{file}: there is no such file")
    plusplus = any(file.suffix in CPLUSPLUS for file in files)
    tool, include = compiler(cc, plusplus), header_folder(flags)
    asked = _digest(
        _sources(), tool, include, *files, "flags", *flags, "libs", *libs, "-", *stand_ins
    )
    noted = cache_folder() / f"read-{asked}.json"
    if used(noted):
        read, digest = json.loads(noted.read_text())
        folder = cache_folder() / f"driver-{digest}"
        if all(_content(Path(file)) == content for file, content in read) and used(folder):
            return Build(folder, files)
    with tempfile.TemporaryDirectory(prefix="driverref-") as made:
        objects = [f"{made}/{number}.o" for number in range(len(files))]
        for file, target in zip(files, objects, strict=True):
            more = CLANG if "clang" in Path(tool).name else GCC
            own = [*DRIVER, f"-I{include}", f"-I{file.parent}", "-MMD", "-MF", f"{target}.d"]
            call([tool, *own, *flags, *more, "-c", "-o", target, str(file)])
        read = sorted({part for target in objects for part in _read_by(f"{target}.d")})
        contents = [(file, _content(Path(file))) for file in read]
        digest = _digest(asked, contents)

        def link(new: Path) -> None:
            ours = _stand_ins(new, stand_ins) + _linked_in(include)  # of two the first is taken
            parts = [*objects, *ours, str(runtime()), *libs, "-lpthread"]
            call([tool, *LINK, "-o", f"{new}/driver.so", *parts])
            table = Table.read(new / "driver.so", list(map(Path, read)))
            _check_entry(new / "driver.so", files[0], table)
            table.save(new / "lines.json")

        folder = once(f"driver-{digest}", link)
    write(noted, json.dumps([contents, digest]))
    return Build(folder, files)


def _check_entry(made: Path, source: Path, table: Table) -> None:
    """Raise `CompileError` if the emulator would answer `no_driver_init` to an object."""
    exported = call(["nm", "-D", "--defined-only", str(made)]).split()
    if "driver_init" in exported:
        return
    if "driver_init" in {name for _, _, name, _ in table.functions}:
        raise CompileError(
            f'{source}: DRIVER_INIT is not in extern "C", so the emulator does not find it'
            ' (no_driver_init); in C++ write: extern "C" { DRIVER_INIT(...) { ... } }'
        )
    raise CompileError(f"{source}: no DRIVER_INIT, so it is no driver (no_driver_init)")


def _read_by(file: str) -> list[str]:
    """The files that the compiler has read, from the rule for `make` that it has written."""
    rule = Path(file).read_text().replace("\\\n", " ").partition(":")[2]
    return [name.replace("\\ ", " ") for name in re.findall(r"(?:\\ |\S)+", rule)]
