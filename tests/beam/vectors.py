"""`make beam`: which vector the real emulator gives to `outputv` for what data, and which the model.

A *recipe* says how to make iodata.  It is written down as JSON, and means the same to Erlang
(`vectors.erl`) and to Python (`made`): which binaries there are, which of them are one and the same,
and which are a part of a larger one.  A driver in C and its twin in Python say of the vector that
they are lent, element by element, the length, the binary, the place in it, its size and its count.

The record, `vectors.json`, has recipes that are chosen and recipes that are drawn at random, and for
each what the emulators said.  It is written only by an emulator that agrees with all that is there
already: those of OTP 25, 27 and 29 make the same vectors.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))
from otp import Missing, Tools, call, tools

from driverref import Driver, Emulator
from driverref.erl_driver import ErlDrvPort, ErlIOVec, driver_binary_get_refc
from driverref.errors import ErlangError
from driverref.terms import Atom, ImproperList, binary_part, erlang

HERE = Path(__file__).resolve().parent
RECORD = HERE / "vectors.json"
RANDOM = 300
"""Recipes that are drawn."""

Recipe = Any

CHOSEN: dict[str, Recipe] = {
    # The table of what real emulators did, and its neighbours.
    "an empty binary": ["b", 1, 0],
    "an empty list": ["l"],
    "nothing in a list": ["l", ["l"], ["b", 1, 0], ["l"]],
    "an empty binary in a list": ["l", ["b", 1, 0]],
    "three bytes": ["b", 1, 3],
    "a byte and three": ["l", 1, ["b", 1, 3]],
    "64 bytes": ["b", 1, 64],
    "65 bytes": ["b", 1, 65],
    "64 bytes in a list": ["l", ["b", 1, 64]],
    "65 bytes in a list": ["l", ["b", 1, 65]],
    "bytes between two of 65": ["l", 1, ["b", 1, 65], 2, ["b", 2, 1], ["b", 3, 65], 3],
    "a, 65 bytes, b": ["l", ["b", 1, 1], ["b", 2, 65], ["b", 3, 1]],
    "63 and 2 bytes": ["l", ["b", 1, 63], ["b", 2, 2]],
    "20 bytes of 1000": ["p", ["b", 1, 1000], 0, 20],
    "64 bytes of 1000": ["p", ["b", 1, 1000], 7, 64],
    "65 bytes of 1000": ["p", ["b", 1, 1000], 7, 65],
    "65 bytes of 65": ["p", ["b", 1, 65], 0, 65],
    "64 bytes of 64": ["p", ["b", 1, 64], 0, 64],
    "no byte of 1000": ["p", ["b", 1, 1000], 7, 0],
    "no byte of 1000 in a list": ["l", ["p", ["b", 1, 1000], 7, 0]],
    "a part of a part": ["p", ["p", ["b", 1, 1000], 100, 500], 50, 300],
    "a part and the whole": ["l", ["p", ["b", 1, 300], 100, 100], ["b", 1, 300]],
    "two parts of one": ["l", ["p", ["b", 1, 300], 0, 100], ["p", ["b", 1, 300], 50, 200]],
    "one binary twice": ["l", ["b", 1, 65], ["b", 1, 65]],
    "two alike": ["l", ["b", 1, 65], ["b", 252, 65]],
    "one small binary twice": ["l", ["b", 1, 5], ["b", 1, 5]],
    # Improper lists.
    "a byte, and a small tail": ["i", [1], ["b", 1, 3]],
    "a byte, and a large tail": ["i", [1], ["b", 1, 65]],
    "a large one, and a large tail": ["i", [["b", 1, 65]], ["b", 2, 65]],
    "a list in front of a tail": ["i", [["l", 1, 2]], ["b", 1, 65]],
    "a tail that is a byte": ["i", [1], 2],
    "a tail within": ["l", ["i", [1], ["b", 1, 3]], ["i", [2], ["b", 2, 65]], 3],
    # No iodata.
    "a byte too large": ["l", 256],
    "a byte below 0": ["l", ["b", 1, 65], -1],
    # Long ones, which are packed.
    "15 of 65": ["n", 15, 1, 65],
    "16 of 65": ["n", 16, 1, 65],
    "20 of 65": ["n", 20, 1, 65],
    "20 of 300": ["n", 20, 1, 300],
    "16 of 255": ["n", 16, 1, 255],
    "16 of 256": ["n", 16, 1, 256],
    "16 of 64": ["n", 16, 1, 64],
    "one of 65, 16 times": ["x", 16, ["b", 1, 65]],
    "one of 256, 16 times": ["x", 16, ["b", 1, 256]],
    "15 of 65 and a byte": ["l", ["n", 15, 1, 65], 7],
    "15 of 65 and nothing": ["l", ["n", 15, 1, 65], ["b", 99, 0]],
    "15 of 65 and an empty list": ["l", ["n", 15, 1, 65], ["l"]],
    "8 times 65 and a byte": ["x", 8, ["l", ["b", 1, 65], 7]],
    "7 times 65 and a byte": ["x", 7, ["l", ["b", 1, 65], 7]],
    "8 times 65 and an empty binary": ["x", 8, ["l", ["b", 1, 65], ["b", 2, 0]]],
    "8 times 256, a byte, 65": ["x", 8, ["l", ["b", 1, 256], 7, ["b", 2, 65]]],
    "16 parts of 70": ["x", 16, ["p", ["b", 1, 1000], 3, 70]],
    "16 parts of 300": ["x", 16, ["p", ["b", 1, 1000], 3, 300]],
    "16 empty parts": ["x", 16, ["p", ["b", 1, 1000], 3, 0]],
    "255 and 256 in turn": ["x", 9, ["l", ["b", 1, 255], ["b", 2, 256]]],
    "many bytes": ["x", 2000, 7],
    "many bytes in lists": ["x", 500, ["l", 1, ["l", 2, ["l"], 3]]],
    "a thousand binaries": ["n", 1000, 1, 70],
}
"""Data that was chosen, by name."""


def recipes() -> dict[str, Recipe]:
    """All recipes: the chosen ones, and those that are drawn."""
    random = Random(2001)
    several = (drawn(random) for _ in iter(int, 1))
    short = islice((recipe for recipe in several if leaves(recipe) <= 60), RANDOM)
    return CHOSEN | {f"random {number}": recipe for number, recipe in enumerate(short)}


def leaves(recipe: Recipe) -> int:
    """How many bytes and binaries the data of a recipe is made of."""
    match recipe:
        case ["l", *items]:
            return sum(map(leaves, items))
        case ["i", items, _]:
            return sum(map(leaves, items)) + 1
        case ["n", times, *_]:
            return int(times)
        case ["x", times, item]:
            return int(times) * leaves(item)
    return 1


def drawn(random: Random, depth: int = 0) -> Recipe:
    """A recipe at random, with sizes near the limits of 64 and 256 bytes and long lists."""
    kinds = ["byte", "binary", "binary", "part", "list", "list", "improper", "times", "several"]
    kind = random.choice(kinds[1:] if depth == 0 else kinds[: 9 if depth < 3 else 4])
    size = random.choice([0, 1, 5, 20, 63, 64, 65, 66, 100, 255, 256, 257, 500])
    some = ["b", random.randrange(6) * 1000 + size, size]  # the same size: the same binary
    if kind == "byte":
        return random.randrange(256)
    if kind == "binary":
        return some
    if kind == "part":
        first, last = sorted(random.randrange(size + 1) for _ in range(2))
        return ["p", some, first, last - first]
    if kind == "times":
        return ["x", random.randrange(1, 20), drawn(random, depth + 1)]
    if kind == "several":
        return ["n", random.randrange(1, 20), 10_000, size]
    items = [drawn(random, depth + 1) for _ in range(random.randrange(1, 6))]
    return ["l", *items] if kind == "list" else ["i", items, some]


def made(recipe: Recipe, binaries: dict[int, bytes] | None = None) -> Any:
    """The data that a recipe describes."""
    binaries = {} if binaries is None else binaries
    match recipe:
        case ["l", *items]:
            return [made(item, binaries) for item in items]
        case ["i", items, tail]:
            return ImproperList([*(made(item, binaries) for item in items), made(tail, binaries)])
        case ["b", number, size]:
            if number not in binaries:
                binaries[number] = bytes((number * 31 + n) % 251 for n in range(1, size + 1))
            return binaries[number]
        case ["n", times, number, size]:
            return [made(["b", number + n, size], binaries) for n in range(times)]
        case ["p", whole, start, length]:
            return binary_part(made(whole, binaries), start, length)
        case ["x", times, item]:
            return [made(item, binaries)] * times
    return recipe


def in_erlang(recipe: Recipe) -> str:
    """A recipe as `vectors.erl` reads it."""
    match recipe:
        case ["l", *items]:
            return f"{{l,[{','.join(map(in_erlang, items))}]}}"
        case ["i", items, tail]:
            return f"{{i,[{','.join(map(in_erlang, items))}],{in_erlang(tail)}}}"
        case ["p" | "x" as kind, *others]:
            return f"{{{kind},{','.join(map(in_erlang, others))}}}"
        case [str(kind), *numbers]:
            return erlang((Atom(kind), *numbers))
    return str(recipe)


# The model.


class Twin(Driver):
    """What `vectors_drv.c` is in the model."""

    driver_name = "vectors_drv"

    def init(self) -> None:
        self.text = ""

    def start(self, port: ErlDrvPort, command: str) -> ErlDrvPort:
        return port

    def outputv(self, port: ErlDrvPort, ev: ErlIOVec) -> None:
        words, total, others = [], 0, []
        for i in range(ev.vsize):
            base, binary = ev.iov[i].iov_base, ev.binv[i]
            for byte in b"" if base is None else bytes(base[: ev.iov[i].iov_len]):
                total = (total * 31 + byte) % 2**32
            if binary is None:
                words.append(f"{ev.iov[i].iov_len}:-")
                continue
            if binary not in others:
                others.append(binary)
            # C subtracts the two pointers.
            place = f"{base._first}/{binary.orig_size}"  # type: ignore[union-attr]
            count = driver_binary_get_refc(binary)
            words.append(f"{ev.iov[i].iov_len}:{others.index(binary)}@{place}#{count}")
        self.text = " ".join([str(ev.vsize), str(ev.size), str(total), *words])


@contextlib.contextmanager
def model(**options: Any) -> Iterator[Callable[[Recipe], str]]:
    """A function that says which vector the model makes of a recipe."""
    with Emulator(**options) as erl:
        twin = Twin()
        erl.erl_ddll.load_driver(twin)
        port = erl.open_port(("spawn_driver", "vectors_drv"))

        def ask(recipe: Recipe) -> str:
            try:
                erl.port_command(port, made(recipe))
            except ErlangError as error:
                return error.reason
            return twin.text

        yield ask


# The emulator.


@contextlib.contextmanager
def emulator(directory: Path, found: Tools) -> Iterator[Callable[[Recipe], str]]:
    """A function that says which vector the real emulator makes of a recipe."""
    call(found.compile_c("-o", "vectors_drv.so", str(HERE / "vectors_drv.c")), directory)
    call(found.compile_erlang(HERE / "vectors.erl"), directory)
    with subprocess.Popen(
        [found.erl, "-noshell", "-run", "vectors", "main"],
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as erl:
        assert erl.stdin is not None
        assert erl.stdout is not None
        sent, said = erl.stdin, erl.stdout

        def ask(recipe: Recipe) -> str:
            sent.write(f"{in_erlang(recipe)}.\n")
            sent.flush()
            return said.readline().rstrip("\n")

        yield ask
        sent.close()


def readable(data: dict[str, Any]) -> str:
    """The record as JSON, one recipe a line."""
    rows = ",\n".join(f"  {json.dumps(row)}" for row in data["rows"])
    return f'{{\n "emulators": {json.dumps(data["emulators"])},\n "rows": [\n{rows}\n ]\n}}\n'


def main() -> int:
    """Ask the emulator, and compare with the record and the model; 1 if they differ."""
    try:
        with TemporaryDirectory() as name:
            found = tools("asked for vectors", Path(name))
            with emulator(Path(name), found) as ask:
                rows = [[name, recipe, ask(recipe)] for name, recipe in recipes().items()]
    except Missing as missing:
        print(missing)
        return 1
    data = json.loads(RECORD.read_text("utf-8")) if RECORD.exists() else {"emulators": {}}
    known = {json.dumps(recipe): said for _, recipe, said in data.get("rows", [])}
    with model() as ask:
        wrong = [
            f"{name}: {who}: {other}, but the emulator: {said}"
            for name, recipe, said in rows
            for who, other in (("model", ask(recipe)), ("record", known.get(json.dumps(recipe))))
            if other not in (said, None)
        ]
    print(
        "\n".join(line[:300] for line in wrong)
        or f"{len(rows)} vectors of OTP {found.release}: the model makes all"
    )
    if not any("record:" in line for line in wrong):
        emulators = dict(sorted({**data["emulators"], found.release: found.erts}.items()))
        RECORD.write_text(readable({"emulators": emulators, "rows": rows}), "utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
