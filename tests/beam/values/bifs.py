"""What is asked of processes, of ports by name, and of `open_port`; and bad arguments."""

from __future__ import annotations

from collections.abc import Iterator

from values.ports import COMMAND, QUESTIONS, asked
from values.states import CLOSE, DEAD, HEIR, ME, OPEN, OWNER, PORT, QUEUE, STATES, open_port
from values.steps import FORGET, SETTLE, Case, S, Steps, V, ask, begin, do, stop

# Processes.

TARGETS: dict[str, tuple[Steps, object]] = {
    "a process": ((), HEIR),
    "a linked process": ((do("asker", "link", HEIR),), HEIR),
    "itself": ((), ME),
    "a process that has ended": ((), DEAD),
    "a process suspended at a busy port": (
        STATES["busy with a suspended sender"].before,
        V("holder"),
    ),
    "a process in a callback": (STATES["in a callback"].before, V("holder")),
    "the owner of a port": (OPEN, OWNER),
}


def process_cases() -> Iterator[Case]:
    """What is asked of a process, in each of its states."""
    for target, (before, to) in TARGETS.items():
        after = STATES["in a callback"].after if target == "a process in a callback" else ()
        questions: dict[str, Steps] = {
            **{
                f"exit(Pid, {reason})": asked("asker", "exit", to, reason)
                for reason in ("normal", "kill", "die")
            },
            "link(Pid)": asked("asker", "link", to),
            "unlink(Pid)": asked("asker", "unlink", to),
            "monitor(process, Pid)": asked("asker", "monitor", "process", to),
            "demonitor(Ref)": (
                do("asker", "monitor", "process", to, save="Ref"),
                *asked("asker", "demonitor", V("Ref")),
            ),
            "Pid ! message": asked("asker", "send", to, "message"),
            "send(Pid, message, [nosuspend])": asked("asker", "send", to, "message", ["nosuspend"]),
            "process_info(Pid, links)": asked("asker", "process_info", to, "links"),
            "process_info(Pid, monitors)": asked("asker", "process_info", to, "monitors"),
            "is_process_alive(Pid)": asked("asker", "is_process_alive", to),
        }
        for question, steps in questions.items():
            # Whether the signal that comes back is there before the BIF has returned is a race.
            race = target == "a linked process" and question.startswith("exit")
            for deaf in (False,) if race else (False, True):
                yield Case(question, target, (*before, FORGET, *steps, *after), deaf=deaf)


# Ports and processes by name; bad arguments.

