/* Further processors, and interrupts in EL1.
 *
 * SPDX-License-Identifier: MIT */
    .equ STACK, 16384       /* PROCESSOR_STACK */

/* sp = the top of this processor's stack; spoils x9 to x11. */
    .macro own_stack
    ldr x9, =stack_top
    mrs x10, mpidr_el1
    ands x10, x10, #0xff
    b.eq 1f
    ldr x9, =processor_stacks
    mov x11, #STACK
    madd x9, x10, x11, x9
1:  mov sp, x9
    .endm

/* Where the firmware starts a processor, the MMU off, its number in x0. */
    .text
    .globl processor_enter
processor_enter:
    own_stack
    bl processor_main

interrupt:
    sub sp, sp, #160
    stp x0, x1, [sp]
    stp x2, x3, [sp, #16]
    stp x4, x5, [sp, #32]
    stp x6, x7, [sp, #48]
    stp x8, x9, [sp, #64]
    stp x10, x11, [sp, #80]
    stp x12, x13, [sp, #96]
    stp x14, x15, [sp, #112]
    stp x16, x17, [sp, #128]
    stp x18, x30, [sp, #144]
    bl target_interrupt
    ldp x0, x1, [sp]
    ldp x2, x3, [sp, #16]
    ldp x4, x5, [sp, #32]
    ldp x6, x7, [sp, #48]
    ldp x8, x9, [sp, #64]
    ldp x10, x11, [sp, #80]
    ldp x12, x13, [sp, #96]
    ldp x14, x15, [sp, #112]
    ldp x16, x17, [sp, #128]
    ldp x18, x30, [sp, #144]
    add sp, sp, #160
    eret

/* As in start.S, on this processor's stack. */
exception:
    own_stack
    mrs x0, esr_el1
    mrs x1, elr_el1
    mrs x2, far_el1
    bl target_exception

    .globl processor_vectors
    .balign 2048
processor_vectors:
    .rept 5
    b exception
    .balign 128
    .endr
    b interrupt             /* from EL1, on its own stack pointer */
    .balign 128
    .rept 10
    b exception
    .balign 128
    .endr
