/* Misuse: a line that says what and where, and the end of the program.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE

#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);

#define MIB(n) ((size_t)(n) << 20)

static void *volatile sink;

static void free_twice(void)
{
    void *volatile block = malloc(100);
    free(block);
    free(block);
}

static void free_run_twice(void)
{
    void *volatile block = malloc(100000);
    free(block);
    free(block);
}

static void free_mapping_twice(void)
{
    void *volatile block = malloc(MIB(64));
    free(block);
    free(block);
}

static void free_inside(void)
{
    unsigned char *volatile block = malloc(100);
    free(block + 16);
}

static void free_inside_run(void)
{
    unsigned char *volatile block = malloc(100000);
    free(block + 4096);
}

static void free_foreign(void)
{
    char here;
    char *volatile block = &here;
    free(block);
}

static void free_as_other_size(void)
{
    free_sized(malloc(100), 1000);
}

static void free_mapping_as_other_size(void)
{
    free_sized(malloc(MIB(64)), MIB(32));
}

static void free_with_no_alignment(void)
{
    free_aligned_sized(malloc(5000), 48, 5000);
}

static void free_mapping_with_no_alignment(void)
{
    free_aligned_sized(malloc(MIB(64)), 48, MIB(64));
}

static void resize_freed(void)
{
    void *volatile block = malloc(100);
    free(block);
    sink = realloc(block, 200);
}

static char text[1024]; /* of the last report */

