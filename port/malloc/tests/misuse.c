/* A misuse suite of the library: each case is a row that says what must become of it at every rung, at the least, so
 * that no rung ever weakens unseen. A case is done by a process of its own, begun anew, because the library draws its
 * secrets and places when a program starts; how that ends is the outcome.
 *
 * usage: malloc_misuse [--runs N] [--case I] [--measure]
 *     --runs N     does each case so many times, each of which must be as its row says; 1
 *     --case I     does only this one, in this process, and exits as the parent expects
 *     --measure    prints the least outcome of each case instead of judging it
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum outcome {
    MISSED,
    NEUTRALISED, /* nothing ends the program, but no harm is done either, which the case verifies */
    STOPPED      /* the program is ended: by a report, or by the processor at a guard page */
};

enum kind { DOUBLE, INVALID, SIZES, OVERFLOWS, UNDERFLOWS, WRITES, READS, STALE, SOUND, KINDS };

struct misuse {
    const char *name;
    enum kind kind;
    enum outcome (*act)(size_t size, size_t amount);
    size_t size;
    size_t amount;
    unsigned char expected[4]; /* the least outcome at each rung */
};

void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);
void delete_sized(void *block, size_t size) __asm__("_ZdlPvm");

#define EXIT_OF(outcome) (40 + (int)(outcome))
#define OTHERS           3000 /* blocks: more than any quarantine holds */

static unsigned char *before, *block, *after; /* of one size, one after the other */
static unsigned char *blocks[OTHERS];

static void *held(void *allocated)
{
    if (allocated == NULL)
        _exit(1); /* which is no outcome */
    return allocated;
}

/* The compiler is to believe that these bytes are used. */
static void use(const void *bytes)
{
    __asm__ volatile("" : : "r"(bytes) : "memory");
}

static void write_bytes(unsigned char *at, size_t count, int value)
{
    for (size_t i = 0; i < count; i++)
        *(volatile unsigned char *)(at + i) = (unsigned char)value;
}

static bool shows(const unsigned char *bytes, size_t size, int value)
{
    for (size_t i = 0; i < size; i++)
        if (*(const volatile unsigned char *)(bytes + i) == value)
            return true;
    return false;
}

/* Whether a block that was full of this value is so in any part: four in a row, as no secret has them by chance. */
static bool shows_still(const unsigned char *bytes, size_t size, unsigned char value)
{
    for (size_t i = 0; i + 4 <= size; i++)
        if (memcmp(bytes + i, (unsigned char[]){value, value, value, value}, 4) == 0)
            return true;
    return false;
}

static void take(size_t size, size_t count, int value)
{
    for (size_t i = 0; i < count; i++)
        memset(blocks[i] = held(malloc(size)), value, size);
}

static void give(size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
}

/* So many blocks come and go, so that a freed one may be handed out again, or be looked at before that. */
static void churn(size_t size, size_t count)
{
    take(size, count, 0x33);
    give(count);
}

/* ---- Frees ---- */

static enum outcome twice(size_t size, size_t others)
{
    take(size, others, 0x33);
    free(block);
    give(others);
    free(block);
    return MISSED;
}

static enum outcome twice_sized(size_t size, size_t amount)
{
    (void)amount;
    free_sized(block, size);
    free_sized(block, size);
    return MISSED;
}

static enum outcome twice_by_delete(size_t size, size_t amount)
{
    (void)amount;
    free(block);
    delete_sized(block, size);
    return MISSED;
}

static enum outcome twice_by_realloc(size_t size, size_t amount)
{
    (void)size, (void)amount;
    use(realloc(block, 0));
    free(block);
    return MISSED;
}

static void *free_it(void *context)
{
    free(context);
    return NULL;
}

static enum outcome twice_by_two_threads(size_t size, size_t amount)
{
    pthread_t thread;
    (void)size, (void)amount;
    if (pthread_create(&thread, NULL, free_it, block) != 0)
        _exit(1);
    pthread_join(thread, NULL);
    free(block);
    return MISSED;
}

