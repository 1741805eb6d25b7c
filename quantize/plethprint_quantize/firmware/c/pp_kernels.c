#include "pp_kernels.h"

#include "pp_arithmetic.h"

#if defined(PP_ARITHMETIC_MVE)
#define PP_TAPS_READ 8 /* filters are read in whole vectors */
#else
#define PP_TAPS_READ 2
#endif

const char *pp_arithmetic(void)
{
#if defined(PP_ARITHMETIC_MVE)
    return "mve";
#elif defined(PP_ARITHMETIC_DSP)
    return "dsp";
#else
    return "c";
#endif
}

static pp_rescale rescale_of(const pp_layer *layer, uint32_t channel)
{
    pp_rescale to;
    to.multiplier = layer->multiplier[channel];
    to.halvings = layer->halvings[channel] - 1u;
    to.zero = layer->out_zero;
    return to;
}

/* ---- filters along time: stem and depthwise ---------------------------------------- */

/* One channel as 16-bit numbers without zero point, zeros before and after: filters then
 * need not know where the signal ends. */
static void gather_row(const pp_layer *layer, const int8_t *from, uint32_t step,
                       int16_t *row)
{
    const int32_t zero = layer->in_zero;
    const uint32_t pad_left = layer->pad_left, in_length = layer->in_length;
    const uint32_t taps =
        (layer->taps + PP_TAPS_READ - 1u) / PP_TAPS_READ * PP_TAPS_READ;
    const int16_t *const end =
        row + (layer->out_length - 1u) * (uint32_t)layer->stride + taps;
    uint32_t i;
    for (i = 0; i < pad_left; i++) {
        *row++ = 0;
    }
    for (i = 0; i < in_length; i++) {
        *row++ = (int16_t)(*from - zero);
        from += step;
    }
    while (row < end) {
        *row++ = 0;
    }
}

#if defined(PP_ARITHMETIC_MVE)

static void filter_row(const pp_layer *layer, uint32_t channel, const int16_t *row,
                       int8_t *out)
{
    const pp_rescale to = rescale_of(layer, channel);
    const int8_t *weights = layer->weights + channel * layer->taps;
    const uint32_t taps = layer->taps;
    const int16x8_t first = vldrbq_z_s16(weights, vctp16q(taps));
    const int16x8_t second =
        (taps > 8u) ? vldrbq_z_s16(weights + 8, vctp16q(taps - 8u)) : vdupq_n_s16(0);
    const int32_t bias = layer->bias[channel];
    uint32_t t;
    for (t = 0; t < layer->out_length; t++) {
        int32_t sum = vmladavaq_s16(bias, vldrhq_s16(row), first);
        if (taps > 8u) {
            sum = vmladavaq_s16(sum, vldrhq_s16(row + 8), second);
        }
        *out = pp_requantise(sum, &to);
        row += layer->stride;
        out += layer->out_channels;
    }
}

#elif defined(PP_ARITHMETIC_DSP)

/* pairs is a constant wherever this is called, so that the loops over it unroll and the
 * weights stay in registers. */
static inline __attribute__((always_inline)) void
filter_pairs(const pp_layer *layer, uint32_t channel, const uint32_t *weights,
             const int16_t *row, int8_t *out, uint32_t pairs)
{
    const pp_rescale to = rescale_of(layer, channel);
    const uint32_t stride = layer->stride;
    const uint32_t step = layer->out_channels;
    const int32_t bias = layer->bias[channel];
    uint32_t left = layer->out_length;
    const uint32_t w0 = weights[0], w1 = weights[1], w2 = weights[2], w3 = weights[3];
    do {
        int32_t sum = pp_smlad(pp_load_pair(row), w0, bias);
        sum = pp_smlad(pp_load_pair(row + 2), w1, sum);
        sum = pp_smlad(pp_load_pair(row + 4), w2, sum);
        sum = pp_smlad(pp_load_pair(row + 6), w3, sum);
        if (pairs > 4u) {
            uint32_t i;
            for (i = 4; i < pairs; i++) {
                sum = pp_smlad(pp_load_pair(row + 2u * i), weights[i], sum);
            }
        }
        *out = pp_requantise(sum, &to);
        row += stride;
        out += step;
    } while (--left != 0u);
}

static void filter_row(const pp_layer *layer, uint32_t channel, const int16_t *row,
                       int8_t *out)
{
    const int8_t *from = layer->weights + channel * layer->taps;
    uint32_t pairs = layer->taps / 2u;
    uint32_t weights[PP_MAX_TAPS / 2] = {0};
    uint32_t i;
    for (i = 0; i < pairs; i++) {
        weights[i] = (uint32_t)(uint16_t)from[2u * i] | (uint32_t)from[2u * i + 1u] << 16;
    }
    switch (pairs) {
    case 4:
        filter_pairs(layer, channel, weights, row, out, 4);
        break;
    case 5:
        filter_pairs(layer, channel, weights, row, out, 5);
        break;
    case 6:
        filter_pairs(layer, channel, weights, row, out, 6);
        break;
    default:
        filter_pairs(layer, channel, weights, row, out, PP_MAX_TAPS / 2);
        break;
    }
}

