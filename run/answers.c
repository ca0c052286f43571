/* The first line that differs is kept beside the line that was expected, and nothing is compared after it.
 *
 * SPDX-License-Identifier: MIT */
#include "answers.h"

#include <string.h>

bool answers_open(struct answers *answers, const char *path)
{
    *answers = (struct answers){.expected = fopen(path, "r")};
    return answers->expected != NULL;
}

static void compare(struct answers *answers)
{
    answers->printed[answers->length] = '\0';
    answers->line++;
    answers->length = 0;
    if (fgets(answers->expects, ANSWERS_LINE, answers->expected) == NULL) {
        answers->expects[0] = '\0';
    }
    answers->wrong = strcmp(answers->printed, answers->expects) != 0;
}

void answers_add(struct answers *answers, const char *characters, size_t length)
{
    for (size_t i = 0; i < length && !answers->wrong; i++) {
        answers->printed[answers->length++] = characters[i];
        if (characters[i] == '\n' || answers->length == ANSWERS_LINE - 1) {
            compare(answers);
        }
    }
}

bool answers_close(struct answers *answers)
{
    int next = getc(answers->expected);
    ungetc(next, answers->expected); /* does nothing at the end of the file */
    if (!answers->wrong && (answers->length != 0 || next != EOF)) {
        compare(answers);
    }
    fclose(answers->expected);
    return !answers->wrong;
}
