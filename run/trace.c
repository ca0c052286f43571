/* Reading traces. Nothing is believed: a trace may come from a file that was cut short or is none, so every number is
 * bounded by where it is read, whatever the bytes are.
 *
 * SPDX-License-Identifier: MIT */
#include "trace.h"

static uint32_t little_endian(const unsigned char bytes[static 4])
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

bool trace_open(struct trace *trace, const void *bytes, size_t size)
{
    const unsigned char *header = bytes;
    if (size < TRACE_HEADER) {
        return false;
    }
    for (unsigned i = 0; i < sizeof(TRACE_MAGIC) - 1; i++) {
        if (header[i] != (unsigned char)TRACE_MAGIC[i]) {
            return false;
        }
    }
    trace->slots = little_endian(header + 8);
    trace->operations = little_endian(header + 12);
    trace->next = header + TRACE_HEADER;
    trace->end = header + size;
    return trace->slots <= trace->operations && trace->operations <= size - TRACE_HEADER;
}

static bool read_number(struct trace *trace, size_t *number)
{
    *number = 0;
    for (unsigned shift = 0; trace->next < trace->end && shift < sizeof(size_t) * 8; shift += 7) {
        size_t bits = *trace->next & 127u;
        if (bits << shift >> shift != bits) {
            return false;
        }
        *number |= bits << shift;
        if (*trace->next++ < 128) {
            return true;
        }
    }
    return false;
}

bool trace_next(struct trace *trace, struct trace_operation *operation)
{
    size_t number;
    if (!read_number(trace, &number) || number / 4 >= trace->slots) {
        return false;
    }
    operation->kind = (enum trace_kind)(number % 4);
    operation->slot = (uint32_t)(number / 4);
    operation->size = 0;
    bool has_size = operation->kind == TRACE_ALLOCATE || operation->kind == TRACE_REALLOCATE;
    return !has_size || read_number(trace, &operation->size);
}
