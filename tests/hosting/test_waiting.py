"""Time, and the C library's threads and locks, on the simulated threads."""

from __future__ import annotations

from pathlib import Path

import pytest
from cc import faults, line_of, needs_compiler, run, small

from driverref.errors import DataRace

pytestmark = [pytest.mark.slow, needs_compiler]


def test_time_is_the_simulation_s(tmp_path: Path) -> None:
    text = """
static void test(void)
{
    struct timespec a, b, half = {0, 500000000};
    struct timeval day;
    time_t now;
    clock_gettime(CLOCK_MONOTONIC, &a);
    HOLDS(usleep(1000) == 0 && sleep(1) == 0 && nanosleep(&half, NULL) == 0 && sched_yield() == 0);
    HOLDS(clock_nanosleep(CLOCK_MONOTONIC, 0, &half, NULL) == 0);
    clock_gettime(CLOCK_MONOTONIC, &b);
    HOLDS(b.tv_sec - a.tv_sec == 2 && b.tv_nsec - a.tv_nsec == 1000000);
    half.tv_sec = b.tv_sec + 1;
    HOLDS(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &half, NULL) == 0);
    HOLDS(time(&now) == time(NULL) && now == 1000000003);
    gettimeofday(&day, NULL);
    HOLDS(day.tv_sec == now && day.tv_usec == 500000);
    say("ok");
}
"""
    assert run(small(tmp_path, text)) == b"ok"


THREADS = """
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int go, times;
static _Thread_local int mine = 5;
static void begin(void) { times++; }
static void *work(void *p)
{
    pthread_once(&once, begin);
    pthread_setspecific(key, p);
    mine += *(int *)p;
    pthread_mutex_lock(&m);
    go = mine + (pthread_getspecific(key) == p);
    pthread_cond_signal(&c);
    pthread_mutex_unlock(&m);
    return p;
}
static void *leave(void *p) { pthread_exit(p); }
static void test(void)
{
    pthread_t t, u;
    pthread_attr_t detached;
    pthread_mutex_t r, e;
    pthread_mutexattr_t attr;
    pthread_cond_t d;
    struct timespec until;
    int seven = 7;
    void *value;
    HOLDS(pthread_key_create(&key, NULL) == 0 && pthread_getspecific(key) == NULL);
    pthread_once(&once, begin);
    pthread_mutex_lock(&m);
    HOLDS(pthread_create(&t, NULL, work, &seven) == 0 && !pthread_equal(t, pthread_self()));
    while (!go)
        pthread_cond_wait(&c, &m);
    HOLDS(go == 13 && mine == 5 && times == 1);
    pthread_mutex_unlock(&m);
    HOLDS(pthread_join(t, &value) == 0 && value == &seven);
    pthread_create(&u, NULL, leave, &go);
    HOLDS(pthread_join(u, &value) == 0 && value == &go);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_create(&u, &detached, leave, NULL);
    pthread_create(&u, NULL, leave, NULL);
    HOLDS(pthread_detach(u) == 0 && pthread_detach(pthread_self()) == EINVAL);

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&r, &attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&e, &attr);
    HOLDS(pthread_mutex_lock(&r) == 0 && pthread_mutex_lock(&r) == 0 && pthread_mutex_trylock(&r) == 0);
    pthread_mutex_unlock(&r), pthread_mutex_unlock(&r), pthread_mutex_unlock(&r);
    HOLDS(pthread_mutex_trylock(&e) == 0 && pthread_mutex_lock(&e) == EDEADLK && pthread_mutex_trylock(&e) == EBUSY);
    pthread_cond_init(&d, NULL);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    HOLDS(pthread_cond_timedwait(&d, &e, &until) == ETIMEDOUT);
    pthread_cond_broadcast(&d);
    pthread_mutex_unlock(&e);
    HOLDS(pthread_cond_destroy(&d) == 0 && pthread_mutex_destroy(&e) == 0 && pthread_mutex_destroy(&r) == 0);
    pthread_key_delete(key);
    say("ok");
}
"""


def test_threads_locks_conditions_and_thread_local_variables(tmp_path: Path) -> None:
    driver = small(tmp_path, THREADS)
    assert run(driver) == b"ok"
    assert run(driver) == b"ok"  # the variables are as after loading


