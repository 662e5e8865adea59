"""C drivers broken on purpose: the book's own, each with one mistake, and where it must be named.

A `Broken` is made of a driver of the book by replacing text.  `at` is a part of the line that the
fault has to name; `fault` is its class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from driverref import Emulator
from driverref.errors import ErlangError

BOOK = Path(__file__).resolve().parents[2] / "docs/questions"


@dataclass(frozen=True)
class Scene:
    """What is done with a driver that is loaded."""

    driver: str
    """The file, in the book's folder of questions."""
    play: Callable[[Emulator], object]
    async_threads: int = 1
    schedulers: int = 1


def number(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big")


def commands(
    name: str, *data: bytes, controls: tuple[tuple[int, bytes], ...] = ()
) -> Callable[[Emulator], None]:
    """Open a port, send commands and controls, close it.  It may be gone before that."""

    def play(erl: Emulator) -> None:
        erl.process_flag("trap_exit", True)
        port = erl.open_port(("spawn_driver", name), ("binary",))
        try:
            for part in data:
                erl.port_command(port, part)
            for command, part in controls:
                erl.port_control(port, command, part)
            erl.port_close(port)
        except ErlangError:
            pass

    return play


def killed(name: str, data: bytes) -> Callable[[Emulator], None]:
    """Open a port, send a command, and kill the port."""

    def play(erl: Emulator) -> None:
        erl.process_flag("trap_exit", True)
        port = erl.open_port(("spawn_driver", name))
        erl.port_command(port, data)
        erl.exit(port, "kill")

    return play


def answered(name: str, *data: bytes) -> Callable[[Emulator], None]:
    """Open a port, send each command and wait for its answer, close it."""

    def play(erl: Emulator) -> None:
        erl.process_flag("trap_exit", True)
        port = erl.open_port(("spawn_driver", name), ("binary",))
        for part in data:
            erl.port_command(port, part)
            if erl.receive()[0] != port:
                return
        erl.port_close(port)

    return play


def two_ports(name: str, data: bytes) -> Callable[[Emulator], None]:
    """Two processes, on two schedulers, each with a port."""

    def play(erl: Emulator) -> None:
        def owner() -> None:
            port = erl.open_port(("spawn_driver", name))
            if data:
                erl.port_command(port, data)
            erl.port_close(port)

        erl.process_flag("trap_exit", True)
        erl.link(erl.spawn(owner))
        owner()
        erl.receive()

    return play


def called(name: str, how: str) -> Callable[[Emulator], None]:
    def play(erl: Emulator) -> None:
        port = erl.open_port(("spawn_driver", name))
        if how == "call":
            erl.port_call(port, 1, b"")
        else:
            erl.port_control(port, 1, b"")
        erl.port_close(port)

    return play


ASK = number(1, 8) + number(3, 4)
FLOW = Scene("flow/flow_drv.c", commands("flow_drv", ASK))
FLOW_BAD = Scene("flow/flow_drv.c", commands("flow_drv", ASK, b"bad"))
FLOW_ANSWERED = Scene("flow/flow_drv.c", answered("flow_drv", ASK))
KEY = Scene("key/key_drv.c", commands("key_drv", b"ab", b"c"))
KEY_ONE = Scene("key/key_drv.c", commands("key_drv", b"ab"))
KEY_ANSWERED = Scene("key/key_drv.c", answered("key_drv", b"ab"))
FREE = Scene("free/free_drv.c", commands("free_drv /etc/hostname"))
FREE_TWO = Scene("free/free_drv.c", two_ports("free_drv /etc/hostname", b""), 2, 2)
CANCEL = Scene(
    "cancel/cancel_drv.c",
    commands("cancel_drv", number(1, 8) + number(2, 4), controls=((1, number(1, 8)),)),
)
CANCEL_CLOSE = Scene("cancel/cancel_drv.c", commands("cancel_drv", number(1, 8) + number(2, 4)))
TIMEOUT = Scene(
    "timeout/timeout_drv.c", answered("timeout_drv", number(1, 8) + number(5, 2) + number(9, 4))
)
BUSY = Scene("busy/busy_drv.c", answered("busy_drv", number(1, 8) + number(5, 2)))
QUEUE = Scene(
    "busy/queue_drv.c", commands("queue_drv", *[number(n, 8) + number(5, 2) for n in (1, 2)])
)
QUEUE_ANSWERED = Scene(
    "busy/queue_drv.c", answered("queue_drv", *[number(n, 8) + number(5, 2) for n in (1, 2)])
)
DRAIN = Scene("cancel/drain_drv.c", commands("drain_drv /dev/null", b"hello"))
DRAIN_KILL = Scene("cancel/drain_drv.c", killed("drain_drv /dev/null", b"hello"))
STATE = Scene("state/state_drv.c", answered("state_drv", b"x"))
STATE_TWO = Scene("state/state_drv.c", two_ports("state_drv", b"x"), 1, 2)
HEADER = Scene("header/header_drv.c", answered("header_drv", b"hello"))
HEADER_CONTROL = Scene("header/header_drv.c", called("header_drv", "control"))
HEADER_CALL = Scene("header/header_drv.c", called("header_drv", "call"))
MEMORY = Scene("memory/memory_drv.c", answered("memory_drv", b"loud"))
MEMORY_CLOSE = Scene("memory/memory_drv.c", commands("memory_drv", b"loud"))
TERM = Scene("flow/term_drv.c", commands("term_drv", number(1, 8) + number(3, 3)))


@dataclass(frozen=True)
class Broken:
    """A driver with one mistake."""

    name: str
    scene: Scene
    fault: str
    at: str
    """A part of the line that the fault must name; "" if it names none of the driver's."""
    changes: tuple[tuple[str, str], ...]

    def source(self) -> str:
        """The driver's text."""
        text = (BOOK / self.scene.driver).read_text()
        for old, new in self.changes:
            assert old in text, f"{self.name}: {old}"
            text = text.replace(old, new, 1)
        return text

    def line(self) -> int:
        """The number of the line that the fault must name."""
        lines = self.source().splitlines()
        return next(number for number, line in enumerate(lines, 1) if self.at in line)


CASES: list[Broken] = []


def broken(name: str, scene: Scene, fault: str, at: str, *changes: tuple[str, str]) -> None:
    CASES.append(Broken(name, scene, fault, at, changes))


SQUARE = "    job->square = job->number * job->number;"
FREE_JOB = "    driver_free(job); /* driver_async()'s"

broken(
    "flow: ready_async forgets the job", FLOW, "Leak", "job = driver_alloc", (FREE_JOB, "    /*")
)
broken(
    "flow: no free function",
    FLOW,
    "Leak",
    "job = driver_alloc",
    ("square, job, driver_free)", "square, job, NULL)"),
)
broken(
    "flow: stop forgets the state",
    FLOW,
    "Leak",
    "State *state = driver_alloc",
    ("    driver_free(data); /* jobs", "    (void)data; /*"),
)
broken(
    "flow: malloc without free",
    FLOW,
    "Leak",
    "malloc(8)",
    ("#include <errno.h>", "#include <errno.h>\n#include <stdlib.h>"),
    (SQUARE, SQUARE + " (void)malloc(8);"),
)
broken(
    *("flow: a job reads the port's state", FLOW, "UseAfterFree", "job->state->port != 0"),
    ("    ErlDrvTermData caller; /* kept", "    State *state; ErlDrvTermData caller; /* kept"),
    (SQUARE, "    job->square = job->state->port != 0;"),
    (
        "    job->caller = driver_caller(state->port);",
        "    job->state = state; job->caller = driver_caller(state->port);",
    ),
)
broken(
    *("flow: a job writes the port's state", FLOW, "DataRace", "job->state->port = 0"),
    ("    ErlDrvTermData caller; /* kept", "    State *state; ErlDrvTermData caller; /* kept"),
    (SQUARE, "    job->state->port = 0;"),
    (
        "    job->caller = driver_caller(state->port);",
        "    job->state = state; job->caller = driver_caller(state->port);",
    ),
)
broken(
    "flow: freed twice",
    FLOW,
    "DoubleFree",
    "now again",
    (FREE_JOB, "    driver_free(job);\n    driver_free(job); /* now again"),
)
broken(
    "flow: the job frees itself",
    FLOW,
    "DoubleFree",
    FREE_JOB.strip(),
    (SQUARE, SQUARE + " driver_free(job);"),
    (
        "    (void)erl_drv_send_term(state->port_term, job->caller, reply, COUNT(reply));",
        "(void)reply;",
    ),
)
broken(
    "flow: goes on after driver_failure",
    FLOW_BAD,
    "UseAfterFree",
    "state->port = 0;",
    ("        return; /* stop() has run", "        state->port = 0;\n        return; /*"),
)
broken(
    "flow: driver_failure twice",
    FLOW_BAD,
    "UseAfterFree",
    "driver_failure_posix(state->port, 1)",
    (
        "        return; /* stop() has run",
        "        driver_failure_posix(state->port, 1);\n        return; /*",
    ),
)
broken(
    *("flow: a job keeps the command's buffer", FLOW, "UseAfterFree", "value = value << 8"),
    ("    ErlDrvTermData caller; /* kept", "    char *bytes; ErlDrvTermData caller; /* kept"),
    (SQUARE, "    job->number = big_endian(job->bytes + 8, 4);"),
    ("    job->number = big_endian(bytes + 8, 4);", "    job->bytes = bytes;"),
)
broken(
    "flow: a field is not written",
    FLOW,
    "Uninitialised",
    "job->number * job->number",
    ("    job->number = big_endian(bytes + 8, 4);\n", ""),
)
broken(
    "flow: the term has an unwritten word",
    FLOW_ANSWERED,
    "Uninitialised",
    "erl_drv_send_term(",
    ("    job->square = job->number * job->number;\n", ""),
)
broken(
    "flow: reads behind the command",
    FLOW,
    "OutOfBounds",
    "value = value << 8",
    ("big_endian(bytes + 8, 4)", "big_endian(bytes + 8, 5)"),
)
broken("flow: NULL", FLOW, "Crash", "job = NULL", (SQUARE, "    job = NULL; job->square = 1;"))
broken(
    "flow: a wild pointer",
    FLOW,
    "Crash",
    "(Job *)0x123456789000",
    (SQUARE, "    job = (Job *)0x123456789000; job->square = 1;"),
)
broken(
    "flow: a division by zero",
    FLOW,
    "Crash",
    "/ (job->number - 3)",
    (SQUARE, "    job->square = job->number / (job->number - 3);"),
)
broken(
    "flow: abort",
    FLOW,
    "Crash",
    "    abort();",
    ("#include <errno.h>", "#include <errno.h>\n#include <stdlib.h>"),
    (SQUARE, "    abort();"),
)
broken(
    "flow: exit",
    FLOW,
    "Crash",
    "    exit(1);",
    ("#include <errno.h>", "#include <errno.h>\n#include <stdlib.h>"),
    (SQUARE, "    exit(1);"),
)
broken(
    "flow: a failed assertion",
    FLOW,
    "Crash",
    "assert(job->number == 4)",
    ("#include <errno.h>", "#include <errno.h>\n#include <assert.h>"),
    (SQUARE, "    assert(job->number == 4);"),
)
broken(
    "flow: endless recursion",
    FLOW,
    "StackOverflow",
    "return deep(x)",
    (
        "static void square(void *data)\n{",
        "static int deep(volatile int *p) { volatile int x[64]; x[0] = *p; return deep(x) + x[0]; }\nstatic void square(void *data)\n{ int zero = 0; deep(&zero);",
    ),
)
broken(
    "flow: an endless loop that uses memory",
    FLOW,
    "Endless",
    "job->square++",
    (
        SQUARE,
        "    volatile Job *job2 = job; job2->square = 0; while (job->number) { job2->square++; } /* job->square++ */",
    ),
)
broken(
    "flow: an endless loop that does nothing",
    FLOW,
    "Endless",
    "for (;;)",
    (SQUARE, '    for (;;) __asm__ volatile("");'),
)
broken(
    "flow: free for a block of driver_alloc",
    FLOW_ANSWERED,
    "InvalidFree",
    "    free(job);",
    ("#include <errno.h>", "#include <errno.h>\n#include <stdlib.h>"),
    (FREE_JOB, "    free(job);\n    /*"),
)
broken(
    "flow: frees the middle of a block",
    FLOW_ANSWERED,
    "InvalidFree",
    "driver_free(&job->tag)",
    (FREE_JOB, "    driver_free(&job->tag); /*"),
)
broken(
    "flow: frees a local variable",
    FLOW,
    "InvalidFree",
    "driver_free(&local)",
    (SQUARE, "    int local = 1; driver_free(&local);"),
)
broken(
    "flow: frees what was lent",
    FLOW,
    "InvalidFree",
    "driver_free(bytes)",
    ("    job->tag = big_endian", "    driver_free(bytes); job->tag = big_endian"),
)
broken(
    "flow: a job calls driver_failure",
    FLOW,
    "Misuse",
    "driver_failure_eof(job->port)",
    ("    ErlDrvTermData caller; /* kept", "    ErlDrvPort port; ErlDrvTermData caller; /* kept"),
    ("    job->caller =", "    job->port = state->port; job->caller ="),
    (SQUARE, "    driver_failure_eof(job->port);"),
)
broken(
    "flow: a job calls driver_output",
    FLOW,
    "Misuse",
    "driver_output(job->port",
    ("    ErlDrvTermData caller; /* kept", "    ErlDrvPort port; ErlDrvTermData caller; /* kept"),
    ("    job->caller =", "    job->port = state->port; job->caller ="),
    (SQUARE, '    driver_output(job->port, "x", 1);'),
)
broken(
    "flow: a job calls driver_async",
    FLOW,
    "Misuse",
    "driver_async(job->port",
    ("    ErlDrvTermData caller; /* kept", "    ErlDrvPort port; ErlDrvTermData caller; /* kept"),
    ("    job->caller =", "    job->port = state->port; job->caller ="),
    (SQUARE, "    driver_async(job->port, NULL, driver_free, NULL, NULL);"),
)
broken(
    "flow: driver_caller where no process calls",
    FLOW_ANSWERED,
    "Misuse",
    "thread_data; job->caller = driver_caller",
    (
        "    Job *job = (Job *)thread_data;\n",
        "    Job *job = (Job *)thread_data; job->caller = driver_caller(state->port);\n",
    ),
)
broken(
    "flow: a term that is none",
    FLOW_ANSWERED,
    "Misuse",
    "(void)erl_drv_send_term",
    ("ERL_DRV_TUPLE,  3", "ERL_DRV_TUPLE,  4"),
)
broken(
    "flow: no function for the job",
    FLOW,
    "Misuse",
    "driver_async(state->port, NULL, NULL",
    ("driver_async(state->port, NULL, square,", "driver_async(state->port, NULL, NULL,"),
)
broken(
    *(
        "flow: two locks in two orders",
        FLOW,
        "Deadlock",
        "erl_drv_mutex_lock(a); erl_drv_mutex_lock(b)",
    ),
    (
        "static ErlDrvUInt64 big_endian",
        'static ErlDrvMutex *a, *b;\nstatic int init(void) { a = erl_drv_mutex_create((char *)"a"); b = erl_drv_mutex_create((char *)"b"); return 0; }\nstatic void finish(void) { erl_drv_mutex_destroy(a); erl_drv_mutex_destroy(b); }\nstatic ErlDrvUInt64 big_endian',
    ),
    (
        SQUARE,
        "    erl_drv_mutex_lock(a); erl_drv_mutex_lock(b); erl_drv_mutex_unlock(b); erl_drv_mutex_unlock(a);",
    ),
    (
        "    driver_free(data); /* jobs",
        "    erl_drv_mutex_lock(b); erl_drv_mutex_lock(a); driver_free(data); erl_drv_mutex_unlock(a); erl_drv_mutex_unlock(b); /* jobs",
    ),
    ("    .start = start,", "    .start = start, .init = init, .finish = finish,"),
)
broken(
    *(
        "flow: two pthread mutexes in two orders",
        FLOW,
        "Deadlock",
        "pthread_mutex_lock(&a); pthread_mutex_lock(&b)",
    ),
    (
        "#include <errno.h>",
        "#include <errno.h>\n#include <pthread.h>\nstatic pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER, b = PTHREAD_MUTEX_INITIALIZER;",
    ),
    (
        SQUARE,
        "    pthread_mutex_lock(&a); pthread_mutex_lock(&b); pthread_mutex_unlock(&b); pthread_mutex_unlock(&a);",
    ),
    (
        "    driver_free(data); /* jobs",
        "    pthread_mutex_lock(&b); pthread_mutex_lock(&a); driver_free(data); pthread_mutex_unlock(&a); pthread_mutex_unlock(&b); /* jobs",
    ),
)
RESULT = (
    ("#include <errno.h>", "#include <errno.h>\n#include <stdatomic.h>"),
    (
        "/* An async thread calls it and holds no lock",
        "static ErlDrvUInt64 result; static atomic_int ready;\n/* An async thread calls it and holds no lock",
    ),
)
LOOK = (
    "    if (length != 12) {\n",
    "    if (length == 3) {\n        ErlDrvUInt64 r = LOAD ? result : 0;\n        driver_output(state->port, (char *)&r, 1);\n        return;\n    }\n    if (length != 12) {\n",
)
broken(
    "flow: a relaxed flag publishes a result",
    FLOW_BAD,
    "DataRace",
    "LOAD ? result".replace("LOAD", "atomic_load_explicit(&ready, memory_order_relaxed)"),
    *RESULT,
    (
        SQUARE,
        SQUARE + " result = job->square; atomic_store_explicit(&ready, 1, memory_order_relaxed);",
    ),
    (LOOK[0], LOOK[1].replace("LOAD", "atomic_load_explicit(&ready, memory_order_relaxed)")),
)
broken(
    "flow: a flag that is no atomic",
    FLOW_BAD,
    "DataRace",
    "plain ? result",
    *RESULT,
    ("static atomic_int ready", "static int plain"),
    (SQUARE, SQUARE + " result = job->square; plain = 1;"),
    (LOOK[0], LOOK[1].replace("LOAD", "plain")),
)

broken(
    "key: far behind the block",
    KEY_ONE,
    "OutOfBounds",
    "job->piece[len + 16] = 0",
    ("    memcpy(job->piece, buf, len);", "    job->piece[len + 16] = 0;"),
)
broken(
    "key: reads a byte too many",
    KEY_ONE,
    "OutOfBounds",
    "memcpy(job->piece, buf, len + 1)",
    ("    memcpy(job->piece, buf, len);", "    memcpy(job->piece, buf, len + 1);"),
)
broken(
    "key: a block that is too small",
    KEY_ONE,
    "OutOfBounds",
    "memcpy(job->piece, buf, len)",
    ("Job *job = driver_alloc(sizeof *job + len);", "Job *job = driver_alloc(sizeof *job);"),
)
broken(
    "key: the jobs hold no count",
    KEY,
    "UseAfterFree",
    "sum->a = (sum->a",
    ("    atomic_fetch_add(&state->sum->users, 1);\n", ""),
    ("    leave(job->sum);\n    driver_free(job);", "    driver_free(job);"),
)
broken(
    "key: a callback reads what jobs write",
    KEY,
    "DataRace",
    "state->sum->b << 16",
    (
        "    put32(answer + 4, job->result);",
        "    put32(answer + 4, state->sum->b << 16 | state->sum->a);",
    ),
)
broken(
    "key: a count that is never given back",
    KEY_ONE,
    "Leak",
    "Sum *sum = driver_alloc",
    ("    leave(job->sum);\n", ""),
)
broken(
    "key: a plain count",
    KEY,
    "DataRace",
    "sum->users-- == 1",
    ("    atomic_int users;", "    int users;"),
    ("    if (atomic_fetch_sub(&sum->users, 1) == 1)", "    if (sum->users-- == 1)"),
    ("    atomic_fetch_add(&state->sum->users, 1);", "    state->sum->users++;"),
    ("    atomic_init(&sum->users, 1);", "    sum->users = 1;"),
    ("    leave(job->sum);\n    driver_free(job);", "    driver_free(job);"),
    ("    job->result = sum->b << 16 | sum->a;", "    leave(sum);"),
)
broken(
    "key: uses the job after it",
    KEY_ANSWERED,
    "UseAfterFree",
    "put32(answer, job->number)",
    ("    put32(answer, job->number);", "    release(job);\n    put32(answer, job->number);"),
    ("    release(job);\n    (void)driver_output", "    (void)driver_output"),
)
broken(
    "key: sends more than there is",
    KEY_ANSWERED,
    "Uninitialised",
    "driver_output(state->port, answer, sizeof answer)",
    ("    put32(answer + 4, job->result);", "    state->pieces = 9;"),
    ("    char answer[8];", "    char *answer = driver_alloc(8);"),
    ("answer, sizeof answer);", "answer, sizeof answer); driver_free(answer);"),
    ("    put32(answer, job->number);", ""),
)

broken(
    "free: the descriptor is forgotten",
    FREE,
    "Leak",
    "job->fd = open(",
    ("open_job, job, release) == -1", "open_job, job, driver_free) == -1"),
)
broken(
    "free: no room for the zero",
    FREE,
    "OutOfBounds",
    "job->fd = open(",
    ("    size_t size = strlen(name) + 1;", "    size_t size = strlen(name);"),
)
broken(
    "free: plain counters",
    FREE_TWO,
    "DataRace",
    "plain++;",
    (
        "static atomic_int jobs, descriptors;",
        "static atomic_int jobs, descriptors; static int plain;",
    ),
    ("        atomic_fetch_add(&jobs, 1);", "        plain++;"),
)
broken(
    "free: stop frees the job",
    FREE,
    "DoubleFree",
    "now by stop",
    ("    int fd;           /* -1", "    Job *job; int fd; /* -1"),
    (
        "typedef struct {\n    ErlDrvPort port;",
        "typedef struct Job Job;\ntypedef struct {\n    ErlDrvPort port;",
    ),
    ("typedef struct {\n    int fd;    /* the", "struct Job {\n    int fd;    /* the"),
    ("    char name[];\n} Job;", "    char name[];\n};"),
    ("    state->fd = -1;\n", "    state->fd = -1;\n    state->job = job;\n"),
    (
        "        close_file(state->fd);\n    }\n    driver_free(state);",
        "        close_file(state->fd);\n    }\n    driver_free(state->job); /* now by stop */\n    driver_free(state);",
    ),
)
broken(
    "free: looks at the job too late",
    FREE,
    "UseAfterFree",
    "error = job->error; /* late",
    ("    int error = job->error;\n", "    int error;\n"),
    (
        "    release(job);\n    if (error != 0)",
        "    release(job);\n    error = job->error; /* late */\n    if (error != 0)",
    ),
)

broken(
    "cancel: a plain flag",
    CANCEL,
    "DataRace",
    "!job->cancelled; i++",
    ("    atomic_bool cancelled;", "    int cancelled;"),
    ("    atomic_init(&job->cancelled, false);", "    job->cancelled = 0;"),
    ("!atomic_load(&job->cancelled); i++", "!job->cancelled; i++"),
    (
        "atomic_store(&job->cancelled, true);\n        let_go(job);\n    }\n    driver_free(state);",
        "job->cancelled = 1;\n        let_go(job);\n    }\n    driver_free(state);",
    ),
    (
        "atomic_store(&job->cancelled, true);\n        /* 0 means",
        "job->cancelled = 1;\n        /* 0 means",
    ),
    ("if (!atomic_load(&job->cancelled)) {", "if (!job->cancelled) {"),
)
broken(
    "cancel: control frees what the pool has",
    CANCEL,
    "UseAfterFree",
    "i < job->limit",
    (
        "        forget(state, job);\n        in_time = 1;",
        "        state->jobs = job->next;\n        driver_free(job);\n        in_time = 1;",
    ),
)
broken(
    "cancel: one owner too few",
    CANCEL,
    "UseAfterFree",
    "atomic_load(&job->cancelled); i++",
    ("atomic_init(&job->owners, 2)", "atomic_init(&job->owners, 1)"),
)
broken(
    "cancel: stop keeps the list's share",
    CANCEL_CLOSE,
    "Leak",
    "job = driver_alloc(sizeof *job)",
    (
        "        atomic_store(&job->cancelled, true);\n        let_go(job);\n    }\n    driver_free(state);",
        "        atomic_store(&job->cancelled, true);\n    }\n    driver_free(state);",
    ),
)
broken(
    "cancel: the job looks at the list",
    CANCEL_CLOSE,
    "UseAfterFree",
    "job->next != NULL",
    (
        "        job->primes += is_prime(i);",
        "        job->primes += is_prime(i) + (job->next != NULL && job->next->limit);",
    ),
    (
        "    job->next = state->jobs;\n    state->jobs = job;\n    if (driver_async",
        "    job->next = driver_alloc(sizeof *job); driver_free(job->next);\n    state->jobs = job;\n    if (driver_async",
    ),
    (
        "        state->jobs = job->next;\n        atomic_store",
        "        state->jobs = NULL;\n        atomic_store",
    ),
)
broken(
    "cancel: a relaxed count",
    CANCEL_CLOSE,
    "DataRace",
    "        driver_free(job);",
    (
        "    if (atomic_fetch_sub(&job->owners, 1) == 1)",
        "    if (atomic_fetch_sub_explicit(&job->owners, 1, memory_order_relaxed) == 1)",
    ),
    (
        "&& !atomic_load(&job->cancelled); i++",
        "&& !atomic_load_explicit(&job->cancelled, memory_order_relaxed); i++",
    ),
    (
        "driver_async(state->port, NULL, count_primes, job, let_go)",
        "driver_async(state->port, NULL, count_primes_and_go, job, nothing)",
    ),
    (
        "/* Command: <<Tag:64, Limit:32>>",
        "static void nothing(void *data) { (void)data; }\nstatic void count_primes_and_go(void *data) { count_primes(data); let_go(data); }\n/* Command: <<Tag:64, Limit:32>>",
    ),
)

broken(
    "timeout: a late result answers again",
    Scene(
        "timeout/timeout_drv.c",
        answered("timeout_drv", number(1, 8) + number(50, 2) + number(10, 4)),
    ),
    "Uninitialised",
    "put(state, one, state->order[other])",
    ("    if (job->generation == slot->generation) {", "    if (1) {"),
    (
        "    settle(state, state->open - 1);\n    arm(state);\n}\n\nstatic void timeout",
        "    settle(state, state->open - 1);\n    arm(state);\n}\n\nstatic void timeout",
    ),
)
broken(
    "timeout: the job is freed first",
    TIMEOUT,
    "UseAfterFree",
    "&state->slots[job->slot]",
    (
        "    Slot *slot = &state->slots[job->slot];\n\n    state->jobs--;",
        "    Slot *slot;\n    driver_free(job);\n    slot = &state->slots[job->slot];\n    state->jobs--;",
    ),
    ("    driver_free(job);\n}\n\nstatic ErlDrvEntry", "}\n\nstatic ErlDrvEntry"),
)
broken(
    "timeout: an index that is too large",
    TIMEOUT,
    "OutOfBounds",
    "state->order[at] = slot",
    (
        "    state->open = state->jobs = 0;",
        "    state->open = state->jobs = 0; put(state, SLOTS + 4, 0);",
    ),
)
broken(
    "busy: the job is freed before the reply",
    BUSY,
    "UseAfterFree",
    "erl_drv_send_term(",
    (
        "    /* 0 means that the caller has ended. The reply is dropped then. */\n    (void)erl",
        "    driver_free(job);\n    (void)erl",
    ),
    ("reply, COUNT(reply));\n    driver_free(job);", "reply, COUNT(reply));"),
)
broken(
    "busy: a counter of jobs and callbacks",
    BUSY,
    "DataRace",
    "all++; /* job",
    ("static void work(void *data)", "static int all;\nstatic void work(void *data)"),
    ("    const Job *job = data;\n", "    const Job *job = data;\n    all++; /* job */\n"),
    ("    count(state, +1);", "    all++; count(state, +1);"),
)

broken(
    "queue: stop forgets those that wait",
    QUEUE,
    "Leak",
    "request = driver_alloc(",
    (
        "        driver_free(request);\n    }\n    driver_free(state);",
        "        (void)request;\n    }\n    driver_free(state);",
    ),
)
broken(
    "queue: the one at work stays in the list",
    QUEUE,
    "UseAfterFree",
    "->milliseconds / 1000",
    (
        "    state->first = request->next;\n    if (state->first == NULL)\n        state->last = &state->first;",
        "    if (state->first == NULL)\n        state->last = &state->first;",
    ),
)
broken(
    "queue: a dangling end",
    QUEUE_ANSWERED,
    "UseAfterFree",
    "*state->last = request;",
    (
        "    if (state->first == NULL)\n        state->last = &state->first;\n    if (driver_async",
        "    if (driver_async",
    ),
)

broken(
    "drain: the jobs hold no count of the file",
    DRAIN_KILL,
    "UseAfterFree",
    "job->file->error == 0",
    ("    atomic_fetch_add(&state->file->owners, 1);\n", ""),
    ("    let_go(job->file);\n    driver_free(job);", "    driver_free(job);"),
)
broken(
    "drain: the queue never empties",
    DRAIN,
    "Deadlock",
    "",
    ("        (void)driver_deq(state->port, 1);", "        ;"),
)
broken(
    "drain: the file stays open",
    DRAIN,
    "Leak",
    "file->fd = open(",
    ("        (void)close(file->fd);", "        ;"),
)

broken(
    "state: the total without its mutex",
    STATE_TWO,
    "DataRace",
    "job->total = ++total;",
    ("    erl_drv_mutex_lock(total_lock);\n", ""),
    ("    erl_drv_mutex_unlock(total_lock);\n", ""),
)
broken(
    "state: the mutex is never destroyed",
    STATE,
    "Leak",
    "erl_drv_mutex_create(",
    ("    erl_drv_mutex_destroy(total_lock);", "    ;"),
)
broken(
    "state: the mutex is never unlocked",
    Scene("state/state_drv.c", commands("state_drv", b"x", b"y")),
    "Misuse",
    "erl_drv_mutex_lock(total_lock)",
    ("    erl_drv_mutex_unlock(total_lock);\n", ""),
)
broken(
    "state: the mutex is destroyed twice",
    STATE,
    "Misuse",
    "erl_drv_mutex_destroy(total_lock); erl_drv_mutex_destroy",
    (
        "    erl_drv_mutex_destroy(total_lock);",
        "    erl_drv_mutex_destroy(total_lock); erl_drv_mutex_destroy(total_lock);",
    ),
)
broken(
    "state: memory that is not cleared",
    STATE,
    "Uninitialised",
    "driver_output(state->port, job->text",
    ("    memset(job, 0, sizeof *job);", "    ;"),
    (
        '    int length = snprintf(job->text, sizeof job->text, "%lu of %lu", job->count, job->total);',
        "    int length = 5; (void)job->count;",
    ),
)

broken(
    "header: a job keeps the vector",
    HEADER,
    "UseAfterFree",
    "job->ev->size",
    ("    size_t asked;", "    ErlIOVec *ev; size_t asked;"),
    ("    driver_system_info(&job->info, sizeof job->info);", "    job->asked = job->ev->size;"),
    ("    job->asked = ev->size;", "    job->ev = ev;"),
)
broken(
    "header: a reply that is too long",
    HEADER_CONTROL,
    "OutOfBounds",
    "memcpy(*rbuf, bytes, length)",
    ("    if (length > rlen) {", "    length = 65;\n    if (0) {"),
    ("    char text[32];", "    static char text[100];"),
)
broken(
    "header: a reply that is freed",
    HEADER_CALL,
    "UseAfterFree",
    "driver_free(block)",
    (
        "    memcpy(*rbuf, bytes, length);\n    return",
        "    char *block = driver_alloc(length); memcpy(block, bytes, length); *rbuf = block;\n    driver_free(block);\n    return",
    ),
)
broken(
    "header: a block is not handed over",
    HEADER_CONTROL,
    "Leak",
    "char *block = driver_alloc(length)",
    ("    if (length > rlen) {", "    if (1) {"),
    ("        *rbuf = block;", "        ;"),
)

broken(
    "memory: the binary is never given back",
    MEMORY,
    "Leak",
    "driver_alloc_binary(",
    ("        driver_free_binary(job->result);", "        ;"),
)
broken(
    "memory: the binary is given back twice",
    MEMORY,
    "DoubleFree",
    "driver_free_binary(job->result); /* one count",
    (
        "    release(job);\n}\n\nstatic ErlDrvEntry",
        "    driver_free_binary(job->result);\n    release(job);\n}\n\nstatic ErlDrvEntry",
    ),
)
broken(
    "memory: the binary is used after it",
    MEMORY,
    "UseAfterFree",
    "job->result->orig_bytes[0] = 1",
    (
        "    release(job);\n}\n\nstatic ErlDrvEntry",
        "    driver_free_binary(job->result);\n    job->result->orig_bytes[0] = 1;\n    driver_free(job);\n}\n\nstatic ErlDrvEntry",
    ),
)
broken(
    "memory: behind the binary",
    MEMORY,
    "OutOfBounds",
    "result->orig_bytes[job->length] = 0",
    (
        "    job->result = result; /*",
        "    result->orig_bytes[job->length] = 0;\n    job->result = result; /*",
    ),
)
broken(
    "memory: the binary is not written",
    MEMORY,
    "Uninitialised",
    "driver_output_binary(",
    ("        result->orig_bytes[i] = c", "        (void)(c"),
    ("(c - 'a' + 'A') : c;", "(c - 'a' + 'A') : c);"),
)
broken(
    "memory: driver_free for a binary",
    MEMORY,
    "InvalidFree",
    "driver_free(job->result)",
    ("        driver_free_binary(job->result);", "        driver_free(job->result);"),
)
broken(
    "memory: a piece that is not in the binary",
    MEMORY,
    "OutOfBounds",
    "job->result, 1, job->length)",
    ("job->result, 0, job->length)", "job->result, 1, job->length)"),
)

broken(
    "term: a job reads the state that stop frees",
    TERM,
    "UseAfterFree",
    "job->state->progress",
    (
        "    ErlDrvTermData port_term, progress, caller;",
        "    State *state; ErlDrvTermData port_term, progress, caller;",
    ),
    (
        "        if (!send(job, job->progress, part * 10))",
        "        if (!send(job, job->state->progress, part * 10))",
    ),
    ("    job->progress = state->progress;", "    job->state = state;"),
)
