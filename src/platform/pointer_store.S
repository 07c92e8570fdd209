/* pointer_store.S - see pointer_store.h. From each question to the label behind its store nothing is changed but scratch
 * registers and, as the last thing, the slot. The value stays in its register until the end. */
    .text
    .globl tu__gc_set
    .type tu__gc_set, %function
    .globl tu__gc_set_done
    .hidden tu__gc_set_done
    .globl tu__gc_set_noting
    .hidden tu__gc_set_noting
    .globl tu__gc_set_noting_done
    .hidden tu__gc_set_noting_done

#if defined(__x86_64__)
    .p2align 5
tu__gc_set:
    .cfi_startproc
    cmpl $0, tu__store_guard(%rip)
    jne tu__gc_set_noting
    movq %rsi, (%rdi)
tu__gc_set_done:
    ret
tu__gc_set_noting:
    testl $5, tu__store_guard(%rip)
    je 3f
    testl $4, tu__store_guard(%rip)
    jne 1f
    cmpq $0, (%rdi)
    jne 1f
3:  movq %rsi, (%rdi)
tu__gc_set_noting_done:
    subq tu__card_base(%rip), %rdi
    cmpq tu__card_limit(%rip), %rdi
    jae 2f
    shrq $9, %rdi
    addq tu__card_table(%rip), %rdi
    cmpb $0, (%rdi)
    jne 2f
    movb $1, (%rdi)
2:  ret
1:  jmpq *tu__store_slow(%rip)
    .cfi_endproc
    .size tu__gc_set, .-tu__gc_set

#elif defined(__aarch64__)
    .p2align 5
tu__gc_set:
    .cfi_startproc
    hint #34 /* bti c */
    adrp x2, tu__store_guard
    ldr w2, [x2, :lo12:tu__store_guard]
    cbnz w2, tu__gc_set_noting
    stlr x1, [x0]
tu__gc_set_done:
    ret
tu__gc_set_noting:
    adrp x2, tu__store_guard
    ldr w2, [x2, :lo12:tu__store_guard]
    tbnz w2, #2, 1f
    tbz w2, #0, 3f
    ldr x3, [x0]
    cbnz x3, 1f
3:  stlr x1, [x0]
tu__gc_set_noting_done:
    adrp x2, tu__card_base
    ldr x2, [x2, :lo12:tu__card_base]
    sub x0, x0, x2
    adrp x2, tu__card_limit
    ldr x2, [x2, :lo12:tu__card_limit]
    cmp x0, x2
    b.hs 2f
    adrp x2, tu__card_table
    ldr x2, [x2, :lo12:tu__card_table]
    mov w3, #1
    lsr x0, x0, #9
    strb w3, [x2, x0]
2:  ret
1:  adrp x16, tu__store_slow
    ldr x16, [x16, :lo12:tu__store_slow]
    br x16
    .cfi_endproc
    .size tu__gc_set, .-tu__gc_set
#else
#error "no pointer store for this processor"
#endif
    .section .note.GNU-stack, "", %progbits
