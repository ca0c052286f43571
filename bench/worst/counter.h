/* What the plugin and the program under QEMU share: a file that both have mapped. All of the machines are little-endian
 * and align these members alike.
 *
 * SPDX-License-Identifier: MIT */
#ifndef WORST_COUNTER_H
#define WORST_COUNTER_H

#include <stdint.h>

#define COUNTER_TRACE 65536u /* a power of two; no call that is traced is longer */

struct counter {
    uint64_t instructions;           /* executed so far */
    uint64_t address[COUNTER_TRACE]; /* of instruction i at i % COUNTER_TRACE, if the plugin traces */
};

#endif