#else

static void filter_row(const pp_layer *layer, uint32_t channel, const int16_t *row,
                       int8_t *out)
{
    const pp_rescale to = rescale_of(layer, channel);
    const int8_t *const weights = layer->weights + channel * layer->taps;
    const uint32_t taps = layer->taps;
    uint32_t t;
    for (t = 0; t < layer->out_length; t++) {
        int32_t sum = layer->bias[channel];
        uint32_t k;
        for (k = 0; k < taps; k += 2u) {
            sum += row[k] * weights[k] + row[k + 1u] * weights[k + 1u];
        }
        *out = pp_requantise(sum, &to);
        row += layer->stride;
        out += layer->out_channels;
    }
}

#endif

static void run_stem(const pp_layer *layer, const int8_t *input, int8_t *activations,
                     int16_t *row)
{
    uint32_t channel;
    gather_row(layer, input, 1, row);
    for (channel = 0; channel < layer->out_channels; channel++) {
        filter_row(layer, channel, row, activations + channel);
    }
}

/* In place: a channel's outputs overwrite only that channel's inputs, which are in the
 * row by then. */
static void run_depthwise(const pp_layer *layer, int8_t *activations, int16_t *row)
{
    uint32_t channel;
    for (channel = 0; channel < layer->out_channels; channel++) {
        gather_row(layer, activations + channel, layer->in_channels, row);
        filter_row(layer, channel, row, activations + channel);
    }
}

/* ---- sums over channels: pointwise and fully connected ------------------------------ */

/* PP_TILE time steps times one row of weights, onto the bias. The tile holds, for each
 * group of channels, the steps one after the other; a group is 4 channels, in the order in
 * which SXTB16 takes a word apart, or for Helium a whole step. */

#if defined(PP_ARITHMETIC_MVE)

static void widen(const pp_layer *layer, const int8_t *from, uint32_t steps,
                  int16_t *tile)
{
    const uint32_t channels = layer->in_channels;
    uint32_t i;
    for (i = 0; i < steps * channels; i += 8u) {
        const mve_pred16_t valid = vctp16q(steps * channels - i);
        const int16x8_t x = vldrbq_z_s16(from + i, valid);
        vstrhq_p_s16(tile + i, vsubq_n_s16(x, layer->in_zero), valid);
    }
}

static inline void dot_tile(const int16_t *tile, const int8_t *weights,
                            uint32_t channels, int32_t sums[PP_TILE])
{
    int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3], s4 = sums[4];
    const int16_t *x0 = tile, *x1 = x0 + channels, *x2 = x1 + channels;
    const int16_t *x3 = x2 + channels, *x4 = x3 + channels;
    uint32_t left = channels;
    for (; left >= 8u; left -= 8u) {
        const int16x8_t w = vldrbq_s16(weights);
        s0 = vmladavaq_s16(s0, vldrhq_s16(x0), w);
        s1 = vmladavaq_s16(s1, vldrhq_s16(x1), w);
        s2 = vmladavaq_s16(s2, vldrhq_s16(x2), w);
        s3 = vmladavaq_s16(s3, vldrhq_s16(x3), w);
        s4 = vmladavaq_s16(s4, vldrhq_s16(x4), w);
        weights += 8;
        x0 += 8, x1 += 8, x2 += 8, x3 += 8, x4 += 8;
    }
    if (left != 0u) { /* four channels: lanes without a weight multiply by zero */
        const int16x8_t w = vldrbq_z_s16(weights, vctp16q(left));
        s0 = vmladavaq_s16(s0, vldrhq_s16(x0), w);
        s1 = vmladavaq_s16(s1, vldrhq_s16(x1), w);
        s2 = vmladavaq_s16(s2, vldrhq_s16(x2), w);
        s3 = vmladavaq_s16(s3, vldrhq_s16(x3), w);
        s4 = vmladavaq_s16(s4, vldrhq_s16(x4), w);
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3, sums[4] = s4;
}

#elif defined(PP_ARITHMETIC_DSP)

static void widen(const pp_layer *layer, const int8_t *from, uint32_t steps,
                  int16_t *tile)
{
    const uint32_t minus_zero = (uint32_t)(uint16_t)-layer->in_zero * 0x10001u;
    const uint32_t channels = layer->in_channels;
    uint32_t step;
    for (step = 0; step < steps; step++) {
        pp_word *to = (pp_word *)(void *)tile + 2u * step;
        const int8_t *const end = from + channels;
        for (; from < end; from += 4) {
            const uint32_t word = *(const pp_word *)(const void *)from;
            to[0] = pp_add_pairs(pp_even_bytes(word), minus_zero);
            to[1] = pp_add_pairs(pp_odd_bytes(word), minus_zero);
            to += 2 * PP_TILE;
        }
    }
}

