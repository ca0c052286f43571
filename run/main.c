/* knoll-run: puts Lua and SQLite on a knoll heap, one after the other, each in a region of fixed size; compares what
 * they compute with what is known, and shows what the heap did. Nothing that they allocate comes from elsewhere.
 *
 * The exit status: 0 if all was right; 1 if a client failed, for want of memory or otherwise; 2 for wrong arguments;
 * 3 if the heap did wrong.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client.h"
#include "host.h"

#ifndef RUN_DIRECTORY
#error "RUN_DIRECTORY must be the directory of the scripts and the expected answers"
#endif

enum { REGION = 12 << 20 };

static const struct client *const clients[] = {&client_lua, &client_sqlite};

static const char usage[] =
    "usage: knoll-run [options]\n"
    "Runs Lua and SQLite, each in a region of fixed size with knoll as its only allocator.\n"
    "  --region SIZE[K|M|G]          the region's size; 12M\n"
    "  --program lua|sqlite|all      what to run; all\n"
    "  --load small|full             how much to do; full\n"
    "  --colour auto|always|never    colours in the map; auto: on a terminal, unless NO_COLOR is set\n"
    "  --record FILE                 write a trace of one program's allocations, for knoll-replay\n"
    "Exit status: 0 all right, 1 a program failed (out of memory), 2 wrong arguments, 3 the heap did wrong.";

struct run {
    const struct options *options;
    void *region;
    struct text *text;
    struct client_heap heap;
};

static void print_line(struct text *text, const char *indent, const char *one, const char *other)
{
    text_string(text, indent);
    text_string(text, one);
    text_string(text, other);
    text_end_line(text);
}

/* ---- One script ---- */

/* A line of an answer ends as it was printed; here in the middle of one. */
static void print_quoted(struct text *text, const char *line)
{
    text_character(text, '"');
    for (; *line != '\0' && *line != '\n'; line++) {
        text_character(text, *line);
    }
    text_character(text, '"');
}

static void print_wrong_line(struct text *text, const struct answers *answers)
{
    text_string(text, "WRONG: line ");
    text_number(text, answers->line);
    text_string(text, " is ");
    print_quoted(text, answers->printed);
    text_string(text, " instead of ");
    print_quoted(text, answers->expects);
    text_end_line(text);
}

static bool run_script(const struct run *run, const struct client *client, const char *script)
{
    char path[1024];
    char answer_path[1024];
    struct answers answers;
    const char *load = run->options->small ? "small" : "full";
    snprintf(path, sizeof(path), RUN_DIRECTORY "/%s/%s%s", client->name, script, client->extension);
    snprintf(answer_path, sizeof(answer_path), RUN_DIRECTORY "/expected/%s/%s.txt", load, script);
    text_string(run->text, "  ");
    text_left(run->text, script, 10);
    if (!answers_open(&answers, answer_path)) {
        print_line(run->text, "", "cannot read ", answer_path);
        return false;
    }

    text_flush(run->text); /* the script's name, before it runs */
    clock_t before = clock();
    const char *problem = client->run(path, &answers);
    clock_t after = clock();
    bool right = answers_close(&answers);
    if (problem != NULL) {
        print_line(run->text, "", problem, "");
    } else if (!right) {
        print_wrong_line(run->text, &answers);
    } else {
        text_string(run->text, "right");
        text_right_number(run->text, (size_t)((after - before) / (CLOCKS_PER_SEC / 1000)), 8);
        print_line(run->text, "", " ms", "");
    }
    return problem == NULL && right;
}

/* ---- One client ---- */

static bool run_scripts(struct run *run, const struct client *client)
{
    const char *problem = client->start(&run->heap, run->options->small ? 1 : 10);
    bool right = problem == NULL;
    if (!right) {
        text_string(run->text, "  ");
        text_left(run->text, "start", 10);
        print_line(run->text, "", problem, "");
    }
    for (const char *const *script = client->scripts; right && *script != NULL; script++) {
        right = run_script(run, client, *script);
    }
    client->stop();
    return right;
}

/* Returns an exit status. */
static int run_client(struct run *run, const struct client *client)
{
    struct text *text = run->text;
    text_string(text, client->title);
    text_string(text, " on knoll " KNOLL_VERSION " (");
    text_string(text, knoll_profile());
    text_string(text, "), a region of ");
    text_bytes(text, run->options->region);
    text_end_line(text);

    int error = knoll_init(&run->heap.heap, run->region, run->options->region);
    if (error != KNOLL_OK) {
        print_line(text, "  ", "no heap: ", knoll_strerror(error));
        return 1;
    }
    knoll_set_fault_handler(&run->heap.heap, host_fault);
    snapshot_take(&run->heap.peak, &run->heap.heap);
    bool right = run_scripts(run, client);
    bool whole = report_heap(text, &run->heap.heap, &run->heap.peak);
    return whole ? !right : 3;
}

static int run_clients(struct run *run)
{
    int worst = 0;
    for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
        if (same_string(run->options->program, "all") || same_string(run->options->program, clients[i]->name)) {
            int status = run_client(run, clients[i]);
            worst = status > worst ? status : worst;
            text_end_line(run->text);
        }
    }
    return worst;
}

int main(int count, char *words[])
{
    static struct run run;
    static struct recorder recorder;
    struct text out;
    struct text errors;
    struct options options = {.region = REGION, .program = "all"};
    unsigned accepted = OPTION_REGION | OPTION_PROGRAM | OPTION_COLOUR | OPTION_LOAD | OPTION_RECORD | OPTION_HELP;
    host_errors(&errors);
    text_string(&errors, "knoll-run: ");
    if (!options_parse(&options, accepted, count > 0 ? (size_t)count - 1 : 0, words + 1, &errors)) {
        return 2;
    }
    if (options.record != NULL && same_string(options.program, "all")) {
        print_line(&errors, "", "--record wants --program lua or --program sqlite", "");
        return 2;
    }
    host_output(&out, options.colour);
    if (options.help) {
        print_line(&out, "", usage, "");
        return 0;
    }
    run = (struct run){.options = &options, .region = host_region(options.region), .text = &out};
    if (run.region == NULL) {
        print_line(&errors, "", "there is no memory for such a region", "");
        return 1;
    }
    if (options.record != NULL) {
        run.heap.recorder = &recorder;
        if (!record_begin(&recorder, options.record, run.region, options.region)) {
            print_line(&errors, "", "cannot write ", options.record);
            return 1;
        }
    }
    int status = run_clients(&run);
    if (options.record != NULL && !record_end(&recorder)) {
        print_line(&errors, "", "cannot write ", options.record);
        return 1;
    }
    return status;
}
