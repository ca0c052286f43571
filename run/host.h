/* What the programs need of an operating system, and no heap does.
 *
 * SPDX-License-Identifier: MIT */
#ifndef RUN_HOST_H
#define RUN_HOST_H

#include "knoll.h"
#include "options.h"
#include "text.h"

/* Texts to standard output and standard error. The first has colours if the option says so: COLOUR_AUTO means if it is
 * a terminal and NO_COLOR is not set. */
void host_output(struct text *text, enum colour colour);
void host_errors(struct text *text);

/* Memory that is aligned to pages and at least `size` bytes, never given back; NULL if there is none. */
void *host_region(size_t size);

/* A whole file, ending in a null byte that *size does not count; NULL if it cannot be read. To be freed with free(). */
char *host_read_file(const char *path, size_t *size);

/* A fault handler: reports on standard error and ends the program with status 3. */
void host_fault(struct knoll_heap *heap, enum knoll_fault fault, const void *address);

#endif