static inline void dot_tile(const int16_t *tile, const int8_t *weights,
                            uint32_t channels, int32_t sums[PP_TILE])
{
    int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3], s4 = sums[4];
    const pp_word *x = (const pp_word *)(const void *)tile;
    const int8_t *const end = weights + channels;
    do {
        const uint32_t word = *(const pp_word *)(const void *)weights;
        const uint32_t even = pp_even_bytes(word);
        const uint32_t odd = pp_odd_bytes(word);
        s0 = pp_dot_four(&x, even, odd, s0);
        s1 = pp_dot_four(&x, even, odd, s1);
        s2 = pp_dot_four(&x, even, odd, s2);
        s3 = pp_dot_four(&x, even, odd, s3);
        s4 = pp_dot_four(&x, even, odd, s4);
        weights += 4;
    } while (weights < end);
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3, sums[4] = s4;
}

#else

static void widen(const pp_layer *layer, const int8_t *from, uint32_t steps,
                  int16_t *tile)
{
    const uint32_t channels = layer->in_channels;
    uint32_t step, c;
    for (step = 0; step < steps; step++) {
        for (c = 0; c < channels; c++) {
            tile[c * PP_TILE + step] = (int16_t)(*from++ - layer->in_zero);
        }
    }
}

static inline void dot_tile(const int16_t *tile, const int8_t *weights,
                            uint32_t channels, int32_t sums[PP_TILE])
{
    int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3], s4 = sums[4];
    const int8_t *const end = weights + channels;
    do {
        const int32_t w = *weights++;
        s0 += w * tile[0];
        s1 += w * tile[1];
        s2 += w * tile[2];
        s3 += w * tile[3];
        s4 += w * tile[4];
        tile += PP_TILE;
    } while (weights < end);
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3, sums[4] = s4;
}

#endif

/* In place: a tile is in scratch before its outputs are written, and those lie where tiles
 * done before it lay; the plan says from which end to begin for that to hold. */
static void run_pointwise(const pp_layer *layer, int8_t *activations, int16_t *tile)
{
    const uint32_t in = layer->in_channels, out = layer->out_channels;
    const uint32_t tiles = (layer->in_length + PP_TILE - 1u) / PP_TILE;
    uint32_t i, channel, step;
    for (i = 0; i < tiles; i++) {
        const uint32_t begin = ((layer->backward != 0u) ? tiles - 1u - i : i) * PP_TILE;
        const uint32_t rest = layer->in_length - begin;
        const uint32_t steps = (rest < PP_TILE) ? rest : PP_TILE;
        const int8_t *weights = layer->weights;
        int8_t *to = activations + begin * out;
        widen(layer, activations + begin * in, steps, tile);
        for (channel = 0; channel < out; channel++) {
            const pp_rescale rescale = rescale_of(layer, channel);
            const int32_t bias = layer->bias[channel];
            int32_t sums[PP_TILE] = {bias, bias, bias, bias, bias};
            /* a last tile that is not full also sums what its unused steps hold */
            dot_tile(tile, weights, in, sums);
            if (steps == PP_TILE) { /* without a loop the sums stay in registers */
                to[0] = pp_requantise(sums[0], &rescale);
                to[out] = pp_requantise(sums[1], &rescale);
                to[2u * out] = pp_requantise(sums[2], &rescale);
                to[3u * out] = pp_requantise(sums[3], &rescale);
                to[4u * out] = pp_requantise(sums[4], &rescale);
            } else {
                for (step = 0; step < steps; step++) {
                    to[step * out] = pp_requantise(sums[step], &rescale);
                }
            }
            to++;
            weights += in;
        }
    }
}

/* ---- mean over time ----------------------------------------------------------------- */

static void run_mean(const pp_layer *layer, int8_t *activations)
{
    const uint32_t channels = layer->in_channels;
    const pp_rescale to = rescale_of(layer, 0);
    uint32_t channel, t;
    for (channel = 0; channel < channels; channel++) {
        const int8_t *from = activations + channel;
        int32_t sum = -(int32_t)layer->in_length * layer->in_zero;
        for (t = 0; t < layer->in_length; t++) {
            sum += *from;
            from += channels;
        }
        activations[channel] = pp_requantise(sum, &to);
    }
}

/* What an activation function leaves of the outputs, where that is not all of int8. */
static void limit(const pp_layer *layer, int8_t *activations)
{
    const int8_t *const end =
        activations + (uint32_t)layer->out_length * layer->out_channels;
    for (; activations < end; activations++) {
        if (*activations < layer->low) {
            *activations = (int8_t)layer->low;
        } else if (*activations > layer->high) {
            *activations = (int8_t)layer->high;
        }
    }
}

void pp_run_layer(const pp_layer *layer, const int8_t *input, int8_t *activations,
                  int16_t *scratch)
{
    switch (layer->kind) {
    case PP_STEM:
        run_stem(layer, input, activations, scratch);
        break;
    case PP_DEPTHWISE:
        run_depthwise(layer, activations, scratch);
        break;
    case PP_POINTWISE:
    case PP_DENSE:
        run_pointwise(layer, activations, scratch);
        break;
    case PP_MEAN:
        run_mean(layer, activations);
        break;
    default:
        break;
    }
    if ((layer->low > -128) || (layer->high < 127)) {
        limit(layer, activations);
    }
}
