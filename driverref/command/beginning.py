"""A new driver to begin with, made of the program that a page runs.

What the section "Run it" of a page shows is tested, so a new driver is that program with other names.  The
driver's class and `driver_name` take the new name.  The function that plays Erlang's side becomes
`scenario(erl)`: what the page's call gives it besides `erl` is bound in its first lines, and what it prints it
returns, so that outcomes differ where the output would.
"""

from __future__ import annotations

import ast
import builtins
import io
import keyword
import re
import sys
import tokenize
from collections.abc import Iterator
from typing import NamedTuple

from driverref.command import BadInput
from driverref.command.book import Page

SHADOWED = sys.stdlib_module_names | {"driverref", "greenlet", "pytest"}
"""Modules that a file of that name would hide from itself."""


LARGE = {"key", "cancel", "timeout"}
"""Pages whose scenario has more schedules than one wants to wait for; some are drawn at random."""


class Example(NamedTuple):
    """One statement of a page."""

    source: str
    node: ast.stmt

    def text(self, node: ast.AST) -> str:
        """The source of a part of it."""
        return ast.get_source_segment(self.source, node) or ""


class Program(NamedTuple):
    """What a page runs, taken apart."""

    title: str
    """The page's."""
    imports: str
    driver: ast.ClassDef
    definitions: list[str]
    """Classes and functions, the driver's among them."""
    scenario: list[str]
    """The body of the function that plays Erlang's side, a line each."""
    options: dict[str, str]
    """What the page's `Emulator` is given."""
    drawn: dict[str, str]
    """How schedules are drawn, if there are too many to run them all."""
    observed: str
    """The events whose order the page looks at, if it does."""


def beginning(name: str, program: Program) -> str:
    """A Python file with a driver called `name`, begun as a page's program."""
    check(name, program)
    text = "".join(compose(name, program))
    return rename(text, name, program.driver)


def its_test(name: str, program: Program) -> str:
    """A test for that file: no schedule may end in a fault."""
    options = program.options | program.drawn
    return f'''\
"""No order of events makes {name} break a rule of erl_driver.h."""

from driverref.explore import assert_outcomes

from {name} import scenario


def test_no_schedule_ends_in_a_fault():
    assert_outcomes({", ".join(["scenario", *(f"{key}={value}" for key, value in options.items())])})
'''


def class_name(name: str) -> str:
    """`file_io` as a class is called: `FileIo`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def check(name: str, program: Program) -> None:
    """Raise `BadInput` if a driver cannot have this name."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or keyword.iskeyword(name):
        raise BadInput(f"{name!r} cannot be the name of a module: use letters, digits and _")
    if name in SHADOWED:
        raise BadInput(f"{name}.py would hide the module {name}; choose another name")
    new, tree = class_name(name), ast.parse("".join([program.imports, *program.definitions]))
    taken = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.alias)}
    if keyword.iskeyword(new) or new in taken - {program.driver.name} or hasattr(builtins, new):
        raise BadInput(f"{name} would make a class {new}, which is taken; choose another name")


def take_apart(page: Page) -> Program:
    """The parts of the program that the section "Run it" of `page` shows."""
    examples = [Example(source, ast.parse(source).body[0]) for source in page.run_it]
    imports = [e.source for e in examples if isinstance(e.node, ast.Import | ast.ImportFrom)]
    functions = {e.node.name: e for e in examples if isinstance(e.node, ast.FunctionDef)}
    classes = [(e, e.node) for e in examples if isinstance(e.node, ast.ClassDef)]
    start, run = next((e, e.node) for e in examples if isinstance(e.node, ast.With))
    emulator, call = run.items[0].context_expr, next(_calls(run.body))
    assert isinstance(emulator, ast.Call)
    side = functions.pop(ast.unparse(call.func))
    return Program(
        page.title,
        "".join(imports),
        next(node for _, node in classes if "Driver" in map(ast.unparse, node.bases)),
        [e.source for e in examples if (e, e.node) in classes or e in functions.values()],
        [*_bound(side, [start.text(argument) for argument in call.args]), *_returning(side)],
        {str(keyword.arg): start.text(keyword.value) for keyword in emulator.keywords},
        {"strategy": '"pct"', "limit": "1000"} if page.name in LARGE else {},
        ",".join(_observed(examples)),
    )


def _calls(body: list[ast.stmt]) -> Iterator[ast.Call]:
    """The calls that are statements."""
    for statement in body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            yield statement.value


