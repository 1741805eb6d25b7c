/* The check that runs on every core: golden vectors, instructions, stack. Prints one
 * "name value" a line for whoever started the emulator. */

#include "board.h"
#include "check.h"
#include "pp_golden.h"
#include "pp_stream.h"

#define PAINT 0xA5A5A5A5u
#define PAINTED_WORDS 2048u
#define OWN_WORDS 32u /* left unpainted: the frame of paint_stack itself */

static pp_workspace_t workspace;

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

/* Where the stack of a function called from main begins, near enough. */
static __attribute__((noinline)) uint32_t *stack_here(void)
{
    return (uint32_t *)__builtin_frame_address(0);
}

static __attribute__((noinline)) void paint_stack(uint32_t *top)
{
    volatile uint32_t *word;
    for (word = top - PAINTED_WORDS; word < top - OWN_WORDS; word++) {
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

/* One hop of samples and the fingerprint at its end: what a device does every 5 s. */
static void measure_hop(void)
{
    int8_t out[PP_DIM];
    uint32_t sample, pushed, begin, pushing, fingerprinting;
    (void)pp_init(&workspace, PP_STREAM_RATE_MHZ);
    for (sample = 0; !pp_window_ready(&workspace); sample++) {
        (void)pp_push_sample(&workspace, pp_stream_counts[sample]);
    }
    (void)pp_fingerprint(&workspace, out);
    begin = board_now();
    for (pushed = 0; !pp_window_ready(&workspace); pushed++) {
        (void)pp_push_sample(&workspace, pp_stream_counts[sample + pushed]);
    }
    pushing = board_instructions_since(begin);
    begin = board_now();
    (void)pp_fingerprint(&workspace, out);
    fingerprinting = board_instructions_since(begin);
    begin = board_now();
    (void)pp_fingerprint_window(&workspace, pp_golden_windows[0], out);
    report("instructions_encode", board_instructions_since(begin));
    report("samples_per_hop", pushed);
    report("instructions_push", pushing);
    report("instructions_fingerprint", fingerprinting);
    report("instructions_all_in", pushing + fingerprinting);
}

int main(void)
{
    uint32_t *const top = stack_here();
    uint32_t begin, wrong = 0, found;
    (void)pp_init(&workspace, PP_STREAM_RATE_MHZ);
    board_write("arithmetic ");
    board_write(pp_arithmetic());
    board_write("\n");
    measure_hop();

    found = check_golden(&workspace);
    report("golden_vectors", PP_GOLDEN_COUNT);
    report("golden_differing", found);
    wrong += found;

    paint_stack(top);
    found = check_stream(&workspace);
    report("stream_windows", PP_STREAM_WINDOWS);
    report("stream_differing", found);
    wrong += found;

    begin = board_now();
    found = (uint32_t)-pp_self_test(&workspace);
    report("instructions_self_test", board_instructions_since(begin));
    report("self_test", found);
    wrong += found + check_refusals(&workspace);
    report("stack", stack_used(top));
    report("workspace", (uint32_t)sizeof workspace);
    report("wrong", wrong);
    return (wrong == 0u) ? 0 : 1;
}
