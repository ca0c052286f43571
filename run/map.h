/* A picture of a heap's regions: one character for each of up to a thousand pieces of equal size.
 *
 * SPDX-License-Identifier: MIT */
#ifndef RUN_MAP_H
#define RUN_MAP_H

#include "knoll.h"
#include "text.h"

enum { MAP_COLUMNS = 64, MAP_ROWS = 16, MAP_CELLS = MAP_COLUMNS * MAP_ROWS };

/* What the bytes of a cell are. MAP_HELD counts those in slabs that are in blocks which callers hold: a part of
 * MAP_SLABS. */
enum map_content { MAP_FREE, MAP_TABLES, MAP_LARGE, MAP_SLABS, MAP_HELD, MAP_CONTENTS };

struct map {
    size_t cell_bytes;
    size_t cells;
    size_t cell[MAP_CELLS][MAP_CONTENTS];
};

/* Draws the heap, whose regions are of so many bytes together. O(units + blocks). */
void map_draw(struct map *map, const struct knoll_heap *heap, size_t bytes);

/* Rows that are all alike are shown once. */
void map_print(const struct map *map, struct text *text);
void map_print_legend(struct text *text);

#endif
