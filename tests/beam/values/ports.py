"""What is asked of a port, or done to it, in each of its states."""

from __future__ import annotations

from collections.abc import Iterator

from values.states import DEAD, HEIR, KILLED, KNOWN, ME, OWNER, PORT, STATES
from values.steps import FIND, FORGET, NEVER, SETTLE, Case, Steps, V, ask, stop

ITEMS = (
    "registered_name id connected links name input output os_pid monitors monitored_by locking"
    " parallelism queue_size"
).split()


def asked(actor: str, bif: str, *arguments: object) -> Steps:
    return (ask(actor, bif, *arguments),)


COMMAND = ("command", b"")

QUESTIONS: dict[str, Steps] = {
    "port_info(P)": asked("asker", "port_info", PORT),
    **{f"port_info(P, {item})": asked("asker", "port_info", PORT, item) for item in ITEMS},
    "port_info(P, bad)": asked("asker", "port_info", PORT, "bad"),
    "ports()": asked("asker", "ports"),
    "port_connect(P, heir)": asked("asker", "port_connect", PORT, HEIR),
    "port_connect(P, heir) by the owner": asked("owner", "port_connect", PORT, HEIR),
    "port_connect(P, self())": asked("asker", "port_connect", PORT, ME),
    "port_connect(P, dead)": asked("asker", "port_connect", PORT, DEAD),
    "port_close(P)": asked("asker", "port_close", PORT),
    "port_close(P) by the owner": asked("owner", "port_close", PORT),
    "port_command(P, <<>>)": asked("asker", "port_command", PORT, b""),
    "port_command(P, <<>>) by the owner": asked("owner", "port_command", PORT, b""),
    "port_command(P, <<>>, [nosuspend])": asked("asker", "port_command", PORT, b"", ["nosuspend"]),
    "port_command(P, <<>>, [force])": asked("asker", "port_command", PORT, b"", ["force"]),
    "port_command(P, <<>>, [])": asked("asker", "port_command", PORT, b"", []),
    "port_command(P, <<>>, [bad])": asked("asker", "port_command", PORT, b"", ["bad"]),
    "port_command(P, bad)": asked("asker", "port_command", PORT, "bad"),
    "port_command(P, Script) that fails": asked(
        "asker", "port_command", PORT, b"driver_failure_atom"
    ),
    "port_control(P, 0, <<>>)": asked("asker", "port_control", PORT, 0, b""),
    "port_control(P, 0, <<>>) refused": asked("asker", "port_control", PORT, 0, b"refuse"),
    "port_control(P, 0, Script) that fails": asked(
        "asker", "port_control", PORT, 0, b"driver_failure_atom"
    ),
    "port_control(P, -1, <<>>)": asked("asker", "port_control", PORT, -1, b""),
    "port_control(P, 2^32-1, <<>>)": asked("asker", "port_control", PORT, 2**32 - 1, b""),
    "port_control(P, 2^32, <<>>)": asked("asker", "port_control", PORT, 2**32, b""),
    "port_control(P, 0, bad)": asked("asker", "port_control", PORT, 0, "bad"),
    "port_call(P, 0, <<>>)": asked("asker", "port_call", PORT, 0, b""),
    "port_call(P, 0, <<>>) refused": asked("asker", "port_call", PORT, 0, b"refuse"),
    "port_call(P, -1, <<>>)": asked("asker", "port_call", PORT, -1, b""),
    "P ! {Owner, {command, <<>>}}": asked("asker", "send", PORT, (OWNER, COMMAND)),
    "P ! {self(), {command, <<>>}} by the owner": asked("owner", "send", PORT, (ME, COMMAND)),
    "P ! {self(), {command, <<>>}}": asked("asker", "send", PORT, (ME, COMMAND)),
    "P ! {Owner, {command, bad}}": asked("asker", "send", PORT, (OWNER, ("command", "bad"))),
    "P ! {Owner, close}": asked("asker", "send", PORT, (OWNER, "close")),
    "P ! {self(), close} by the owner": asked("owner", "send", PORT, (ME, "close")),
    "P ! {self(), close}": asked("asker", "send", PORT, (ME, "close")),
    "P ! {Owner, {connect, heir}}": asked("asker", "send", PORT, (OWNER, ("connect", HEIR))),
    "P ! {self(), {connect, heir}}": asked("asker", "send", PORT, (ME, ("connect", HEIR))),
    "P ! {Owner, {connect, dead}}": asked("asker", "send", PORT, (OWNER, ("connect", DEAD))),
    "P ! {Owner, bad}": asked("asker", "send", PORT, (OWNER, "bad")),
    "P ! bad": asked("asker", "send", PORT, "bad"),
    "send(P, {Owner, {command, <<>>}}, [nosuspend])": asked(
        "asker", "send", PORT, (OWNER, COMMAND), ["nosuspend"]
    ),
    "exit(P, normal)": asked("asker", "exit", PORT, "normal"),
    "exit(P, kill)": asked("asker", "exit", PORT, "kill"),
    "exit(P, die)": asked("asker", "exit", PORT, "die"),
    "exit(P, normal) by the owner": asked("owner", "exit", PORT, "normal"),
    "exit(P, kill) by the owner": asked("owner", "exit", PORT, "kill"),
    "exit(P, die) by the owner": asked("owner", "exit", PORT, "die"),
    "exit(P, normal) by a linked process": asked("linked", "exit", PORT, "normal"),
    "link(P)": asked("asker", "link", PORT),
    "link(P) by a linked process": asked("linked", "link", PORT),
    "unlink(P)": asked("asker", "unlink", PORT),
    "unlink(P) by a linked process": asked("linked", "unlink", PORT),
    "unlink(P) by the owner": asked("owner", "unlink", PORT),
    "monitor(port, P)": asked("asker", "monitor", "port", PORT),
    "demonitor(Ref)": asked("watcher", "demonitor", V("Ref")),
    "demonitor(Ref, [flush])": asked("watcher", "demonitor", V("Ref"), ["flush"]),
    "demonitor(Ref, [info])": asked("watcher", "demonitor", V("Ref"), ["info"]),
    "register(name, P)": asked("asker", "register", "a_name", PORT),
    "the owner ends normally": (stop("owner", "normal"), SETTLE),
    "the owner ends with a reason": (stop("owner", "reason"), SETTLE),
    "a linked process ends normally": (stop("linked", "normal"), SETTLE),
    "a linked process ends with a reason": (stop("linked", "reason"), SETTLE),
}
"""What is asked of a port, or done to it, in each of its states."""

