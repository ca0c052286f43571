/* The timed loops. They do nothing but read the script, call the contender, and write each block's first byte, as any
 * user of a block would: what that costs is measured with the empty contender and subtracted. The clock is that of the
 * thread's own processor time, which stands still while another program has the processor.
 *
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L

#include <time.h>

#include "workload.h"

static double nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static inline void *take(const struct contender *contender, uint32_t size)
{
    unsigned char *block = contender->aligned_alloc(ALIGNMENT, size);
    if (block != NULL)
        *block = 1;
    return block;
}

static bool replace(const struct script *script, const struct contender *contender, size_t first, size_t count)
{
    void **blocks = script->blocks;
    for (const struct step *step = script->steps + first, *end = step + count; step != end; step++) {
        contender->free(blocks[step->slot], step->freed);
        void *block = take(contender, step->size);
        if (block == NULL)
            return false;
        blocks[step->slot] = block;
    }
    return true;
}

static bool burst(const struct script *script, const struct contender *contender, size_t first, size_t count)
{
    void **blocks = script->blocks;
    size_t live = script->workload->live;
    bool first_first = script->workload->pattern == PATTERN_FIRST_FIRST;
    for (const struct step *step = script->steps + first, *end = step + count; step != end; step += live) {
        for (size_t i = 0; i < live; i++) {
            blocks[i] = take(contender, step[i].size);
            if (blocks[i] == NULL)
                return false;
        }
        if (first_first)
            for (size_t i = 0; i < live; i++)
                contender->free(blocks[i], step[i].size);
        else
            for (size_t i = live; i-- != 0;)
                contender->free(blocks[i], step[i].size);
    }
    return true;
}

double script_play(const struct script *script, const struct contender *contender, void *region)
{
    bool (*play)(const struct script *, const struct contender *, size_t, size_t) = burst;
    size_t held = 0;
    if (contender->init(region, script->region_size) != NULL)
        return -1;
    if (script->workload->pattern == PATTERN_REPLACE) {
        play = replace;
        for (; held < script->workload->live; held++) {
            script->blocks[held] = take(contender, script->first_size[held]);
            if (script->blocks[held] == NULL)
                return -1;
        }
    }
    if (!play(script, contender, 0, script->warm_up))
        return -1;
    double before = nanoseconds();
    if (!play(script, contender, script->warm_up, script->timed))
        return -1;
    double after = nanoseconds();
    while (held-- != 0)
        contender->free(script->blocks[held], script->last_size[held]);
    return (after - before) / (double)script->timed;
}
