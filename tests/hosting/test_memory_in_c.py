"""What the runtime knows of each byte, and the C library's functions that use memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from cc import faults, line_of, needs_compiler, run, small

from driverref.errors import Leak, UseAfterFree

pytestmark = [pytest.mark.slow, needs_compiler]


def test_the_library_s_functions_do_what_they_do(tmp_path: Path) -> None:
    text = """
static void test(void)
{
    char *a = malloc(20), *b = calloc(4, 4), text[20], *c, *aligned[3];
    int fd;
    HOLDS(b[15] == 0 && calloc((size_t)-1, 2) == NULL && malloc((size_t)1 << 40) == NULL);
    strcpy(a, "hello");
    HOLDS(strlen(a) == 5 && strnlen(a, 3) == 3 && strcmp(a, "hello") == 0 && strncmp(a, "help", 3) == 0);
    HOLDS(strcasecmp(a, "HELLO") == 0 && strncasecmp(a, "HELP", 3) == 0);
    HOLDS(strchr(a, 'l') == a + 2 && strrchr(a, 'l') == a + 3 && strchr(a, 'z') == NULL);
    HOLDS(memchr(a, 'o', 5) == a + 4 && memchr(a, 'z', 5) == NULL);
    HOLDS(stpcpy(text, a) == text + 5 && strcmp(strcat(text, "!"), "hello!") == 0);
    strncpy(b, "abc", 16);
    HOLDS(b[3] == 0 && memcmp(b, "abc", 4) == 0 && mempcpy(text, b, 3) == text + 3);
    memmove(a + 1, a, 5);
    HOLDS(a[1] == 'h' && snprintf(text, 4, "%d", 12345) == 5 && text[3] == 0 && sprintf(text, "%s", "xy") == 2);
    c = strdup("copy");
    HOLDS(strcmp(c, "copy") == 0);
    free(c);
    c = strndup("copy", 2);
    HOLDS(strcmp(c, "co") == 0);
    free(c);
    a = realloc(a, 100000);
    HOLDS(a[1] == 'h');
    free(a), free(b), free(NULL);
    aligned[0] = aligned_alloc(64, 100);
    HOLDS(posix_memalign((void **)&aligned[1], 4096, 10) == 0);
    HOLDS(posix_memalign((void **)&aligned[2], 64, (size_t)1 << 50) == ENOMEM);
    aligned[2] = aligned_alloc(16, 1);
    HOLDS((unsigned long)aligned[0] % 64 == 0 && (unsigned long)aligned[1] % 4096 == 0);
    for (int i = 0; i < 3; i++)
        free(aligned[i]);
    fd = open("/dev/null", O_RDWR);
    HOLDS(write(fd, "x", 1) == 1 && read(fd, text, 1) == 0 && pwrite(fd, "x", 1, 0) == 1 && pread(fd, text, 1, 0) == 0);
    HOLDS(dup(fd) > fd && close(fd) == 0 && close(fd) == -1 && errno == EBADF);
    fd = openat(AT_FDCWD, "/etc/hostname", O_RDONLY);
    HOLDS(read(fd, text, 1) == 1 && pread(fd, text, 1, 0) == 1 && close(fd) == 0);
    say("ok");
}
"""
    with pytest.raises(Leak, match="file opened at .* in test"):  # the one that dup made
        run(small(tmp_path, text))
    closed = text.replace("dup(fd) > fd", "close(dup(fd)) == 0")
    assert run(small(tmp_path, closed)) == b"ok"


WRONG = {
    "strlen without an end": (
        'char *p = malloc(4); memset(p, 1, 4); say(strlen(p) == 9 ? "" : "x");',
        "OutOfBounds",
    ),
    "strcpy into too little": ('char *p = malloc(4); strcpy(p, "hello");', "OutOfBounds"),
    "memset of a freed block": ("char *p = malloc(4); free(p); memset(p, 0, 4);", "UseAfterFree"),
    "memcpy from nothing": ("char *p = malloc(4); memcpy(p, NULL, 4);", "Crash"),
    "sprintf into too little": ('char *p = malloc(2); sprintf(p, "%d", 1234);', "OutOfBounds"),
    "before a block": ("char *p = malloc(4); p[-1] = 0; KEEP(p);", "OutOfBounds"),
    "behind the variables": ("memset(&table[0], 1, 1 << 16);", "OutOfBounds"),
    "a global is freed": ("free(table);", "InvalidFree"),
    "free of a block of driver_alloc": ("free(driver_alloc(4));", "InvalidFree"),
    "realloc of a freed block": ("char *p = malloc(4); free(p); realloc(p, 8);", "DoubleFree"),
    "realloc of the middle": ("char *p = malloc(40); realloc(p + 8, 8);", "InvalidFree"),
    "a sum of unwritten numbers": (
        'int *p = malloc(8); if (p[0] + p[1] == 3) say("");',
        "Uninitialised",
    ),
    "an answer with a byte that is not written": (
        "char *p = malloc(4); p[0] = p[1] = p[3] = 1; driver_output(port, p, 4);",
        "Uninitialised",
    ),
    "a copy of what is not written": (
        "char *p = malloc(4), *q = malloc(4); p[0] = 1; memcpy(q, p, 4);"
        " driver_output(port, q, 4);",
        "Uninitialised",
    ),
    "a moved part of what is not written": (
        "char *p = malloc(16); memset(p, 1, 4); memmove(p + 8, p, 8); driver_enq(port, p + 8, 8);",
        "Uninitialised",
    ),
    "a binary with a byte that is not written": (
        "ErlDrvBinary *b = driver_alloc_binary(4); b->orig_bytes[0] = 1;"
        " driver_output_binary(port, NULL, 0, b, 0, 4);",
        "Uninitialised",
    ),
    "a text of a term that is not written": (
        "char *p = malloc(4); p[0] = 1; ErlDrvTermData t[] = {ERL_DRV_STRING, (ErlDrvTermData)p, 4};"
        " driver_output_term(port, t, 3);",
        "Uninitialised",
    ),
    "a piece of a vector that is not written": (
        "char *p = malloc(4); p[0] = 1; SysIOVec iov = {p, 4}; ErlDrvBinary *none = NULL;"
        " ErlIOVec ev = {.vsize = 1, .size = 4, .iov = &iov, .binv = &none};"
        " driver_outputv(port, NULL, 0, &ev, 0);",
        "Uninitialised",
    ),
    "an atomic in a freed block": (
        "atomic_int *p = malloc(4); free(p); atomic_load(p);",
        "UseAfterFree",
    ),
    "no driver binary": ("driver_free_binary((ErlDrvBinary *)table);", "InvalidFree"),
    "no driver binary to count": ("driver_binary_inc_refc((ErlDrvBinary *)table);", "Misuse"),
    "no port": ("driver_sizeq((ErlDrvPort)table);", "Misuse"),
    "no mutex": ("erl_drv_mutex_lock(NULL);", "Misuse"),
    "a name of a mutex that is none": ("erl_drv_mutex_create((char *)8);", "Crash"),
    "a length below zero": ("driver_output(port, table, (ErlDrvSizeT)-1);", "Misuse"),
    "a vector below zero": ("ErlIOVec ev = {-1}; driver_outputv(port, NULL, 0, &ev, 0);", "Misuse"),
    "an element that is not in its binary": (
        'SysIOVec iov = {"text", 4}; ErlDrvBinary *b = driver_alloc_binary(4);'
        " ErlIOVec ev = {.vsize = 1, .size = 4, .iov = &iov, .binv = &b};"
        " driver_enqv(port, &ev, 0);",
        "Misuse",
    ),
    "a tag that is none": ("ErlDrvTermData t[] = {99}; driver_output_term(port, t, 1);", "Misuse"),
    "a term without its end": (
        "ErlDrvTermData t[] = {ERL_DRV_INT}; driver_output_term(port, t, 1);",
        "Misuse",
    ),
    "two terms": (
        "ErlDrvTermData t[] = {ERL_DRV_NIL, ERL_DRV_NIL}; driver_output_term(port, t, 2);",
        "Misuse",
    ),
    "beyond a binary": (
        "ErlDrvBinary *b = driver_alloc_binary(2); ErlDrvTermData t[] = {ERL_DRV_BINARY, (ErlDrvTermData)b, 2, 1};"
        " driver_output_term(port, t, 4);",
        "OutOfBounds",
    ),
    "a tuple of more than there is": (
        "ErlDrvTermData t[] = {ERL_DRV_TUPLE, 1}; driver_output_term(port, t, 2);",
        "Misuse",
    ),
    "a part of a binary beyond its end": (
        "ErlDrvBinary *b = driver_alloc_binary(2); driver_enq_bin(port, b, 1, 2);",
        "OutOfBounds",
    ),
    "an errno below zero": ("driver_failure_posix(port, -1);", "Misuse"),
    "no time to convert": (
        "erl_drv_convert_time_unit(ERL_DRV_TIME_ERROR, ERL_DRV_SEC, ERL_DRV_NSEC);",
        "Misuse",
    ),
    "an assertion": (
        'extern void __assert_fail(const char *, const char *, unsigned, const char *); __assert_fail("x", "", 1, "");',
        "Crash",
    ),
    "a loop of calls": ("volatile int x = 0; while (!x) nothing();", "Endless"),
    "SIGFPE in a call": (
        "say((char *)(unsigned long)(4 / (int)(unsigned long)strchr(table, 1)));",
        "Crash",
    ),
    "SIGSEGV in the library": ("strtol((char *)0x1234567890, NULL, 10);", "Crash"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_named_with_its_line(name: str, tmp_path: Path) -> None:
    code, kind = WRONG[name]
    text = f'char table[8];\n#define KEEP(p) __asm__ volatile("" :: "r"(p) : "memory")\nstatic void nothing(void) {{ }} static void test(void) {{ {code} /* here */ }}'
    found = faults(small(tmp_path, text))
    assert [fault.name for fault in found] == [kind], found
    assert found[0].places
    assert any(place.startswith(line_of(tmp_path, "/* here */")) for place in found[0].places)


def test_what_a_library_writes_counts_as_written(tmp_path: Path) -> None:
    text = """
