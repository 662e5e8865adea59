"""What an installed `erl_driver.h` declares, read from what the C preprocessor makes of it.

`Header` has it by kind: functions with their parameters, fields of structs, types, numbers.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

OWN = ("erl_driver.h", "erl_drv_nif.h")
HELPERS = re.compile(
    r"__|ERL_NAPI_|ERTS_NAPI_|EXTERN\Z|ERL_DRV_DEPRECATED_FUNC|ERL_DRIVER_EXPORT|.*_INT_\Z"
)
"""Macros with which the headers are written, and which are not for drivers."""


@dataclass
class Header:
    """What a header declares."""

    functions: dict[str, int] = field(default_factory=dict)
    """The number of parameters of each."""
    fields: dict[str, list[str]] = field(default_factory=dict)
    types: set[str] = field(default_factory=set)
    numbers: dict[str, int] = field(default_factory=dict)
    """The constants, the flags, and the tags of enums and terms."""


def read(cc: str, folder: Path) -> Header:
    """Read the header in a folder of include files."""
    file = folder / "erl_driver.h"
    code, macros = _own(_run([cc, "-E", "-dD", str(file)]))
    header, enums = Header(), []
    for name, body, after in re.findall(r"struct\s*(\w*)\s*\{([^{}]*)\}\s*(\w*)\s*;", code):
        header.fields[after or name] = [_field(line) for line in body.split(";") if line.strip()]
    for body, after in re.findall(r"enum\s*\w*\s*\{([^}]*)\}\s*(\w*)", code):
        header.types |= {after} - {""}
        enums += [tag.split("=")[0].strip() for tag in body.split(",")]
    header.types |= header.fields.keys()
    plain = re.sub(r"\{[^{}]*\}", " ", code)
    header.types |= set(re.findall(r"typedef\b[^;()]*?(\w+)\s*;", plain))
    for name, parameters in re.findall(r"\bextern\b[^;(]*?(\w+)\s*\(([^;]*)\)\s*;", plain):
        flat = re.sub(r"\([^()]*\)", "", re.sub(r"\(\s*\*\s*\w*\s*\)", "", parameters))
        header.functions[name] = 0 if flat.strip() == "void" else flat.count(",") + 1
    header.numbers = _values(cc, file, [*dict.fromkeys([*macros, *enums])])
    return header


def _own(text: str) -> tuple[str, list[str]]:
    """The declarations and the macros of the two headers, without those of others."""
    own, code, macros = False, [], []
    for line in text.splitlines():
        if re.match(r"# \d", line):
            own = any(name in line for name in OWN)
        elif own and (found := re.match(r"#define (\w+)(\s.*)?\Z", line)):
            macros.append(found[1])
        elif own and not line.startswith("#"):
            code.append(line)
    joined = " ".join(code)
    return re.sub(r"__attribute__\s*\(\(.*?\)\)\)?", "", joined), [
        name for name in macros if not HELPERS.match(name)
    ]


def _field(line: str) -> str:
    """The name in a declaration of a field."""
    found = re.search(r"\(\s*\*\s*(\w+)\s*\)|(\w+)\s*(?:\[[^]]*\])*\s*\Z", line.strip())
    assert found, line
    return found[1] or found[2]


def _values(cc: str, file: Path, names: list[str]) -> dict[str, int]:
    """The value of each number, as the compiler has it."""
    lines = "".join(f'printf("{name} %lld\\n", (long long)({name}));\n' for name in names)
    text = f'#include <stdio.h>\n#include "{file}"\nint main(void) {{\n{lines}return 0; }}\n'
    with TemporaryDirectory() as folder:
        source, program = Path(folder, "values.c"), Path(folder, "values")
        source.write_text(text, "utf-8")
        _run([cc, "-w", "-o", str(program), str(source)])
        printed = _run([str(program)])
    return {name: int(value) for name, value in map(str.split, printed.splitlines())}


def _run(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
