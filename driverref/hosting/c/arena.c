/* arena.c: the memory that the driver's code runs in.
 *
 * One range of addresses is reserved, and handed out in regions of 1 MB.  Beside it lie two more, of
 * which each byte of the first has its part: `states`, a byte for each byte, and `granules`, 16 bytes
 * for 8.  So what is known of an address is found by arithmetic alone (`shadow.c`).
 *
 *     arena     | heaps of this run -->           <-- stacks, and what was allocated at loading |
 *     states    |                                                                              |
 *     granules  |                                                                              |
 *
 * A heap belongs to one simulated thread and is never used twice in a run: freed memory stays freed, so
 * every use of it is seen.  A region has a *name*, made of its thread and how many regions that thread
 * had before.  So a byte has the same name in all schedules that agree on what its thread did, which
 * the search needs; its address need not be the same.
 */
#include <string.h>
#include <sys/mman.h>

#include "host.h"

char *arena;
size_t arena_size;
Region *regions;
uint8_t *states;
Granule *granules;
uint32_t run;
uint32_t heap_regions;        /* taken for heaps in this run, from below; region 0 is not used */
static uint32_t ever;         /* how many of those can be used already */
static uint32_t kept_from;    /* taken to be kept, from above */

static void *reserve(size_t size)
{
    void *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* Reserve as much as the machine lets us, at most 64 GB.  Returns 0, or -1 if that is too little. */
HOST int dr_start(void)
{
    for (size_t size = (size_t)1 << 36; size >= (size_t)1 << 28; size /= 2) {
        arena = reserve(size), states = reserve(size), granules = reserve(2 * size);
        if (arena != NULL && states != NULL && granules != NULL) {
            arena_size = size;
            kept_from = (uint32_t)(size >> REGION_BITS);
            regions = mmap(NULL, kept_from * sizeof *regions, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            heap_regions = ever = 1;
            watch_signals();
            return regions == MAP_FAILED ? -1 : 0;
        }
        if (arena != NULL)
            munmap(arena, size);
        if (states != NULL)
            munmap(states, size);
        if (granules != NULL)
            munmap(granules, 2 * size);
    }
    return -1;
}

static int usable(uint32_t first, size_t count)
{
    size_t at = (size_t)first * REGION, size = count * REGION;
    return mprotect(arena + at, size, PROT_READ | PROT_WRITE) == 0
        && mprotect(states + at, size, PROT_READ | PROT_WRITE) == 0
        && mprotect((char *)granules + 2 * at, 2 * size, PROT_READ | PROT_WRITE) == 0;
}

/* Take regions that lie side by side; returns the number of the first, or 0 if there is no room. */
uint32_t take_regions(size_t count, int kept)
{
    uint32_t first;
    if (count >= kept_from - heap_regions)
        return 0;
    if (kept) {
        first = kept_from - (uint32_t)count;
        if (!usable(first, count))
            return 0;
        kept_from = first;
    } else {
        first = heap_regions;
        if (first + count > ever) {
            if (!usable(first, count))
                return 0;
            ever = first + (uint32_t)count;
        }
        heap_regions += (uint32_t)count;
    }
    memset(regions + first, 0, count * sizeof *regions);
    for (size_t i = 0; i < count; i++)
        regions[first + i].head = first;
    return first;
}

/* Begin a new run: no block is left, no byte of a heap is known. */
void reset_arena(void)
{
    for (uint32_t i = 1; i < heap_regions; i++)
        if (regions[i].head == i)
            memset(states + (size_t)i * REGION, NONE, regions[i].used);
    for (uint32_t t = 0; t < thread_count; t++)
        if (threads[t] != NULL)
            clear_heap(&threads[t]->heap);
    heap_regions = 1;
}
