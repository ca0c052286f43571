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

other:                      /* all harts start at once; one is enough */
    wfi
    j other

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