#include <sys/stat.h>
static void test(void)
{
    struct stat *s = malloc(sizeof *s);
    char *end, *line = NULL;
    stat("/", s);
    HOLDS(S_ISDIR(s->st_mode) && strtol("12x", &end, 10) == 12 && *end == 'x');
    free(s);
    HOLDS(asprintf(&line, "%d", 5) == 1);
    free(line); /* the library's own memory */
    say("ok");
}
"""
    assert run(small(tmp_path, text)) == b"ok"


def test_padding_may_be_copied_and_what_a_library_wrote_may_be_sent(tmp_path: Path) -> None:
    text = """
typedef struct { char kind; int number; } Padded;
static void test(void)
{
    Padded *one = malloc(sizeof *one), *two = malloc(sizeof *two);
    char *swapped = malloc(6);
    one->kind = 1, one->number = 2;
    memcpy(two, one, sizeof *two);
    memmove(one, two, sizeof *one);
    HOLDS(two->kind == 1 && one->number == 2);
    memmove((char *)one + 2, one, 6);
    free(one), free(two);
    swab("o\\245!\\245k\\245", swapped, 6); /* not watched; it writes what new memory holds, too */
    driver_output(port, swapped, 6);
    free(swapped);
}
"""
    driver = small(tmp_path, text)
    assert run(driver) == b"\xa5o\xa5!\xa5k"
    assert faults(driver) == []


def test_a_local_variable_may_be_lent_to_a_thread_and_must_be_ordered(tmp_path: Path) -> None:
    text = """