DEAF = {
    "port_close(P)",
    "port_close(P) by the owner",
    "port_command(P, Script) that fails",
    "P ! bad",
    "P ! {self(), close} by the owner",
    "exit(P, normal)",
    "exit(P, kill)",
    "exit(P, die)",
    "exit(P, normal) by the owner",
    "exit(P, kill) by the owner",
    "exit(P, die) by the owner",
    "exit(P, normal) by a linked process",
    "link(P)",
    "the owner ends normally",
    "the owner ends with a reason",
    "a linked process ends normally",
    "a linked process ends with a reason",
}
"""What may send exit signals, and is asked once more of processes that do not trap exits."""


def port_cases() -> Iterator[Case]:
    """Every question in every state in which its actors can ask it."""
    for state, (before, after, queued) in STATES.items():
        for question, steps in QUESTIONS.items():
            if not possible(before, steps) or (queued and steps[0][1] == "owner"):
                continue
            all_steps = (*before, FORGET, *queued, *steps, *after)
            yield Case(question, state, all_steps)
            # Whether an owner dies before `open_port` has returned to it is a race.
            there = not opening(before) and (state != KILLED or steps[0][1] == "asker")
            if question in DEAF and there:
                yield Case(question, state, all_steps, deaf=True)


def opening(before: Steps) -> bool:
    """Whether the port is asked about before `open_port` has returned it."""
    return FIND in before and KNOWN[0] not in before


def possible(before: Steps, steps: Steps) -> bool:
    """Whether the actor that is asked is there and free, and what it asks about exists."""
    actor, asks = steps[0][1], repr(steps)
    if any(step[0] == "stop" and step[1] == actor for step in before):
        return False
    if any(step[0] == "begin" and step[1] == actor for step in before):
        return False
    if opening(before) or NEVER in before:
        return actor == "asker" and "'Ref'" not in asks
    return True
