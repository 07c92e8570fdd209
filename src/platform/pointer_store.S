/* pointer_store.S - see pointer_store.h. Between the two labels nothing is changed but scratch registers and, as the
 * last thing, the slot. */
    .text
    .globl tu__gc_set
    .type tu__gc_set, %function
    .globl tu__gc_set_done
    .hidden tu__gc_set_done

#if defined(__x86_64__)
    .p2align 4
tu__gc_set:
    .cfi_startproc
    cmpl $0, tu__store_guard(%rip)
    jne 1f
    movq %rsi, (%rdi)
tu__gc_set_done:
    ret
1:  jmpq *tu__store_slow(%rip)
    .cfi_endproc
    .size tu__gc_set, .-tu__gc_set

#elif defined(__aarch64__)
    .p2align 4
tu__gc_set:
    .cfi_startproc
    hint #34 /* bti c */
    adrp x2, tu__store_guard
    ldr w2, [x2, :lo12:tu__store_guard]
    cbnz w2, 1f
    stlr x1, [x0]
tu__gc_set_done:
    ret
1:  adrp x16, tu__store_slow
    ldr x16, [x16, :lo12:tu__store_slow]
    br x16
    .cfi_endproc
    .size tu__gc_set, .-tu__gc_set
#else
#error "no pointer store for this processor"
#endif
    .section .note.GNU-stack, "", %progbits
