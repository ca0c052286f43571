/* Measures how much memory a heap needs: the smallest region that serves a whole trace, tables and all, over the most
 * bytes that the trace holds at once; what single blocks cost; and the largest block.
 *
 * SPDX-License-Identifier: MIT */
#include "measure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BYTES ((size_t)256 << 20)
#define ARENA_ALIGN ((size_t)2 << 20)
#define SEEDS       4
#define MEBIBYTE    ((size_t)1 << 20)
#define HEAPS_MAX   16

static const size_t block_sizes[] = {1, 64, 100, 1000, 4096, 5000};

/* What knoll is held to, by profile. */
static const struct {
    const char *name;
    double ratio[TRACE_COUNT];
} targets[] = {
    {"knoll-compact", {1.17, 1.14, 1.14, 1.30}},
    {"knoll-classic", {1.51, 1.44, 1.44, 3.00}},
};

struct options {
    struct heap heap[HEAPS_MAX];
    size_t heaps;
    uint64_t seed;
    size_t alignment;
    bool uniform;
    FILE *csv; /* or NULL */
};

static double target_of(const char *name, unsigned kind)
{
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        if (strcmp(targets[i].name, name) == 0)
            return targets[i].ratio[kind];
    }
    return 0;
}

/* Measures one trace under one seed. Returns the ratio, 0 if no region serves, and adds to *firm that of the region
 * from which on all serve. */
static double measure_seed(const struct options *options, const struct heap *heap, const struct arena *arena,
                           unsigned kind, uint64_t seed, double *firm)
{
    struct trace trace = trace_make(kind, seed, options->uniform);
    struct smallest smallest = measure_smallest(heap, arena, &trace);
    double ratio = (double)smallest.region / (double)trace.peak;
    printf(" %7.3f", ratio);
    fflush(stdout);
    for (size_t i = 0; i < smallest.failed; i++)
        fprintf(stderr, "\nknoll-memory: %s, %s, seed %llu: a region of %zu bytes serves, one of %zu does not\n",
                heap->name(), trace_names[kind], (unsigned long long)seed, smallest.region, smallest.failed_at[i]);
    if (options->csv != NULL)
        fprintf(options->csv, "%s,%s,%llu,%zu,%zu,%.4f\n", heap->name(), trace_names[kind], (unsigned long long)seed,
                smallest.region, trace.peak, ratio);
    *firm += (double)smallest.firm / (double)trace.peak;
    trace_free(&trace);
    return ratio;
}

static void measure_traces(const struct options *options, const struct heap *heap, const struct arena *arena)
{
    printf("%s: smallest region that serves / most bytes held\n  %-8s", heap->name(), "seed");
    for (uint64_t i = 0; i < SEEDS; i++)
        printf(" %7llu", (unsigned long long)(options->seed + i));
    printf("     mean   worst  (firm)  target\n");
    for (unsigned kind = 0; kind < TRACE_COUNT; kind++) {
        double sum = 0;
        double firm = 0;
        double worst = 0;
        printf("  %-8s", trace_names[kind]);
        for (uint64_t i = 0; i < SEEDS; i++) {
            double ratio = measure_seed(options, heap, arena, kind, options->seed + i, &firm);
            sum += ratio;
            worst = ratio > worst ? ratio : worst;
        }
        double target = target_of(heap->name(), kind);
        printf("  %7.3f %7.3f (%.3f)", sum / SEEDS, worst, firm / SEEDS);
        if (target > 0)
            printf("  %6.2f %s", target, worst <= target ? "held" : "MISSED");
        putchar('\n');
    }
}

static void measure_blocks(const struct heap *heap, const struct arena *arena)
{
    printf("  bytes for each block of");
    for (size_t i = 0; i < sizeof block_sizes / sizeof block_sizes[0]; i++)
        printf("%s %zu B: %.1f", i == 0 ? "" : ",", block_sizes[i],
               measure_bytes_per_block(heap, arena, block_sizes[i]));
    printf("\n  largest block in 1 MiB: %zu B\n", measure_largest_block(heap, arena, MEBIBYTE));
    if (heap->control_bytes != 0)
        printf("  control bytes outside of the region: %zu\n", heap->control_bytes);
}

static _Noreturn void usage(const char *complaint)
{
    fprintf(stderr,
            "knoll-memory: %s\n"
            "usage: knoll-memory [--seed N] [--alignment N] [--uniform] [--csv FILE] [--peer LIB.so]...\n"
            "  --seed N       the first of four seeds; 1 unless given\n"
            "  --alignment N  of the blocks; 16 unless given, C's on machines of 64 bits\n"
            "  --uniform      draw sizes evenly between their bounds, not log-uniformly\n"
            "  --csv FILE     write contender,trace,seed,region_bytes,peak_bytes,ratio\n"
            "  --peer LIB.so  measure this heap too (bench/peer.h)\n",
            complaint);
    exit(2);
}

static uint64_t number_of(const char *text)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || *text < '0' || *text > '9' || *end != 0)
        usage("a seed and an alignment are numbers");
    return number;
}

static FILE *open_csv(const char *path)
{
    FILE *csv = fopen(path, "w");
    if (csv == NULL) {
        fprintf(stderr, "knoll-memory: %s: %s\n", path, strerror(errno));
        exit(1);
    }
    fputs("contender,trace,seed,region_bytes,peak_bytes,ratio\n", csv);
    return csv;
}

static struct options options_of(int argc, char **argv)
{
    struct options options = {.heap = {heap_knoll}, .heaps = 1, .seed = 1, .alignment = 16};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--uniform") == 0) {
            options.uniform = true;
            continue;
        }
        if (value == NULL)
            usage("an option is unknown or lacks its value");
        if (strcmp(argv[i], "--seed") == 0)
            options.seed = number_of(value);
        else if (strcmp(argv[i], "--alignment") == 0)
            options.alignment = number_of(value);
        else if (strcmp(argv[i], "--csv") == 0)
            options.csv = open_csv(value);
        else if (strcmp(argv[i], "--peer") != 0)
            usage("an option is unknown");
        else if (options.heaps == HEAPS_MAX)
            usage("too many peers");
        else
            options.heap[options.heaps++] = heap_load(value);
        i++;
    }
    if (options.alignment == 0 || (options.alignment & (options.alignment - 1)) != 0 || options.alignment > ARENA_ALIGN)
        usage("an alignment is a power of two, at most 2097152");
    return options;
}

int main(int argc, char **argv)
{
    struct options options = options_of(argc, argv);
    struct arena arena = {aligned_alloc(ARENA_ALIGN, ARENA_BYTES), ARENA_BYTES, options.alignment};
    if (arena.start == NULL) {
        fprintf(stderr, "knoll-memory: no memory for the heaps\n");
        return 1;
    }
    for (size_t i = 0; i < options.heaps; i++) {
        const char *problem = options.heap[i].init(arena.start, arena.size);
        if (problem != NULL) {
            fprintf(stderr, "knoll-memory: a heap cannot be made: %s\n", problem);
            return 1;
        }
        measure_traces(&options, &options.heap[i], &arena);
        measure_blocks(&options.heap[i], &arena);
    }
    if (options.csv != NULL && fclose(options.csv) != 0) {
        fprintf(stderr, "knoll-memory: the CSV file: %s\n", strerror(errno));
        return 1;
    }
    free(arena.start);
    return 0;
}
