/* shadow.c: what is known of each byte, and the check of each use.
 *
 * Three questions are asked of a use, in this order:
 *
 *   1. the footprint: which bytes does the step under way touch?  The search of the schedules has to
 *      know, also where the use is a fault.
 *   2. the state: is the byte alive, and has it been written?
 *   3. the race: has another thread used it, and nothing orders the two uses?
 *
 * A *segment* is what the driver's code does between two requests.  No other thread runs meanwhile, so
 * of several uses of a byte in a segment one has to be checked.  A granule remembers which of its eight
 * bytes were read and written in the segment: that makes most uses cheap (`dr_access`).
 *
 * The rules for races are those of `driverref/memory/races.py`, FastTrack (Flanagan and Freund, 2009)
 * with sets of bytes.  An atomic use and an atomic use do not race.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "host.h"

uint32_t segment;
/* What is wrong: kind, address, size, how, site; then, of a race, the thread, site and how of the
 * other use; of a free, the kind of the call. */
long fault[8];

HOST long *dr_fault(void) { return fault; }

/* Footprints: a word's name, times two, plus one if it was written. */

enum { FEET = 1 << 24 };
static int64_t *feet;
static long foot_count;
static int footprints; /* whether a search listens */

HOST int64_t *dr_feet(void)
{
    if (feet == NULL)
        feet = mmap(NULL, FEET * sizeof *feet, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return feet;
}
HOST long *dr_foot_count(void) { return &foot_count; }
HOST void dr_listen(int on) { footprints = on; }

static void step_on(uint64_t name, int write)
{
    int64_t foot = (int64_t)(name * 2 + (write != 0));
    if (foot_count && feet[foot_count - 1] == foot)
        return;
    if (UNLIKELY(foot_count == FEET) && current)
        dr_ask("a footprint", 0, 0, 0, 0, 0, 0, 0); /* Python takes it, and the array is empty */
    if (foot_count < FEET)
        feet[foot_count++] = foot;
}

/* What is known of eight bytes, and the name of the first; NULL for memory that is not watched. */
static inline Granule *granule_of(uintptr_t addr, uint64_t *name, uintptr_t *end)
{
    size_t off = addr - (uintptr_t)arena;
    if (LIKELY(off < arena_size)) {
        *name = regions[off >> REGION_BITS].name + (off & (REGION - 8));
        return regions[off >> REGION_BITS].name ? granules + off / 8 : NULL;
    }
    return module_granule(addr, name, end);
}

/* The name of an address, and how many bytes count as one there; 0 for memory that is not watched. */
uint64_t name_of(uintptr_t addr, int *shift)
{
    uint64_t name;
    uintptr_t end;
    Granule *g = granule_of(addr, &name, &end);
    if (g == NULL)
        return 0;
    *shift = g->shift ? g->shift : 2;
    return name + (addr & 7);
}

/* For Python, which has the address of a lock; the address itself for memory that is not watched. */
HOST uint64_t dr_name(uintptr_t addr)
{
    int shift;
    uint64_t name = name_of(addr, &shift);
    return name ? name : addr;
}

/* Note that bytes of a granule are used in this segment. */
static void note(Granule *g, uint64_t name, unsigned mask, int write)
{
    if (g->segment != segment)
        g->segment = segment, g->read = g->written = 0;
    unsigned had = write ? g->written : g->written | g->read;
    if (footprints) {
        if (g->shift > 2) {
            if (!had)
                step_on(name >> g->shift << g->shift, write);
        } else {
            for (unsigned half = 0; half < 2; half++)
                if ((mask & 0xfu << 4 * half) && !(had & 0xfu << 4 * half))
                    step_on(name + 4 * half, write);
        }
    }
    if (write)
        g->written |= mask;
    else
        g->read |= mask;
}

/* Races: of each granule a list of the uses that a later one may race with. */

typedef struct {
    uintptr_t site;
    uint32_t thread, tick, next;
    uint8_t mask, how;
} Use;

static Use *uses;
static uint32_t use_count = 1, use_room, use_free;

static uint32_t new_use(void)
{
    uint32_t i = use_free;
    if (i) {
        use_free = uses[i].next;
        return i;
    }
    if (use_count >= use_room) {
        use_room = use_room ? 2 * use_room : 4096;
        uses = realloc(uses, use_room * sizeof *uses);
    }
    return use_count++;
}

static int knows(const Thread *me, uint32_t thread, uint32_t tick)
{
    return thread == me->number || (thread < me->clocks && me->clock[thread] >= tick);
}

/* Note a use, and say whether it races with an earlier one: which, stands in `fault` then. */
static int race(Thread *me, Granule *g, unsigned mask, int how, uintptr_t pc)
{
    if (g->run != run)
        g->run = run, g->first = 0;
    uint32_t i, *link = &g->first;
    while ((i = *link) != 0) {
        Use *old = &uses[i];
        int ordered = knows(me, old->thread, old->tick);
        if (!ordered && (old->mask & mask) && ((how | old->how) & WRITE) && !(how & old->how & ATOMIC)) {
            fault[5] = old->thread, fault[6] = (long)old->site, fault[7] = old->how;
            return RACE;
        }
        /* The new use takes its place if all that would race with the old one races with the new. */
        if (ordered && (how & WRITE) >= (old->how & WRITE) && !(old->mask & ~mask)
            && (how & ATOMIC) <= (old->how & ATOMIC)) {
            *link = old->next;
            old->next = use_free;
            use_free = i;
        } else {
            link = &old->next;
        }
    }
    i = new_use();
    uses[i] = (Use){pc, me->number, me->tick, g->first, (uint8_t)mask, (uint8_t)how};
    g->first = i;
    return 0;
}

/* The state of a byte: what is wrong with this use of it, or 0. */
static int wrong_state(uintptr_t addr, uint8_t *state, int how, size_t *unwritten)
{
    switch (*state) {
    case WRITTEN:
        return 0;
    case NEW_BYTE: /* a library that is not watched may have written it: then it is FILL no more */
        if ((how & WRITE) || *(uint8_t *)addr != FILL)
            *state = WRITTEN;
        else
            ++*unwritten;
        return 0;
    case FREED_BYTE:
        return FREED;
    default:
        return OUTSIDE;
    }
}

static int check_states(uintptr_t addr, size_t size, int how)
{
    size_t off = addr - (uintptr_t)arena, unwritten = 0;
    if (off >= arena_size || regions[off >> REGION_BITS].stack)
        return 0;
    for (size_t i = 0; i < size; i++) {
        int wrong = wrong_state(addr + i, states + off + i, how, &unwritten);
        if (wrong) {
            fault[1] = (long)(addr + i);
            return wrong;
        }
    }
    return unwritten && unwritten == size ? UNWRITTEN : 0; /* a part of it may be padding */
}

/* The first of some bytes that is not written; 0 if there is none.  Where a byte is no longer FILL, a
 * library that is not watched has written here, and a byte that is may be its own. */
static uintptr_t first_unwritten(uintptr_t addr, size_t size)
{
    size_t off = addr - (uintptr_t)arena;
    uintptr_t first = 0;
    if (off >= arena_size || size > arena_size - off || regions[off >> REGION_BITS].stack)
        return 0;
    for (size_t i = 0; i < size; i++) {
        if (states[off + i] != NEW_BYTE)
            continue;
        if (*(uint8_t *)(addr + i) != FILL)
            return 0;
        if (!first)
            first = addr + i;
    }
    return first;
}

/* What is not written stays so when it is copied.  Both uses have been checked, and the second has marked
 * its bytes as written; so where the two overlap this is no longer known, and they stay written. */
HOST void dr_copied(uintptr_t to, uintptr_t from, size_t size)
{
    size_t at = to - (uintptr_t)arena, off = from - (uintptr_t)arena;
    if (at >= arena_size || off >= arena_size || regions[at >> REGION_BITS].stack || regions[off >> REGION_BITS].stack)
        return;
    if (!regions[at >> REGION_BITS].name || !regions[off >> REGION_BITS].name)
        return;
    if (at + size <= off || off + size <= at)
        memcpy(states + at, states + off, size);
}

/* Declare a use to the search, and check nothing. */
void touch(Thread *me, uintptr_t addr, size_t size, int how)
{
    (void)me;
    for (uintptr_t at = addr & ~(uintptr_t)7; at < addr + size; at += 8) {
        uint64_t name;
        uintptr_t end;
        Granule *g = granule_of(at, &name, &end);
        if (g != NULL)
            note(g, name, 0xff, how & WRITE);
    }
}

/* Check a use of memory by a thread.  Returns 0, or what is wrong, with the rest in `fault`. */
int look(Thread *me, uintptr_t addr, size_t size, int how, uintptr_t pc)
{
    uint64_t name;
    uintptr_t end = 0;
    fault[0] = 0, fault[1] = (long)addr, fault[2] = (long)size, fault[3] = how, fault[4] = (long)pc;
    fault[5] = fault[6] = fault[7] = 0;
    if (size == 0)
        return 0;
    if (UNLIKELY(addr < 65536))
        return (int)(fault[0] = NULL_POINTER);
    if (addr - (uintptr_t)arena >= arena_size && granule_of(addr, &name, &end) == NULL)
        return 0; /* not the driver's: constants, a library's memory */
    for (int pass = 0; pass < 2; pass++) {
        for (uintptr_t at = addr & ~(uintptr_t)7; at < addr + size; at += 8) {
            Granule *g = granule_of(at, &name, &end);
            unsigned from = at < addr ? (unsigned)(addr - at) : 0;
            unsigned to = addr + size - at < 8 ? (unsigned)(addr + size - at) : 8;
            unsigned mask = (0xffu >> (8 - to)) & (0xffu << from);
            if (g == NULL)
                break;
            if (pass == 0) {
                if (!(how & ATOMIC)) /* the step of an atomic has declared it */
                    note(g, name, mask, how & WRITE);
            } else if (race(me, g, mask, how, pc)) {
                return (int)(fault[0] = RACE);
            }
        }
        if (pass == 0 && (fault[0] = check_states(addr, size, how)) != 0) {
            granule_of(addr, &name, &end)->segment = 0; /* the use was none: look again next time */
            return (int)fault[0];
        }
    }
    if (end && addr + size > end) /* beyond the last global variable */
        return (int)(fault[0] = OUTSIDE);
    return 0;
}

/* A free is a use of all bytes, by which every use that nothing orders before it is found. */
int look_at_free(Thread *me, void *p, size_t size, uintptr_t pc)
{
    Granule *g = granules + ((char *)p - arena) / 8;
    for (size_t i = 0; i < size / 8; i++)
        if (race(me, g + i, 0xff, WRITE | FREE, pc)) {
            fault[0] = RACE, fault[1] = (long)((char *)p + 8 * i), fault[2] = 8;
            fault[3] = WRITE | FREE, fault[4] = (long)pc;
            return RACE;
        }
    return 0;
}

static __attribute__((noinline)) void slow(uintptr_t addr, size_t size, int how, uintptr_t pc)
{
    if (look(current->thread, addr, size, how, pc))
        tell(pc);
}

/* A use of memory by the driver's code. */
HOST void dr_access(uintptr_t addr, size_t size, int how, uintptr_t pc)
{
    if (UNLIKELY(current == NULL))
        return;
    size_t off = addr - (uintptr_t)arena, from = addr & 7;
    if (LIKELY(off < arena_size && from + size <= 8)) {
        Granule *g = granules + off / 8;
        unsigned mask = (0xffu >> (8 - size)) << from;
        if (regions[off >> REGION_BITS].name && g->segment == segment
            && ((how ? g->written : (g->written | g->read)) & mask) == mask)
            return;
    }
    slow(addr, size, how, pc);
}

/* A use of the bytes of a text, up to its end.  Returns its length, at most `most`. */
HOST size_t dr_string(const char *text, size_t most, uintptr_t pc)
{
    size_t size = 0;
    while (size < most) {
        dr_access((uintptr_t)text + size, 1, READ, pc);
        if (text[size] == 0)
            break;
        size++;
    }
    return size;
}

/* For Python, which uses memory in the driver's place.  Returns 0, or what is wrong. */
HOST int dr_look(Thread *thread, uintptr_t addr, size_t size, int how, uintptr_t pc)
{
    segment++; /* what was declared before belongs to another step */
    uintptr_t unwritten = how & WHOLE ? first_unwritten(addr, size) : 0; /* `look` notes what a library wrote */
    if (look(thread, addr, size, how & ~WHOLE, pc))
        return (int)fault[0];
    if (unwritten)
        fault[1] = (long)unwritten, fault[0] = UNWRITTEN;
    return (int)fault[0];
}

/* As dr_look, for a text: the number of bytes up to its end, or -1. */
HOST long dr_look_text(Thread *thread, const char *text, uintptr_t pc)
{
    long size = 0;
    segment++;
    do
        if (look(thread, (uintptr_t)text + (size_t)size, 1, READ, pc))
            return -1;
    while (text[size++]);
    return size - 1;
}

/* Begin a new run: no byte was used. */
void reset_shadow(void)
{
    run++;
    use_count = 1, use_free = 0;
    foot_count = 0;
    if (segment > 0xf0000000u) { /* it would come round, and old notes would be taken for new */
        segment = 1;
        for (uint32_t i = 1; i < arena_size >> REGION_BITS; i++)
            if (regions[i].name)
                madvise(granules + (size_t)i * (REGION / 8), 2 * REGION, MADV_DONTNEED);
    }
}