static void expect_abort(void (*misuse)(void), const char *message)
{
    int ends[2];
    int status;
    memset(text, 0, sizeof text);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], 2);
        misuse();
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    for (ssize_t more; (more = read(ends[0], text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)more;
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_memory_equal(text, message, strlen(message));
    assert_int_equal(text[length - 1], '\n');
    assert_non_null(strstr(text, "; points at the caller\n"));
}

static void misuse(void **state)
{
    static const char freed_twice[] = "knoll: block freed twice: 0x";
    (void)state;
    expect_abort(free_twice, freed_twice);
    expect_abort(free_run_twice, freed_twice);
    expect_abort(free_mapping_twice, KNOLL_MALLOC_RUNG < 3 ? "knoll: address outside of the heap: 0x" : freed_twice);
    expect_abort(free_inside, "knoll: address inside a block: 0x");
    expect_abort(free_inside_run, "knoll: address inside a block: 0x");
    expect_abort(free_foreign, "knoll: address outside of the heap: 0x");
    expect_abort(free_as_other_size, "knoll: size or alignment is not the block's: 0x");
    expect_abort(free_mapping_as_other_size, "knoll: size or alignment is not the block's: 0x");
    expect_abort(free_mapping_with_no_alignment, "knoll: size or alignment is not the block's: 0x");
    expect_abort(free_with_no_alignment, "knoll: size or alignment is not the block's: 0x");
    expect_abort(resize_freed, freed_twice);
}

static void free_inside_mapping(void)
{
    unsigned char *volatile block = malloc(MIB(64));
    free(block + 4096);
}

static void mappings_are_known(void **state)
{
    (void)state;
    expect_abort(free_inside_mapping, "knoll: address inside a block: 0x");
    assert_non_null(strstr(text, KNOLL_MALLOC_RUNG < 3 ? " of 67108864 bytes" : " of "));
}

/* ---- Who it was ---- */

void *new_(size_t size) __asm__("_Znwm");
void delete_(void *block) __asm__("_ZdlPv");

static void free_cleared_twice(void)
{
    void *volatile block = calloc(10, 10);
    sink = realloc(block, 0);
    free(block);
}

static void delete_twice(void)
{
    void *volatile block = new_(100);
    delete_(block);
    delete_(block);
}

static void free_aligned_twice(void)
{
    void *volatile block = aligned_alloc(64, 100);
    free(block);
    sink = realloc(block, 200);
}

extern char __executable_start, etext; /* the linker's */

static bool names_the_program(const char *who)
{
    const char *address = strstr(text, who);
    if (address == NULL)
        return false;
    uintptr_t number = strtoull(address + strlen(who), NULL, 16);
    return number >= (uintptr_t)&__executable_start && number < (uintptr_t)&etext;
}

#ifdef __OPTIMIZE__
#define NAMES_CALLERS (KNOLL_HARDEN >= 2)
#else
#define NAMES_CALLERS false /* what ends by calling malloc is named instead */
#endif

/* Not a place in the library. */
static void callers_are_the_program(void **state)
{
    static void (*const misuses[])(void) = {free_twice, free_cleared_twice, delete_twice, free_aligned_twice};
    (void)state;
    if (!NAMES_CALLERS)
        skip();
    for (size_t i = 0; i < sizeof misuses / sizeof misuses[0]; i++) {
        expect_abort(misuses[i], "knoll: block freed twice: 0x");
        assert_true(names_the_program(", allocated by "));
        assert_true(names_the_program(", freed by "));
        assert_true(names_the_program(", found by "));
    }
}

/* ---- What nobody comes upon before the program ends ---- */

static void write_beyond(void)
{
    volatile char *volatile block = malloc(100);
    block[100] = 1;
    exit(0);
}

static void write_after_free(void)
{
    volatile char *block = malloc(100);
    free((void *)block);
    block[50] = 1;
    exit(0);
}

static void the_end_says_where(void **state)
{
    (void)state;
    if (KNOLL_HARDEN < 2)
        skip();
    expect_abort(write_beyond, "knoll: bytes written after a block's end: 0x");
    assert_true(names_the_program(", allocated by "));
    expect_abort(write_after_free, "knoll: bytes written into free memory: 0x");
    assert_true(names_the_program(", freed by "));
    assert_null(strstr(text, ", found by "));
}

/* ---- Others are not held up ---- */

static sem_t asked, done;

static void *allocate_when_asked(void *nothing)
{
    sem_wait(&asked);
    sink = malloc(40000);
    sem_post(&done);
    return nothing;
}

static void have_other_allocate(int number)
{
    (void)number;
    sem_post(&asked);
    sem_wait(&done);
    _exit(3);
}

static void free_twice_with_handler(void)
{
    pthread_t thread;
    sem_init(&asked, 0, 0);
    sem_init(&done, 0, 0);
    alarm(30);
    signal(SIGABRT, have_other_allocate);
    close(2);
    if (pthread_create(&thread, NULL, allocate_when_asked, NULL) == 0)
        free_twice();
}

/* Whoever has a handler write down what was left undone may wait for a thread that allocates. */
static void handler_of_abort(void **state)
{
    int status;
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        free_twice_with_handler();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

/* The program reads its own statistics, and allocates for that. */
static void *read_and_allocate(void *from)
{
    char *line = NULL;
    size_t size = 0;
    size_t *lines = malloc(sizeof *lines);
    FILE *file = fdopen(*(int *)from, "r");
    for (*lines = 0; getline(&line, &size, file) > 0; (*lines)++)
        free(realloc(malloc(100), 50000));
    free(line);
    fclose(file);
    return lines;
}

static void statistics_through_a_pipe(void **state)
{
    int ends[2];
    pthread_t thread;
    void *lines;
    (void)state;
    assert_int_equal(pipe(ends), 0);
    fcntl(ends[1], F_SETPIPE_SZ, 4096);
    int error_output = dup(2);
    dup2(ends[1], 2);
    close(ends[1]);
    assert_int_equal(pthread_create(&thread, NULL, read_and_allocate, ends), 0);
    alarm(60);
    for (int i = 0; i < 20; i++)
        malloc_stats();
    dup2(error_output, 2);
    close(error_output);
    pthread_join(thread, &lines);
    alarm(0);
    assert_true(*(size_t *)lines > 20 * 11);
    free(lines);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(misuse),
        cmocka_unit_test(mappings_are_known),
        cmocka_unit_test(callers_are_the_program),
        cmocka_unit_test(the_end_says_where),
        cmocka_unit_test(handler_of_abort),
        cmocka_unit_test(statistics_through_a_pipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
