/* One heap under many processors: how fast it is with the threads that there are, how it would be with up to 256
 * processors, and for how long its lock is held. Prints lines of CSV.
 *
 * usage: knoll-cpus threads
 *        qemu-x86_64 -plugin libknoll-count.so,counter=FILE knoll-cpus simulate|holding FILE
 *
 * SPDX-License-Identifier: MIT */
#include "cpus.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct knoll_cpus cpus;
struct knoll_cpu processor[KNOLL_CPUS + 1];
static void *memory;
static size_t memory_size;

_Noreturn void fail(const char *what)
{
    fprintf(stderr, "knoll-cpus: %s\n", what);
    exit(1);
}

static void fault(struct knoll_heap *heap, enum knoll_fault fault, const void *address)
{
    (void)heap;
    (void)address;
    fail(knoll_fault_name(fault));
}

void make_heap(size_t size, unsigned count, knoll_cpu_lock lock, knoll_cpu_lock unlock, void *context)
{
    if (memory != NULL)
        munmap(memory, memory_size);
    memory_size = size;
    memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED || knoll_cpus_init(&cpus, memory, size, lock, unlock, context) != KNOLL_OK)
        fail("no memory for the heap");
    knoll_set_fault_handler(&cpus.heap, fault);
    for (unsigned i = 1; i <= count; i++)
        if (!knoll_cpu_start(&processor[i], &cpus, i))
            fail("a processor does not start");
}

void report(unsigned processors, const char *load, const char *measure, double value)
{
    printf("%u,knoll-%s,%s,%s,%.6g\n", processors, knoll_profile(), load, measure, value);
    fflush(stdout);
}

static const volatile uint64_t *map_counter(const char *path)
{
    int file = open(path, O_RDWR | O_CLOEXEC);
    struct counter *counter = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file < 0 || counter == MAP_FAILED)
        fail("the counter cannot be read; tools/bench-cpus runs this program");
    close(file);
    return &counter->instructions;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "threads") == 0)
        measure_threads();
    else if (argc == 3 && strcmp(argv[1], "simulate") == 0)
        simulate(map_counter(argv[2]));
    else if (argc == 3 && strcmp(argv[1], "holding") == 0)
        measure_holding(map_counter(argv[2]));
    else
        fail("usage: knoll-cpus threads | simulate COUNTER | holding COUNTER");
    return 0;
}
