/* The part of QEMU's plugin interface, version 1, that the counting plugin uses. Debian packages the interface but not
 * its header, so it is declared here, from its documentation (QEMU 7.2, docs/devel/tcg-plugins.rst).
 *
 * SPDX-License-Identifier: MIT */
#ifndef WORST_QEMU_PLUGIN_H
#define WORST_QEMU_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#define QEMU_PLUGIN_VERSION    1
#define QEMU_PLUGIN_ADD_U64    0 /* enum qemu_plugin_op: *ptr += imm, done by the translated code itself */
#define QEMU_PLUGIN_CB_NO_REGS 0 /* enum qemu_plugin_cb_flags: the callback looks at no register */

struct qemu_plugin_tb;   /* instructions that are translated together */
struct qemu_plugin_insn; /* one of them */
struct qemu_info_t;

typedef void qemu_plugin_translated(uint64_t id, struct qemu_plugin_tb *tb);
typedef void qemu_plugin_executed(unsigned cpu, void *data);

/* What a plugin defines. */
extern __attribute__((visibility("default"))) int qemu_plugin_version;
__attribute__((visibility("default"))) int qemu_plugin_install(uint64_t id, const struct qemu_info_t *info, int argc,
                                                               char **argv);

/* What QEMU defines. */
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, qemu_plugin_translated *callback);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op, void *ptr, uint64_t imm);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, qemu_plugin_executed *callback, int flags,
                                            void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);

#endif
