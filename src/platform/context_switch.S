/* context_switch.S - see context_switch.h. Frame chains end at a prepared context: its frame
 * pointer is 0 and its return address undefined, so that unwinders stop there. */
    .text
    .globl tu__context_switch
    .hidden tu__context_switch
    .type tu__context_switch, %function
    .globl tu__context_start
    .hidden tu__context_start
    .type tu__context_start, %function

#if defined(__x86_64__)
    .p2align 4
tu__context_switch:
    .cfi_startproc
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .cfi_endproc
    .size tu__context_switch, .-tu__context_switch

    /* First run: rbx holds the entry function. */
    .p2align 4
tu__context_start:
    .cfi_startproc
    .cfi_undefined rip
    xorl %ebp, %ebp
    callq *%rbx
    ud2
    .cfi_endproc
    .size tu__context_start, .-tu__context_start

#elif defined(__aarch64__)
    .p2align 4
tu__context_switch:
    .cfi_startproc
    hint #34 /* bti c */
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
    .cfi_endproc
    .size tu__context_switch, .-tu__context_switch

    .p2align 4
tu__context_start:
    .cfi_startproc
    .cfi_undefined x30
    hint #36 /* bti j */
    mov x29, #0
    mov x30, #0
    blr x19
    brk #1
    .cfi_endproc
    .size tu__context_start, .-tu__context_start
#else
#error "no context switch for this processor"
#endif
    .section .note.GNU-stack, "", %progbits