static enum outcome resized_after_free(size_t size, size_t new_size)
{
    (void)size;
    free(block);
    use(realloc(block, new_size));
    return MISSED;
}

static enum outcome freed_after_it_moved(size_t size, size_t new_size)
{
    (void)size;
    if (held(realloc(block, new_size)) == block)
        _exit(1);
    free(block);
    return MISSED;
}

/* What has it by then is freed in its place, and handed out a second time. */
static enum outcome twice_after_reuse(size_t size, size_t count)
{
    free(block);
    take(size, count, 0x22);
    free(block);
    for (size_t i = 0; i < 64; i++)
        use(memset(held(malloc(size)), 0x44, size));
    for (size_t i = 0; i < count; i++)
        if (shows(blocks[i], size, 0x44))
            return MISSED;
    return NEUTRALISED;
}

static enum outcome twice_after_others(size_t size, size_t count)
{
    free(block);
    churn(size, count);
    free(block);
    return MISSED;
}

static enum outcome inside(size_t size, size_t offset)
{
    (void)size;
    free(block + offset);
    return MISSED;
}

static enum outcome resized_inside(size_t size, size_t offset)
{
    use(realloc(block + offset, 2 * size));
    return MISSED;
}

static enum outcome before_it(size_t size, size_t distance)
{
    (void)size;
    free(block - distance);
    return MISSED;
}

static enum outcome deleted_inside(size_t size, size_t offset)
{
    delete_sized(block + offset, size);
    return MISSED;
}

static enum outcome foreign(size_t which, size_t amount)
{
    static unsigned char in_static_storage[4096 + 64];
    unsigned char on_the_stack[64];
    unsigned char *mapped = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *addresses[] = {on_the_stack,
                                  in_static_storage,
                                  mapped,
                                  mapped + 48,
                                  (unsigned char *)(uintptr_t)16,
                                  (unsigned char *)(uintptr_t)0x8000000000000010u,
                                  (unsigned char *)(uintptr_t) "a constant text",
                                  (unsigned char *)(uintptr_t)&foreign};
    (void)amount;
    use(addresses);
    free(addresses[which] + (which == 0 ? 16 - (uintptr_t)on_the_stack % 16 : 0));
    return MISSED;
}

static enum outcome foreign_resized(size_t size, size_t amount)
{
    unsigned char on_the_stack[64];
    (void)size, (void)amount;
    use(on_the_stack);
    use(realloc(on_the_stack, 100));
    return MISSED;
}

/* Some way after the last block, where none is. */
static enum outcome never_handed_out(size_t size, size_t distance)
{
    (void)size;
    free(block + distance);
    return MISSED;
}

/* ---- Sizes ---- */

static enum outcome as_size(size_t size, size_t named)
{
    (void)size;
    free_sized(block, named);
    return MISSED;
}

static enum outcome deleted_as_size(size_t size, size_t named)
{
    (void)size;
    delete_sized(block, named);
    return MISSED;
}

static enum outcome as_alignment(size_t alignment, size_t named)
{
    free_aligned_sized(held(aligned_alloc(alignment, 100)), named, 100);
    return MISSED;
}

/* ---- Writes outside of a block ---- */

static enum outcome overflow(size_t size, size_t count)
{
    write_bytes(block + size, count, 0x41);
    free(block);
    return MISSED;
}

static enum outcome overflow_by_zero(size_t size, size_t count)
{
    write_bytes(block + size, count, 0);
    free(block);
    return MISSED;
}

static enum outcome overflow_by_ones(size_t size, size_t count)
{
    write_bytes(block + size, count, 0xFF);
    free(block);
    return MISSED;
}

/* The block is never freed. */
static enum outcome overflow_at_once(size_t size, size_t count)
{
    write_bytes(block + size, count, 0x41);
    return MISSED;
}

static enum outcome overflow_seen_by_realloc(size_t size, size_t count)
{
    write_bytes(block + size, count, 0x41);
    use(realloc(block, 3 * size));
    return MISSED;
}