NAMED: dict[str, Steps] = {
    "register(name, P), whereis(name)": (
        ask("asker", "register", "a_name", PORT),
        ask("asker", "whereis", "a_name"),
    ),
    "register(name, P) twice": (
        ask("asker", "register", "a_name", PORT),
        ask("asker", "register", "a_name", PORT),
    ),
    "register(name, P) under two names": (
        ask("asker", "register", "a_name", PORT),
        ask("asker", "register", "b_name", PORT),
    ),
    "register(undefined, P)": asked("asker", "register", "undefined", PORT),
    "register(name, Pid)": (
        ask("asker", "register", "a_name", HEIR),
        ask("asker", "whereis", "a_name"),
    ),
    "register(name, dead)": asked("asker", "register", "a_name", DEAD),
    "whereis(name) of none": asked("asker", "whereis", "a_name"),
    "unregister(name) of none": asked("asker", "unregister", "a_name"),
    "unregister(name)": (
        do("owner", "register", "a_name", PORT),
        ask("asker", "unregister", "a_name"),
        ask("asker", "whereis", "a_name"),
    ),
    **{
        question: (do("owner", "register", "a_name", PORT), *steps)
        for question, steps in {
            "port_command(name, <<>>)": asked("asker", "port_command", "a_name", b""),
            "port_control(name, 0, <<>>)": asked("asker", "port_control", "a_name", 0, b""),
            "port_call(name, 0, <<>>)": asked("asker", "port_call", "a_name", 0, b""),
            "port_close(name)": asked("asker", "port_close", "a_name"),
            "port_connect(name, heir)": asked("asker", "port_connect", "a_name", HEIR),
            "port_info(name)": asked("asker", "port_info", "a_name"),
            "port_info(name, registered_name)": asked(
                "asker", "port_info", "a_name", "registered_name"
            ),
            "port_info(P, registered_name)": asked("asker", "port_info", PORT, "registered_name"),
            "port_info(P) of a registered port": asked("asker", "port_info", PORT),
            "name ! {Owner, {command, <<>>}}": asked("asker", "send", "a_name", (OWNER, COMMAND)),
            "name ! {Owner, close}": asked("asker", "send", "a_name", (OWNER, "close")),
            "monitor(port, name)": asked("asker", "monitor", "port", "a_name"),
            "exit(name, die)": asked("asker", "exit", "a_name", "die"),
            "link(name)": asked("asker", "link", "a_name"),
        }.items()
    },
    "whereis(name) of a closed port": (
        do("owner", "register", "a_name", PORT),
        CLOSE,
        ask("asker", "whereis", "a_name"),
    ),
    "whereis(name) of a closing port": (
        do("owner", "register", "a_name", PORT),
        QUEUE,
        CLOSE,
        ask("asker", "whereis", "a_name"),
    ),
    "port_command(no_name, <<>>)": asked("asker", "port_command", "no_name", b""),
    "port_info(no_name)": asked("asker", "port_info", "no_name"),
    "port_close(no_name)": asked("asker", "port_close", "no_name"),
    "no_name ! message": asked("asker", "send", "no_name", "message"),
    "monitor(port, no_name)": asked("asker", "monitor", "port", "no_name"),
    "monitor(process, no_name)": asked("asker", "monitor", "process", "no_name"),
    "monitor(process, P)": asked("asker", "monitor", "process", PORT),
    "monitor(port, Pid)": asked("asker", "monitor", "port", HEIR),
    "monitor(bad, P)": asked("asker", "monitor", "bad", PORT),
    "demonitor(bad)": asked("asker", "demonitor", "bad"),
    "demonitor(Ref) of another process": asked("asker", "demonitor", V("Ref")),
    "demonitor(Ref) twice": (
        ask("watcher", "demonitor", V("Ref")),
        ask("watcher", "demonitor", V("Ref")),
    ),
    "link(bad)": asked("asker", "link", 7),
    "unlink(bad)": asked("asker", "unlink", 7),
    "exit(bad, die)": asked("asker", "exit", 7, "die"),
    "bad ! message": asked("asker", "send", 7, "message"),
    "port_info(bad)": asked("asker", "port_info", 7),
    "port_info(Pid)": asked("asker", "port_info", HEIR),
    "port_close(bad)": asked("asker", "port_close", 7),
    "port_command(bad, <<>>)": asked("asker", "port_command", 7, b""),
    "port_control(bad, 0, <<>>)": asked("asker", "port_control", 7, 0, b""),
    "port_connect(P, bad)": asked("asker", "port_connect", PORT, 7),
    "port_connect(P, P)": asked("asker", "port_connect", PORT, PORT),
    "process_flag(trap_exit, false)": (
        ask("asker", "process_flag", "trap_exit", False),
        ask("asker", "process_flag", "trap_exit", False),
    ),
    "process_flag(trap_exit, bad)": asked("asker", "process_flag", "trap_exit", "bad"),
    "process_flag(bad, true)": asked("asker", "process_flag", "bad", True),
    "process_flag(message_queue_data, off_heap)": asked(
        "asker", "process_flag", "message_queue_data", "off_heap"
    ),
    "process_info(owner, links)": asked("asker", "process_info", OWNER, "links"),
    "process_info(watcher, monitors)": asked("asker", "process_info", V("watcher"), "monitors"),
    "process_info(linked, links)": asked("asker", "process_info", V("linked"), "links"),
    "port_info(P, monitored_by) after demonitor": (
        do("watcher", "demonitor", V("Ref")),
        ask("asker", "port_info", PORT, "monitored_by"),
    ),
    "port_info(P, input) after output": (
        do("owner", "port_command", PORT, b"driver_output,driver_output"),
        ask("asker", "port_info", PORT, "input"),
        ask("asker", "port_info", PORT, "output"),
    ),
    "port_info(P, input) after a term": (
        do("owner", "port_command", PORT, b"erl_drv_output_term"),
        ask("asker", "port_info", PORT, "input"),
    ),
    "port_info(P, output) after control": (
        do("owner", "port_control", PORT, 0, b"driver_sizeq"),
        ask("asker", "port_info", PORT, "output"),
    ),
    "port_info(P, queue_size) of a queue": (
        QUEUE,
        QUEUE,
        ask("asker", "port_info", PORT, "queue_size"),
    ),
    "port_info(P, monitors) of a monitoring port": (
        do("owner", "port_command", PORT, b"driver_monitor_process"),
        ask("asker", "port_info", PORT, "monitors"),
        ask("asker", "process_info", OWNER, "monitored_by"),
    ),
    "port_info(P, links) after port_connect": (
        do("owner", "port_connect", PORT, HEIR),
        ask("asker", "port_info", PORT, "links"),
        ask("asker", "port_info", PORT, "connected"),
    ),
    "port_info(P, links) after a connect message": (
        do("owner", "send", PORT, (ME, ("connect", HEIR))),
        SETTLE,
        ask("asker", "port_info", PORT, "links"),
        ask("asker", "port_info", PORT, "connected"),
    ),
    "port_connect, then the old owner ends": (
        ask("owner", "port_connect", PORT, HEIR),
        stop("owner", "reason"),
        SETTLE,
    ),
    "port_connect and unlink, then the old owner ends": (
        ask("owner", "port_connect", PORT, HEIR),
        ask("owner", "unlink", PORT),
        stop("owner", "reason"),
        SETTLE,
    ),
    "port_connect, then the new owner ends": (
        ask("owner", "port_connect", PORT, HEIR),
        stop("heir", "reason"),
        SETTLE,
    ),
    "a connect message, then the new owner ends": (
        ask("owner", "send", PORT, (ME, ("connect", HEIR))),
        SETTLE,
        stop("heir", "reason"),
        SETTLE,
    ),
    "unlink(P), then the owner ends": (
        ask("owner", "unlink", PORT),
        stop("owner", "reason"),
        SETTLE,
    ),
    "unlink(P), then the owner ends normally": (
        ask("owner", "unlink", PORT),
        stop("owner", "normal"),
        SETTLE,
    ),
    "a sender is suspended, then the port goes on": (
        do("owner", "port_command", PORT, b"set_busy_port=1"),
        begin("holder", "port_command", PORT, b"driver_sizeq"),
        SETTLE,
        ask("asker", "port_control", PORT, 0, b"set_busy_port=0"),
    ),
    "a message is suspended, then the port goes on": (
        do("owner", "port_command", PORT, b"set_busy_port=1"),
        begin("holder", "send", PORT, (OWNER, ("command", b"driver_sizeq"))),
        SETTLE,
        ask("asker", "port_control", PORT, 0, b"set_busy_port=0"),
    ),
    "a suspended sender is linked, the port is closed": (
        do("holder", "link", PORT),
        do("owner", "port_command", PORT, b"set_busy_port=1"),
        begin("holder", "port_command", PORT, b""),
        SETTLE,
        ask("asker", "port_close", PORT),
    ),
    "a suspended sender is linked, exit(P, die)": (
        do("holder", "link", PORT),
        do("owner", "port_command", PORT, b"set_busy_port=1"),
        begin("holder", "port_command", PORT, b""),
        SETTLE,
        ask("asker", "exit", PORT, "die"),
    ),
    "a suspended message's sender is linked, exit(P, die)": (
        do("holder", "link", PORT),
        do("owner", "port_command", PORT, b"set_busy_port=1"),
        begin("holder", "send", PORT, (OWNER, COMMAND)),
        SETTLE,
        ask("asker", "exit", PORT, "die"),
    ),
}
"""What is asked of a connected port, beside the questions that are asked in each state."""


