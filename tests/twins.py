"""A driver in C and in Python: the same functions in the same order, and the same calls in each.

`differences` names what is not the same; `table_differences` and `struct_differences` do so for the
table of callbacks, and for the fields of the structs that both have. C is read by a small scanner:
at the outer level, a name with its parameters before a `{` is a function. Python is read with
`ast`: the functions of the block and the methods of its classes.

A call is a name of `erl_driver.h`, an atomic's operation, `usleep`, or a function of the driver
itself. It is counted wherever it stands in a function, also where it is only handed on, as the
functions of a job are handed to `driver_async`. A field of a struct is no call, whatever its name.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import NamedTuple

CALL = re.compile(
    r"(driver|erl_drv)_[a-z]\w*|erl_errno_id|set_busy_port|[gs]et_port(_control)?_flags|usleep"
    r"|atomic_(init|load|store|exchange|fetch_add|fetch_sub|compare_exchange\w*)(_explicit)?"
)

CALLBACKS = set(
    "init start stop output ready_input ready_output finish control timeout outputv ready_async"
    " flush call process_exit stop_select emergency_close".split()
)
"""The functions of a table of callbacks."""

ATOMICS = set("load store exchange compare_exchange fetch_add fetch_sub".split())
"""The methods of `Atomic`; in C their names begin with `atomic_`."""

FIELD = re.compile(r"(?:\.|->)\s*[a-z]\w*")
"""A field of a struct, such as `->driver_major_version`."""

NOT_CODE = re.compile(
    r"""
    /\*.*?\*/ | //[^\n]*
    | ^[ \t]*\#(?:[^\n]*\\\n)*[^\n]*
    | ("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    """,
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
"""Comments, lines of the preprocessor, and texts."""


class Function(NamedTuple):
    """A function, and what it calls, in order."""

    name: str
    calls: list[str]


def differences(c: str, python: str) -> list[str]:
    """Return what is not the same in a driver's C and in its Python, in words."""
    of_c, of_python = c_functions(c), python_functions(python)
    names = [[function.name for function in functions] for functions in (of_c, of_python)]
    found = []
    if names[0] != names[1]:
        found.append(f"functions: {first_unlike(*names)}")
    others = {function.name: function.calls for function in of_python}
    for name, calls in of_c:
        if name in others and calls != others[name]:
            found.append(f"{name}: {first_unlike(calls, others[name])}")
    return found


def first_unlike(c: Iterable[str], python: Iterable[str]) -> str:
    """Return the first place at which two lists are unlike."""
    for number, pair in enumerate(zip_longest(c, python, fillvalue="no more"), 1):
        if pair[0] != pair[1]:
            return f"number {number} is {pair[0]} in C, and {pair[1]} in Python"
    raise AssertionError("the lists are alike")


def table_differences(c: str, python: str, python_class: str) -> list[str]:
    """Return what is not the same in the table of callbacks and in the class, in words."""
    fields = dict(re.findall(r"\.(\w+)\s*=\s*([^,]+),", bare(c, texts=True)))
    (body,) = (
        node.body
        for node in ast.walk(ast.parse(python))
        if isinstance(node, ast.ClassDef) and node.name == python_class
    )
    methods = {node.name for node in body if isinstance(node, ast.FunctionDef)} & CALLBACKS
    in_table = {name: value for name, value in fields.items() if name in CALLBACKS}
    found = [f".{name} is {value}" for name, value in in_table.items() if value != name]
    if unlike := set(in_table) ^ methods:
        found.append(f"only one has {', '.join(sorted(unlike))}")
    (name,) = (
        ast.literal_eval(node.value)
        for node in body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "driver_name"
    )
    if fields.get("driver_name") != f'"{name}"':
        found.append(f"driver_name is {fields.get('driver_name')} in C, and {name} in Python")
    return found


def struct_differences(c: str, python: str) -> list[str]:
    """Return what is not the same in the structs that both have, in words."""
    of_c = {
        name: re.findall(r"(\w+)(?:\[\w*\])?\s*[,;]", body)
        for body, name in re.findall(r"typedef struct \{(.*?)\} (\w+);", bare(c), re.DOTALL)
    }
    found = []
    for node in ast.walk(ast.parse(python)):
        if isinstance(node, ast.ClassDef) and node.name in of_c:
            fields = [ast.unparse(n.target) for n in node.body if isinstance(n, ast.AnnAssign)]
            if fields != of_c[node.name]:
                found.append(f"{node.name}: {first_unlike(of_c[node.name], fields)}")
    return found


def bare(text: str, *, texts: bool = False) -> str:
    """Return C without comments and lines of the preprocessor, and without texts or with them."""
    return NOT_CODE.sub(lambda found: found[1] if texts and found[1] else " ", text)


def c_functions(text: str) -> list[Function]:
    """Return the functions of a C file, in order."""
    bodies = list(c_bodies(re.findall(r"\w+|[^\s\w]", FIELD.sub(" ", bare(text)))))
    own = {name for name, _ in bodies}
    return [
        Function(name, [spelled(word) for word in body if counts(word, own)])
        for name, body in bodies
    ]


def spelled(name: str) -> str:
    """Return a C name as it is counted: C11 has two functions to compare and exchange."""
    name = re.sub(r"_explicit$", "", name)
    return re.sub(r"^(atomic_compare_exchange)_(strong|weak)$", r"\1", name)


def c_bodies(words: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the words of each function."""
    outer: list[str] = []
    body: list[str] = []
    depth = 0
    for word in words:
        if depth:
            body.append(word)
        elif word == ";":
            outer = []
        elif word != "{":
            outer.append(word)
        depth += (word == "{") - (word == "}")
        if word == "}" and depth == 0:
            if outer and outer[-1] == ")" and "=" not in outer:
                yield outer[outer.index("(") - 1], body
                outer = []
            body = []


def counts(name: str, own: set[str]) -> bool:
    """Whether a name is a call that is compared."""
    return name in own or CALL.fullmatch(name) is not None


def python_functions(text: str) -> list[Function]:
    """Return the functions and methods of a program, in order."""
    found = list(python_bodies(ast.parse(text).body))
    own = {node.name for node in found}
    return [Function(node.name, list(python_calls(node, own))) for node in found]


def python_bodies(body: list[ast.stmt]) -> Iterator[ast.FunctionDef]:
    """Yield the functions, and those of the classes."""
    for node in body:
        if isinstance(node, ast.FunctionDef):
            yield node
        elif isinstance(node, ast.ClassDef):
            yield from python_bodies(node.body)


def python_calls(function: ast.FunctionDef, own: set[str]) -> Iterator[str]:
    """Yield the calls of a function in the order in which they stand there."""
    places: list[tuple[int, int, str]] = []
    for node in (node for statement in function.body for node in ast.walk(statement)):
        if isinstance(node, ast.Name):
            name = "atomic_init" if node.id == "Atomic" else node.id
            if counts(name, own):
                places.append((node.lineno, node.col_offset, name))
        elif isinstance(node, ast.Attribute):
            assert node.end_lineno is not None
            assert node.end_col_offset is not None
            place = node.end_lineno, node.end_col_offset
            is_own = isinstance(node.value, ast.Name) and node.value.id == "self"
            if is_own and node.attr in own:
                places.append((*place, node.attr))
            elif node.attr in ATOMICS:
                places.append((*place, f"atomic_{node.attr}"))
    return (name for *_, name in sorted(places))
