/* The encoder: one int8 window in, one int8 fingerprint out. */
#ifndef PP_ENCODER_H
#define PP_ENCODER_H

#include "pp_model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Working memory of one pp_encode call; its contents mean nothing between calls. */
typedef struct {
    uint32_t align_as_word; /* both arrays are read a word at a time */
    int8_t activations[PP_ACTIVATION_BYTES];
    int16_t scratch[PP_SCRATCH_VALUES];
} pp_arena;

/* Fingerprint a window.
 *
 * arena   working memory; no other call may use it meanwhile
 * window  PP_MODEL_WINDOW values, steps of PP_INPUT_SCALE standard deviations; it may be
 *         arena->activations itself
 * out     PP_DIM values, steps of PP_OUTPUT_SCALE
 *
 * Gives the bits that TFLite Micro's reference kernels give. The time it takes does not
 * depend on the data. */
void pp_encode(pp_arena *arena, const int8_t *window, int8_t *out);

/* CRC-32 (zlib's) over all weights, biases and multipliers as they lie in memory now,
 * little-endian whatever the core: PP_MODEL_CRC when flash is intact. */
uint32_t pp_model_crc(void);

#ifdef __cplusplus
}
#endif

#endif
