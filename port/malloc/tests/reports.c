/* Misuse: a line that says what and where, and the end of the program.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

void free_sized(void *block, size_t size);

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

static void resize_freed(void)
{
    void *volatile block = malloc(100);
    free(block);
    sink = realloc(block, 200);
}

static void expect_abort(void (*misuse)(void), const char *message)
{
    int ends[2];
    char text[1024] = {0};
    int status;
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
    expect_abort(resize_freed, freed_twice);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(misuse)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
