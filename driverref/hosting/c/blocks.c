/* blocks.c: what malloc, operator new, driver_alloc and driver_alloc_binary give.
 *
 * A block stands in the heap of the thread that has allocated it, after a header that nobody but this
 * file may touch:
 *
 *     | Block | the bytes | to a multiple of 16 | Block | the bytes ...
 *
 * The header is a red zone: to read or write it is out of bounds.  So are the bytes behind the last.
 * What a block holds at first is FILL and counts as unwritten.  A library that was not compiled for
 * this host writes without being seen; that a byte is FILL no more tells that it was written.
 */
#include <stdlib.h>
#include <string.h>

#include "host.h"

#define MOST ((size_t)1 << 28) /* bytes of one block: more is refused, as by a machine that is full */

/* Whether a search tries the failure of each allocation: then each is a request. */
static int may_fail;
HOST void dr_may_fail(int may) { may_fail = may; }

/* C++'s `new` is not tried: it would have to throw. */
static int fails(uint32_t kind, uintptr_t pc)
{
    return may_fail && kind <= MALLOC && dr_ask("an allocation", pc, 0, 0, 0, 0, 0, 0);
}

void clear_heap(Heap *heap)
{
    heap->taken = heap->first = heap->last = 0;
    heap->next = heap->end = NULL;
}

/* Room in a heap, or NULL. */
static char *room(Heap *heap, size_t size)
{
    if ((size_t)(heap->end - heap->next) < size) {
        size_t count = (size + REGION - 1) >> REGION_BITS;
        uint32_t first = take_regions(count, heap->kept);
        if (first == 0)
            return NULL;
        for (size_t i = 0; i < count; i++)
            regions[first + i].name = heap->owner + ((uint64_t)heap->taken++ << REGION_BITS);
        if (heap->last)
            regions[heap->last].next = first;
        else
            heap->first = first;
        heap->last = first;
        heap->next = arena + (size_t)first * REGION;
        heap->end = heap->next + count * REGION;
    }
    char *p = heap->next;
    heap->next += size;
    regions[heap->last].used += (uint32_t)size;
    return p;
}

/* How many bytes count as one in a footprint: four, or so many that a block has at most 64 parts. */
static uint8_t coarseness(size_t size)
{
    uint8_t shift = 2;
    while (size >> shift > 64)
        shift++;
    return shift;
}

static void *make(Heap *heap, size_t size, uint32_t kind, int cleared, uintptr_t pc)
{
    size_t full = size ? (size + 15) & ~(size_t)15 : 16;
    Block *block = size > MOST ? NULL : (Block *)room(heap, sizeof *block + full);
    if (block == NULL)
        return NULL;
    *block = (Block){.size = size, .full = full, .born = pc, .kind = kind, .alive = 1};
    char *p = (char *)(block + 1);
    uint8_t *state = states + ((char *)block - arena);
    memset(state, RED, sizeof *block - 1);
    state[sizeof *block - 1] = HEAD;
    memset(state + sizeof *block, cleared ? WRITTEN : NEW_BYTE, size);
    memset(state + sizeof *block + size, RED, full - size);
    memset(p, cleared ? 0 : FILL, size);
    uint8_t shift = coarseness(size);
    for (Granule *g = granules + (p - arena) / 8, *end = g + full / 8; g < end; g++)
        g->shift = shift, g->segment = 0;
    return p;
}

static Heap *heap_now(void) { return current ? &current->thread->heap : loading; }

/* Allocate a block.  Outside every call, and not while a driver is loaded, it is the library's. */
HOST void *dr_alloc(size_t size, uint32_t kind, int cleared, uintptr_t pc)
{
    Heap *heap = heap_now();
    if (heap == NULL)
        return calloc(1, size);
    return fails(kind, pc) ? NULL : make(heap, size, kind, cleared, pc);
}

/* As dr_alloc, at a multiple of `align`: a block without an owner fills the gap before it. */
HOST void *dr_alloc_aligned(size_t align, size_t size, uint32_t kind, uintptr_t pc)
{
    Heap *heap = heap_now();
    if (heap == NULL || align <= 16)
        return dr_alloc(size, kind, 0, pc);
    if (fails(kind, pc))
        return NULL;
    size_t most = 2 * sizeof(Block) + 16 + align + size + 16;
    if (size > MOST || align > MOST || room(heap, most) == NULL)
        return NULL;
    heap->next -= most; /* there is room: now make the two blocks in it */
    regions[heap->last].used -= (uint32_t)most;
    uintptr_t gap = (0 - ((uintptr_t)heap->next + 2 * sizeof(Block))) % align;
    make(heap, gap < 16 ? gap + align : gap, FILLER, 1, pc);
    return make(heap, size, kind, 0, pc);
}

/* The block that begins at `p`, or NULL. */
Block *block_of(void *p)
{
    size_t off = (size_t)((char *)p - arena);
    if (off == 0 || off >= arena_size || regions[off >> REGION_BITS].stack)
        return NULL;
    return off >= sizeof(Block) && regions[off >> REGION_BITS].name && states[off - 1] == HEAD
        ? (Block *)p - 1 : NULL;
}

