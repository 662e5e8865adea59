/* stacks.c: the driver's code runs on stacks of its own, and asks Python for what it cannot do itself.
 *
 * A call of a callback is a `Call`: a stack, and a box of numbers that Python sees too.
 *
 *     Python                                the driver's code
 *     dr_enter(call) ---------------------> output(data, buf, len)
 *       box[WHAT] = "driver_async"  <------   driver_async(...)         a request
 *       other threads may run here
 *     dr_resume(call), box[RESULT] = 1 --->   returns 1
 *       box[WHAT] = NULL            <------ returns                     done
 *
 * So no stack of Python ever has the driver's code on it.  An exception in Python does not have to pass
 * through C: the call is abandoned, its stack is used again for the next one.  A local variable keeps
 * its address while other threads run, because each simulated thread has stacks that no other has.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "host.h"

enum { GUARD = 1 << 16 }; /* bytes below a stack that may not be used: endless recursion ends there */

Call *current;
Thread **threads;
uint32_t thread_count;
static void *python; /* the stack that Python was left on */
static Note unread;
static Note *note = &unread;

/* Keep the note at this address from now on. */
HOST void dr_note(Note *at) { note = at; }

/* Save the registers that a function must keep, leave the stack, and go on with another. */
void switch_stack(void **save, void *to) __attribute__((visibility("hidden")));
#if defined(__x86_64__)
enum { SAVED = 7 }; /* words on a stack that was left: six registers and where to go on */
__asm__(".text\n.hidden switch_stack\n.globl switch_stack\n.type switch_stack,@function\n"
        "switch_stack:\n"
        "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
        "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
        "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n"
        ".size switch_stack,.-switch_stack\n");

static void *new_stack(char *high, void (*body)(void))
{
    uintptr_t *sp = (uintptr_t *)high;
    *--sp = 0; /* as if a function at address 0 had called: there a walk up the stack ends */
    *--sp = (uintptr_t)body;
    sp -= SAVED - 1;
    memset(sp, 0, (SAVED - 1) * sizeof *sp);
    return sp;
}
#elif defined(__aarch64__)
__asm__(".text\n.hidden switch_stack\n.globl switch_stack\n.type switch_stack,%function\n"
        "switch_stack:\n"
        "sub sp,sp,#160\n"
        "stp x19,x20,[sp]\nstp x21,x22,[sp,#16]\nstp x23,x24,[sp,#32]\nstp x25,x26,[sp,#48]\n"
        "stp x27,x28,[sp,#64]\nstp x29,x30,[sp,#80]\n"
        "stp d8,d9,[sp,#96]\nstp d10,d11,[sp,#112]\nstp d12,d13,[sp,#128]\nstp d14,d15,[sp,#144]\n"
        "mov x9,sp\nstr x9,[x0]\nmov sp,x1\n"
        "ldp x19,x20,[sp]\nldp x21,x22,[sp,#16]\nldp x23,x24,[sp,#32]\nldp x25,x26,[sp,#48]\n"
        "ldp x27,x28,[sp,#64]\nldp x29,x30,[sp,#80]\n"
        "ldp d8,d9,[sp,#96]\nldp d10,d11,[sp,#112]\nldp d12,d13,[sp,#128]\nldp d14,d15,[sp,#144]\n"
        "add sp,sp,#160\nret\n"
        ".size switch_stack,.-switch_stack\n");

static void *new_stack(char *high, void (*body)(void))
{
    uintptr_t *sp = (uintptr_t *)(high - 160);
    memset(sp, 0, 160);
    sp[11] = (uintptr_t)body; /* x30: where `ret` goes */
    return sp;
}
#else
#error "hosting runs on x86-64 and aarch64: for another processor, write switch_stack and new_stack"
#endif

/* Leave the driver's code, and go on when Python has set the result. */
static long leave(const char *what, uintptr_t pc)
{
    Call *me = current;
    me->box[WHAT] = (long)what;
    me->box[SITE] = (long)pc;
    me->box[ERRNO] = errno;
    note->running = 0;
    note->site = (long)pc;
    current = NULL;
    switch_stack(&me->sp, python);
    errno = (int)me->box[ERRNO];
    return me->box[RESULT];
}

