/* All numbers come from knoll_get_stats, at two moments side by side: near the peak, where one sees what the memory
 * went into, and now, when the client has gone and everything should be as it was in the beginning.
 *
 * SPDX-License-Identifier: MIT */
#include "report.h"

void snapshot_take(struct snapshot *snapshot, const struct knoll_heap *heap)
{
    knoll_get_stats(heap, &snapshot->stats);
    map_draw(&snapshot->map, heap, snapshot->stats.total_bytes + snapshot->stats.table_bytes);
}

static size_t percent(size_t part, size_t whole)
{
    if (whole == 0) {
        return 0;
    }
    return part <= SIZE_MAX / 100 ? part * 100 / whole : part / (whole / 100);
}

/* ---- Classes ---- */

static void print_class(struct text *text, const struct knoll_class_stats *class)
{
    text_right_number(text, class->slabs, 10);
    text_right_number(text, class->total_blocks, 9);
    text_right_number(text, class->used_blocks, 9);
}

static void print_percentage(struct text *text, const struct knoll_class_stats *class)
{
    text_right_number(text, percent(class->used_blocks, class->total_blocks), 5);
    text_character(text, '%');
}

static void print_classes(struct text *text, const struct knoll_stats *peak, const struct knoll_stats *now)
{
    text_string(text, "         ------------ near the peak ----------  ------- at the end --------");
    text_end_line(text);
    text_string(text, "  block     slabs   blocks     used   full     slabs   blocks     used");
    text_end_line(text);
    for (size_t i = 0; i < peak->class_count; i++) {
        if (peak->size_class[i].slabs == 0 && now->size_class[i].slabs == 0) {
            continue;
        }
        text_right_number(text, peak->size_class[i].block_size, 7);
        print_class(text, &peak->size_class[i]);
        print_percentage(text, &peak->size_class[i]);
        print_class(text, &now->size_class[i]);
        text_end_line(text);
    }
}

/* ---- Totals ---- */

static void print_total(struct text *text, const char *name, size_t peak, size_t now)
{
    text_string(text, "  ");
    text_left(text, name, 24);
    text_right_number(text, peak, 15);
    text_right_number(text, now, 15);
    text_end_line(text);
}

static void print_totals(struct text *text, const struct knoll_stats *peak, const struct knoll_stats *now)
{
    text_left(text, "  bytes", 26);
    text_right(text, "near the peak", 15);
    text_right(text, "at the end", 15);
    text_end_line(text);
    print_total(text, "used", peak->used_bytes, now->used_bytes);
    print_total(text, "  of that in large runs", peak->large_bytes, now->large_bytes);
    print_total(text, "available", peak->available_bytes, now->available_bytes);
    print_total(text, "tables", peak->table_bytes, now->table_bytes);
    print_total(text, "largest block to be had", peak->largest_block, now->largest_block);
    text_string(text, "  blocks");
    text_end_line(text);
    print_total(text, "large runs", peak->large_blocks, now->large_blocks);
    print_total(text, "allocations", peak->allocations, now->allocations);
    print_total(text, "frees", peak->frees, now->frees);
    print_total(text, "failures", peak->failures, now->failures);
    text_string(text, "  the peak was ");
    text_number(text, now->peak_used_bytes);
    text_string(text, " bytes, ");
    text_number(text, percent(now->peak_used_bytes, now->total_bytes));
    text_string(text, "% of what there is");
    text_end_line(text);
}

/* ---- Maps ---- */

static void print_maps(struct text *text, const struct map *peak, const struct map *now)
{
    text_string(text, "  The region near the peak, ");
    text_bytes(text, peak->cell_bytes);
    text_string(text, " a character:");
    text_end_line(text);
    map_print(peak, text);
    text_string(text, "  At the end:");
    text_end_line(text);
    map_print(now, text);
    map_print_legend(text);
}

/* ---- The verdict ---- */

static bool print_verdict(struct text *text, const struct knoll_heap *heap)
{
    size_t used = knoll_used_bytes(heap);
    int broken = knoll_check(heap);
    text_string(text, "  After shutdown: used bytes ");
    text_number(text, used);
    text_string(text, used == 0 ? " (all was freed)" : " (NOT ALL WAS FREED)");
    text_string(text, ", knoll_check ");
    text_number(text, (size_t)broken);
    text_string(text, broken == 0 ? " (the heap is sound)." : " (THE HEAP IS BROKEN): ");
    if (broken != 0) {
        text_string(text, knoll_invariant(broken));
    }
    text_end_line(text);
    return used == 0 && broken == 0;
}

bool report_heap(struct text *text, const struct knoll_heap *heap, const struct snapshot *peak)
{
    static struct snapshot now; /* too large for a small board's stack */
    snapshot_take(&now, heap);
    text_end_line(text);
    print_classes(text, &peak->stats, &now.stats);
    text_end_line(text);
    print_totals(text, &peak->stats, &now.stats);
    text_end_line(text);
    print_maps(text, &peak->map, &now.map);
    text_end_line(text);
    return print_verdict(text, heap);
}

void report_fault(struct text *text, enum knoll_fault fault, const void *address)
{
    text_string(text, "FAULT: ");
    text_string(text, knoll_fault_name((int)fault));
    text_string(text, " at ");
    text_address(text, address);
    text_end_line(text);
}
