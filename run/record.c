/* Blocks are recorded by slot rather than by address, so that a trace is the same wherever the region was and whichever
 * allocator had served it. Freed slots are used again at once, the last one first: slot numbers stay small, and most
 * take one or two bytes in the file. Since every block is aligned to 16 bytes, an array over the region finds
 * a block's slot.
 *
 * SPDX-License-Identifier: MIT */
#include "record.h"

#include <stdlib.h>

enum { GRAIN = 16 };

static void write_number(struct recorder *recorder, size_t number)
{
    for (; number >= 128; number >>= 7) {
        putc((int)(number % 128 + 128), recorder->file);
    }
    putc((int)number, recorder->file);
}

static void write_operation(struct recorder *recorder, uint32_t slot, enum trace_kind kind)
{
    write_number(recorder, (size_t)slot * 4 + kind);
    recorder->operations++;
}

static void write_header(struct recorder *recorder)
{
    const uint32_t numbers[] = {recorder->slots, recorder->operations};
    fputs(TRACE_MAGIC, recorder->file);
    for (unsigned i = 0; i < 8; i++) {
        putc((int)(numbers[i / 4] >> i % 4 * 8 & 255), recorder->file);
    }
}

static uint32_t *slot_of(const struct recorder *recorder, const void *block)
{
    return &recorder->slot_at[((uintptr_t)block - recorder->start) / GRAIN];
}

bool record_begin(struct recorder *recorder, const char *path, const void *region, size_t size)
{
    *recorder = (struct recorder){
        .file = fopen(path, "wb"),
        .start = (uintptr_t)region,
        .slot_at = calloc(size / GRAIN + 1, sizeof(uint32_t)),
        .vacant = calloc(size / GRAIN + 1, sizeof(uint32_t)),
    };
    if (recorder->file == NULL || recorder->slot_at == NULL || recorder->vacant == NULL) {
        return false;
    }
    write_header(recorder); /* to be replaced when its numbers are known */
    return true;
}

void record_allocation(struct recorder *recorder, const void *block, size_t size)
{
    uint32_t slot = recorder->vacant_count != 0 ? recorder->vacant[--recorder->vacant_count] : recorder->slots++;
    *slot_of(recorder, block) = slot;
    write_operation(recorder, slot, TRACE_ALLOCATE);
    write_number(recorder, size);
}

void record_reallocation(struct recorder *recorder, const void *block, const void *moved, size_t size)
{
    if (block == NULL) {
        record_allocation(recorder, moved, size);
        return;
    }
    uint32_t slot = *slot_of(recorder, block);
    *slot_of(recorder, moved) = slot;
    write_operation(recorder, slot, TRACE_REALLOCATE);
    write_number(recorder, size);
}

void record_free(struct recorder *recorder, const void *block, enum trace_kind kind)
{
    if (block != NULL) {
        uint32_t slot = *slot_of(recorder, block);
        write_operation(recorder, slot, kind);
        recorder->vacant[recorder->vacant_count++] = slot;
    }
}

bool record_end(struct recorder *recorder)
{
    rewind(recorder->file);
    write_header(recorder);
    bool written = ferror(recorder->file) == 0;
    free(recorder->slot_at);
    free(recorder->vacant);
    return fclose(recorder->file) == 0 && written;
}
