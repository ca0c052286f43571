/* Start and exceptions in EL1. The MMU stays off: all memory is device memory, so unaligned access is not for us.
 *
 * SPDX-License-Identifier: MIT */
    .section .start, "ax"
    .globl start
start:
    adr x1, vectors
    msr vbar_el1, x1
    isb
    ldr x1, =stack_top
    mov sp, x1
    bl platform_start       /* x0 is what the boot loader left there */

/* Never returns, so the stack may be begun anew: it is what may have failed. */
exception:
    ldr x1, =stack_top
    mov sp, x1
    mrs x0, esr_el1
    mrs x1, elr_el1
    mrs x2, far_el1
    bl target_exception

    .balign 2048
vectors:
    .rept 16
    b exception
    .balign 128
    .endr

    .text
    .globl semihosting_call
semihosting_call:
    hlt #0xf000
    ret
