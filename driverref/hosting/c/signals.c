/* signals.c: what ends a real emulator is a request here.
 *
 * A fault of the processor arrives as a signal, on a stack of its own.  The handler does not return: it
 * asks Python, as a call of the API does, and the driver's stack is abandoned.  A signal that does not
 * come from the driver's code goes to the handler that was there before, such as Python's faulthandler.
 *
 * An endless loop is no signal: it is found by counting, see `tsan.c`.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "host.h"

int below_stack(uintptr_t addr);

static const int watched[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
static struct sigaction before[NSIG];

static uintptr_t pc_of(void *context)
{
#if defined(__x86_64__)
    return (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
#else
    return (uintptr_t)((ucontext_t *)context)->uc_mcontext.pc;
#endif
}

static uintptr_t sp_of(void *context)
{
#if defined(__x86_64__)
    return (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RSP];
#else
    return (uintptr_t)((ucontext_t *)context)->uc_mcontext.sp;
#endif
}

/* The first return address on the stack that is the driver's: its line, if a library runs. */
static uintptr_t caller_of(void *context)
{
    uintptr_t *sp = (uintptr_t *)(sp_of(context) & ~(uintptr_t)7);
    for (int i = 0; i < 4096 && (char *)(sp + i) < current->high; i++)
        if ((char *)(sp + i) >= current->low + (1 << 16) && in_a_module(sp[i]))
            return sp[i];
    return 0;
}

/* Ask in the place of the driver's code: it is where the processor is, or, in a library, the caller. */
static void ask(void *context, long number, long null, long overflow)
{
    uintptr_t pc = pc_of(context), caller = caller_of(context);
    uintptr_t line = in_a_module(pc) ? pc + 1 : caller; /* as a return address, behind the code */
    for (;;)
        dr_ask("a signal", line, number, null, overflow, (long)line, (long)caller, 0);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    if (current == NULL) {
        sigaction(number, &before[number], NULL);
        raise(number);
        return;
    }
    uintptr_t addr = (uintptr_t)info->si_addr;
    int overflow = number == SIGSEGV && below_stack(addr);
    ask(context, number, addr < 65536, overflow);
}

/* Have the faults of this OS thread come here, on a stack of their own. */
void watch_signals(void)
{
    static char stack[1 << 16];
    stack_t own = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction now, ours = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigaltstack(&own, NULL);
    for (size_t i = 0; i < sizeof watched / sizeof *watched; i++) {
        sigaction(watched[i], NULL, &now);
        if (now.sa_sigaction != on_fault) {
            before[watched[i]] = now;
            sigaction(watched[i], &ours, NULL);
        }
    }
}