/* One byte, this far after the end. */
static enum outcome overflow_that_skips(size_t size, size_t distance)
{
    write_bytes(block + size + distance, 1, 0x41);
    free(block);
    free(before);
    free(after);
    churn(size, OTHERS);
    /* From rung 2 on the end of the program verifies all but the inside of free runs. There, where at rung 3 chance may
     * have it that the byte lies, it belongs to nobody, and whoever takes the memory comes upon it. */
    return KNOLL_MALLOC_RUNG >= 3 ? NEUTRALISED : MISSED;
}

static enum outcome overflow_of_aligned(size_t alignment, size_t count)
{
    block = held(aligned_alloc(alignment, 100));
    return overflow(100, count);
}

static enum outcome overflow_after_shrinking(size_t size, size_t count)
{
    block = held(realloc(block, size - 5));
    return overflow(size - 5, count);
}

static enum outcome overflow_of_cleared(size_t size, size_t count)
{
    block = held(calloc(1, size));
    return overflow(size, count);
}

static enum outcome underflow(size_t size, size_t count)
{
    (void)size;
    write_bytes(block - count, count, 0x41);
    free(block);
    return MISSED;
}

static enum outcome underflow_at_once(size_t size, size_t count)
{
    (void)size;
    write_bytes(block - count, count, 0x41);
    return MISSED;
}

static enum outcome underflow_that_skips(size_t size, size_t distance)
{
    (void)size;
    write_bytes(block - distance, 1, 0x41);
    free(block);
    return MISSED;
}

/* ---- After a free ---- */

/* All that is handed out is its owner's alone. */
static enum outcome goes_on(size_t size)
{
    take(size, OTHERS, 0x22);
    for (size_t i = 0; i < OTHERS; i++)
        if (shows(blocks[i], size, 0x41))
            return MISSED;
    give(OTHERS);
    churn(size, OTHERS);
    return NEUTRALISED;
}

static enum outcome write_after_free(size_t size, size_t place)
{
    free(block);
    write_bytes(block + (size - 1) * place / 2, 1, 0x41);
    return goes_on(size);
}

static enum outcome write_of_zero_after_free(size_t size, size_t place)
{
    free(block);
    write_bytes(block + (size - 1) * place / 2, 1, 0);
    return goes_on(size);
}

static enum outcome write_of_all_after_free(size_t size, size_t others)
{
    free(block);
    churn(size, others);
    write_bytes(block, size, 0x41);
    return goes_on(size);
}

/* Who has the memory by then has written to it when the old pointer is used. */
static enum outcome write_after_reuse(size_t size, size_t count)
{
    free(block);
    take(size, count, 0x22);
    write_bytes(block, 1, 0x41);
    for (size_t i = 0; i < count; i++)
        if (shows(blocks[i], size, 0x41))
            return MISSED;
    give(count);
    return goes_on(size);
}

static enum outcome read_after_free(size_t size, size_t others)
{
    memset(block, 0x77, size);
    free(block);
    churn(size, others);
    return shows_still(block, size, 0x77) ? MISSED : NEUTRALISED;
}

static enum outcome read_after_reuse(size_t size, size_t count)
{
    free(block);
    take(size, count, 0x66);
    return shows_still(block, size, 0x66) ? MISSED : NEUTRALISED;
}

static enum outcome read_after_realloc(size_t size, size_t new_size)
{
    memset(block, 0x77, size);
    for (size_t i = 0; i < 4; i++)
        held(malloc(size)); /* one of which is behind it, so that it cannot grow where it lies */
    if (held(realloc(block, new_size)) == block)
        _exit(1);
    return shows_still(block, size, 0x77) ? MISSED : NEUTRALISED;
}

/* ---- Reads of what is not the program's, or not yet written ---- */

static enum outcome read_overflow(size_t size, size_t count)
{
    memset(before, 0x77, size);
    memset(after, 0x77, size);
    return shows(block + size, count, 0x77) ? MISSED : NEUTRALISED;
}

