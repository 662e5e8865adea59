"""What is asked of `erl_ddll`, and what the end of a process that has loaded a driver does."""

from __future__ import annotations

from collections.abc import Iterator

from values.states import CLOSE, KNOWN, PORT, QUEUE, open_port
from values.steps import (
    FORGET,
    SETTLE,
    Case,
    File,
    S,
    Step,
    Steps,
    V,
    ask,
    do,
    go_on,
    reached,
    stop,
)
from values.twin import VERSIONS

SPARE_FILE, SPARE_NAME = File("values_spare"), S("values_spare")
SPARE_PORT = (open_port("values_spare"), *KNOWN)
JOB = (do("owner", "port_command", PORT, b"driver_async(wait=1)"), reached(1))


def ddll(actor: str, function: str, *arguments: object, how: str = "do", save: str = "") -> Step:
    return (ask if how == "ask" else do)(actor, f"erl_ddll.{function}", *arguments, save=save)


LOADING: dict[str, Steps] = {
    "not loaded": (),
    "loaded": (ddll("asker", "load_driver", SPARE_FILE),),
    "loaded by load": (ddll("asker", "load", SPARE_FILE),),
    "loaded twice": (
        ddll("asker", "load_driver", SPARE_FILE),
        ddll("asker", "load_driver", SPARE_FILE),
    ),
    "loaded by another": (ddll("loader", "load_driver", SPARE_FILE),),
    "loaded by load by another": (ddll("loader", "load", SPARE_FILE),),
    "loaded by two": (
        ddll("asker", "load_driver", SPARE_FILE),
        ddll("loader", "load_driver", SPARE_FILE),
    ),
    "loaded, with a port": (ddll("asker", "load_driver", SPARE_FILE), *SPARE_PORT),
    "loaded by load, with a port": (
        ddll("asker", "load", SPARE_FILE),
        *SPARE_PORT,
    ),
    "loaded by load, with a closing port": (
        ddll("asker", "load", SPARE_FILE),
        *SPARE_PORT,
        QUEUE,
        CLOSE,
    ),
    "loaded, with a closing port": (
        ddll("asker", "load_driver", SPARE_FILE),
        *SPARE_PORT,
        QUEUE,
        CLOSE,
    ),
    "loaded by two, with a port": (
        ddll("asker", "load_driver", SPARE_FILE),
        ddll("loader", "load_driver", SPARE_FILE),
        *SPARE_PORT,
    ),
    "pending, with a port": (
        ddll("asker", "load", SPARE_FILE),
        *SPARE_PORT,
        ddll("asker", "unload", SPARE_NAME),
    ),
    "pending, with a job": (
        ddll("asker", "load_driver", SPARE_FILE),
        *SPARE_PORT,
        *JOB,
        ddll("asker", "try_unload", SPARE_NAME, []),
    ),
    "loaded, with a job": (
        ddll("asker", "load_driver", SPARE_FILE),
        *SPARE_PORT,
        *JOB,
    ),
}

LOADED_DRIVERS = ddll("asker", "loaded_drivers", how="ask")

DDLL_QUESTIONS: dict[str, Steps] = {
    "load_driver": (ddll("asker", "load_driver", SPARE_FILE, how="ask"), LOADED_DRIVERS),
    "load": (ddll("asker", "load", SPARE_FILE, how="ask"), LOADED_DRIVERS),
    "unload_driver": (ddll("asker", "unload_driver", SPARE_NAME, how="ask"), LOADED_DRIVERS),
    "unload": (ddll("asker", "unload", SPARE_NAME, how="ask"), SETTLE, LOADED_DRIVERS),
    "try_unload(Name, [])": (
        ddll("asker", "try_unload", SPARE_NAME, [], how="ask"),
        SETTLE,
        LOADED_DRIVERS,
    ),
    "try_unload(Name, [kill_ports])": (
        ddll("asker", "try_unload", SPARE_NAME, ["kill_ports"], how="ask"),
        SETTLE,
        LOADED_DRIVERS,
    ),
    "try_unload(Name, [{monitor, pending}])": (
        ddll("asker", "try_unload", SPARE_NAME, [("monitor", "pending")], how="ask"),
    ),
    "try_unload(Name, [bad])": (ddll("asker", "try_unload", SPARE_NAME, ["bad"], how="ask"),),
    "monitor unloaded": (ddll("asker", "monitor", "driver", (SPARE_NAME, "unloaded"), how="ask"),),
    "monitor loaded": (ddll("asker", "monitor", "driver", (SPARE_NAME, "loaded"), how="ask"),),
    "monitor unloaded, then unload": (
        ddll("watcher", "monitor", "driver", (SPARE_NAME, "unloaded"), how="ask"),
        ddll("asker", "unload", SPARE_NAME, how="ask"),
        SETTLE,
    ),
    "monitor unloaded, then load": (
        ddll("watcher", "monitor", "driver", (SPARE_NAME, "unloaded"), how="ask"),
        ddll("asker", "load", SPARE_FILE, how="ask"),
        ddll("asker", "load_driver", SPARE_FILE, how="ask"),
        SETTLE,
    ),
    "demonitor": (
        ddll("watcher", "monitor", "driver", (SPARE_NAME, "unloaded"), save="driver_ref"),
        ddll("watcher", "demonitor", V("driver_ref"), how="ask"),
    ),
    "info": (ddll("asker", "info", SPARE_NAME, "permanent", how="ask"),),
    "open_port": (ask("heir", "open_port", ("spawn_driver", S("values_spare")), []),),
    "the loader ends normally": (
        stop("asker", "normal"),
        SETTLE,
        ddll("heir", "loaded_drivers", how="ask"),
    ),
    "the loader ends with a reason": (
        stop("asker", "reason"),
        SETTLE,
        ddll("heir", "loaded_drivers", how="ask"),
    ),
}