static void *add(void *p) { ++*(int *)p; return NULL; }
static void test(void)
{
    int local = 1;
    pthread_t t;
    pthread_create(&t, NULL, add, &local);
    BEFORE
    pthread_join(t, NULL);
    HOLDS(local == 2);
    say("ok");
}
"""
    driver = small(tmp_path, text.replace("BEFORE", ""))
    assert run(driver) == b"ok"
    assert faults(driver) == []
    found = faults(small(tmp_path, text.replace("BEFORE", "local = 2;")))
    assert {fault.name for fault in found} == {"DataRace"}
    assert "a local variable of process <0.1.0>" in found[0].text


def test_binaries_are_the_emulator_s_too(tmp_path: Path) -> None:
    text = """
static ErlDrvBinary *kept;
static void test(void)
{
    ErlDrvBinary *b = driver_alloc_binary(2);
    memcpy(b->orig_bytes, "ab", 2);
    driver_enq_bin(port, b, 0, 2);
    driver_free_binary(b);
    kept = b;
    driver_deq(port, 2);
    say(b->orig_bytes[0] == 'a' ? "ok" : "no"); /* here */
}
"""
    driver = small(tmp_path, text)
    with pytest.raises(UseAfterFree, match="binary of 2 bytes: byte 0 read"):
        run(driver)


def test_the_free_function_of_a_job_may_be_the_emulator_s(tmp_path: Path) -> None:
    text = """
