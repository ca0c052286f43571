/* Start and exceptions. The image runs on the process stack and handlers on the main stack, so that a handler has a
 * stack whatever the image did to its own.
 *
 * SPDX-License-Identifier: MIT */
    .syntax unified
    .thumb

    .section .start, "a"
    .word handler_stack
    .word start
    .rept 14
    .word exception
    .endr

    .bss
    .balign 8
    .space 1024
handler_stack:

    .text
    .globl start
    .type start, %function
start:
    ldr r0, =stack_top
    msr psp, r0
    movs r0, #2
    msr control, r0
    isb
    movs r0, #0             /* there is no boot loader */
    bl platform_start

    .type exception, %function
exception:
    mrs r0, psp
    mrs r1, ipsr
    bl target_exception

    .globl semihosting_call
    .type semihosting_call, %function
semihosting_call:
    bkpt 0xab
    bx lr
