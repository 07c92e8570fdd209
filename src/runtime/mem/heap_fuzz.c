/* heap_fuzz.c - any sequence of operations leaves the manual heap as the model says. Built with the
 * real heap (TU_MEM_OWN) under AddressSanitizer, in a debug build: redzones and quarantine
 * included.
 */
#include "runtime/mem/heap_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    model_run(data, size);
    return 0;
}
