/* Runs the inputs that the fuzzer has kept, one after another. usage: fuzz_corpus DIRECTORY
 *
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE   200809L
#define _FILE_OFFSET_BITS 64 /* or a program of 32 bits cannot read every directory */

#include <dirent.h>
#include <stdio.h>

#include "check.h"
#include "fuzz.h"

#define LONGEST 65536

static const char *directory;

static void run_input(const char *name)
{
    static uint8_t bytes[LONGEST];
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    puts(name); /* so that the last one is the one that failed */
    (void)LLVMFuzzerTestOneInput(bytes, size);
}

static void every_kept_input(void **state)
{
    (void)state;
    size_t count = 0;
    DIR *all = opendir(directory);
    assert_non_null(all);
    for (const struct dirent *entry; (entry = readdir(all)) != NULL;) {
        if (entry->d_name[0] != '.') {
            run_input(entry->d_name);
            count++;
        }
    }
    (void)closedir(all);
    check_say("inputs: ", count, "\n");
    assert_true(count > 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_kept_input),
};

int main(int count, char **arguments)
{
    if (count != 2)
        return 2;
    directory = arguments[1];
    return check_run(__FILE__, tests, sizeof tests / sizeof tests[0]);
}
