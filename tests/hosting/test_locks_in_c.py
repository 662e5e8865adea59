"""Read/write locks, semaphores and C11's threads of the C library, on the simulated threads."""

from __future__ import annotations

from pathlib import Path

import dfs
import pytest
from cc import faults, needs_compiler, run, small

from driverref import Emulator, explore

pytestmark = [pytest.mark.slow, needs_compiler]

HEAD = "#include <semaphore.h>\n#include <threads.h>\n"

SHARED = (
    HEAD
    + """
static pthread_rwlock_t l = PTHREAD_RWLOCK_INITIALIZER;
static sem_t s;
static struct timespec in_a_second(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec++;
    return t;
}
static void *other(void *unused)
{
    struct timespec t = in_a_second();
    long all = pthread_rwlock_tryrdlock(&l) == EBUSY && pthread_rwlock_trywrlock(&l) == EBUSY;
    all = all && pthread_rwlock_timedrdlock(&l, &t) == ETIMEDOUT && pthread_rwlock_timedwrlock(&l, &t) == ETIMEDOUT;
    sem_post(&s);
    return (void *)all;
}
static void test(void)
{
    pthread_rwlock_t made;
    pthread_t tid;
    void *all;
    int value;
    struct timespec t = in_a_second();
    HOLDS(pthread_rwlock_init(&made, NULL) == 0 && pthread_rwlock_rdlock(&made) == 0);
    HOLDS(pthread_rwlock_rdlock(&made) == 0 && pthread_rwlock_trywrlock(&made) == EBUSY);
    HOLDS(pthread_rwlock_unlock(&made) == 0 && pthread_rwlock_unlock(&made) == 0);
    HOLDS(pthread_rwlock_wrlock(&made) == 0 && pthread_rwlock_wrlock(&made) == EDEADLK);
    HOLDS(pthread_rwlock_rdlock(&made) == EDEADLK && pthread_rwlock_unlock(&made) == 0);
    HOLDS(pthread_rwlock_destroy(&made) == 0);
    HOLDS(sem_init(&s, 0, 1) == 0 && sem_wait(&s) == 0 && sem_trywait(&s) == -1 && errno == EAGAIN);
    HOLDS(sem_timedwait(&s, &t) == -1 && errno == ETIMEDOUT && sem_getvalue(&s, &value) == 0 && value == 0);
    pthread_rwlock_wrlock(&l);
    pthread_create(&tid, NULL, other, NULL);
    HOLDS(sem_wait(&s) == 0 && pthread_rwlock_unlock(&l) == 0);
    HOLDS(pthread_join(tid, &all) == 0 && all == (void *)1 && sem_destroy(&s) == 0);
    HOLDS(sem_init(&s, 0, 0xffffffffu) == -1 && errno == EINVAL);
    say("ok");
}
"""
)

C11 = (
    HEAD
    + """
static mtx_t m;
static cnd_t c;
static once_flag once = ONCE_FLAG_INIT;
static tss_t key;
static int go, times;
static void begin(void) { times++; }
static int work(void *p)
{
    call_once(&once, begin);
    tss_set(key, p);
    mtx_lock(&m);
    go = tss_get(key) == p;
    cnd_broadcast(&c);
    mtx_unlock(&m);
    return 7;
}
static int leave(void *p) { thrd_exit(8); }
static int busy(void *p)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    return mtx_trylock(&m) == thrd_busy && mtx_timedlock(&m, &until) == thrd_timedout;
}
static void test(void)
{
    thrd_t t;
    int value;
    struct timespec until, ms = {0, 1000000};
    mtx_t r;
    HOLDS(mtx_init(&m, mtx_plain) == thrd_success && cnd_init(&c) == thrd_success && tss_create(&key, NULL) == thrd_success);
    HOLDS(mtx_init(&r, mtx_plain | mtx_recursive) == thrd_success && mtx_lock(&r) == 0 && mtx_lock(&r) == 0);
    HOLDS(mtx_unlock(&r) == 0 && mtx_unlock(&r) == 0);
    call_once(&once, begin);
    mtx_lock(&m);
    HOLDS(thrd_create(&t, work, &go) == thrd_success && !thrd_equal(t, thrd_current()));
    while (!go)
        cnd_wait(&c, &m);
    clock_gettime(CLOCK_REALTIME, &until);
    HOLDS(cnd_timedwait(&c, &m, &until) == thrd_timedout && cnd_signal(&c) == thrd_success && times == 1);
    HOLDS(thrd_join(t, &value) == thrd_success && value == 7);
    thrd_create(&t, busy, NULL);
    HOLDS(thrd_join(t, &value) == thrd_success && value == 1);
    mtx_unlock(&m);
    thrd_create(&t, leave, NULL);
    HOLDS(thrd_join(t, NULL) == thrd_success && thrd_detach(thrd_current()) == thrd_error);
    thrd_create(&t, leave, NULL);
    HOLDS(thrd_detach(t) == thrd_success && thrd_sleep(&ms, NULL) == 0);
    thrd_yield();
    mtx_destroy(&m), mtx_destroy(&r), cnd_destroy(&c), tss_delete(key);
    say("ok");
}
"""
)


