"""`driverref` as a person uses it: explore a scenario, look at a run, ask for help, get something wrong."""

from __future__ import annotations

import html.parser
import io
import re
import runpy
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ET
from importlib import metadata
from pathlib import Path

import pytest
from book import ROOT
from click.shell_completion import ShellComplete
from command_line import given, printed, refused

from driverref import explore, replay
from driverref.__main__ import main
from driverref.command import loading

CLOSES_EARLY = """\
from driverref import Driver
from driverref.erl_driver import driver_alloc, driver_async, driver_free, driver_output


class Sleeper(Driver):
    driver_name = "sleeper"

    def start(self, port, command):
        return port

    def output(self, port, buf):
        job = driver_alloc(len(buf))
        driver_async(port, None, self.work, job, driver_free)

    def work(self, job):
        print("at work")

    def ready_async(self, port, job):
        driver_output(port, b"done")
        driver_free(job)

    def stop(self, port):
        pass


class Hopeful(Sleeper):
    def output(self, port, buf):
        driver_async(port, None, self.work, driver_alloc(len(buf)))


def closes(erl, driver=Sleeper):
    erl.erl_ddll.load_driver(driver())
    port = erl.open_port(("spawn_driver", "sleeper"))
    erl.port_command(port, b"<job>")
    erl.port_close(port)


def answers(erl):
    closes(erl)
    return "answered" if erl.receive(timeout=0) else "too early"


def hopes(erl):
    closes(erl, Hopeful)
    return "closed"
"""


RACE = """\
def s(erl):
    me = erl.self()
    for n in (1, 2):
        erl.spawn(lambda n=n: erl.send(me, n))
    return erl.receive(), erl.receive()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each story plays in a folder with one file, and leaves Python's path as it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    (tmp_path / "sleeper.py").write_text(CLOSES_EARLY)
    return tmp_path


class Page(html.parser.HTMLParser):
    """What somebody sees of a page: its words, its folds and their pictures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.summaries: list[str] = []
        self.commands: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [str(v) for k, v in attributes if k in ("src", "href")]

    def handle_data(self, data: str) -> None:
        if self.tags[-2:] == ["summary", "code"]:
            self.summaries.append(data)
        if data.startswith("driverref "):
            self.commands.append(data)

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(f"/{tag}")


# explore


def test_all_outcomes_of_a_scenario() -> None:
    lines = printed("explore", "sleeper.py:answers").splitlines()
    assert lines[0].split() == ["outcome", "schedules", "witness"]
    assert sorted(line.split("  ")[0] for line in lines[1:-2]) == ["'answered'", "'too early'"]
    assert lines[-2].startswith("2 ways to end; ")
    assert lines[-2].endswith("and there are no others")


def test_the_order_of_events_is_an_outcome() -> None:
    shown = printed("explore", "sleeper.py:closes", "--observe", "ready_async,stop,async_free")
    assert "stop async_free(1)" in shown
    assert "ready_async(1) stop" in shown


def test_observed_events_may_be_named_one_by_one() -> None:
    one = printed("explore", "sleeper.py:closes", "--observe", "stop, async_free")
    assert one == printed("explore", "sleeper.py:closes", "--observe=stop", "--observe=async_free")


def test_a_fault_is_told_by_the_exit_status() -> None:
    result = given("explore", "sleeper.py:hopes")
    assert (result.exit_code, result.stderr) == (1, "")
    assert "Leak: 1 block never freed:" in result.stdout
    assert "'closed'" in result.stdout


def test_the_emulator_is_as_large_as_one_says() -> None:
    Path("size.py").write_text(
        "def s(erl): return erl.system_info('thread_pool_size'), erl.system_info('schedulers')\n"
    )
    assert "(1, 1)" in printed("explore", "size.py")
    assert "(3, 4)" in printed("explore", "size.py", "--async-threads", "3", "--schedulers", "4")


def test_a_limit_is_a_limit() -> None:
    result = given("explore", "sleeper.py:answers", "--limit", "2")
    assert (result.exit_code, result.stderr) == (3, "")
    last = result.stdout.splitlines()[-2]
    assert "2 run, then stopped at the limit of 2; there may be others" in last


@pytest.mark.parametrize("strategy", ["random", "pct"])
def test_schedules_may_be_drawn_at_random(strategy: str) -> None:
    options = ["--strategy", strategy, "--limit", "30", "--seed", "5"]
    drawn = given("explore", "sleeper.py:answers", *options)
    assert drawn.exit_code == 3
    assert "30 schedules drawn at random; there may be others" in drawn.stdout
    assert drawn.stdout == given("explore", "sleeper.py:answers", *options).stdout


