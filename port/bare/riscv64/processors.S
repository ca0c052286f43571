/* Further harts, and interrupts in machine mode.
 *
 * SPDX-License-Identifier: MIT */
    .equ STACK, 16384       /* PROCESSOR_STACK */

/* sp = the top of this hart's stack; spoils t0 and t1. */
    .macro own_stack
    la sp, stack_top
    csrr t0, mhartid
    beqz t0, 1f
    la sp, processor_stacks
    li t1, STACK
    mul t1, t1, t0
    add sp, sp, t1
1:
    .endm

/* Where start.S sends a hart that was sent a software interrupt. */
    .text
    .globl processor_enter
processor_enter:
    own_stack
    csrr a0, mhartid
    call processor_main

    .globl processor_trap
    .balign 4
processor_trap:
    csrw mscratch, t0       /* not the stack, before it is known that it is not what failed */
    csrr t0, mcause
    bgez t0, exception
    addi sp, sp, -128
    csrr t0, mscratch
    sd t0, 0(sp)
    sd ra, 8(sp)
    sd t1, 16(sp)
    sd t2, 24(sp)
    sd t3, 32(sp)
    sd t4, 40(sp)
    sd t5, 48(sp)
    sd t6, 56(sp)
    sd a0, 64(sp)
    sd a1, 72(sp)
    sd a2, 80(sp)
    sd a3, 88(sp)
    sd a4, 96(sp)
    sd a5, 104(sp)
    sd a6, 112(sp)
    sd a7, 120(sp)
    call processor_timer    /* the only one that is let through */
    ld ra, 8(sp)
    ld t1, 16(sp)
    ld t2, 24(sp)
    ld t3, 32(sp)
    ld t4, 40(sp)
    ld t5, 48(sp)
    ld t6, 56(sp)
    ld a0, 64(sp)
    ld a1, 72(sp)
    ld a2, 80(sp)
    ld a3, 88(sp)
    ld a4, 96(sp)
    ld a5, 104(sp)
    ld a6, 112(sp)
    ld a7, 120(sp)
    ld t0, 0(sp)
    addi sp, sp, 128
    mret

/* As in start.S, on this hart's stack. */
exception:
    own_stack
    csrr a0, mcause
    csrr a1, mepc
    csrr a2, mtval
    call target_exception