NEXT = File("values_spare", "next")
PENDING = ("reload", "pending")
TELL = (
    ddll("watcher", "monitor", "driver", (SPARE_NAME, "unloaded"), how="ask"),
    ddll("watcher", "monitor", "driver", (SPARE_NAME, "unloaded_only"), how="ask"),
)


def reload(*options: object, file: File = NEXT, who: str = "asker") -> Step:
    return ddll(who, "try_load", file, [PENDING, *options], how="ask")


END = (SETTLE, ask("owner", "port_close", PORT), SETTLE)
RELOADING: dict[str, Steps] = {
    "try_load(Name, [])": (ddll("asker", "try_load", SPARE_FILE, [], how="ask"),),
    "try_load(Name, [{driver_options, [kill_ports]}])": (
        ddll("asker", "try_load", SPARE_FILE, [("driver_options", ["kill_ports"])], how="ask"),
    ),
    "try_load(Next, [])": (ddll("asker", "try_load", NEXT, [], how="ask"),),
    "try_load(Name, bad)": tuple(
        ddll("asker", "try_load", SPARE_FILE, options, how="ask")
        for options in (["bad"], [("reload", "bad")], [("driver_options", ["bad"])], "bad")
    ),
    "reload": (ddll("asker", "reload", NEXT, how="ask"), *END, LOADED_DRIVERS),
    "reload of one that is refused": (
        ddll("asker", "reload", File("values_spare", "refused"), how="ask"),
        *END,
    ),
    "reload_driver": (ddll("asker", "reload_driver", NEXT, how="ask"), *END, LOADED_DRIVERS),
    "reload_driver of a newer one": (
        ddll("asker", "reload_driver", File("values_spare", "newer"), how="ask"),
        *END,
    ),
    "try_load with reload": (*TELL, reload(), *END),
    "try_load with reload and monitor": (*TELL, reload(("monitor", "pending")), *END),
    "try_load with reload and kill_ports": (
        *TELL,
        reload(("monitor", "pending_driver"), ("driver_options", ["kill_ports"])),
        *END,
    ),
    "try_load with reload of one that is refused": (
        *TELL,
        reload(("monitor", "pending"), file=File("values_spare", "refused")),
        *END,
        LOADED_DRIVERS,
    ),
    "try_load with reload, pending_driver": (
        ddll("asker", "try_load", NEXT, [("reload", "pending_driver")], how="ask"),
        *END,
    ),
    "reload, info": (
        *TELL,
        reload(("monitor", "pending")),
        *(
            ddll("asker", "info", SPARE_NAME, item, how="ask")
            for item in ("processes", "awaiting_load", "awaiting_unload", "driver_options")
        ),
        *END,
    ),
    "reload, monitor loaded": (
        reload(),
        ddll("watcher", "monitor", "driver", (SPARE_NAME, "loaded"), how="ask"),
        *END,
    ),
    "reload twice": (reload(("monitor", "pending")), reload(("monitor", "pending")), *END),
    "reload, load again": (
        reload(),
        ddll("heir", "load", SPARE_FILE, how="ask"),
        ddll("heir", "load", NEXT, how="ask"),
        *END,
        ddll("heir", "unload", SPARE_NAME, how="ask"),
    ),
    "reload, try_load again": (
        reload(),
        ddll("heir", "try_load", NEXT, [], how="ask"),
        *END,
        ddll("heir", "try_unload", SPARE_NAME, [], how="ask"),
    ),
    "reload, open_port": (
        reload(),
        ask("heir", "open_port", ("spawn_driver", S("values_spare")), [], save="Q"),
        *END,
        ask("heir", "port_close", V("Q")),
        SETTLE,
    ),
    "reload, unload": (
        *TELL,
        reload(("monitor", "pending")),
        ddll("asker", "try_unload", SPARE_NAME, [], how="ask"),
        *END,
    ),
    "reload, unload, load": (
        *TELL,
        reload(("monitor", "pending")),
        ddll("asker", "try_unload", SPARE_NAME, [], how="ask"),
        SETTLE,
        ddll("heir", "load", SPARE_FILE, how="ask"),
        ddll("heir", "load", NEXT, how="ask"),
        *END,
    ),
    "reload, the loader ends": (
        *TELL,
        ddll("loader", "monitor", "driver", (SPARE_NAME, "unloaded"), how="ask"),
        reload(),
        ddll("heir", "monitor", "driver", (SPARE_NAME, "loaded"), how="ask"),
        stop("asker", "normal"),
        *END,
    ),
}
"""What replaces a driver by another one of its name."""