@pytest.mark.slow
def test_processes_share_the_work_and_keep_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    alone = printed("explore", "sleeper.py:answers")
    shared = printed("explore", "sleeper.py:answers", "--jobs", "2")
    assert sorted(shared.splitlines()) == sorted(alone.splitlines())
    assert capfd.readouterr().out == ""


def test_the_outcomes_as_a_page_that_stands_alone(folder: Path) -> None:
    result = given("explore", "sleeper.py:hopes", "--html", "out.html")
    assert (result.exit_code, result.stderr) == (1, "")
    page = Page((folder / "out.html").read_text("utf-8"))
    assert not page.loaded
    assert not {"link", "img", "iframe"} & set(page.tags)
    assert page.tags.count("script") == 2, "the game, and what plays it"
    assert page.tags.count("details") == page.tags.count("svg") == 2
    assert page.tags.count("table") == 1
    assert sorted(said.split(":")[0] for said in page.summaries) == ["'closed'", "Leak"]


def test_the_page_has_colours_for_day_and_night(folder: Path) -> None:
    printed("explore", "sleeper.py:answers", "--html", "out.html")
    text = (folder / "out.html").read_text("utf-8")
    assert "color-scheme: light dark" in text
    assert 'lang="en"' in text
    assert "&lt;job&gt;" in text
    assert "<job>" not in text


def test_the_page_says_how_to_see_each_run_again(folder: Path) -> None:
    given("explore", "sleeper.py:hopes", "--schedulers", "3", "--html", "out.html")
    page = Page((folder / "out.html").read_text("utf-8"))
    codes = [given(*shlex.split(line)[1:]).exit_code for line in page.commands]
    assert sorted(codes) == [0, 1]


def test_a_witness_of_a_run_that_was_observed_says_so(folder: Path) -> None:
    observed = ("--observe", "async_invoke,async_return")
    given("explore", "sleeper.py:hopes", *observed, "--html", "out.html")
    page = Page((folder / "out.html").read_text("utf-8"))
    assert all(line.endswith("/observe=async_invoke,async_return") for line in page.commands)
    assert {given(*shlex.split(line)[1:]).exit_code for line in page.commands} <= {0, 1}


# timeline


def test_one_run_as_text() -> None:
    result = given("timeline", "sleeper.py:answers")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0].split() == ["time", "thread", "event"]
    assert re.search(r"async 1 +async_invoke job 1", result.stdout)
    assert result.stderr == "at work\n"


def test_some_events_of_a_run() -> None:
    result = given("timeline", "sleeper.py:answers", "--events", "start,stop")
    assert [line.split()[3] for line in result.stdout.splitlines()[1:]] == ["start", "stop"]


def test_a_witness_takes_one_to_its_outcome() -> None:
    table = given("explore", "sleeper.py:hopes").stdout
    (leak,) = [line for line in table.splitlines() if line.startswith("Leak")]
    witness = re.split("  +", leak)[-1]
    result = given("timeline", "sleeper.py:hopes", "--witness", witness)
    assert result.exit_code == 1
    assert "ended in Leak: 1 block never freed:\n" in result.stderr
    assert "stop" in result.stdout


def test_the_witness_of_a_plain_run_is_called_first_come() -> None:
    plain = given("timeline", "sleeper.py:answers").stdout
    assert given("timeline", "sleeper.py:answers", "--witness", "first-come").stdout == plain
    assert "first-come" in printed("explore", "sleeper.py:answers")


HINT = re.compile(r"to see a run of the first (\w+): driverref (.*)")


def hinted(*words: str) -> tuple[str, list[str]]:
    """What the last line of `explore` shows a run of, and the command that it gives for it."""
    found = HINT.fullmatch(given("explore", *words).stdout.splitlines()[-1])
    assert found is not None
    return found[1], shlex.split(found[2])


def test_explore_ends_with_the_command_that_shows_a_run() -> None:
    options = ("--schedulers", "2", "--async-threads", "2", "--observe", "stop,async_free")
    kind, command = hinted("sleeper.py:hopes", *options)
    assert kind == "fault"
    result = given(*command)
    assert result.exit_code == 1
    assert "ended in Leak: 1 block never freed:\n" in result.stderr
    assert command[-1].endswith("/async_threads=2/schedulers=2/observe=async_free,stop")
    assert given(*command, *options).stdout == result.stdout
    kind, command = hinted("sleeper.py:closes", "--release", "R7B-3")
    assert (kind, given(*command).exit_code) == ("outcome", 0)


