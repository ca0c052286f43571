/* Numbers are formatted from their last digit backwards into a small array, whose length is then known before anything
 * is written; so columns need no second pass. The buffer goes out when it is full as well as at the end of a line, so
 * that no line is too long.
 *
 * SPDX-License-Identifier: MIT */
#include "text.h"

#include <stdint.h>

enum { DIGITS = 32 }; /* 20 digits of 64 bits, 6 commas and the end fit */

static size_t length_of(const char *string)
{
    size_t length = 0;
    while (string[length] != '\0') {
        length++;
    }
    return length;
}

void text_flush(struct text *text)
{
    text->write(text->buffer, text->length);
    text->length = 0;
}

void text_open(struct text *text, void (*write)(const char *, size_t), bool colour)
{
    text->write = write;
    text->colour = colour;
    text->length = 0;
}

void text_character(struct text *text, char character)
{
    if (text->length == sizeof(text->buffer)) {
        text_flush(text);
    }
    text->buffer[text->length++] = character;
}

void text_string(struct text *text, const char *string)
{
    for (; *string != '\0'; string++) {
        text_character(text, *string);
    }
}

/* Writes the number into the end of the array and returns where it begins. */
static const char *decimal(size_t number, char digits[static DIGITS])
{
    char *first = digits + DIGITS;
    *--first = '\0';
    for (unsigned place = 0; place == 0 || number != 0; place++) {
        if (place != 0 && place % 3 == 0) {
            *--first = ',';
        }
        *--first = (char)('0' + number % 10);
        number /= 10;
    }
    return first;
}

void text_number(struct text *text, size_t number)
{
    char digits[DIGITS];
    text_string(text, decimal(number, digits));
}

void text_bytes(struct text *text, size_t bytes)
{
    static const char *const units[] = {" bytes", " KiB", " MiB", " GiB"};
    unsigned unit = 0;
    while (unit < 3 && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    text_number(text, bytes);
    text_string(text, bytes == 1 && unit == 0 ? " byte" : units[unit]);
}

void text_address(struct text *text, const void *address)
{
    uintptr_t bits = (uintptr_t)address;
    text_string(text, "0x");
    for (unsigned shift = sizeof(bits) * 8; shift != 0; shift -= 4) {
        text_character(text, "0123456789abcdef"[bits >> (shift - 4) & 15]);
    }
}

static void spaces(struct text *text, size_t length, size_t width)
{
    for (; length < width; length++) {
        text_character(text, ' ');
    }
}

void text_left(struct text *text, const char *string, size_t width)
{
    text_string(text, string);
    spaces(text, length_of(string), width);
}

void text_right(struct text *text, const char *string, size_t width)
{
    spaces(text, length_of(string), width);
    text_string(text, string);
}

void text_right_number(struct text *text, size_t number, size_t width)
{
    char digits[DIGITS];
    text_right(text, decimal(number, digits), width);
}

void text_background(struct text *text, unsigned colour)
{
    if (text->colour) {
        text_string(text, "\033[30;48;5;");
        text_number(text, colour); /* below 256, so without a comma */
        text_character(text, 'm');
    }
}

void text_plain(struct text *text)
{
    if (text->colour) {
        text_string(text, "\033[0m");
    }
}

void text_end_line(struct text *text)
{
    text_character(text, '\n');
    text_flush(text);
}

bool same_string(const char *one, const char *other)
{
    while (*one != '\0' && *one == *other) {
        one++;
        other++;
    }
    return *one == *other;
}
