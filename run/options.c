/* One table says which options there are, and one function per kind of value understands it. A value may follow as the
 * next word or after "=".
 *
 * SPDX-License-Identifier: MIT */
#include "options.h"

#include <stdint.h>

static bool set_region(struct options *options, const char *value)
{
    size_t size = 0;
    const char *at = value;
    for (; *at >= '0' && *at <= '9'; at++) {
        size_t digit = (size_t)(*at - '0');
        if (size > (SIZE_MAX - digit) / 10) {
            return false;
        }
        size = size * 10 + digit;
    }
    unsigned shift = *at == 'K' ? 10 : *at == 'M' ? 20 : *at == 'G' ? 30 : 0;
    if (at == value || at[shift != 0] != '\0' || size > SIZE_MAX >> shift) {
        return false;
    }
    options->region = size << shift;
    return true;
}

static bool set_program(struct options *options, const char *value)
{
    options->program = value;
    return same_string(value, "lua") || same_string(value, "sqlite") || same_string(value, "all");
}

static bool set_colour(struct options *options, const char *value)
{
    options->colour = same_string(value, "always")  ? COLOUR_ALWAYS
                      : same_string(value, "never") ? COLOUR_NEVER
                                                    : COLOUR_AUTO;
    return options->colour != COLOUR_AUTO || same_string(value, "auto");
}

static bool set_load(struct options *options, const char *value)
{
    options->small = same_string(value, "small");
    return options->small || same_string(value, "full");
}

static bool set_record(struct options *options, const char *value)
{
    options->record = value;
    return *value != '\0';
}

static const struct description {
    enum option option;
    const char *name;
    bool (*set)(struct options *options, const char *value);
    const char *values;
} descriptions[] = {
    {OPTION_REGION, "--region", set_region, "a number of bytes, or one with K, M or G after it"},
    {OPTION_PROGRAM, "--program", set_program, "lua, sqlite or all"},
    {OPTION_COLOUR, "--colour", set_colour, "auto, always or never"},
    {OPTION_LOAD, "--load", set_load, "small or full"},
    {OPTION_RECORD, "--record", set_record, "the name of a file"},
};

/* Returns what follows the name in the word: "" or "=value"; NULL if the word does not begin with the name. */
static const char *after_name(const char *word, const char *name)
{
    while (*name != '\0' && *word == *name) {
        word++;
        name++;
    }
    return *name == '\0' && (*word == '\0' || *word == '=') ? word : NULL;
}

static bool complain(struct text *errors, const char *word, const char *problem, const char *values)
{
    text_string(errors, word);
    text_string(errors, problem);
    text_string(errors, values);
    text_end_line(errors);
    return false;
}

bool options_parse(struct options *options, unsigned accepted, size_t count, char *const words[], struct text *errors)
{
    for (size_t i = 0; i < count; i++) {
        const char *word = words[i];
        if ((accepted & OPTION_HELP) != 0 && same_string(word, "--help")) {
            options->help = true;
            continue;
        }
        if ((accepted & OPTION_TRACE) != 0 && word[0] != '-' && options->trace == NULL) {
            options->trace = word;
            continue;
        }
        const struct description *found = NULL;
        const char *value = NULL;
        for (size_t j = 0; found == NULL && j < sizeof(descriptions) / sizeof(descriptions[0]); j++) {
            value = after_name(word, descriptions[j].name);
            if (value != NULL && (descriptions[j].option & accepted) != 0) {
                found = &descriptions[j];
            }
        }
        if (found == NULL) {
            return complain(errors, word, ": unknown argument", "");
        }
        if (*value == '=') {
            value++;
        } else if (++i < count) {
            value = words[i];
        } else {
            return complain(errors, found->name, " wants ", found->values);
        }
        if (!found->set(options, value)) {
            return complain(errors, found->name, " wants ", found->values);
        }
    }
    return true;
}