static enum outcome read_underflow(size_t size, size_t count)
{
    memset(before, 0x77, size);
    memset(after, 0x77, size);
    return shows(block - count, count, 0x77) ? MISSED : NEUTRALISED;
}

static enum outcome old_contents(size_t size, size_t count)
{
    take(size, count, 0x77);
    give(count);
    for (size_t i = 0; i < count; i++)
        if (shows(blocks[i] = held(malloc(size)), size, 0x77))
            return MISSED;
    return NEUTRALISED;
}

static enum outcome old_contents_aligned(size_t size, size_t alignment)
{
    take(size, 64, 0x77);
    give(64);
    for (size_t i = 0; i < 64; i++)
        if (shows(held(aligned_alloc(alignment, size)), size, 0x77))
            return MISSED;
    return NEUTRALISED;
}

/* Of blocks of other sizes, cut from the same memory. */
static enum outcome old_contents_recut(size_t size, size_t new_size)
{
    take(size, 2000, 0x77);
    give(2000);
    for (size_t i = 0; i < 500; i++)
        if (shows(held(malloc(new_size)), new_size, 0x77))
            return MISSED;
    return NEUTRALISED;
}

static enum outcome old_contents_by_growing(size_t size, size_t new_size)
{
    take(new_size, 64, 0x77);
    give(64);
    for (size_t i = 0; i < 64; i++) {
        unsigned char *grown = held(realloc(held(malloc(size)), new_size));
        if (shows(grown + size, new_size - size, 0x77))
            return MISSED;
    }
    return NEUTRALISED;
}

static enum outcome old_contents_in_place(size_t size, size_t amount)
{
    memset(block, 0x77, size);
    block = held(realloc(block, size - amount));
    block = held(realloc(block, size));
    return shows(block + size - amount, amount, 0x77) ? MISSED : NEUTRALISED;
}

static enum outcome cleared(size_t size, size_t count)
{
    take(size, count, 0x77);
    give(count);
    for (size_t i = 0; i < count; i++)
        if (shows(held(calloc(1, size)), size, 0x77))
            return MISSED;
    return NEUTRALISED;
}

/* ---- What is no misuse, and must go on at every rung ---- */

static enum outcome all_of_it(size_t size, size_t new_size)
{
    write_bytes(block, malloc_usable_size(block), 0x41);
    block = held(realloc(block, new_size));
    write_bytes(block, new_size, 0x42);
    free_sized(block, new_size);
    free(before);
    free_sized(after, size);
    churn(size, OTHERS);
    return MISSED;
}

#include "misuse_table.h"

/* ---- Running them ---- */

static _Noreturn void do_case(const struct misuse *misuse)
{
    alarm(60);
    dup2(open("/dev/null", O_WRONLY), 2);
    before = held(malloc(misuse->size));
    block = held(malloc(misuse->size));
    after = held(malloc(misuse->size));
    size_t written = misuse->size < 100000 ? misuse->size : 100000;
    memset(before, 0x11, written);
    memset(block, 0x11, written);
    memset(after, 0x11, written);
    exit(EXIT_OF(misuse->act(misuse->size, misuse->amount))); /* where what nobody came upon is found */
}

/* Of the process that did it; -1 if that ended in a way that none should. */
static int outcome_of(int status)
{
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGABRT || WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS ? STOPPED : -1;
    int code = WEXITSTATUS(status);
    return code >= EXIT_OF(MISSED) && code <= EXIT_OF(STOPPED) ? code - EXIT_OF(MISSED) : -1;
}

