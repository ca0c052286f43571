/* Whatever the texts hand over is written at once, so that a fault's report comes after all that was said before it. A
 * program whose output is lost must not end as if all were well.
 *
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L

#include "host.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "report.h"

static void write_output(const char *characters, size_t length)
{
    if (fwrite(characters, 1, length, stdout) != length || fflush(stdout) != 0) {
        fputs("cannot write to the standard output\n", stderr);
        _Exit(1);
    }
}

static void write_errors(const char *characters, size_t length)
{
    fwrite(characters, 1, length, stderr);
}

static bool wants_colour(enum colour colour)
{
    const char *no_color = getenv("NO_COLOR");
    return colour == COLOUR_ALWAYS ||
           (colour == COLOUR_AUTO && (no_color == NULL || no_color[0] == '\0') && isatty(STDOUT_FILENO));
}

void host_output(struct text *text, enum colour colour)
{
    text_open(text, write_output, wants_colour(colour));
}

void host_errors(struct text *text)
{
    text_open(text, write_errors, false);
}

void *host_region(size_t size)
{
    size_t pages = size / KNOLL_PAGE + 1; /* at least one, and all of the last */
    return pages > SIZE_MAX / KNOLL_PAGE ? NULL : aligned_alloc(KNOLL_PAGE, pages * KNOLL_PAGE);
}

char *host_read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return NULL;
    }
    char *contents = NULL;
    if (fseek(file, 0, SEEK_END) == 0) {
        long end = ftell(file);
        rewind(file);
        contents = end < 0 ? NULL : malloc((size_t)end + 1);
        if (contents != NULL) {
            *size = fread(contents, 1, (size_t)end, file);
            contents[*size] = '\0';
        }
    }
    fclose(file);
    return contents;
}

void host_fault(struct knoll_heap *heap, enum knoll_fault fault, const void *address)
{
    struct text errors;
    (void)heap;
    host_errors(&errors);
    report_fault(&errors, fault, address);
    _Exit(3);
}
