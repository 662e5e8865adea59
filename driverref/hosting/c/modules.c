/* modules.c: the driver's own variables, global and thread-local.
 *
 * A module is the shared object of one driver.  Its variables are two kinds:
 *
 *   global: .data and .bss.  They lie behind the part of the object that the loader makes read-only
 *   when it has filled it in (RELRO).  What they hold after loading is kept, and put back before a run.
 *   So is what constructors have allocated meanwhile: it lies in a heap of the module's own.
 *
 *   thread-local: there is one OS thread, so there is one copy of them.  Each simulated thread has an
 *   image of its own, and the images change places when another thread goes on.
 */
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

typedef struct Module {
    struct Module *next;
    uintptr_t base, text, text_end;
    char *data;
    size_t size;
    char *saved;
    uint64_t name;
    Granule *granules;
    Heap heap;
    char *heap_saved;
    uint8_t *heap_states;
    size_t tls_size;
    char *tls, *tls_fresh;   /* of the OS thread that runs; as they are after loading */
    char **tls_of;           /* by simulated thread */
    uint32_t *tls_run;       /* of which run that image is */
    uint32_t tls_count;
} Module;

static Module *modules;
static long tls_owner = -1;
int thread_locals;
Heap *loading;

/* Begin to load: constructors run, and what they allocate is the module's. */
HOST void dr_load(uint64_t name)
{
    loading = calloc(1, sizeof *loading);
    loading->kept = 1;
    loading->owner = name | (uint64_t)1 << 39; /* beside the names of its variables */
}

static int find(struct dl_phdr_info *info, size_t size, void *wanted)
{
    Module *m = wanted;
    (void)size;
    int here = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        uintptr_t from = info->dlpi_addr + h->p_vaddr;
        here |= h->p_type == PT_LOAD && m->text - from < h->p_memsz;
    }
    if (!here)
        return 0;
    uintptr_t relro = 0, data = 0, data_end = 0;
    uintptr_t text = m->text;
    m->base = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        uintptr_t from = info->dlpi_addr + h->p_vaddr, to = from + h->p_memsz;
        if (h->p_type == PT_GNU_RELRO)
            relro = to;
        if (h->p_type == PT_LOAD && (h->p_flags & PF_W))
            data = from, data_end = to;
        if (h->p_type == PT_LOAD && text - from < h->p_memsz)
            m->text = from, m->text_end = to;
        if (h->p_type == PT_TLS && h->p_memsz > sizeof(int)) /* the one of api.c is no driver's */
            m->tls_size = h->p_memsz, m->tls = info->dlpi_tls_data;
    }
    relro = (relro + 4095) & ~(uintptr_t)4095;
    data = relro > data && relro <= data_end ? relro : data;
    m->data = (char *)data, m->size = data_end - data;
    return 1;
}

static void *copy_of(const void *from, size_t size) { return memcpy(malloc(size ? size : 1), from, size); }

/* Take a driver that has been loaded: `inside` is a function of it, `name` tells its variables apart. */
HOST Module *dr_module(uintptr_t inside, uint64_t name)
{
    Module *m = calloc(1, sizeof *m);
    m->text = inside;
    if (!dl_iterate_phdr(find, m))
        return NULL;
    m->name = name;
    m->saved = copy_of(m->data, m->size);
    m->granules = calloc(m->size / 8 + 2, sizeof *m->granules);
    m->heap = *loading;
    loading = NULL;
    if (m->heap.first) { /* regions that are kept were taken from above: the last lies lowest */
        size_t at = (size_t)m->heap.last * REGION, size = (m->heap.first - m->heap.last + 1) * REGION;
        m->heap_saved = copy_of(arena + at, size);
        m->heap_states = copy_of(states + at, size);
    }
    if (m->tls_size) {
        m->tls_fresh = copy_of(m->tls, m->tls_size);
        thread_locals = 1;
    }
    m->next = modules;
    return modules = m;
}

HOST uintptr_t dr_base(Module *m) { return m->base; }

/* Make a large global variable count as few words in a footprint. */
HOST void dr_coarsen(Module *m, uintptr_t addr, size_t size)
{
    uint8_t shift = 2;
    while (size >> shift > 64)
        shift++;
    for (size_t at = (addr - (uintptr_t)m->data) & ~(size_t)7; at < m->size && size >= 8; at += 8, size -= 8)
        m->granules[at / 8].shift = shift;
}

/* Put a module's variables back as they were after loading. */
HOST void dr_fresh(Module *m)
{
    memcpy(m->data, m->saved, m->size);
    if (m->heap.first) {
        size_t at = (size_t)m->heap.last * REGION, size = (m->heap.first - m->heap.last + 1) * REGION;
        memcpy(arena + at, m->heap_saved, size);
        memcpy(states + at, m->heap_states, size);
    }
}

/* What is known of eight bytes of a global variable; NULL if the address is in none. */
Granule *module_granule(uintptr_t addr, uint64_t *name, uintptr_t *end)
{
    for (Module *m = modules; m != NULL; m = m->next) {
        size_t off = addr - (uintptr_t)m->data;
        if (off < m->size) {
            *name = m->name + (off & ~(size_t)7);
            *end = (uintptr_t)m->data + m->size;
            return m->granules + off / 8;
        }
    }
    return NULL;
}

int is_global(uintptr_t addr)
{
    uint64_t name;
    uintptr_t end;
    return module_granule(addr, &name, &end) != NULL;
}

/* Whether an address is in the code of a driver. */
int in_a_module(uintptr_t pc)
{
    for (Module *m = modules; m != NULL; m = m->next)
        if (pc - m->text < m->text_end - m->text)
            return 1;
    return 0;
}

static char *image(Module *m, uint32_t thread)
{
    if (thread >= m->tls_count) {
        uint32_t count = thread + 16;
        m->tls_of = realloc(m->tls_of, count * sizeof *m->tls_of);
        m->tls_run = realloc(m->tls_run, count * sizeof *m->tls_run);
        for (uint32_t t = m->tls_count; t < count; t++)
            m->tls_of[t] = malloc(m->tls_size), m->tls_run[t] = 0;
        m->tls_count = count;
    }
    if (m->tls_run[thread] != run) {
        m->tls_run[thread] = run;
        memcpy(m->tls_of[thread], m->tls_fresh, m->tls_size);
    }
    return m->tls_of[thread];
}

/* Have the variables of this thread in the place of those of the thread that ran before. */
void change_thread_locals(uint32_t thread)
{
    if (tls_owner == (long)thread)
        return;
    for (Module *m = modules; m != NULL; m = m->next)
        if (m->tls_size) {
            if (tls_owner >= 0)
                memcpy(image(m, (uint32_t)tls_owner), m->tls, m->tls_size);
            memcpy(m->tls, image(m, thread), m->tls_size);
        }
    tls_owner = thread;
}

static int find_tls(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size, (void)unused;
    for (Module *m = modules; m != NULL; m = m->next)
        if (m->base == info->dlpi_addr)
            m->tls = info->dlpi_tls_data;
    return 0;
}

/* Begin a new run.  Another OS thread than the last time may make it: it has variables of its own. */
void reset_modules(void)
{
    tls_owner = -1;
    if (segment == 1) /* it has come round */
        for (Module *m = modules; m != NULL; m = m->next)
            for (size_t i = 0; i < m->size / 8 + 2; i++)
                m->granules[i].segment = 0;
    if (thread_locals)
        dl_iterate_phdr(find_tls, NULL);
}