def _observed(examples: list[Example]) -> list[str]:
    """The names given to the first `erl.trace.order(...)` or `erl.trace.select(...)`."""
    for example in examples:
        for node in ast.walk(example.node):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("erl.trace."):
                return [str(ast.literal_eval(argument)) for argument in node.args]
    return []


def _bound(side: Example, arguments: list[str]) -> list[str]:
    """Assignments that give the function's parameters, but the first, what the page's call gives."""
    assert isinstance(side.node, ast.FunctionDef)
    names = [parameter.arg for parameter in side.node.args.args]
    pairs = list(zip(names, arguments, strict=False))[1:]
    if side.node.args.vararg:
        pairs.append((side.node.args.vararg.arg, ", ".join(arguments[len(names) :])))
    return [f"    {name} = {argument}\n" for name, argument in pairs]


def _returning(side: Example) -> list[str]:
    """The function's body, returning what it prints."""
    assert isinstance(side.node, ast.FunctionDef)
    lines, body = side.source.splitlines(keepends=True), side.node.body
    prints = [
        call
        for node in ast.walk(side.node)
        for call in _calls(getattr(node, "body", []))
        if ast.unparse(call.func) == "print"
    ]
    at_end = prints == list(_calls(body[-1:]))
    for call in prints:
        assert call.lineno == call.end_lineno, "a page's print is one line"
        line, said = lines[call.lineno - 1], ", ".join(map(side.text, call.args))
        several = len(call.args) > 1
        kept = f"return {said}" if at_end else f"seen.append({f'({said})' if several else said})"
        lines[call.lineno - 1] = line.replace(side.text(call), kept)
    told = lines[body[0].lineno - 1 :]
    return ["    seen = []\n", *told, "    return tuple(seen)\n"] if prints and not at_end else told


def commands(name: str, program: Program) -> list[str]:
    """What to do with the file: run it, explore it, draw it."""
    emulator, search = (
        "".join(f" --{key.replace('_', '-')} {ast.literal_eval(value)}" for key, value in o.items())
        for o in (program.options, program.options | program.drawn)
    )
    observe = f" --observe {program.observed}" if program.observed else ""
    return [
        f"python {name}.py",
        f"driverref explore {name}.py{search}{observe}",
        f"driverref timeline {name}.py{emulator} --svg {name}.svg",
    ]


def compose(name: str, program: Program) -> Iterator[str]:
    """The file's text, with the page's names in it still."""
    once, explore, draw = commands(name, program)
    yield f'''\
"""{name}: a driver to change.

It begins as the program of the page "{program.title}"

    {once}
        runs the scenario once, and says what ran where.
    {explore}
        runs it in {"many orders" if program.drawn else "every order"}, and says what can come of it.
    {draw}
        draws one run.

Licence: 0BSD.  Do with it what you like.
"""

{program.imports}'''
    for definition in program.definitions:
        yield "\n\n"
        if definition.startswith(f"class {program.driver.name}("):
            yield (
                "# Change this: the callbacks of your driver.  What driver_async is given runs on an async\n"
                "# thread; it may use its job's data and no more, because the port may close meanwhile.\n"
            )
        yield re.sub(r"(?<!:)\n(?=    def )", "\n\n", definition)
    yield (
        "\n\n"
        "# Change this: what Erlang does with the driver.  Outcomes differ by what it returns,\n"
        "# and by the order of events that --observe names.\n"
        "def scenario(erl):\n"
    )
    yield from program.scenario
    returns = any("return" in line for line in program.scenario)
    yield f"""

if __name__ == "__main__":
    with Emulator({", ".join(f"{key}={value}" for key, value in program.options.items())}) as erl:
        {"print(scenario(erl))" if returns else "scenario(erl)"}
    print(erl.trace)
"""


def rename(text: str, name: str, driver: ast.ClassDef) -> str:
    """The same text with other names for the driver's class and for `driver_name`."""
    values = {ast.unparse(n.targets[0]): n.value for n in driver.body if isinstance(n, ast.Assign)}
    old = ast.literal_eval(values["driver_name"])
    new = {driver.name: class_name(name), f'"{old}"': f'"{name}"'}
    lines = text.splitlines(keepends=True)
    for token in reversed(list(tokenize.generate_tokens(io.StringIO(text).readline))):
        if token.string in new:
            row, (start, end) = token.start[0] - 1, (token.start[1], token.end[1])
            lines[row] = lines[row][:start] + new[token.string] + lines[row][end:]
    return "".join(lines)