/* Ask for `what`, from the line at `pc`; 0 if no call is under way: a constructor, at loading. */
HOST long dr_ask(const char *what, uintptr_t pc, long a, long b, long c, long d, long e, long f)
{
    if (current == NULL)
        return 0;
    long *box = current->box + ARGUMENT;
    box[0] = a, box[1] = b, box[2] = c, box[3] = d, box[4] = e, box[5] = f;
    return leave(what, pc);
}

/* Tell of the fault that `look` has found.  The call never goes on. */
void tell(uintptr_t pc)
{
    for (;;)
        dr_ask("a fault", pc, 0, 0, 0, 0, 0, 0);
}

/* Whether the driver's code runs. */
HOST int dr_calling(void) { return current != NULL; }

typedef long Function(long, long, long, long, long, long, long);

static void body(void)
{
    long *a = current->box + ARGUMENT;
    Call *me = current;
    errno = 0;
    me->box[ARGUMENT] = ((Function *)me->box[FUNCTION])(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
    leave(NULL, 0);
    abort(); /* a call that is done is not resumed */
}

/* The thread with this number; its clock has room for `clocks` threads. */
HOST Thread *dr_thread(uint32_t number, uint32_t clocks)
{
    if (number >= thread_count) {
        uint32_t count = number + 64;
        threads = realloc(threads, count * sizeof *threads);
        memset(threads + thread_count, 0, (count - thread_count) * sizeof *threads);
        thread_count = count;
    }
    Thread *thread = threads[number];
    if (thread == NULL) {
        thread = threads[number] = calloc(1, sizeof *thread);
        thread->number = number;
        thread->heap.owner = (uint64_t)(number + 1) << 40;
    }
    if (clocks > thread->clocks) {
        thread->clock = realloc(thread->clock, clocks * sizeof *thread->clock);
        memset(thread->clock + thread->clocks, 0, (clocks - thread->clocks) * sizeof *thread->clock);
        thread->clocks = clocks;
    }
    return thread;
}

HOST uint32_t *dr_clock(Thread *thread) { return thread->clock; }

/* The call of a thread at this depth; NULL if the machine has no memory for its stack. */
HOST Call *dr_new_call(Thread *thread, uint32_t depth)
{
    if (depth == thread->depth) {
        uint32_t region = take_regions(1, 1);
        if (region == 0)
            return NULL;
        regions[region].stack = 1;
        regions[region].name = thread->heap.owner + ((uint64_t)(0xfffff - depth) << REGION_BITS);
        Call *call = calloc(1, sizeof *call);
        call->low = arena + (size_t)region * REGION;
        call->high = call->low + REGION;
        call->thread = thread;
        mprotect(call->low, GUARD, PROT_NONE);
        thread->calls = realloc(thread->calls, (depth + 1) * sizeof *thread->calls);
        thread->calls[thread->depth++] = call;
    }
    return thread->calls[depth];
}

HOST uintptr_t dr_stack(Call *call) { return (uintptr_t)call->low; }

/* Whether the address is just below the stack of the call under way. */
int below_stack(uintptr_t addr) { return addr - (uintptr_t)current->low < GUARD; }

static void go(Call *call)
{
    if (thread_locals)
        change_thread_locals(call->thread->number);
    call->thread->tick = (uint32_t)call->box[TICK];
    segment++;
    fuel = 1 << 27;
    note->function = call->box[FUNCTION];
    note->site = call->box[SITE];
    note->running = 1;
    current = call;
    switch_stack(&python, call->sp);
}

/* Begin the call that stands in the box.  Returns at its first request. */
HOST void dr_enter(Call *call)
{
    call->sp = new_stack(call->high, body);
    call->box[SITE] = 0;
    go(call);
}

/* Go on with a call; the box has the result of its request.  Returns at the next one. */
HOST void dr_resume(Call *call) { go(call); }