static void nothing(void *p) { }
static void test(void)
{
    driver_async(port, NULL, nothing, driver_alloc_binary(3), (void (*)(void *))driver_free_binary);
}
"""
    assert faults(small(tmp_path, text)) == []


def test_memory_of_many_regions_and_large_blocks(tmp_path: Path) -> None:
    text = """
static char large[300000];
static void test(void)
{
    char *p[40], *big = malloc(5 << 20);
    for (int i = 0; i < 40; i++)
        memset(p[i] = malloc(100000), i, 100000);
    memset(big, 1, 5 << 20);
    memset(large, 1, sizeof large);
    big[(5 << 20) - 1] = 2;
    for (int i = 0; i < 40; i++) {
        HOLDS(p[i][99999] == i);
        free(p[i]);
    }
    free(big);
    say("ok");
}
"""
    driver = small(tmp_path, text)
    assert run(driver) == b"ok"
    assert faults(driver) == []


MAKES = {
    "driver_alloc": "driver_free(made(driver_alloc(4)));",
    "driver_realloc": "void *p = driver_alloc(4); if (p) driver_free(made(driver_realloc(p, 8)));",
    "driver_alloc_binary": "driver_free_binary(made(driver_alloc_binary(4)));",
    "driver_realloc_binary": "driver_free_binary(made(driver_realloc_binary(NULL, 4)));",
    "malloc": "free(made(malloc(4)));",
    "calloc": "free(made(calloc(4, 4)));",
    "aligned_alloc": "free(made(aligned_alloc(64, 64)));",
    "strdup": 'free(made(strdup("text")));',
    "erl_drv_mutex_create": 'erl_drv_mutex_destroy(made(erl_drv_mutex_create("m")));',
    "erl_drv_cond_create": 'erl_drv_cond_destroy(made(erl_drv_cond_create("c")));',
    "erl_drv_rwlock_create": 'erl_drv_rwlock_destroy(made(erl_drv_rwlock_create("rw")));',
    "erl_drv_thread_opts_create": (
        'erl_drv_thread_opts_destroy(made(erl_drv_thread_opts_create("opts")));'
    ),
    "erl_drv_thread_create": (
        "ErlDrvTid t; if (erl_drv_thread_create(NULL, &t, nothing, NULL, NULL) == 0)"
        " erl_drv_thread_join(t, NULL); else made(NULL);"
    ),
    "erl_drv_tsd_key_create": (
        'ErlDrvTSDKey k; if (erl_drv_tsd_key_create("k", &k) == 0) erl_drv_tsd_key_destroy(k);'
        " else made(NULL);"
    ),
    "pthread_create": (
        "pthread_t t; int e = pthread_create(&t, NULL, nothing, NULL);"
        " if (e == 0) pthread_join(t, NULL); else if (e == EAGAIN) made(NULL);"
    ),
    "pthread_key_create": (
        "pthread_key_t k; int e = pthread_key_create(&k, NULL);"
        " if (e == 0) pthread_key_delete(k); else if (e == ENOMEM) made(NULL);"
    ),
}


@pytest.mark.parametrize("call", MAKES)
def test_every_allocation_may_fail_if_that_is_asked_for(call: str, tmp_path: Path) -> None:
    text = f"""
static void *made(void *p) {{ if (p == NULL) abort(); return p; }}
static void *nothing(void *p) {{ return p; }}
static void test(void) {{ {MAKES[call]} }}
"""
    driver = small(tmp_path, text)
    assert faults(driver) == []
    (found,) = faults(driver, failing_allocations=True)
    assert found.name == "Crash"
    assert line_of(tmp_path, "void *made") in found.text


def test_one_allocation_fails_in_a_run_and_a_driver_that_looks_survives(tmp_path: Path) -> None:
    text = """
static void test(void)
{
    char *one = driver_alloc(4), *two = malloc(4), *more;
    if (one == NULL && two == NULL)
        abort();
    if (one != NULL) {
        memcpy(one, "one", 4);
        more = driver_realloc(one, 8);
        if (more == NULL && strcmp(one, "one") != 0) /* the old block is as it was */
            abort();
        driver_free(more == NULL ? one : more);
    }
    free(two);
}
"""
    assert faults(small(tmp_path, text), failing_allocations=True) == []