WRONG = {
    "unlock of another's": (
        "pthread_mutex_unlock(&m);",
        "Misuse",
        "does not hold the pthread mutex m",
    ),
    "destroy of a held one": (
        "pthread_mutex_lock(&m); pthread_mutex_destroy(&m);",
        "Misuse",
        "held by process",
    ),
    "wait without it": ("pthread_cond_wait(&c, &m);", "Misuse", "pthread_cond_wait"),
    "lock twice": (
        "pthread_mutex_lock(&m); pthread_mutex_lock(&m);",
        "Deadlock",
        "pthread mutex m",
    ),
    "no signal comes": (
        "pthread_mutex_lock(&m); pthread_cond_wait(&c, &m);",
        "Deadlock",
        "condition c",
    ),
    "no function": ("pthread_t t; pthread_create(&t, NULL, NULL, NULL);", "Misuse", "is NULL"),
    "no thread": ("pthread_join((pthread_t)1, NULL);", "Misuse", "identifies no thread"),
    "no key": ("pthread_getspecific(77);", "Misuse", "key has not been created"),
    "not joined": (
        "pthread_t t; pthread_create(&t, NULL, nothing, NULL);",
        "Leak",
        "thread 'nothing'",
    ),
    "in a freed block": (
        "pthread_mutex_t *p = malloc(sizeof *p); memset(p, 0, sizeof *p); free(p); pthread_mutex_lock(p);",
        "UseAfterFree",
        "in test",
    ),
    "in a block": (
        "pthread_mutex_t *p = calloc(1, sizeof *p); pthread_mutex_lock(p); pthread_mutex_lock(p);",
        "Deadlock",
        "at byte 0 of a malloc block of 40 bytes",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_with_a_lock_is_told(name: str, tmp_path: Path) -> None:
    code, kind, words = WRONG[name]
    text = """
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static void *nothing(void *p) { return p; }
"""
    found = faults(small(tmp_path, f"{text}static void test(void) {{ {code} }}"))
    assert [fault.name for fault in found] == [kind]
    assert words in found[0].text


JOBS = """
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static int count;
static void work(void *p) { LOCK; count++; /* here */ UNLOCK; }
static void test(void)
{
    unsigned key = 1;
    driver_async(port, NULL, work, NULL, NULL);
    driver_async(port, NULL, work, NULL, NULL);
}
"""


def test_a_pthread_mutex_orders_and_without_it_there_is_a_race(tmp_path: Path) -> None:
    held = JOBS.replace("UNLOCK", "pthread_mutex_unlock(&m)").replace(
        "LOCK", "pthread_mutex_lock(&m)"
    )
    assert faults(small(tmp_path, held), async_threads=2) == []
    free = JOBS.replace("UNLOCK", "").replace("LOCK", "")
    found = faults(small(tmp_path, free), async_threads=2)
    assert {fault.name for fault in found} == {"DataRace"}
    assert all("variable count" in fault.text for fault in found)
    assert line_of(tmp_path, "/* here */") in found[0].text


def test_the_waits_of_two_threads_on_one_condition_end(tmp_path: Path) -> None:
    text = """
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static int go;
static void work(void *p)
{
    pthread_mutex_lock(&m);
    while (!go)
        pthread_cond_wait(&c, &m);
    pthread_mutex_unlock(&m);
}
static void test(void)
{
    driver_async(port, NULL, work, NULL, NULL);
    driver_async(port, NULL, work, NULL, NULL);
    pthread_mutex_lock(&m);
    go = 1;
    WAKE(&c);
    pthread_mutex_unlock(&m);
}
"""
    right = small(tmp_path, text.replace("WAKE", "pthread_cond_broadcast"))
    assert faults(right, async_threads=2, limit=6000) == []
    found = faults(small(tmp_path, text.replace("WAKE", "pthread_cond_signal")), async_threads=2)
    assert {fault.name for fault in found} == {"Deadlock"}


@pytest.mark.parametrize(
    "wait", ["pthread_cond_wait(&c, &m)", "pthread_cond_timedwait(&c, &m, &late)"]
)
def test_a_wait_may_end_without_a_signal(wait: str, tmp_path: Path) -> None:
    text = f"""
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static int go;
static void work(void *p)
{{
    pthread_mutex_lock(&m);
    go = 1;
    pthread_cond_signal(&c);
    pthread_mutex_unlock(&m);
}}
static void test(void)
{{
    struct timespec late = {{1LL << 40, 0}};
    driver_async(port, NULL, work, NULL, NULL);
    pthread_mutex_lock(&m);
    AGAIN (!go)
        if ({wait} == ETIMEDOUT)
            go = 1;
    if (!go)
        abort(); /* here */
    pthread_mutex_unlock(&m);
}}
"""
    assert faults(small(tmp_path, text.replace("AGAIN", "while"))) == []
    broken = small(tmp_path, text.replace("AGAIN", "if"))
    (found,) = faults(broken)
    assert found.name == "Crash"
    assert line_of(tmp_path, "/* here */") in found.text
    # In a run that no search makes, a wait ends by a signal only.
    assert run(broken) is None


def test_what_many_threads_have_written_is_known_after_their_end(tmp_path: Path) -> None:
    text = """
static int cell[40];
static void *work(void *p) { *(int *)p = 1; return NULL; }
static void test(void)
{
    pthread_t t[40];
    int sum = 0;
    for (int i = 0; i < 40; i++)
        pthread_create(&t[i], NULL, work, &cell[i]);
    for (int i = 0; i < 40; i++)
        pthread_join(t[i], NULL);
    for (int i = 0; i < 40; i++)
        sum += cell[i];
    HOLDS(sum == 40);
    say("ok");
}
"""
    assert run(small(tmp_path, text)) == b"ok"
    late = small(tmp_path, text.replace("pthread_join", "if (i < 39) pthread_join"))
    with pytest.raises(DataRace, match="variable cell"):
        run(late)
