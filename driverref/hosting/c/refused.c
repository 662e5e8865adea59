/* refused.c: functions that would wait for real, and so stop the whole simulation, or copy its process.
 *
 * Each is a request that nothing serves, unless the author of the driver has Python stand in for it.
 */
#include "stand_in.h"

/* The network. */
CALL(socket) CALL(connect) CALL(accept) CALL(accept4) CALL(sendto) CALL(sendmsg) CALL(recvfrom) CALL(recvmsg)
CALL(select) CALL(pselect) CALL(ppoll) CALL(epoll_create) CALL(epoll_create1) CALL(epoll_wait) CALL(epoll_pwait)
CALL(eventfd) CALL(getaddrinfo) CALL(gethostbyname)

/* Locks and threads that the host does not have. */
CALL(pthread_barrier_wait) CALL(pthread_spin_lock) CALL(pthread_spin_trylock) CALL(pthread_cancel)
CALL(pthread_kill) CALL(sem_open)

/* Processes and signals. */
CALL(fork) CALL(vfork) CALL(system) CALL(popen) CALL(wait) CALL(waitpid) CALL(posix_spawn) CALL(execv) CALL(execve)
CALL(execvp) CALL(pause) CALL(sigwait) CALL(sigsuspend)