@pytest.mark.parametrize("text", [SHARED, C11], ids=["rwlocks and semaphores", "threads.h"])
def test_the_calls_do_what_they_do(text: str, tmp_path: Path) -> None:
    driver = small(tmp_path, text)
    assert run(driver) == b"ok"
    assert run(driver) == b"ok"  # the variables are as after loading


WRONG = {
    "unlock of another's": ("pthread_rwlock_unlock(&l);", "Misuse", "does not hold the rwlock l"),
    "destroy of a held one": (
        "pthread_rwlock_rdlock(&l); pthread_rwlock_destroy(&l);",
        "Misuse",
        "pthread_rwlock_destroy: the rwlock l, held by process",
    ),
    "a reader that wants to write": (
        "pthread_rwlock_rdlock(&l); pthread_rwlock_wrlock(&l);",
        "Deadlock",
        "waits for the rwlock l, held by process",
    ),
    "nothing is posted": (
        "sem_init(&s, 0, 0); sem_wait(&s);",
        "Deadlock",
        "waits for the semaphore s",
    ),
    "too much is posted": (
        "sem_init(&s, 0, 0x7fffffff); sem_post(&s);",
        "Misuse",
        "sem_post: the semaphore s has 2147483647 already",
    ),
    "no semaphore": ("sem_post(&s);", "Misuse", "sem_post: there is no semaphore s"),
    "destroy while one waits": (
        "sem_init(&s, 0, 0); pthread_t t; pthread_create(&t, NULL, waits, NULL); usleep(1000);"
        " sem_destroy(&s); pthread_join(t, NULL);",
        "Misuse",
        "sem_destroy: 1 threads wait for the semaphore s",
    ),
    "unlock of another's mutex": ("mtx_unlock(&m);", "Misuse", "does not hold"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_told(name: str, tmp_path: Path) -> None:
    code, kind, words = WRONG[name]
    text = """
static pthread_rwlock_t l = PTHREAD_RWLOCK_INITIALIZER;
static sem_t s;
static mtx_t m;
static void *waits(void *p) { sem_wait(&s); return p; }
"""
    found = faults(small(tmp_path, f"{HEAD}{text}static void test(void) {{ {code} }}"))
    assert kind in [fault.name for fault in found]
    assert any(words in fault.text for fault in found), found


COUNTED = """
static pthread_rwlock_t l = PTHREAD_RWLOCK_INITIALIZER;
static sem_t s;
static atomic_int flag;
static char seen[4];
static void take(void) { TAKE; }
static void give(void) { GIVE; }
static void work(void *unused)
{
    take();
    seen[0] = '0' + flag, seen[1] = '0' + flag;
    give();
}
static void done(void *job) { say(seen); }
#define READY done
static void test(void)
{
    sem_init(&s, 0, 2);
    driver_async(port, NULL, work, NULL, done);
    take();
    flag = 1;
    give();
}
"""


@pytest.mark.parametrize(
    ("take", "give", "inside"),
    [
        ("pthread_rwlock_rdlock(&l)", "pthread_rwlock_unlock(&l)", True),
        ("sem_wait(&s)", "sem_post(&s)", True),
        ("pthread_rwlock_wrlock(&l)", "pthread_rwlock_unlock(&l)", False),
    ],
)
def test_two_threads_may_be_inside_at_once(
    take: str, give: str, inside: bool, tmp_path: Path
) -> None:
    """That one comes in the middle of the other is seen, and with every schedule nothing else."""
    driver = small(tmp_path, HEAD + COUNTED.replace("TAKE", take).replace("GIVE", give))

    def scenario(erl: Emulator) -> object:
        erl.erl_ddll.load_driver(driver())
        port = erl.open_port(("spawn_driver", "small"), ("binary",))
        erl.port_command(port, b"go")
        (_, (_, data)) = erl.receive()
        return data

    outcomes = explore(scenario, async_threads=1, progress=False)
    assert outcomes.complete
    assert {*outcomes} == {b"00", b"11"} | ({b"01"} if inside else set())
    seen = dfs.every_schedule(dfs.on_emulator(scenario, async_threads=1), 1500)
    assert {*map(str, outcomes)} == {*map(str, seen.outcomes)}


def test_what_is_done_before_is_known_to_the_next_that_has_it(tmp_path: Path) -> None:
    text = """
static pthread_rwlock_t l = PTHREAD_RWLOCK_INITIALIZER;
static int plain;
static void work(void *unused) { TAKE; plain++; GIVE; }
static void done(void *job) { }
#define READY done
static void test(void) { driver_async(port, NULL, work, NULL, NULL); TAKE; plain++; GIVE; }
"""
    writes = text.replace("TAKE", "pthread_rwlock_wrlock(&l)").replace(
        "GIVE", "pthread_rwlock_unlock(&l)"
    )
    assert faults(small(tmp_path, writes)) == []
    reads = writes.replace("wrlock", "rdlock")
    assert {fault.name for fault in faults(small(tmp_path, reads))} == {"DataRace"}
