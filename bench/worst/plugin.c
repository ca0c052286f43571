/* A plugin for QEMU's user emulation that counts instructions exactly. Each instruction of the program, as it is
 * translated, gets an addition of one to a counter in a file that the program has mapped too. So the program reads
 * the count as it reads any variable, before and after a call, and neither calls nor stops anything for it.
 *
 *     qemu-x86_64 -plugin libknoll-count.so,counter=PATH program PATH
 *
 * With trace=on each instruction's address is stored as well, at ten times the cost, to tell where a call spends them.
 *
 * SPDX-License-Identifier: MIT */
#include "counter.h"
#include "qemu_plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static struct counter *counter;
static bool traces;

static void note_address(unsigned cpu, void *address)
{
    (void)cpu; /* the programs have one thread */
    counter->address[counter->instructions++ % COUNTER_TRACE] = (uintptr_t)address;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        void *address = (void *)(uintptr_t)qemu_plugin_insn_vaddr(insn); /* a number that the callback gets back */
        if (traces)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, note_address, QEMU_PLUGIN_CB_NO_REGS, address);
        else
            qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_ADD_U64, &counter->instructions, 1);
    }
}

static void *map(const char *path)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, sizeof(struct counter)) != 0)
        return MAP_FAILED;
    void *mapped = mmap(NULL, sizeof(struct counter), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return mapped;
}

int qemu_plugin_install(uint64_t id, const struct qemu_info_t *info, int argc, char **argv)
{
    (void)info;
    const char *path = NULL;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "counter=", 8) == 0) {
            path = argv[i] + 8;
        } else if (strcmp(argv[i], "trace=on") == 0) {
            traces = true;
        } else {
            fprintf(stderr, "counting plugin: unknown argument \"%s\"; counter=PATH and trace=on are known\n", argv[i]);
            return -1;
        }
    }
    if (path == NULL) {
        fprintf(stderr, "counting plugin: counter=PATH is missing\n");
        return -1;
    }
    counter = map(path);
    if (counter == MAP_FAILED) {
        fprintf(stderr, "counting plugin: %s: %s\n", path, strerror(errno));
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
