/* The check that runs on every core: golden vectors, instructions, stack. Prints one
 * "name value" a line for the script that started the emulator. */
#include "board.h"
#include "pp_encoder.h"
#include "pp_golden.h"

#include <string.h>

#define PAINT 0xA5A5A5A5u
#define PAINTED_WORDS 4096u /* 16 kB below the caller */

static pp_arena arena;
static int8_t fingerprint[PP_DIM];

static void report(const char *name, uint32_t value)
{
    char digits[12];
    uint32_t at = sizeof digits - 1u;
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + value % 10u);
        value /= 10u;
    } while (value != 0u);
    board_write(name);
    board_write(" ");
    board_write(&digits[at]);
    board_write("\n");
}

/* Address of this frame; noinline makes it the caller's stack pointer, near enough. */
static __attribute__((noinline)) uint32_t *here(void)
{
    return (uint32_t *)__builtin_frame_address(0);
}

static __attribute__((noinline)) void paint_stack(uint32_t *top)
{
    volatile uint32_t *word;
    for (word = top - PAINTED_WORDS; word < top - 32; word++) {
        *word = PAINT;
    }
}

static __attribute__((noinline)) uint32_t stack_used(uint32_t *top)
{
    volatile uint32_t *word = top - PAINTED_WORDS;
    while (*word == PAINT) {
        word++;
    }
    return (uint32_t)((uintptr_t)top - (uintptr_t)word);
}

int main(void)
{
    uint32_t differing = 0, i, k;
    uint32_t begin = board_now();
    uint32_t *top;
    pp_encode(&arena, pp_golden_windows[0], fingerprint);
    report("instructions_encode", board_instructions_since(begin));
    for (i = 0; i < PP_GOLDEN_COUNT; i++) {
        pp_encode(&arena, pp_golden_windows[i], fingerprint);
        for (k = 0; k < PP_DIM; k++) {
            differing += (fingerprint[k] != pp_golden_vectors[i][k]) ? 1u : 0u;
        }
    }
    report("golden_vectors", PP_GOLDEN_COUNT);
    report("golden_differing", differing);
    top = here();
    paint_stack(top);
    pp_encode(&arena, pp_golden_windows[0], fingerprint);
    report("stack_encode", stack_used(top));
    board_write("arithmetic ");
    board_write(pp_arithmetic());
    board_write("\n");
    return (differing == 0u) ? 0 : 1;
}
