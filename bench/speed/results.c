/* Results. A ratio is to glibc's time in the same round, the empty contender's having been subtracted from both, and
 * the median of all rounds' ratios is shown. Times wander, from machine to machine and from one second to the next as
 * neighbours share a core's units and caches; what two contenders took within the same fraction of a second wanders
 * least.
 *
 * SPDX-License-Identifier: MIT */
#include "results.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

static int compare(const void *one, const void *other)
{
    double a = *(const double *)one;
    double b = *(const double *)other;
    return (a > b) - (a < b);
}

/* Sorts the values. */
static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

static struct figures reckon(const double *own, const double *empty, const double *glibc, size_t rounds,
                             double *scratch)
{
    struct figures figures = {.served = true};
    for (size_t i = 0; i < rounds; i++) {
        figures.served = figures.served && own[i] >= 0;
        scratch[i] = own[i];
    }
    figures.median = median(scratch, rounds);
    figures.least = scratch[0];
    figures.most = scratch[rounds - 1];
    for (size_t i = 0; i < rounds; i++)
        scratch[i] = (own[i] - empty[i]) / (glibc[i] - empty[i]);
    figures.ratio = median(scratch, rounds);
    return figures;
}

bool results_reckon(struct results *results, size_t workload, const double *times)
{
    size_t rounds = results->options->rounds;
    double *scratch = malloc(rounds * sizeof *scratch);
    if (scratch == NULL)
        return false;
    for (size_t i = 0; i < results->count; i++)
        results->figures[i][workload] = reckon(times + i * rounds, times + results->empty * rounds,
                                               times + results->glibc * rounds, rounds, scratch);
    free(scratch);
    return true;
}

/* ---- The table ---- */

static void print_cell(const struct results *results, size_t contender, size_t workload)
{
    const struct figures *figures = &results->figures[contender][workload];
    if (!figures->served)
        printf("  %14s", "no memory");
    else if (contender == results->empty)
        printf("  %8.1f %5s", figures->median, "");
    else
        printf("  %8.1f %5.2f", figures->median, figures->ratio);
}

void results_print(const struct results *results)
{
    const struct options *options = results->options;
    printf(
        "ns for each pair of an allocation and a free, the harness's own (empty) included, and the ratio to glibc's\n"
        "without it. Medians of %lu rounds, %s sizes, seed %lu.\n\n%-23s",
        options->rounds, options->distribution == UNIFORM ? "uniform" : "log-uniform", options->seed, "");
    for (size_t workload = 0; workload < WORKLOADS; workload++)
        if (options->workload[workload])
            printf("  %14s", workloads[workload].name);
    printf("\n");
    for (size_t contender = 0; contender < results->count; contender++) {
        printf("%-23s", results->contenders[contender].name);
        for (size_t workload = 0; workload < WORKLOADS; workload++)
            if (options->workload[workload])
                print_cell(results, contender, workload);
        printf("\n");
    }
}

/* ---- The CSV ---- */

/* What the processor calls itself, without commas. */
static void machine_name(char *name, size_t size)
{
    struct utsname system = {.machine = "unknown"};
    char line[256];
    char model[128] = "processor";
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "model name : %127[^\n,]", model) == 1)
            break;
    if (file != NULL)
        fclose(file);
    uname(&system);
    snprintf(name, size, "%s (%s)", model, system.machine);
}

static void write_row(FILE *file, const struct results *results, size_t contender, size_t workload, const char *common)
{
    const struct figures *figures = &results->figures[contender][workload];
    fprintf(file, "%s,%s,%s,%s", common, results->contenders[contender].name, results->contenders[contender].version,
            workloads[workload].name);
    if (!figures->served)
        fprintf(file, ",,,,\n");
    else if (contender == results->empty)
        fprintf(file, ",%.3f,%.3f,%.3f,\n", figures->median, figures->least, figures->most);
    else
        fprintf(file, ",%.3f,%.3f,%.3f,%.4f\n", figures->median, figures->least, figures->most, figures->ratio);
}

bool results_write(const struct results *results, const char *file_name)
{
    const struct options *options = results->options;
    char machine[256];
    char date[16];
    char common[512];
    time_t now = time(NULL);
    FILE *file = fopen(file_name, "w");
    if (file == NULL)
        return false;
    machine_name(machine, sizeof machine);
    strftime(date, sizeof date, "%Y-%m-%d", gmtime(&now));
    snprintf(common, sizeof common, "%s,%s,%s,%s,%lu,%lu,%lu", date, machine, BENCH_COMPILER,
             options->distribution == UNIFORM ? "uniform" : "log-uniform", options->seed, options->rounds,
             options->pairs);
    fprintf(file, "date,machine,compiler,distribution,seed,rounds,pairs,contender,version,workload,median_ns,min_ns,"
                  "max_ns,ratio\n");
    for (size_t contender = 0; contender < results->count; contender++)
        for (size_t workload = 0; workload < WORKLOADS; workload++)
            if (options->workload[workload])
                write_row(file, results, contender, workload, common);
    bool written = ferror(file) == 0;
    return fclose(file) == 0 && written;
}
