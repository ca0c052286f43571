/* The map is drawn by knoll_walk: each item adds its bytes to the cells that it lies in, whole or in part, under what
 * it is. A cell then shows whatever most of it is. Slabs are shaded by how much of their memory callers hold: light
 * ones are memory that is neither in use nor free for blocks of other sizes, so on a terminal the shades run from red
 * to green.
 *
 * SPDX-License-Identifier: MIT */
#include "map.h"

enum { CELL_STEP = 512 }; /* cells are multiples of this, so that small regions have fewer */

struct drawing {
    struct map *map;
    size_t origin;      /* where the region begins on the map */
    size_t next_origin; /* where the next one will */
    uintptr_t start;    /* the region's address */
    bool in_slab;       /* whether the blocks that follow are a slab's */
};

static void add(const struct drawing *drawing, const struct knoll_item *item, enum map_content content)
{
    struct map *map = drawing->map;
    size_t from = drawing->origin + ((uintptr_t)item->start - drawing->start);
    size_t to = from + item->size;
    while (from < to) {
        size_t cell = from / map->cell_bytes;
        size_t end = (cell + 1) * map->cell_bytes;
        end = end < to ? end : to;
        map->cell[cell][content] += end - from;
        from = end;
    }
}

static int draw_item(void *context, const struct knoll_item *item)
{
    struct drawing *drawing = context;
    switch (item->kind) {
    case KNOLL_ITEM_REGION:
        drawing->start = (uintptr_t)item->start;
        drawing->origin = drawing->next_origin;
        drawing->next_origin += item->size;
        break;
    case KNOLL_ITEM_TABLES:
        add(drawing, item, MAP_TABLES);
        break;
    case KNOLL_ITEM_FREE:
        add(drawing, item, MAP_FREE);
        break;
    case KNOLL_ITEM_SLAB:
        add(drawing, item, MAP_SLABS);
        drawing->in_slab = true;
        break;
    case KNOLL_ITEM_LARGE:
        add(drawing, item, MAP_LARGE);
        drawing->in_slab = false;
        break;
    case KNOLL_ITEM_BLOCK:
        if (drawing->in_slab) {
            add(drawing, item, MAP_HELD);
        }
        break;
    }
    return 0;
}

void map_draw(struct map *map, const struct knoll_heap *heap, size_t bytes)
{
    size_t step = (size_t)MAP_CELLS * CELL_STEP;
    map->cell_bytes = (bytes / step + (bytes % step != 0)) * CELL_STEP;
    map->cells = bytes / map->cell_bytes + (bytes % map->cell_bytes != 0);
    for (size_t i = 0; i < map->cells; i++) {
        for (unsigned content = 0; content < MAP_CONTENTS; content++) {
            map->cell[i][content] = 0;
        }
    }
    struct drawing drawing = {.map = map};
    knoll_walk(heap, draw_item, &drawing);
}

/* ---- Printing ---- */

static const char shades[] = "_:+*#"; /* of slabs, by fifths in use */

static char character_of(const size_t cell[static MAP_CONTENTS])
{
    enum map_content most = MAP_FREE;
    for (enum map_content content = MAP_TABLES; content <= MAP_SLABS; content++) {
        if (cell[content] >= cell[most]) {
            most = content;
        }
    }
    if (most == MAP_SLABS) {
        size_t fifths = cell[MAP_HELD] / (cell[MAP_SLABS] / 5);
        return shades[fifths < 4 ? fifths : 4];
    }
    return ".T="[most];
}

static unsigned colour_of(char character)
{
    static const unsigned char of_shade[] = {160, 172, 184, 112, 34};
    unsigned shade = 0;
    while (shade < 4 && shades[shade] != character) {
        shade++;
    }
    return character == 'T' ? 176 : character == '=' ? 75 : of_shade[shade];
}

/* Prints these characters, each in its colour. */
static void print_coloured(struct text *text, const char *characters)
{
    char colour_now = '.'; /* that character's: free memory is plain */
    for (; *characters != '\0'; characters++) {
        if (*characters != colour_now) {
            if (*characters == '.') {
                text_plain(text);
            } else {
                text_background(text, colour_of(*characters));
            }
            colour_now = *characters;
        }
        text_character(text, *characters);
    }
    if (colour_now != '.') {
        text_plain(text);
    }
}

/* Gives a row's characters as a string. Returns where the next row begins. */
static size_t row_of(const struct map *map, size_t first, char row[static MAP_COLUMNS + 1])
{
    size_t i = first;
    for (; i < map->cells && i < first + MAP_COLUMNS; i++) {
        row[i - first] = character_of(map->cell[i]);
    }
    row[i - first] = '\0';
    return i;
}

void map_print(const struct map *map, struct text *text)
{
    char row[MAP_COLUMNS + 1];
    char next_row[MAP_COLUMNS + 1];
    for (size_t first = 0, next; first < map->cells; first = next) {
        next = row_of(map, first, row);
        text_right_number(text, first * map->cell_bytes / 1024, 9);
        text_string(text, "K  ");
        print_coloured(text, row);
        text_end_line(text);

        size_t alike = 0;
        for (size_t after; next < map->cells; next = after, alike++) {
            after = row_of(map, next, next_row);
            if (!same_string(row, next_row)) {
                break;
            }
        }
        if (alike != 0) {
            text_string(text, "            and ");
            text_number(text, alike);
            text_string(text, alike == 1 ? " more row like this" : " more rows like this");
            text_end_line(text);
        }
    }
}

void map_print_legend(struct text *text)
{
    text_string(text, "  ");
    print_coloured(text, "T");
    text_string(text, " tables   . free   ");
    print_coloured(text, "=");
    text_string(text, " large runs   ");
    print_coloured(text, shades);
    text_string(text, " slabs, from empty to full");
    text_end_line(text);
}
