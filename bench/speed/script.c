/* Drawing scripts. A generator of 64 bits of state that passes as random (SplitMix64), started from the seed and the
 * workload's name, so that each workload's script is the same whichever others are run.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>

#include "workload.h"

const struct workload workloads[WORKLOADS] = {
    {"pingpong", PATTERN_LAST_FIRST, 1, 64, 64}, {"small", PATTERN_REPLACE, 10000, 8, 1024},
    {"mixed", PATTERN_REPLACE, 4000, 8, 65536},  {"large", PATTERN_REPLACE, 200, 4097, 262144},
    {"LIFO", PATTERN_LAST_FIRST, 1000, 1, 512},  {"FIFO", PATTERN_FIRST_FIRST, 1000, 1, 512},
};

static uint64_t draw(uint64_t *state)
{
    uint64_t mixed = *state += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
}

/* At least 0 and less than 1. */
static double draw_fraction(uint64_t *state)
{
    return (double)(draw(state) >> 11) * 0x1p-53;
}

static uint32_t draw_size(uint64_t *state, const struct workload *workload, enum distribution distribution)
{
    double fraction = draw_fraction(state);
    double smallest = workload->smallest;
    double past_largest = workload->largest + 1.0;
    if (distribution == UNIFORM)
        return (uint32_t)(smallest + fraction * (past_largest - smallest));
    return (uint32_t)(smallest * pow(past_largest / smallest, fraction));
}

static uint64_t start_state(const struct workload *workload, uint64_t seed)
{
    for (const char *letter = workload->name; *letter != '\0'; letter++) {
        seed ^= (unsigned char)*letter;
        seed = draw(&seed);
    }
    return seed;
}

bool script_draw(struct script *script, const struct workload *workload, size_t pairs, enum distribution distribution,
                 uint64_t seed)
{
    size_t live = workload->live;
    size_t timed = (pairs + live - 1) / live * live; /* whole bursts */
    size_t warm_up = 2 * timed;                      /* until what a malloc kept of the workload before has worn off */
    *script = (struct script){
        .workload = workload,
        .region_size = region_size(distribution),
        .steps = malloc((warm_up + timed) * sizeof(struct step)),
        .warm_up = warm_up,
        .timed = timed,
        .first_size = malloc(live * sizeof(uint32_t)),
        .last_size = malloc(live * sizeof(uint32_t)),
        .blocks = calloc(live, sizeof(void *)),
    };
    if (script->steps == NULL || script->first_size == NULL || script->last_size == NULL || script->blocks == NULL)
        return false;

    uint64_t state = start_state(workload, seed);
    for (size_t slot = 0; slot < live; slot++)
        script->first_size[slot] = script->last_size[slot] = draw_size(&state, workload, distribution);
    for (size_t i = 0; i < warm_up + timed; i++) {
        uint32_t slot = (uint32_t)(draw(&state) % live);
        uint32_t size = draw_size(&state, workload, distribution);
        script->steps[i] = (struct step){.slot = slot, .freed = script->last_size[slot], .size = size};
        script->last_size[slot] = size;
    }
    return true;
}

void script_discard(struct script *script)
{
    free(script->steps);
    free(script->first_size);
    free(script->last_size);
    free(script->blocks);
}
