/* The image: plays the traces that are linked into it, in the memory that the platform has. Its arguments are those of
 * knoll-replay, less the file, and --program.
 *
 * SPDX-License-Identifier: MIT */
#include "options.h"
#include "platform.h"
#include "replay.h"
#include "report.h"

enum { WORDS = 8, ARGUMENTS = 200, REGION = 2 << 20 };

/* In traces.S. */
extern const unsigned char trace_lua[], trace_lua_end[], trace_sqlite[], trace_sqlite_end[];

static struct text out;

static void fail_at_fault(struct knoll_heap *heap, enum knoll_fault fault, const void *address)
{
    (void)heap;
    report_fault(&out, fault, address);
    platform_exit(3);
}

/* Splits the platform's text, in a copy, at its spaces. What does not fit is not looked at. */
static size_t split_arguments(char copy[static ARGUMENTS], char *words[static WORDS])
{
    const char *from = platform_arguments();
    size_t length = 0;
    for (; length < ARGUMENTS - 1 && from[length] != '\0'; length++) {
        copy[length] = from[length];
        if (copy[length] == ' ') {
            copy[length] = '\0';
        }
    }
    size_t count = 0;
    for (size_t i = 0; i < length && count < WORDS; i++) {
        if (copy[i] != '\0' && (i == 0 || copy[i - 1] == '\0')) {
            words[count++] = &copy[i];
        }
    }
    return count;
}

/* The slots lie after the region, at the end of the memory. */
static int replay_in_memory(const char *name, const unsigned char *bytes, const unsigned char *end, size_t region)
{
    void *start;
    size_t size;
    struct trace trace;
    platform_memory(&start, &size);
    if (!trace_open(&trace, bytes, (size_t)(end - bytes))) {
        text_string(&out, "the linked trace is damaged");
        text_end_line(&out);
        return 1;
    }
    size_t slot_bytes = trace.slots * sizeof(struct replay_slot);
    if (slot_bytes > size || region > size - slot_bytes) {
        text_string(&out, name);
        text_string(&out, ": there is no memory for such a region: the board has ");
        text_bytes(&out, size);
        text_end_line(&out);
        return 1;
    }
    void *after_region = (char *)start + (size - slot_bytes);
    struct replay_slot *slots = after_region;
    for (uint32_t i = 0; i < trace.slots; i++) {
        slots[i] = (struct replay_slot){0};
    }
    return replay(name, trace, slots, start, region, fail_at_fault, &out);
}

int main(void)
{
    static char copy[ARGUMENTS];
    char *words[WORDS];
    struct options options = {.region = REGION, .program = "all", .colour = COLOUR_NEVER};

    text_open(&out, platform_write, false);
    size_t count = split_arguments(copy, words);
    if (!options_parse(&options, OPTION_REGION | OPTION_PROGRAM | OPTION_COLOUR, count, words, &out)) {
        return 2;
    }
    out.colour = options.colour == COLOUR_ALWAYS;

    int lua = 0;
    int sqlite = 0;
    if (!same_string(options.program, "sqlite")) {
        lua = replay_in_memory("Lua", trace_lua, trace_lua_end, options.region);
    }
    if (!same_string(options.program, "lua")) {
        sqlite = replay_in_memory("SQLite", trace_sqlite, trace_sqlite_end, options.region);
    }
    return lua > sqlite ? lua : sqlite;
}