def test_a_witness_of_the_command_line_is_one_of_python_and_the_other_way_round() -> None:
    scenario = loading.scenario("sleeper.py:hopes")
    options = ("--schedulers", "2", "--observe", "stop")
    _, command = hinted("sleeper.py:hopes", *options)
    by_command = given(*command)
    assert f"{replay(scenario, command[-1]).trace}\n" == by_command.stdout
    (leak,) = (found := explore(scenario, schedulers=2, observe=["stop"])).faults
    assert command[-1] == found[leak].witness
    assert given("timeline", "sleeper.py:hopes", "--witness", found[leak].witness).exit_code == 1


def test_a_shortened_witness_needs_its_options() -> None:
    table = given("explore", "sleeper.py:hopes", "--schedulers", "2").stdout
    (leak,) = [line for line in table.splitlines() if line.startswith("Leak")]
    witness = re.split("  +", leak)[-1]
    assert witness.endswith("/...")
    said = refused("timeline", "sleeper.py:hopes", "--witness", witness)
    assert said.startswith(f"replay: '{witness}' is not the whole witness: ... stands for options;")
    words = ("timeline", "sleeper.py:hopes", "--witness", witness, "--schedulers", "2")
    assert given(*words).exit_code == 1


def test_a_witness_and_an_option_that_contradict_each_other() -> None:
    said = refused("timeline", "sleeper.py:closes", "--witness", "first-come", "--schedulers", "2")
    assert said == (
        "replay: the witness 'first-come' is of schedulers=1, and schedulers=2 was given with it:"
        " leave the option out"
    )


def test_what_the_output_cannot_encode_is_escaped(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    Path("omega.py").write_text("def s(erl): return '\N{GREEK SMALL LETTER OMEGA}'\n", "utf-8")
    with pytest.raises(SystemExit):
        main(["explore", "omega.py"])
    assert "'\N{GREEK SMALL LETTER OMEGA}'".encode() in capsysbinary.readouterr().out
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    with pytest.raises(SystemExit):
        main(["explore", "omega.py"])
    sys.stdout.seek(0)
    assert "'\\u03c9'" in sys.stdout.read()


def test_a_timeline_needs_no_outcome_that_can_be_counted() -> None:
    Path("list.py").write_text("def s(erl): return [erl.send(erl.self(), 1)]\n")
    assert "send" in printed("timeline", "list.py")


def test_a_scenario_that_reads_its_own_trace_may_do_so_in_a_timeline() -> None:
    Path("reads.py").write_text("def s(erl): return tuple(erl.trace.order('stop'))\n")
    assert printed("timeline", "reads.py") == "no events\n"


def test_a_run_as_a_picture(folder: Path) -> None:
    result = given("timeline", "sleeper.py:answers", "--svg", "out.svg")
    assert (result.exit_code, result.stdout) == (0, "")
    text = (folder / "out.svg").read_text("utf-8")
    picture = ET.fromstring(text)
    assert picture.findtext("{http://www.w3.org/2000/svg}title") == "A run of sleeper.py:answers"
    assert "prefers-color-scheme:dark" in text


# Bad input.  What can be wrong with a file stands in test_loading.


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("explore", "Missing argument '[DRIVER.c] FILE[:SCENARIO]'."),
        ("explode", "No such command 'explode'."),
        ("explore sleeper.py:closes --watch stop", "No such option"),
        ("--loud", "No such option"),
        (
            "explore sleeper.py:closes --observe readyasync",
            "Invalid value for '--observe': no event is called 'readyasync'; did you mean ready_async?",
        ),
        (
            "timeline sleeper.py:closes --events ready_async,zzz",
            "Invalid value for '--events': no event is called 'zzz'",
        ),
        (
            "explore sleeper.py:closes --schedulers 0",
            "Invalid value for '--schedulers': 0 is not in the range 1<=x<=1024.",
        ),
        (
            "explore sleeper.py:closes --async-threads many",
            "Invalid value for '--async-threads': 'many' is not a valid integer range.",
        ),
        (
            "explore sleeper.py:closes --strategy random",
            "--strategy random needs --limit: how many runs to draw",
        ),
        (
            "explore sleeper.py:closes --strategy pct --limit 9 --jobs 2",
            "--jobs is for --strategy all, not for pct",
        ),
        (
            "explore sleeper.py:closes --html nowhere/out.html",
            "Invalid value for '--html': there is no folder 'nowhere'",
        ),
        (
            "timeline sleeper.py:closes --svg .",
            "Invalid value for '--svg': File '.' is a directory.",
        ),
    ],
)
def test_a_call_that_makes_no_sense(words: str, why: str) -> None:
    assert refused(*words.split()).startswith(why)


