/* Start and exceptions in machine mode, where this processor starts.
 *
 * SPDX-License-Identifier: MIT */
    .section .start, "ax"
    .globl start
start:
    csrr t0, mhartid
    bnez t0, other
    la t0, exception
    csrw mtvec, t0
    la sp, stack_top
    mv a0, a1               /* the device tree */
    call platform_start

other:                      /* all harts start at once; the others wait for a software interrupt, which never traps */
    csrwi mie, 8
1:  wfi
    csrr t0, mip
    andi t0, t0, 8
    beqz t0, 1b
    fence
    la t0, hart_entry
    ld t0, (t0)
    jr t0

    .data
    .globl hart_entry
    .balign 8
hart_entry:                 /* where they go then */
    .dword 0
    .section .start, "ax"

/* Never returns, so the stack may be begun anew: it is what may have failed. */
    .balign 4
exception:
    la sp, stack_top
    csrr a0, mcause
    csrr a1, mepc
    csrr a2, mtval
    call target_exception

/* These three instructions, uncompressed and in one page, are the call. */
    .text
    .globl semihosting_call
    .balign 16
semihosting_call:
    .option push
    .option norvc
    slli zero, zero, 0x1f
    ebreak
    srai zero, zero, 7
    .option pop
    ret