def loading_cases() -> Iterator[Case]:
    """Reloading, what its errors are called, and drivers of all versions."""
    for state, before in LOADING.items():
        for question, steps in RELOADING.items():
            after = (go_on(1), SETTLE) if "job" in state else ()
            yield Case(f"erl_ddll: {question}", state, (*before, FORGET, *steps, *after))
    for reason in ("driver_init_failed", "not_loaded", "pending_reload", "bad"):
        yield Case(
            f"erl_ddll: format_error({reason})",
            "",
            (ddll("asker", "format_error", reason, how="ask"),),
        )
    for version in VERSIONS:
        steps = (ddll("asker", "load_driver", File(f"values_{version}"), how="ask"), LOADED_DRIVERS)
        yield Case("erl_ddll: load_driver", f"compiled for {version}", steps)


def ddll_cases() -> Iterator[Case]:
    """Loading and unloading, and what a loader's end does to ports."""
    for state, before in LOADING.items():
        after = (go_on(1), SETTLE) if "job" in state else ()
        for question, steps in DDLL_QUESTIONS.items():
            all_steps = (*before, FORGET, *steps, *after)
            yield Case(f"erl_ddll: {question}", state, all_steps)
            if "ends" in question or "unload" in question:
                yield Case(f"erl_ddll: {question}", state, all_steps, deaf=True)
    owned = (ddll("owner", "load_driver", SPARE_FILE), *SPARE_PORT)
    for reason in ("normal", "reason"):
        for queue in (False, True):
            for deaf in (False, True):
                yield Case(
                    f"erl_ddll: the loader and owner ends with {reason}",
                    "with a driver queue" * queue,
                    (*owned, *((QUEUE,) if queue else ()), FORGET, stop("owner", reason), SETTLE),
                    deaf=deaf,
                )
    for name, file in (("a driver whose init fails", "values_refuses"), ("a driver", "values")):
        for how in ("load_driver", "load"):
            yield Case(
                f"erl_ddll: {how}",
                name,
                (ddll("asker", how, File(file), how="ask"), LOADED_DRIVERS),
            )
    yield from loading_cases()
    yield Case("erl_ddll: unload_driver(bad)", "", (ddll("asker", "unload_driver", 7, how="ask"),))
    yield Case(
        "erl_ddll: monitor(bad)", "", (ddll("asker", "monitor", "driver", "bad", how="ask"),)
    )
    yield Case(
        "erl_ddll: unload_driver while another loads",
        "",
        (
            *LOADING["loaded, with a job"],
            FORGET,
            ddll("asker", "unload_driver", SPARE_NAME, how="ask"),
            ddll("heir", "load_driver", SPARE_FILE, how="ask"),
            ddll("heir", "loaded_drivers", how="ask"),
            go_on(1),
        ),
    )
    yield Case(
        "erl_ddll: driver_lock_driver",
        "",
        (
            *LOADING["loaded, with a port"],
            FORGET,
            ask("owner", "port_command", PORT, b"driver_lock_driver"),
            ddll("asker", "unload_driver", SPARE_NAME, how="ask"),
            ddll("asker", "load_driver", SPARE_FILE, how="ask"),
            ddll("asker", "info", SPARE_NAME, "permanent", how="ask"),
        ),
        alone=True,
    )
