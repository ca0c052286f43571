/* knoll-speed: times heaps against each other.
 *
 * All contenders run in one process, in one region, through the same calls. In each round every one plays every
 * workload, one contender right after the other, and each round another one begins; so what the machine does meanwhile
 * strikes all alike, and the medians of the rounds are compared. A round that is not counted goes before, in which
 * mallocs get memory from the system and set their thresholds; it has all workloads, because a malloc that has only
 * played some is another one.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "results.h"

enum { REGION_ALIGNMENT = 2 << 20 };

/* Those that were built with the harness. A malloc that is not installed is left out. */
static const char *const built_in[] = {"knoll-classic", "knoll-classic-sized",
                                       "knoll-compact", "knoll-compact-sized",
                                       "knoll-lean",    "glibc",
                                       "mimalloc",      "jemalloc",
                                       "tcmalloc",      "empty"};
enum { BUILT_IN = sizeof built_in / sizeof built_in[0] };

static bool stay_on_cpu(long cpu)
{
    cpu_set_t allowed;
    cpu_set_t chosen;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return false;
    for (int i = CPU_SETSIZE; cpu < 0 && i-- != 0;)
        if (CPU_ISSET((size_t)i, &allowed))
            cpu = i;
    CPU_ZERO(&chosen);
    CPU_SET((size_t)cpu, &chosen);
    return sched_setaffinity(0, sizeof chosen, &chosen) == 0;
}

/* ---- Contenders ---- */

static bool is_named(const struct contender *contender, const char *name)
{
    return strcmp(contender->name, name) == 0;
}

static bool is_wanted(const struct options *options, const struct contender *contender)
{
    bool wanted = options->onlys == 0 || is_named(contender, "glibc") || is_named(contender, "empty");
    for (size_t i = 0; i < options->onlys; i++)
        wanted = wanted || strncmp(contender->name, options->only[i], strlen(options->only[i])) == 0;
    return wanted;
}

/* Returns how many there are, or 0 if one is missing that must not be. */
static size_t load_contenders(struct contender *contenders, const struct options *options, void *region, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < BUILT_IN; i++) {
        char file[1024];
        snprintf(file, sizeof file, PEER_DIRECTORY "/peer-%s.so", built_in[i]);
        const char *problem = contender_load(&contenders[count], file, region, size);
        if (problem != NULL)
            fprintf(stderr, "knoll-speed: without %s: %s\n", built_in[i], problem);
        else if (is_wanted(options, &contenders[count]))
            count++;
    }
    for (size_t i = 0; i < options->peers; i++) {
        char file[1024]; /* a name without a slash is one in this directory, not one to be searched for */
        snprintf(file, sizeof file, "%s%s", strchr(options->peer[i], '/') == NULL ? "./" : "", options->peer[i]);
        const char *problem = contender_load(&contenders[count], file, region, size);
        if (problem != NULL) {
            fprintf(stderr, "knoll-speed: --peer: %s\n", problem);
            return 0;
        }
        count++;
    }
    return count;
}

/* The place of this contender, or `count`. */
static size_t place_of(const struct contender *contenders, size_t count, const char *name)
{
    size_t place = 0;
    while (place < count && !is_named(&contenders[place], name))
        place++;
    return place;
}

/* ---- Rounds ---- */

static void show_progress(unsigned long round, unsigned long rounds, const char *workload, bool first)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[Kround %lu of %lu: %s", round, rounds, workload);
    else if (first)
        fprintf(stderr, "round %lu of %lu\n", round, rounds);
}

static void end_progress(void)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
}

static bool draw_scripts(struct script scripts[WORKLOADS], const struct options *options)
{
    for (size_t i = 0; i < WORKLOADS; i++)
        if (!script_draw(&scripts[i], &workloads[i], options->pairs, options->distribution, options->seed))
            return false;
    return true;
}

/* Every contender plays every workload that is asked for once, and in round 0 all; its time goes to
 * `times[workload][contender]`, each `rounds` long. */
static void play_round(const struct results *results, const struct script scripts[WORKLOADS], unsigned long round,
                       void *region, double *times)
{
    unsigned long rounds = results->options->rounds;
    bool first = true;
    for (size_t workload = 0; workload < WORKLOADS; workload++) {
        if (round != 0 && !results->options->workload[workload])
            continue;
        show_progress(round, rounds, workloads[workload].name, first);
        first = false;
        for (size_t turn = 0; turn < results->count; turn++) {
            size_t contender = (turn + round) % results->count;
            double time = script_play(&scripts[workload], &results->contenders[contender], region);
            if (round != 0)
                times[(workload * results->count + contender) * rounds + round - 1] = time;
        }
    }
}

static bool measure(struct results *results, void *region)
{
    static struct script scripts[WORKLOADS];
    unsigned long rounds = results->options->rounds;
    double *times = malloc(WORKLOADS * results->count * rounds * sizeof *times);
    if (times == NULL || !draw_scripts(scripts, results->options))
        return false;
    for (unsigned long round = 0; round <= rounds; round++)
        play_round(results, scripts, round, region, times);
    end_progress();
    bool reckoned = true;
    for (size_t i = 0; i < WORKLOADS; i++)
        if (results->options->workload[i])
            reckoned = results_reckon(results, i, times + i * results->count * rounds) && reckoned;
    for (size_t workload = 0; workload < WORKLOADS; workload++)
        script_discard(&scripts[workload]);
    free(times);
    return reckoned;
}

static int fail(const char *problem)
{
    fprintf(stderr, "knoll-speed: %s\n", problem);
    return 1;
}

int main(int count, char *words[])
{
    static struct contender contenders[CONTENDERS_MAXIMUM];
    static struct results results;
    struct options options;
    if (!options_parse(&options, count, words))
        return 2;
    if (options.help)
        return fputs(usage, stdout) < 0;
    if (!stay_on_cpu(options.cpu))
        fprintf(stderr, "knoll-speed: it cannot be held on one processor, so times will vary more\n");
    size_t size = region_size(options.distribution);
    void *region = aligned_alloc(REGION_ALIGNMENT, size);
    if (region == NULL)
        return fail("there is no memory for the region");
    memset(region, 0, size);

    results = (struct results){.options = &options, .contenders = contenders};
    results.count = load_contenders(contenders, &options, region, size);
    if (results.count == 0)
        return 1;
    results.empty = place_of(contenders, results.count, "empty");
    results.glibc = place_of(contenders, results.count, "glibc");
    if (results.empty == results.count || results.glibc == results.count)
        return fail("it takes glibc and the empty contender to compare with");
    if (!measure(&results, region))
        return fail("there is no memory for the loads");
    results_print(&results);
    if (options.csv != NULL && !results_write(&results, options.csv))
        return fail("the CSV file cannot be written");
    return fflush(stdout) != 0;
}
