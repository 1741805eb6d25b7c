/* Counts of an optical sensor -> int8 windows for the encoder, in fixed point.
 *
 * C99, integers only (32 and 64 bits), no heap, no writable globals, no recursion. Every
 * sample equals that of plethprint_quantize.firmware.fixed_point bit for bit on every
 * core. The arithmetic is described in docs/firmware-signal.md.
 *
 * Use: pp_signal_init once; pp_signal_push for each sample (pp_signal_gap for samples that
 * did not come); whenever pp_signal_ready, take the window with pp_signal_window and go on
 * with pp_signal_advance. Not reentrant: one context may use a pp_signal_t at a time.
 */
#ifndef PP_SIGNAL_H
#define PP_SIGNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "pp_signal_constants.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Results. Below 0: refused, and nothing changed. Above 0: done, with news. */
typedef int32_t pp_signal_status_t;
#define PP_SIGNAL_OK ((pp_signal_status_t)0)
/* The gap grew longer than 60 s (2 s before the first sample): the next sample begins a
 * new signal, and the indices of windows begin at 0 again. */
#define PP_SIGNAL_RESTARTED ((pp_signal_status_t)1)
/* A window was not taken in time and is lost; the next one is `hop` later. */
#define PP_SIGNAL_WINDOW_LOST ((pp_signal_status_t)2)
#define PP_SIGNAL_BAD_ARGUMENT ((pp_signal_status_t)-1) /* a null pointer, a value out of range */
#define PP_SIGNAL_BAD_RATE ((pp_signal_status_t)-2)     /* outside the rates taken */
#define PP_SIGNAL_NOT_READY ((pp_signal_status_t)-3)    /* no window is finished */

/* Everything about one signal. The fields are private: read and write them only through
 * the functions below. */
typedef struct {
    int64_t biquad_state[PP_SIGNAL_SECTIONS][2];
    uint32_t biquad_carry[PP_SIGNAL_SECTIONS];
    int32_t ring[PP_SIGNAL_RING];
    int32_t history[PP_SIGNAL_HISTORY];
    uint32_t history_missing[PP_SIGNAL_HISTORY / 32u];
    uint8_t ring_missing[PP_SIGNAL_RING / 8u];
    uint8_t ring_moved[PP_SIGNAL_RING / 8u];
    uint32_t rate_mhz;
    uint32_t hop;
    uint32_t kernel_step;   /* table entries per input sample, Q16 */
    uint32_t kernel_offset; /* table entries per unit of phase, Q32 */
    uint32_t half;          /* taps on each side of an output */
    uint32_t bridged;       /* longest gap that a line bridges, samples */
    uint32_t restart;       /* longest gap that is filled at all, samples */
    uint32_t run;           /* samples missing since the last one that came */
    uint32_t filled;        /* samples in `history` */
    uint32_t base;          /* where in `history` the next output begins */
    uint32_t phase;         /* how far behind that sample it lies, of 64,000 */
    uint32_t ring_at;       /* where in `ring` the next sample goes */
    uint32_t start;         /* index of the next window's first sample */
    int32_t available;      /* samples since that one; below 0 while they are skipped */
    int32_t origin;         /* first count of the signal, with polarity */
    int32_t last;           /* last sample that came, as in `history` */
    int32_t resampled;      /* last resampled sample */
    int32_t polarity;       /* 1 or -1 */
    bool begun;             /* a first sample has come */
    bool asleep;            /* after a restart, until the next sample comes */
} pp_signal_t;

/* Bytes of a pp_signal_t on a 32-bit core; a build fails where it is more. */
#define PP_SIGNAL_BYTES 3840u

/* Begin. `rate_mhz`: thousandths of a hertz, PP_SIGNAL_MIN_RATE_MHZ..MAX (need not be
 * whole hertz). Polarity is 1 and the hop PP_SIGNAL_HOP until set.
 * Returns OK, BAD_ARGUMENT or BAD_RATE. */
pp_signal_status_t pp_signal_init(pp_signal_t *signal, uint32_t rate_mhz);

/* -1 when more blood gives fewer counts (raw reflectance), else 1. Before the first
 * sample. Returns OK or BAD_ARGUMENT. */
pp_signal_status_t pp_signal_set_polarity(pp_signal_t *signal, int32_t polarity);

/* Samples at 64 Hz between the starts of two windows, 1..2^20. Before the first sample.
 * Returns OK or BAD_ARGUMENT. */
pp_signal_status_t pp_signal_set_hop(pp_signal_t *signal, uint32_t hop);

/* Take one sample. Any value is allowed; beyond 24 bits (signed) it counts as the end of
 * that range. Up to 2 s of signal are processed at once when this ends a gap.
 * Returns OK, WINDOW_LOST or BAD_ARGUMENT. */
pp_signal_status_t pp_signal_push(pp_signal_t *signal, int32_t count);

/* `samples` samples did not come. Up to 2 s are bridged by a line when the next sample
 * comes, more are held at the last value, and after 60 s the signal begins anew.
 * Tell of a long gap as it grows (2 s at most in one call) and take the windows, or some
 * are lost. Returns OK, RESTARTED, WINDOW_LOST or BAD_ARGUMENT. */
pp_signal_status_t pp_signal_gap(pp_signal_t *signal, uint32_t samples);

/* Whether a window is finished. False for a null pointer. */
bool pp_signal_ready(const pp_signal_t *signal);

/* The finished window: mean 0, sd 1, clipped at 4 sd = 127; all 0 when the signal stood
 * still. Returns OK, NOT_READY or BAD_ARGUMENT, and then `out` is left as it was. */
pp_signal_status_t pp_signal_window(const pp_signal_t *signal, int8_t out[PP_WINDOW]);

/* Index of that window's first sample at 64 Hz, from the (re)start, modulo 2^32. */
uint32_t pp_signal_window_start(const pp_signal_t *signal);

/* Samples of the finished window that were missing, 0..PP_WINDOW; 0 while there is none. */
uint32_t pp_signal_missing(const pp_signal_t *signal);

/* Quality of a window of pp_signal_window, of which `missing` samples were missing: 0
 * (noise, flat) to 255 (clean), plethprint.quality.assess times 255. 0 for a null pointer. */
uint8_t pp_signal_window_quality(const int8_t window[PP_WINDOW], uint32_t missing);

/* The same for the finished window of `signal`, which `window` was filled with. */
uint8_t pp_signal_quality(const pp_signal_t *signal, const int8_t window[PP_WINDOW]);

/* Done with the finished window: go on to the next. Returns OK, NOT_READY or BAD_ARGUMENT. */
pp_signal_status_t pp_signal_advance(pp_signal_t *signal);

#ifdef __cplusplus
}
#endif

#endif /* PP_SIGNAL_H */