def named_cases() -> Iterator[Case]:
    for question, steps in NAMED.items():
        for deaf in (False, True) if "ends" in question or "suspended" in question else (False,):
            yield Case(question, "", (*OPEN, FORGET, *steps), deaf=deaf)


# open_port.

COMMANDS: dict[str, object] = {
    "values": ("spawn_driver", S("values")),
    "values a b": ("spawn_driver", S("values a b")),
    "values with a blank behind": ("spawn_driver", S("values ")),
    "a blank, values": ("spawn_driver", S(" values")),
    "values, a tab, a": ("spawn_driver", S("values\ta")),
    "values, a newline, a": ("spawn_driver", S("values\na")),
    "nothing": ("spawn_driver", S("")),
    "a blank": ("spawn_driver", S(" ")),
    "an unknown driver": ("spawn_driver", S("values_unknown")),
    "spawn values": ("spawn", S("values")),
    "spawn values a": ("spawn", S("values a")),
    "spawn nothing": ("spawn", S("")),
    "an atom": ("spawn_driver", "values"),
    "a binary": ("spawn_driver", b"values"),
    "a number": ("spawn_driver", 7),
    "bad": ("bad", S("values")),
    "NUL": ("spawn_driver", S("values\0a")),
}

OPTIONS: dict[str, list[object]] = {
    "[]": [],
    "[binary]": ["binary"],
    "[stream]": ["stream"],
    "[in]": ["in"],
    "[out]": ["out"],
    "[in, out]": ["in", "out"],
    "[eof]": ["eof"],
    "[hide]": ["hide"],
    "[{line, 4}]": [("line", 4)],
    "[{line, 4}, binary]": [("line", 4), "binary"],
    "[{line, 0}]": [("line", 0)],
    "[{line, bad}]": [("line", "bad")],
    "[{packet, 1}]": [("packet", 1)],
    "[{packet, 3}]": [("packet", 3)],
    "[{parallelism, true}]": [("parallelism", True)],
    "[{parallelism, false}]": [("parallelism", False)],
    "[{parallelism, bad}]": [("parallelism", "bad")],
    "[{busy_limits_port, {1, 2}}]": [("busy_limits_port", (1, 2))],
    "[{busy_limits_msgq, {1000, 2000}}]": [("busy_limits_msgq", (1000, 2000))],
    "[{busy_limits_msgq, disabled}]": [("busy_limits_msgq", "disabled")],
    "[exit_status]": ["exit_status"],
    "[use_stdio]": ["use_stdio"],
    "[stderr_to_stdout]": ["stderr_to_stdout"],
    "[nouse_stdio]": ["nouse_stdio"],
    "[{env, []}]": [("env", [])],
    '[{cd, "/"}]': [("cd", S("/"))],
    "[{args, []}]": [("args", [])],
    "[bad]": ["bad"],
    "[binary, binary]": ["binary", "binary"],
}


