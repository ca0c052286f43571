/* Start and exceptions. A boot loader that knows PVH (a note in the image says where to enter) leaves the processor in
 * 32-bit protected mode; what lies between that and C is long mode with its page tables.
 *
 * SPDX-License-Identifier: MIT */
    .section .note.boot, "a", @note
    .balign 4
    .long 4, 8, 18          /* of "Xen", a value of 8 bytes: the 32-bit entry */
    .asciz "Xen"
    .quad start

    .section .start, "ax"
    .globl start
    .code32
start:
    movl %cr4, %eax
    orl $0x20, %eax         /* physical address extension */
    movl %eax, %cr4
    movl $tables, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x100, %eax        /* long mode, once paging is on */
    wrmsr
    movl %cr0, %eax
    orl $0x80010000, %eax   /* paging, and pages that are read-only to us too */
    movl %eax, %cr0
    lgdt descriptors_pointer
    ljmp $8, $long_mode

    .code64
long_mode:
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $stack_top, %esp
    movl %ebx, %edi         /* the boot loader's information */
    call platform_start

/* The processor begins the stack anew (target_start), so that the saved instruction pointer is the fifth word from its
 * top, with or without an error code below. */
exception:
    popq %rdi
    movq stack_top - 40, %rsi
    movq %cr2, %rdx
    andq $-16, %rsp
    call target_exception

    .globl exceptions
    .balign 16
exceptions:                 /* 16 bytes for each of the 32 */
    .set vector, 0
    .rept 32
    pushq $vector
    jmp exception
    .balign 16
    .set vector, vector + 1
    .endr

    .data
    .globl descriptors
    .balign 16
descriptors:                /* none, 64-bit code, and the task state, which target_start fills in */
    .quad 0, 0x00209a0000000000, 0, 0
descriptors_pointer:
    .word . - descriptors - 1
    .long descriptors

/* One to one: the first GiB in pages of 2 MiB, save that the first 2 MiB are pages of 4 KiB. The one under the stack is
 * left out. That of the null pointer is only read-only, because boot loaders may leave their information there. */
    .set present, 0x3       /* and writable */
    .set large, 0x80
    .balign 4096
tables:
    .quad level3 + present
    .fill 511, 8, 0
level3:
    .quad level2 + present
    .fill 511, 8, 0
level2:
    .quad level1 + present
    .set page, 0x200000
    .rept 511
    .quad page + large + present
    .set page, page + 0x200000
    .endr
level1:
    .set page, 0
    .rept 512
    .if page == 0
    .quad 1                 /* present */
    .elseif page == 0xff000
    .quad 0
    .else
    .quad page + present
    .endif
    .set page, page + 0x1000
    .endr