static int run_case(size_t number)
{
    char text[24];
    char *arguments[] = {(char[]){"malloc_misuse"}, (char[]){"--case"}, text, NULL};
    snprintf(text, sizeof text, "%zu", number);
    pid_t child = fork();
    if (child == 0) {
        execv("/proc/self/exe", arguments);
        _exit(1);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1;
    return outcome_of(status);
}

/* The least outcome of so many runs. */
static int least_of(size_t number, unsigned long runs)
{
    int least = STOPPED;
    for (unsigned long run = 0; run < runs; run++) {
        int outcome = run_case(number);
        if (outcome < least)
            least = outcome;
    }
    return least;
}

static const char *const kinds[KINDS] = {"frees of freed blocks",
                                         "other wrong frees",
                                         "wrong sizes",
                                         "overflows",
                                         "underflows",
                                         "writes after free",
                                         "reads",
                                         "old contents",
                                         "no misuse"};

static void print_row(const char *name, const size_t *counts)
{
    printf("%-24s %4zu cases: %4zu stopped, %3zu neutralised, %3zu missed\n", name,
           counts[MISSED] + counts[NEUTRALISED] + counts[STOPPED], counts[STOPPED], counts[NEUTRALISED],
           counts[MISSED]);
}

/* What is asked of rung 3: all stopped or neutralised, and six of seven stopped. */
static bool is_enough(const size_t *counts)
{
    size_t all = counts[MISSED] + counts[NEUTRALISED] + counts[STOPPED];
    return KNOLL_MALLOC_RUNG < 3 || (counts[MISSED] == 0 && 71 * counts[STOPPED] >= 61 * all);
}

static int run_all(unsigned long runs, bool measure)
{
    size_t counts[KINDS][3] = {{0}}, sum[3] = {0}, wrong = 0;
    for (size_t i = 0; i < MISUSES; i++) {
        const struct misuse *misuse = &misuses[i];
        int least = least_of(i, runs), expected = misuse->expected[KNOLL_MALLOC_RUNG];
        bool is_wrong = least < expected || (misuse->kind == SOUND && least != MISSED);
        if (measure || is_wrong)
            printf("%-28s %7zu bytes, %7zu: %c, expected %c%s\n", misuse->name, misuse->size, misuse->amount,
                   least < 0 ? '?' : "MNS"[least], "MNS"[expected], is_wrong ? "  WRONG" : "");
        wrong += is_wrong;
        if (least >= 0)
            counts[misuse->kind][least]++;
    }
    printf("rung %d, %lu runs of each\n", KNOLL_MALLOC_RUNG, runs);
    for (size_t kind = 0; kind < SOUND; kind++) {
        print_row(kinds[kind], counts[kind]);
        for (size_t outcome = 0; outcome < 3; outcome++)
            sum[outcome] += counts[kind][outcome];
    }
    print_row("in all", sum);
    return wrong == 0 && (measure || is_enough(sum)) ? 0 : 1;
}

/* What is stopped or neutralised at one rung is no less so above; but at rung 3, where places are random, what is
 * stopped at rung 2 may be neutralised. */
static bool no_rung_weakens(void)
{
    for (size_t i = 0; i < MISUSES; i++)
        for (size_t rung = 1; rung < 4; rung++)
            if (misuses[i].expected[rung] < misuses[i].expected[rung - 1] &&
                (rung < 3 || misuses[i].expected[rung] == MISSED)) {
                printf("%s: rung %zu is weaker than the one below\n", misuses[i].name, rung);
                return false;
            }
    return true;
}

int main(int count, char **arguments)
{
    unsigned long runs = 1;
    bool measure = false;
    for (int i = 1; i < count; i++) {
        unsigned long number = i + 1 < count ? strtoul(arguments[i + 1], NULL, 10) : 0;
        if (strcmp(arguments[i], "--measure") == 0) {
            measure = true;
        } else if (strcmp(arguments[i], "--runs") == 0 && number > 0) {
            runs = number;
            i++;
        } else if (strcmp(arguments[i], "--case") == 0 && i + 1 < count && number < MISUSES) {
            do_case(&misuses[number]);
        } else {
            fprintf(stderr, "usage: malloc_misuse [--runs N] [--case I] [--measure]\n");
            return 2;
        }
    }
    return no_rung_weakens() ? run_all(runs, measure) : 1;
}