/* The block in or beside which an address lies, or NULL.  It goes through the region: for faults. */
Block *block_near(uintptr_t addr)
{
    size_t off = addr - (uintptr_t)arena;
    if (off >= arena_size || regions[off >> REGION_BITS].stack || !regions[off >> REGION_BITS].name)
        return NULL;
    uint32_t head = regions[off >> REGION_BITS].head;
    char *at = arena + (size_t)head * REGION, *end = at + regions[head].used;
    Block *found = NULL;
    while (at < end) {
        Block *block = (Block *)at;
        char *p = (char *)(block + 1);
        if ((uintptr_t)at + sizeof *block / 2 > addr && found != NULL)
            break; /* nearer to the block before */
        if (block->kind != FILLER)
            found = block;
        if ((uintptr_t)p + block->full > addr)
            break;
        at = p + block->full;
    }
    return found;
}

/* Note what is wrong with a free of this kind, and return it. */
static int refuse(int wrong, void *p, uint32_t kind, uintptr_t pc)
{
    fault[0] = wrong, fault[1] = (long)p, fault[2] = 0, fault[3] = WRITE | FREE;
    fault[4] = (long)pc, fault[5] = kind, fault[6] = fault[7] = 0;
    return wrong;
}

/* Mark a block as freed.  Returns 0, or what is wrong. */
static int end_block(Thread *me, void *p, uint32_t kind, uintptr_t pc)
{
    Block *block = block_of(p);
    if (block == NULL || block->kind != kind)
        return refuse(INVALID_FREE, p, kind, pc);
    touch(me, (uintptr_t)p, block->full, WRITE); /* before the look: the order of two frees counts */
    if (!block->alive)
        return refuse(DOUBLE_FREE, p, kind, pc);
    int wrong = look_at_free(me, p, block->full, pc);
    block->alive = 0;
    block->ended = pc;
    memset(states + ((char *)p - arena), FREED_BYTE, block->size);
    for (Granule *g = granules + ((char *)p - arena) / 8, *end = g + block->full / 8; g < end; g++)
        g->segment = 0;
    return wrong;
}

/* Free a block.  What is neither in the arena nor a global variable is a library's own memory. */
HOST void dr_free(void *p, uint32_t kind, uintptr_t pc)
{
    if (p == NULL)
        return;
    int ours = (size_t)((char *)p - arena) < arena_size;
    if (!ours && kind != DRIVER_ALLOC && !is_global((uintptr_t)p)) {
        free(p);
        return;
    }
    if (current != NULL && end_block(current->thread, p, kind, pc))
        tell(pc);
}

/* Change the size of a block: always a new one, so that a use of the old pointer is found. */
HOST void *dr_realloc(void *p, size_t size, uint32_t kind, uintptr_t pc)
{
    if (p != NULL && (size_t)((char *)p - arena) >= arena_size && kind == MALLOC && !is_global((uintptr_t)p))
        return realloc(p, size);
    Block *block = p == NULL ? NULL : block_of(p);
    if (p != NULL && (block == NULL || block->kind != kind || !block->alive)) {
        dr_free(p, kind, pc); /* says what is wrong */
        return NULL;
    }
    char *q = dr_alloc(size, kind, 0, pc);
    if (p != NULL && q != NULL) {
        size_t keep = block->size < size ? block->size : size;
        memcpy(q, p, keep);
        memcpy(states + (q - arena), states + ((char *)p - arena), keep);
        dr_free(p, kind, pc);
    }
    return q;
}

/* For Python. */

/* Lend bytes to a callback, from the heap of its thread; NULL for no room. */
HOST char *dr_lend(Thread *thread, const char *from, size_t size, int written, uint32_t kind, uintptr_t pc)
{
    char *p = make(&thread->heap, size, kind, written, pc);
    if (p != NULL && from != NULL)
        memcpy(p, from, size);
    return p;
}

/* Free a block in the driver's place, or take one back.  Returns 0, or what is wrong, in `fault`. */
HOST int dr_end(Thread *thread, void *p, uint32_t kind, uintptr_t pc)
{
    segment++;
    return end_block(thread, p, kind, pc);
}

/* The next block of a thread after `p`, or of all threads' the first: 0 if there is none. */
HOST void *dr_next_block(Thread *thread, void *p)
{
    uint32_t region = p ? regions[((char *)p - arena) >> REGION_BITS].head : thread->heap.first;
    char *at = p ? (char *)p + ((Block *)p - 1)->full : NULL;
    while (region) {
        char *start = arena + (size_t)region * REGION;
        at = at ? at : start;
        if (at < start + regions[region].used)
            return (Block *)at + 1;
        region = regions[region].next, at = NULL;
    }
    return NULL;
}

/* What is known of the block at or beside an address: where it begins (0: there is none), and so on. */
HOST void dr_block(uintptr_t addr, long out[6])
{
    Block *block = block_near(addr);
    memset(out, 0, 6 * sizeof *out);
    if (block != NULL) {
        long all[] = {(long)(block + 1), (long)block->size, block->kind, (long)block->born,
                      (long)block->ended, block->alive};
        memcpy(out, all, sizeof all);
    }
}
