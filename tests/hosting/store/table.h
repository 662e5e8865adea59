/* SPDX-License-Identifier: 0BSD
 *
 * table.h: a hash table of compressed values, which many threads use at the same time.
 */
#ifndef TABLE_H
#define TABLE_H

#include <stddef.h>

#include <erl_driver.h>

/* A value is shared: the table has one reference, and so has each job that reads it. */
typedef struct {
    size_t size;     /* of the value, before it was compressed */
    size_t length;   /* of `bytes` */
    ErlDrvUInt64 expires; /* milliseconds; 0: never */
    long refs;
    unsigned char bytes[];
} Value;

typedef struct Table Table;

Table *table_new(size_t buckets);
void table_free(Table *table);

/* Have `key` stand for `value`, whose reference the table takes.  Returns 0, or -1 for no memory. */
int table_put(Table *table, const char *key, size_t length, Value *value);

/* The value of a key, with a reference that the caller drops; NULL if there is none. */
Value *table_get(Table *table, const char *key, size_t length, ErlDrvUInt64 now);

/* Returns 1, or 0 if there was no such key. */
int table_remove(Table *table, const char *key, size_t length);

/* Remove what has expired.  Returns how many values there are left. */
size_t table_expire(Table *table, ErlDrvUInt64 now);

size_t table_count(Table *table);

Value *value_new(size_t size, size_t room);
void value_drop(Value *value);

#endif
