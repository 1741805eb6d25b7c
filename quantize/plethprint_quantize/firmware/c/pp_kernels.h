/* Int8 layers of the encoder: stem, depthwise, pointwise, mean, fully connected.
 *
 * Every layer works in place in one activation buffer and gives bit for bit what the
 * reference kernels of TFLite Micro give: int32 sums, then the double rounding of
 * pp_requantise. Activations lie time by channel: x[time * channels + channel].
 *
 * Nothing here keeps state, allocates, recurses or checks its arguments: the plan in
 * pp_model.c was checked when it was generated.
 */
#ifndef PP_KERNELS_H
#define PP_KERNELS_H

#include <stdint.h>

/* Time steps that a pointwise layer works on at once: each weight that is loaded and
 * widened serves this many. Five fills the registers of a Cortex-M4. */
#define PP_TILE 5

/* Longest depthwise filter, in taps. */
#define PP_MAX_TAPS 16

/* Weights that are read a word at a time. */
#if defined(__GNUC__)
#define PP_WORD_ALIGNED __attribute__((aligned(4)))
#else
#define PP_WORD_ALIGNED
#endif

typedef enum {
    PP_STEM,      /* one input channel, many filters */
    PP_DEPTHWISE, /* one filter per channel */
    PP_POINTWISE, /* all channels of one time step to all of the next layer */
    PP_MEAN,      /* over time */
    PP_DENSE      /* fully connected: a pointwise layer of one time step */
} pp_kind;

/* One layer. Tables have one entry per output channel. */
typedef struct {
    pp_kind kind;
    uint16_t in_length; /* time steps */
    uint16_t out_length;
    uint16_t in_channels; /* a multiple of 4 for pointwise and dense layers */
    uint16_t out_channels;
    uint8_t taps; /* even: an odd filter has one zero more */
    uint8_t stride;
    uint8_t pad_left;     /* steps of padding before the first sample */
    uint8_t backward;     /* pointwise: last step first, because the output is the wider */
    int16_t in_zero;      /* int8 that stands for 0.0 in the input */
    int16_t out_zero;     /* and in the output */
    int16_t low, high;    /* int8 range of the activation function */
    const int8_t *weights;     /* [out_channel][tap], or [out_channel][in_channel] */
    const int32_t *bias;       /* in steps of input scale times weight scale */
    const int32_t *multiplier; /* rescales a sum to output steps: Q31, 0.5 to 1 ... */
    const uint8_t *halvings;   /* ... halved so many times, 1 to 31 */
} pp_layer;

/* Run one layer.
 *
 * layer       from the plan of pp_model.c
 * input       PP_STEM reads it (in_length values); every other layer ignores it
 * activations input, and afterwards output, of the layer; 4-byte aligned
 * scratch     room for PP_SCRATCH_VALUES values, 4-byte aligned
 *
 * input may be the start of activations: the stem has read it all before it writes. */
void pp_run_layer(const pp_layer *layer, const int8_t *input, int8_t *activations,
                  int16_t *scratch);

/* Which arithmetic this build uses: "mve", "dsp" or "c". */
const char *pp_arithmetic(void);

#endif
