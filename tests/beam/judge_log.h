/* SPDX-License-Identifier: 0BSD
 *
 * What the judge's drivers share: one log, a few gates, and the count of what is still to come.
 */
#ifndef JUDGE_LOG_H
#define JUDGE_LOG_H

#include <erl_driver.h>
#include <stddef.h>

enum { JUDGE_NAME_SIZE = 32 };

/* Log an event: its name, and the job's number if that is not 0.  The value is its place, for `judge_void`. */
int judge_event(const char *name, int job);

/* What was logged has not happened after all: the call failed. */
void judge_void(int place);

/* A callback begins, a callback ends: meanwhile the run is not over. */
void judge_enter(void);
void judge_leave(void);

/* So many more jobs, ports that are still to be given back; fewer, if negative. */
void judge_expect(int jobs, int ports);

/* As `driver_async`, with the event and the number of the job, which is written to `*number` before it can run.  All
 * under the log's lock: so the n-th job logged is the n-th that the emulator numbers. */
long judge_async(ErlDrvPort port, unsigned int *key, void (*async_invoke)(void *), void *async_data,
                 void (*async_free)(void *), int *number);

/* A gate lets as many pass as it is given. */
void judge_wait(int gate);
void judge_give(int gate);

/* Send `{tell, Flag}` to the process that plays the scenario. */
void judge_tell(int flag);

/* Send any message to that process; the driver of `values.erl` does so. */
void judge_send(ErlDrvTermData *message, int size);

/* Give a descriptor a number that was not used for a while: the emulator knows it by its number, and its poll thread may
 * still have a report of one that was closed in the run before.  -1 if it cannot.
 */
int judge_renumber(int descriptor);

/* Close a descriptor when the next run begins: jobs may use it until then. */
void judge_keep(int descriptor);

/* Memory that lasts until the next run.  NULL if there is none. */
void *judge_alloc(size_t size);

/* The running thread's name. */
void judge_thread(char name[JUDGE_NAME_SIZE]);

#endif
