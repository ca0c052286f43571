/* knoll-replay: plays a trace from a file, as the image does on bare metal.
 *
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "host.h"
#include "replay.h"

enum { REGION = 2 << 20 };

static int fail(struct text *errors, const char *problem, const char *what, int status)
{
    text_string(errors, "knoll-replay: ");
    text_string(errors, problem);
    text_string(errors, what);
    text_end_line(errors);
    return status;
}

static int replay_file(const struct options *options, struct text *out, struct text *errors)
{
    size_t size = 0;
    struct trace trace;
    char *bytes = host_read_file(options->trace, &size);
    if (bytes == NULL) {
        return fail(errors, "cannot read ", options->trace, 1);
    }
    int status;
    struct replay_slot *slots = NULL;
    void *region = host_region(options->region);
    if (!trace_open(&trace, bytes, size)) {
        status = fail(errors, "no trace: ", options->trace, 1);
    } else if (region == NULL || (slots = calloc((size_t)trace.slots + 1, sizeof(*slots))) == NULL) {
        status = fail(errors, "there is no memory for such a region", "", 1);
    } else {
        status = replay(options->trace, trace, slots, region, options->region, host_fault, out);
    }
    free(slots);
    free(region);
    free(bytes);
    return status;
}

int main(int count, char *words[])
{
    struct text out;
    struct text errors;
    struct options options = {.region = REGION};
    host_errors(&errors);
    text_string(&errors, "knoll-replay: ");
    size_t given = count > 0 ? (size_t)count - 1 : 0;
    unsigned accepted = OPTION_REGION | OPTION_COLOUR | OPTION_HELP | OPTION_TRACE;
    if (!options_parse(&options, accepted, given, words + 1, &errors)) {
        return 2;
    }
    host_errors(&errors);
    if (!options.help && options.trace == NULL) {
        return fail(&errors, "which trace? usage: knoll-replay [--region SIZE] [--colour WHEN] TRACE", "", 2);
    }
    host_output(&out, options.colour);
    if (options.help) {
        text_string(&out, "usage: knoll-replay [--region SIZE[K|M|G]] [--colour auto|always|never] TRACE\n"
                          "Plays a trace that knoll-run --record wrote, on a knoll heap of that size (2M).");
        text_end_line(&out);
        return 0;
    }
    return replay_file(&options, &out, &errors);
}