def open_cases() -> Iterator[Case]:
    """What `open_port` takes, what it refuses, and what an option does."""
    for name, command in COMMANDS.items():
        steps = (ask("asker", "open_port", command, [], save="P"),)
        yield Case("open_port", name, steps)
        if command == COMMANDS["values a b"] or "blank behind" in name or "tab" in name:
            yield Case("the port's name", name, (*steps, ask("asker", "port_info", PORT, "name")))
    yield Case("open_port", "bad options", (ask("asker", "open_port", COMMANDS["values"], "bad"),))
    script = b"driver_output,driver_output2,driver_outputv,erl_drv_output_term,driver_failure_eof"
    for name, options in OPTIONS.items():
        opens = ask("owner", "open_port", COMMANDS["values"], options, save="P")
        yield Case(
            "open_port and parallelism",
            name,
            (opens, ask("owner", "port_info", PORT, "parallelism")),
        )
        yield Case(
            "what arrives",
            name,
            (opens, SETTLE, ask("asker", "port_command", PORT, script), SETTLE),
        )
    for result in (-1, -2, -3):
        command = ("spawn_driver", S(f"values start:result={result}"))
        yield Case(
            "open_port", f"start returns {result}", (ask("asker", "open_port", command, []),)
        )
    unknown = ("spawn_driver", S("values start:result=-2,errno=9999"))
    yield Case(
        "open_port", "start returns -2, errno is unknown", asked("asker", "open_port", unknown, [])
    )
    for driver in ("values_lock", "values_soft", "values_bare", "values_v"):
        opens = open_port(driver)
        for question in (
            "port_info(P, locking)",
            "port_command(P, <<>>)",
            "port_command(P, <<>>, [force])",
            "port_control(P, 0, <<>>)",
            "port_call(P, 0, <<>>)",
            "P ! {Owner, {command, <<>>}}",
            "port_close(P)",
        ):
            yield Case(question, driver, (opens, FORGET, *QUESTIONS[question]))
    soft = do("owner", "port_command", PORT, b"set_busy_port=1")
    yield Case(
        "port_command(P, <<>>, [force])",
        "values_soft, busy",
        (open_port("values_soft"), soft, FORGET, *QUESTIONS["port_command(P, <<>>, [force])"]),
    )
    yield Case(
        "port_command(P, <<>>, [force, nosuspend])",
        "values_soft, busy",
        (
            open_port("values_soft"),
            soft,
            FORGET,
            ask("asker", "port_command", PORT, b"", ["force", "nosuspend"]),
        ),
    )
