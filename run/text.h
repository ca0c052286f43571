/* Text put together in a buffer and written a line at a time through a function: what the reports need, with no C
 * library.
 *
 * SPDX-License-Identifier: MIT */
#ifndef RUN_TEXT_H
#define RUN_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
    void (*write)(const char *characters, size_t length);
    bool colour; /* whether text_background does anything */
    size_t length;
    char buffer[128];
};

void text_open(struct text *text, void (*write)(const char *, size_t), bool colour);

void text_character(struct text *text, char character);
void text_string(struct text *text, const char *string);
void text_number(struct text *text, size_t number);        /* with commas: 16,777,216 */
void text_bytes(struct text *text, size_t bytes);          /* in the greatest unit that divides it: 16 MiB */
void text_address(struct text *text, const void *address); /* in hexadecimal */

/* In a column of this width, to its left or right edge. What is wider than the column pushes the rest aside. */
void text_left(struct text *text, const char *string, size_t width);
void text_right(struct text *text, const char *string, size_t width);
void text_right_number(struct text *text, size_t number, size_t width);

/* Black on this colour of the 256 that terminals know, and back to the terminal's own. */
void text_background(struct text *text, unsigned colour);
void text_plain(struct text *text);

/* Ends the line and hands over what is in the buffer; or the latter alone. */
void text_end_line(struct text *text);
void text_flush(struct text *text);

bool same_string(const char *one, const char *other);

#endif
