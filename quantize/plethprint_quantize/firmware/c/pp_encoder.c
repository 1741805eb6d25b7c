#include "pp_encoder.h"

#include <string.h>

void pp_encode(pp_arena *arena, const int8_t *window, int8_t *out)
{
    uint32_t i;
    for (i = 0; i < PP_LAYERS; i++) {
        pp_run_layer(&pp_layers[i], window, arena->activations, arena->scratch);
    }
    memcpy(out, arena->activations, PP_DIM);
}

static uint32_t crc_byte(uint32_t crc, uint32_t byte)
{
    uint32_t bit;
    crc ^= byte;
    for (bit = 0; bit < 8u; bit++) {
        crc = (crc >> 1) ^ ((0u - (crc & 1u)) & 0xEDB88320u);
    }
    return crc;
}

static uint32_t crc_bytes(uint32_t crc, const void *values, uint32_t count)
{
    const uint8_t *const bytes = (const uint8_t *)values;
    uint32_t i;
    for (i = 0; i < count; i++) {
        crc = crc_byte(crc, bytes[i]);
    }
    return crc;
}

static uint32_t crc_words(uint32_t crc, const int32_t *values, uint32_t count)
{
    uint32_t i, byte;
    for (i = 0; i < count; i++) {
        for (byte = 0; byte < 4u; byte++) {
            crc = crc_byte(crc, (uint32_t)values[i] >> (8u * byte) & 0xFFu);
        }
    }
    return crc;
}

uint32_t pp_model_crc(void)
{
    uint32_t crc = 0xFFFFFFFFu;
    uint32_t i;
    for (i = 0; i < PP_LAYERS; i++) {
        const pp_layer *const layer = &pp_layers[i];
        /* a mean has one multiplier and no weights */
        const uint32_t channels = (layer->kind == PP_MEAN) ? 1u : layer->out_channels;
        const uint32_t row = (layer->taps != 0u) ? layer->taps : layer->in_channels;
        if (layer->kind != PP_MEAN) {
            crc = crc_bytes(crc, layer->weights, channels * row);
            crc = crc_words(crc, layer->bias, channels);
        }
        crc = crc_words(crc, layer->multiplier, channels);
        crc = crc_bytes(crc, layer->halvings, channels);
    }
    return crc ^ 0xFFFFFFFFu;
}
