/* libFuzzer harness: any counts, gaps and calls in any order, at any rate. The bytes are a
 * rate, a hop, a polarity and then operations of five bytes each; see Makefile.fuzz. */
#include <stdlib.h>
#include <string.h>

#include "pp_signal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD 8u
#define OPERATION 5u
#define MOST_SAMPLES 3000u

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

static uint32_t number(const uint8_t *at)
{
    return (uint32_t)at[0] | ((uint32_t)at[1] << 8) | ((uint32_t)at[2] << 16) |
           ((uint32_t)at[3] << 24);
}

static void take_window(pp_signal_t *signal)
{
    int8_t window[PP_WINDOW];
    const pp_signal_status_t status = pp_signal_window(signal, window);
    require((status == PP_SIGNAL_OK) == pp_signal_ready(signal));
    if (status == PP_SIGNAL_OK) {
        int sum = 0;
        for (uint32_t i = 0u; i < PP_WINDOW; i++) {
            require(window[i] >= -127);
            sum |= window[i];
        }
        require(pp_signal_missing(signal) <= PP_WINDOW);
        const uint8_t quality = pp_signal_quality(signal, window);
        require((sum != 0) || (quality == 0u));
        require(pp_signal_advance(signal) == PP_SIGNAL_OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pp_signal_t *signal = malloc(sizeof *signal);
    require(signal != NULL);
    (void)memset(signal, 0xA5, sizeof *signal);
    if (size >= HEAD) {
        const uint32_t span = PP_SIGNAL_MAX_RATE_MHZ - PP_SIGNAL_MIN_RATE_MHZ + 1u;
        const uint32_t wanted = number(data) & 0x00FFFFFFu;
        const uint32_t rate = (data[3] < 8u)    ? wanted
                              : (data[3] < 64u) ? PP_SIGNAL_MODEL_RATE_MHZ
                                                : (PP_SIGNAL_MIN_RATE_MHZ + (wanted % span));
        if (pp_signal_init(signal, rate) == PP_SIGNAL_OK) {
            (void)pp_signal_set_hop(signal, 1u + (number(&data[4]) & 0x7FFu));
            (void)pp_signal_set_polarity(signal, (int32_t)data[7] - 1);
            uint32_t samples = 0u;
            uint32_t last = 0u;
            for (size_t at = HEAD; ((at + OPERATION) <= size) && (samples < MOST_SAMPLES);
                 at += OPERATION) {
                const uint32_t value = number(&data[at + 1u]);
                const uint32_t repeats = data[at] & 0x3Fu;
                switch (data[at] >> 6) {
                case 0u: /* the same count again and again */
                    for (uint32_t i = 0u; i <= repeats; i++) {
                        (void)pp_signal_push(signal, (int32_t)value);
                    }
                    samples += repeats + 1u;
                    break;
                case 1u: /* a walk, or a jump from end to end */
                    for (uint32_t i = 0u; i <= (8u * repeats); i++) {
                        last += ((i & 4u) != 0u) ? value : (0u - (value >> 3));
                        (void)pp_signal_push(signal, (int32_t)last);
                    }
                    samples += (8u * repeats) + 1u;
                    break;
                case 2u: /* a gap, at times without end */
                    (void)pp_signal_gap(signal, (repeats < 60u) ? (value & 0xFFu) : value);
                    samples += (repeats < 60u) ? (value & 0xFFu) : 1000u;
                    break;
                default:
                    take_window(signal);
                    break;
                }
            }
            take_window(signal);
        }
    }
    free(signal);
    return 0;
}