def test_a_file_that_cannot_be_written_after_all() -> None:
    name = "x" * 300
    result = given("timeline", "sleeper.py:answers", "--svg", name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1] == f"Error: {name}: File name too long"


LONG = "x" * 300


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["explore", LONG], f"{LONG}: File name too long"),
        (["explore", f"{LONG}:closes"], f"{LONG}: File name too long"),
        (
            ["explore", "sleeper.py:answers", "--html", f"{LONG}/out.html"],
            f"Invalid value for '--html': there is no folder '{LONG}'",
        ),
    ],
)
def test_a_name_that_is_too_long(words: list[str], why: str) -> None:
    assert refused(*words) == why


def test_a_file_whose_name_is_not_text(folder: Path) -> None:
    Path("sleeper.py").rename("\udcff.py")
    given("explore", "\udcff.py:answers", "--html", "out.html")
    assert "Outcomes of <code>\\udcff.py:answers</code>" in (folder / "out.html").read_text()


@pytest.mark.parametrize(
    ("witness", "why"),
    [
        ("nonsense", "replay: 'nonsense' is no witness: "),
        ("2:9", "replay: the scenario cannot follow '2:9': "),
        ("9999:0", "replay: the scenario cannot follow '9999:0': "),
    ],
)
def test_a_witness_of_nothing(witness: str, why: str) -> None:
    Path("list.py").write_text("def s(erl): pass\n")
    assert refused("timeline", "list.py", "--witness", witness).startswith(why)


def test_an_outcome_that_cannot_be_counted() -> None:
    Path("list.py").write_text("def s(erl): return [1]\n")
    message = (
        "explore: the scenario returned [1], which cannot be counted: return something hashable"
    )
    assert refused("explore", "list.py").startswith(message)


@pytest.mark.parametrize("command", ["explore", "timeline", "compare"])
def test_a_scenario_that_leaves(command: str) -> None:
    Path("leaves.py").write_text("def s(erl): raise SystemExit\n")
    assert refused(command, "leaves.py") == "the scenario calls sys.exit: let it return"
    Path("leaves.py").write_text(
        "class Own(BaseException): pass\ndef s(erl): raise Own('an end')\n"
    )
    message = "the scenario raises Own, which is no Exception: an end"
    assert refused(command, "leaves.py") == message


def test_a_scenario_that_does_not_repeat_itself() -> None:
    Path("dice.py").write_text(
        "import itertools\ncount = itertools.count()\ndef s(erl): return next(count)\n"
    )
    assert "Nondeterministic" not in refused("explore", "dice.py")
    assert refused("explore", "dice.py").startswith("the scenario is not deterministic: ")


# Releases.


def test_a_scenario_may_run_on_an_old_release() -> None:
    result = given("explore", "sleeper.py:closes", "--release", "R11B-5", "--async-threads", "1")
    assert result.exit_code == 1
    assert "Leak: 1 block never freed" in result.stdout


def test_a_witness_belongs_to_its_release(folder: Path) -> None:
    options = ["--release", "R7B-3", "--async-threads", "1", "--html", "out.html"]
    observed = ["--observe", "ready_async,async_free"]
    assert "2 ways to end" in printed("explore", "sleeper.py:closes", *options, *observed)
    for command in Page((folder / "out.html").read_text()).commands:
        assert "/release=R7B-3/" in command
        result = given(*shlex.split(command)[1:])
        assert (result.exit_code, result.stderr) == (0, "at work\n")
        assert "async_invoke" in result.stdout


def test_r7b_has_one_emulator_thread() -> None:
    said = refused("explore", "sleeper.py:closes", "--release", "R7B-3", "--schedulers", "2")
    assert said == "Invalid value for '--schedulers': R7B-3 has one emulator thread"


def test_who_asks_for_a_release_without_a_record_is_told_what_stands_for_it() -> None:
    said = refused("explore", "sleeper.py:closes", "--release", "R9C")
    assert said.startswith("Invalid value for '--release': there is no record of 'R9C'; take R7B-3")
    assert "R7B-3 for R7B to R10B, R11B-5 for R11B-3 to R12B-5, " in said


