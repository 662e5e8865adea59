"""The stack of an async thread, on the real emulator: how much of it a job may use.

A Python thread takes no notice of `+a`, so this is not in the model.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from otp import Missing, call, tools

pytestmark = pytest.mark.slow

DRIVER = """
#include <erl_driver.h>
#include <stdlib.h>
#include <string.h>

/* Uses so many KB of stack, 1 KB a call. */
static int use(int kilobytes)
{
    volatile char local[960];

    local[kilobytes % 960] = 1;
    return (kilobytes > 0 ? use(kilobytes - 1) : 0) + local[kilobytes % 960];
}
static void work(void *data) { *(int *)data = use(*(int *)data); }
static ErlDrvData start(ErlDrvPort port, char *command)
{
    static int kilobytes;

    kilobytes = atoi(strchr(command, ' '));
    driver_async(port, NULL, work, &kilobytes, NULL);
    return (ErlDrvData)port;
}
static void ready_async(ErlDrvData port, ErlDrvThreadData data)
{
    (void)data;
    driver_output((ErlDrvPort)port, "", 0);
}
static ErlDrvEntry entry = {
    .driver_name = "stack", .start = start, .ready_async = ready_async,
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION, .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
};
DRIVER_INIT(stack) { return &entry; }
"""

JOB = """
    ok = erl_ddll:load_driver(".", "stack"),
    P = open_port({spawn_driver, "stack " ++ os:getenv("KILOBYTES")}, []),
    receive {P, {data, _}} -> halt(0) end.
"""


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., int]:
    """Runs a job that uses so many KB of stack, with options of `erl`.  How the emulator ended."""
    folder: Path = tmp_path_factory.mktemp("stack")
    try:
        found = tools("asked", folder)
    except Missing as missing:
        pytest.skip(str(missing))
    (folder / "stack.c").write_text(DRIVER)
    call(found.compile_c("-fno-optimize-sibling-calls", "-o", "stack.so", "stack.c"), folder)

    def run(kilobytes: int, *options: str) -> int:
        command = [found.erl, *options, "-noinput", "-eval", JOB]
        environment = {**os.environ, "ERL_FLAGS": "", "KILOBYTES": str(kilobytes)}
        return subprocess.run(
            command, cwd=folder, env=environment, timeout=60, check=False
        ).returncode

    return run


@pytest.mark.rule("memory.async-stack")
def test_a_job_may_use_most_of_128_kilobytes(job: Callable[..., int]) -> None:
    assert job(100) == 0


@pytest.mark.rule("memory.async-stack")
def test_a_job_that_uses_more_ends_the_emulator(job: Callable[..., int]) -> None:
    assert job(200) == -signal.SIGSEGV


@pytest.mark.rule("memory.async-stack")
def test_the_emulator_can_be_started_with_more(job: Callable[..., int]) -> None:
    """256 kilowords are 2 MB."""
    assert job(1500, "+a", "256") == 0
    assert job(2200, "+a", "256") == -signal.SIGSEGV
