/* SPDX-License-Identifier: 0BSD */
#include <string.h>

#include "table.h"

typedef struct Entry {
    struct Entry *next;
    Value *value;
    size_t length;
    char key[];
} Entry;

struct Table {
    ErlDrvRWLock *lock;
    size_t count;
    size_t buckets;
    Entry *first[];
};

Table *table_new(size_t buckets)
{
    Table *table = driver_alloc(sizeof *table + buckets * sizeof(Entry *));

    if (table == NULL)
        return NULL;
    table->lock = erl_drv_rwlock_create((char *)"store_drv.table");
    if (table->lock == NULL) {
        driver_free(table);
        return NULL;
    }
    table->count = 0;
    table->buckets = buckets;
    memset(table->first, 0, buckets * sizeof(Entry *));
    return table;
}

static void entry_free(Entry *entry)
{
    value_drop(entry->value);
    driver_free(entry);
}

void table_free(Table *table)
{
    for (size_t i = 0; i < table->buckets; i++) {
        Entry *entry = table->first[i];

        while (entry != NULL) {
            Entry *next = entry->next;

            entry_free(entry);
            entry = next;
        }
    }
    erl_drv_rwlock_destroy(table->lock);
    driver_free(table);
}

/* FNV-1a */
static size_t hash(const char *key, size_t length)
{
    ErlDrvUInt64 h = 14695981039346656037ull;

    for (size_t i = 0; i < length; i++)
        h = (h ^ (unsigned char)key[i]) * 1099511628211ull;
    return (size_t)h;
}

/* The place of the pointer to the entry of a key, or of the NULL where it would be. */
static Entry **find(Table *table, const char *key, size_t length)
{
    Entry **place = &table->first[hash(key, length) % table->buckets];

    while (*place != NULL && ((*place)->length != length || memcmp((*place)->key, key, length) != 0))
        place = &(*place)->next;
    return place;
}

int table_put(Table *table, const char *key, size_t length, Value *value)
{
    Entry *entry = driver_alloc(sizeof *entry + length), **place;

    if (entry == NULL)
        return -1;
    entry->length = length;
    entry->value = value;
    memcpy(entry->key, key, length);
    erl_drv_rwlock_rwlock(table->lock);
    place = find(table, key, length);
    if (*place == NULL) {
        entry->next = NULL;
        table->count++;
    } else {
        entry->next = (*place)->next;
        entry_free(*place);
    }
    *place = entry;
    erl_drv_rwlock_rwunlock(table->lock);
    return 0;
}

Value *table_get(Table *table, const char *key, size_t length, ErlDrvUInt64 now)
{
    Value *value = NULL;
    Entry *entry;

    erl_drv_rwlock_rlock(table->lock);
    entry = *find(table, key, length);
    if (entry != NULL && (entry->value->expires == 0 || entry->value->expires > now)) {
        value = entry->value;
        __atomic_fetch_add(&value->refs, 1, __ATOMIC_RELAXED);
    }
    erl_drv_rwlock_runlock(table->lock);
    return value;
}

int table_remove(Table *table, const char *key, size_t length)
{
    Entry **place, *entry;

    erl_drv_rwlock_rwlock(table->lock);
    place = find(table, key, length);
    entry = *place;
    if (entry != NULL) {
        *place = entry->next;
        table->count--;
        entry_free(entry);
    }
    erl_drv_rwlock_rwunlock(table->lock);
    return entry != NULL;
}

size_t table_expire(Table *table, ErlDrvUInt64 now)
{
    size_t left;

    erl_drv_rwlock_rwlock(table->lock);
    for (size_t i = 0; i < table->buckets; i++) {
        Entry **place = &table->first[i];

        while (*place != NULL) {
            Entry *entry = *place;

            if (entry->value->expires != 0 && entry->value->expires <= now) {
                *place = entry->next;
                table->count--;
                entry_free(entry);
            } else {
                place = &entry->next;
            }
        }
    }
    left = table->count;
    erl_drv_rwlock_rwunlock(table->lock);
    return left;
}

size_t table_count(Table *table)
{
    size_t count;

    erl_drv_rwlock_rlock(table->lock);
    count = table->count;
    erl_drv_rwlock_runlock(table->lock);
    return count;
}

Value *value_new(size_t size, size_t room)
{
    Value *value = driver_alloc(sizeof *value + room);

    if (value == NULL)
        return NULL;
    value->size = size;
    value->length = room;
    value->expires = 0;
    value->refs = 1;
    return value;
}

void value_drop(Value *value)
{
    if (__atomic_sub_fetch(&value->refs, 1, __ATOMIC_ACQ_REL) == 0)
        driver_free(value);
}
