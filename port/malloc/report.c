/* What the library prints, to a file descriptor and without allocating.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KEPT_LEAST 100 /* no program's own descriptor, one hopes */

void line_text(struct line *line, const char *text)
{
    while (*text != '\0' && line->length < sizeof line->text - 1)
        line->text[line->length++] = *text++;
}

void line_number(struct line *line, uint64_t number, int width)
{
    char digits[24];
    int count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    while (width-- > count)
        line_text(line, " ");
    while (count > 0)
        line_text(line, (char[]){digits[--count], '\0'});
}

/* Where the standard error went when the program began. Programs close it at their end, before the library has its say;
 * and some close all there is, and have something else by that number then. */
static int kept_error = -1;
static struct stat kept_file;

void report_keep_error(void)
{
    kept_error = fcntl(2, F_DUPFD_CLOEXEC, KEPT_LEAST);
    if (kept_error >= 0 && fstat(kept_error, &kept_file) != 0)
        kept_error = -1;
}

static int kept_error_still(void)
{
    struct stat now;
    bool is_same = kept_error >= 0 && fstat(kept_error, &now) == 0 && now.st_dev == kept_file.st_dev &&
                   now.st_ino == kept_file.st_ino;
    return is_same ? kept_error : -1;
}

/* Not by write, at which a thread may be cancelled: it would take the lock with it. */
void line_end(struct line *line, int file)
{
    int error = errno;
    line->text[line->length++] = '\n';
    for (size_t written = 0; written < line->length;) {
        ssize_t more = syscall(SYS_write, file, line->text + written, line->length - written);
        if (more < 0 && errno == EBADF && file == 2) {
            file = kept_error_still();
            continue;
        }
        if (more < 0 && errno != EINTR)
            break;
        written += more < 0 ? 0 : (size_t)more;
    }
    line->length = 0;
    errno = error;
}

void report_fault(void)
{
    struct line line = {.length = 0};
    line_text(&line, "knoll: ");
    line.length += knoll_fault_line(&knoll_last_fault, line.text + line.length, sizeof line.text - line.length);
    line_end(&line, 2);
    lock_abandon();
    abort();
}

static _Noreturn void end_with(const char *begin, const char *text)
{
    struct line line = {.length = 0};
    line_text(&line, begin);
    line_text(&line, text);
    line_end(&line, 2);
    lock_abandon();
    abort();
}

void report_broken(int invariant)
{
    end_with("knoll: found at the program's end; broken: ", knoll_invariant(invariant));
}

void report_missing(const char *what)
{
    end_with("knoll: the kernel gives no ", what);
}

static void print_total(int file, const char *name, uint64_t number)
{
    struct line line = {.length = 0};
    line_text(&line, "  ");
    line_text(&line, name);
    while (line.length < 28)
        line_text(&line, " ");
    line_number(&line, number, 16);
    line_end(&line, file);
}

static void print_class(int file, const struct knoll_class_stats *size_class)
{
    struct line line = {.length = 0};
    line_number(&line, size_class->block_size, 10);
    line_number(&line, size_class->slabs, 12);
    line_number(&line, size_class->total_blocks, 12);
    line_number(&line, size_class->used_blocks, 12);
    line_number(&line, size_class->used_blocks * size_class->block_size, 16);
    line_end(&line, file);
}

void report_stats(int file, const struct heaps_totals *totals)
{
    struct line line = {.length = 0};
    const struct knoll_stats *stats = &totals->stats;
    line_text(&line, "knoll " KNOLL_VERSION ", process ");
    line_number(&line, (uint64_t)getpid(), 0);
    line_end(&line, file);
    print_total(file, "bytes used", stats->used_bytes + totals->mapped_bytes);
    print_total(file, "bytes used at most", stats->peak_used_bytes);
    print_total(file, "bytes in threads' caches", totals->cached_bytes);
    print_total(file, "bytes reserved", totals->reserved_bytes);
    print_total(file, "spans", stats->regions);
    print_total(file, "allocations", stats->allocations);
    print_total(file, "frees", stats->frees);
    print_total(file, "large runs", stats->large_blocks);
    print_total(file, "their bytes", stats->large_bytes);
    print_total(file, "mapped blocks", totals->mapped_blocks);
    print_total(file, "their bytes", totals->mapped_bytes);
    line_text(&line, "     block       slabs      blocks        used      bytes used");
    line_end(&line, file);
    for (size_t i = 0; i < stats->class_count; i++)
        if (stats->size_class[i].slabs != 0)
            print_class(file, &stats->size_class[i]);
}