def test_a_scenario_is_compared_on_every_release() -> None:
    result = given("compare", "sleeper.py:closes", "--observe", "async_free,ready_async")
    assert (result.exit_code, result.stderr) == (1, "")  # R11B leaks
    shown = result.stdout
    rows = {line.partition("  ")[0]: line for line in shown.splitlines()}
    assert "Leak: 1 block never freed" in rows["R11B-5 +A 1 +S 1"]
    today = next(names for names in rows if names.endswith("25 +A 1 +S 1"))
    assert today.startswith("R13B +A 1 +S 1, R14B04")
    assert shown.splitlines()[-1].endswith(" schedules run, and there are no other outcomes")


def test_a_comparison_that_was_cut_short_says_so() -> None:
    Path("race.py").write_text(RACE)
    result = given("compare", "race.py", "--limit", "1")
    assert (result.exit_code, result.stderr) == (3, "")
    last = result.stdout.splitlines()[-1]
    assert "there may be other outcomes of" in last
    assert "R7B-3 +A 1 (stopped at the limit of 1)" in last


def test_the_releases_are_a_table() -> None:
    shown = printed("releases").splitlines()
    head = next(line for line in shown if line.strip())
    assert head.split() == ["R7B-3", "R11B-5", "R13B", "R14B04", "R16B", "25"]
    rows = {line.split()[0]: line.split()[1:] for line in shown if line.strip()}
    assert rows["completions"] == ["stack"] * 4 + ["queue"] * 2
    assert rows["driver_async_cancel"] == ["newest"] * 3 + ["search", "nothing", "-"]
    assert rows["default_async_threads"] == ["0", "0", "0", "0", "10", "1"]
    assert rows["driver_version"] == ["-", "1.1", "1.4", "1.5", "2.2", "3.3"]
    assert rows["unload_reason"] == ["-1"] + ["driver_"] * 5
    assert rows["unloaded"] == ["unloaded"] * 4


# Help.


def test_without_a_command_there_is_help() -> None:
    shown = printed()
    assert shown == printed("--help")
    commands = re.findall(r"^  (\w+)  ", shown.partition("Commands:")[2], re.MULTILINE)
    assert commands == [
        "explore",
        "timeline",
        "compare",
        "releases",
        "answers",
        "new",
        "check",
    ]


@pytest.mark.parametrize("name", sorted(main.commands))
def test_a_command_s_help_has_an_example_and_its_exit_statuses(name: str) -> None:
    shown = printed(name, "--help")
    assert f"    driverref {name} " in shown or f"    driverref {name}\n" in shown
    assert "Exit status: 0 " in shown
    assert "2 bad input" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_the_version_is_the_package_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: f"1.2.3 of {name}")
    assert printed("--version") == "driverref 1.2.3 of driverref\n"


def test_a_checkout_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert printed("--version") == "driverref from a checkout that is not installed\n"


# In a process of its own.


def command(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """`python -m driverref`, with warnings as errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "driverref", *words],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_as_a_script(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["__main__.py", "answers", "memory"])
    with pytest.raises(SystemExit):
        runpy.run_path(str(ROOT / "driverref/__main__.py"), run_name="__main__")
    assert capsys.readouterr().out == printed("answers", "memory")


@pytest.mark.slow
def test_as_a_module(folder: Path) -> None:
    done = command("explore", "sleeper.py:answers", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == printed("explore", "sleeper.py:answers")
    refusal = command("explore", "none.py", cwd=folder)
    assert (refusal.returncode, refusal.stdout) == (2, "")
    assert refusal.stderr == "Error: none.py: No such file or directory\n"


@pytest.mark.parametrize(
    ("words", "last", "expected"),
    [
        (["answers"], "f", ["free", "flow"]),
        (["explore", "f.py", "--observe"], "ready_a", ["ready_async"]),
        (["explore", "f.py", "--observe"], "stop,flu", ["stop,flush"]),
        (["timeline", "f.py", "--events"], "driver_enqv", ["driver_enqv"]),
        (["explore", "f.py", "--release"], "R7", ["R7B-3"]),
        (["explore", "f.py", "--strategy"], "p", ["pct"]),
        ([], "ti", ["timeline"]),
    ],
)
def test_a_shell_completes_names(words: list[str], last: str, expected: list[str]) -> None:
    completer = ShellComplete(main, {}, "driverref", "_DRIVERREF_COMPLETE")
    assert [item.value for item in completer.get_completions(words, last)] == expected
