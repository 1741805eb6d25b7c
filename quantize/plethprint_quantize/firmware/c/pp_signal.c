/* See pp_signal.h for the contracts and docs/firmware-signal.md for the arithmetic. */
#include "pp_signal.h"

#include <stddef.h>
#include <string.h>

#include "pp_integer.h"
#include "pp_signal_tables.h"

/* A build on which the state is larger than announced fails here. */
typedef char pp_signal_size_check[(sizeof(pp_signal_t) <= PP_SIGNAL_BYTES) ? 1 : -1];

#define PP_KERNEL_END ((uint32_t)PP_KERNEL_ENTRIES << 16)
#define PP_HALF_ENTRY 0x8000u
#define PP_LONGEST_HOP 0x100000u
/* From the fraction bits of the history to those of the signal. */
#define PP_RAISE ((int32_t)(1u << (PP_SIGNAL_BITS - PP_SAMPLE_BITS)))
#define PP_SUM_SHIFT (PP_KERNEL_BITS + 16u + PP_SAMPLE_BITS - PP_SIGNAL_BITS)
#define PP_SUM_HALF ((int64_t)(UINT64_C(1) << (PP_SUM_SHIFT - 1u)))

static void begin(pp_signal_t *s)
{
    (void)memset(s->biquad_state, 0, sizeof s->biquad_state);
    (void)memset(s->biquad_carry, 0, sizeof s->biquad_carry);
    (void)memset(s->history, 0, sizeof s->history);
    (void)memset(s->history_missing, 0, sizeof s->history_missing);
    s->run = 0u;
    s->filled = s->half;
    s->base = s->half;
    s->phase = 0u;
    s->ring_at = 0u;
    s->start = 0u;
    s->available = 0;
    s->origin = 0;
    s->last = 0;
    s->resampled = 0;
    s->begun = false;
    s->asleep = false;
}

pp_signal_status_t pp_signal_init(pp_signal_t *signal, uint32_t rate_mhz)
{
    if (signal == NULL) {
        return PP_SIGNAL_BAD_ARGUMENT;
    }
    if ((rate_mhz < PP_SIGNAL_MIN_RATE_MHZ) || (rate_mhz > PP_SIGNAL_MAX_RATE_MHZ)) {
        return PP_SIGNAL_BAD_RATE;
    }
    (void)memset(signal, 0, sizeof *signal);
    signal->rate_mhz = rate_mhz;
    signal->hop = PP_SIGNAL_HOP;
    signal->polarity = 1;
    signal->kernel_step = PP_KERNEL_STEP;
    if (rate_mhz > PP_SIGNAL_MODEL_RATE_MHZ) {
        const uint64_t step = (uint64_t)PP_KERNEL_STEP * PP_SIGNAL_MODEL_RATE_MHZ;
        signal->kernel_step = (uint32_t)(step / rate_mhz);
    }
    signal->kernel_offset =
        (uint32_t)(((uint64_t)signal->kernel_step << 16) / PP_SIGNAL_MODEL_RATE_MHZ);
    signal->half = (PP_KERNEL_END - PP_HALF_ENTRY + signal->kernel_step - 1u) /
                   signal->kernel_step;
    signal->bridged = (uint32_t)(((uint64_t)PP_BRIDGE_MS * rate_mhz) / 1000000u);
    signal->restart = (uint32_t)(((uint64_t)PP_RESTART_MS * rate_mhz) / 1000000u);
    begin(signal);
    return PP_SIGNAL_OK;
}

pp_signal_status_t pp_signal_set_polarity(pp_signal_t *signal, int32_t polarity)
{
    if ((signal == NULL) || ((polarity != 1) && (polarity != -1)) || signal->begun) {
        return PP_SIGNAL_BAD_ARGUMENT;
    }
    signal->polarity = polarity;
    return PP_SIGNAL_OK;
}

pp_signal_status_t pp_signal_set_hop(pp_signal_t *signal, uint32_t hop)
{
    if ((signal == NULL) || (hop == 0u) || (hop > PP_LONGEST_HOP) || signal->begun) {
        return PP_SIGNAL_BAD_ARGUMENT;
    }
    signal->hop = hop;
    return PP_SIGNAL_OK;
}

static void set_bit(uint8_t *bits, uint32_t at, bool value)
{
    const uint32_t mask = 1u << (at & 7u);
    const uint32_t byte = bits[at >> 3];
    bits[at >> 3] = (uint8_t)(value ? (byte | mask) : (byte & ~mask));
}

static bool get_bit(const uint8_t *bits, uint32_t at)
{
    return (((uint32_t)bits[at >> 3] >> (at & 7u)) & 1u) != 0u;
}

/* Next filtered sample into the ring. False when a window had to make room. */
static bool keep(pp_signal_t *s, int32_t filtered, bool missing, bool moved)
{
    bool kept = true;
    s->ring[s->ring_at] = filtered;
    set_bit(s->ring_missing, s->ring_at, missing);
    set_bit(s->ring_moved, s->ring_at, moved);
    s->ring_at = (s->ring_at + 1u < PP_SIGNAL_RING) ? (s->ring_at + 1u) : 0u;
    s->available++;
    if (s->available > (int32_t)PP_SIGNAL_RING) {
        s->available -= (int32_t)s->hop;
        s->start += s->hop;
        kept = false;
    }
    return kept;
}

/* Band-pass: biquads in direct form II transposed. What rounding takes off one sample goes
 * into the next: without that the pole next to 0 Hz would raise the noise fiftyfold. */
static int32_t filter(pp_signal_t *s, int32_t sample)
{
    int32_t x = sample;
    for (uint32_t i = 0u; i < PP_SIGNAL_SECTIONS; i++) {
        const int32_t b0 = PP_BIQUADS[i][0];
        const int32_t a1 = PP_BIQUADS[i][1];
        const int32_t a2 = PP_BIQUADS[i][2];
        int64_t *state = s->biquad_state[i];
        /* |total| < 2^62: |x|, |y| <= 2^31, |b0| <= 2^28, |a1| < 2^29, |a2| < 2^28. */
        const int64_t input = (int64_t)b0 * x;
        const int64_t total = input + state[0] + (int64_t)s->biquad_carry[i];
        const int64_t whole = pp_shift_right(total, PP_COEFFICIENT_BITS);
        const int32_t y = pp_saturate(whole);
        s->biquad_carry[i] =
            (whole == y) ? ((uint32_t)(uint64_t)total & ((1u << PP_COEFFICIENT_BITS) - 1u)) : 0u;
        state[0] = state[1] - ((int64_t)a1 * y);
        state[1] = -input - ((int64_t)a2 * y);
        x = y;
    }
    return x;
}

/* One resampled sample through the filter into the ring. */
static bool put(pp_signal_t *s, int32_t sample, bool missing)
{
    const bool moved = sample != s->resampled;
    s->resampled = sample;
    return keep(s, filter(s, sample), missing, moved);
}

/* The signal between history[base] and the next sample, `phase` behind the former. */
static int32_t interpolate(const pp_signal_t *s)
{
    const int32_t *before = &s->history[s->base];
    const int32_t *after = before + 1;
    const int32_t centre = *before;
    const uint32_t step = s->kernel_step;
    const uint32_t offset = (uint32_t)(((uint64_t)s->phase * s->kernel_offset) >> 16);
    uint32_t at = PP_HALF_ENTRY + offset + step;
    int64_t sum = 0;
    /* Differences to the sample itself: the taps then need not sum to one exactly, and the
     * centre tap drops out. They are below 2^30, taps times gain sum to less than 2^31. */
    while (at < PP_KERNEL_END) {
        before--;
        sum += (int64_t)PP_KERNEL[at >> 16] * (*before - centre);
        at += step;
    }
    at = PP_HALF_ENTRY + step - offset;
    while (at < PP_KERNEL_END) {
        sum += (int64_t)PP_KERNEL[at >> 16] * (*after - centre);
        after++;
        at += step;
    }
    sum *= (int64_t)(step / PP_KERNEL_STEPS);
    sum = pp_shift_right(sum + PP_SUM_HALF, PP_SUM_SHIFT);
    return pp_saturate(((int64_t)centre * PP_RAISE) + sum);
}

/* Room in the history: drop what no output needs any more, in whole words of flags. */
static void make_room(pp_signal_t *s)
{
    const uint32_t words = (s->base - s->half) / 32u;
    const uint32_t drop = words * 32u;
    const uint32_t flag_words = PP_SIGNAL_HISTORY / 32u;
    (void)memmove(s->history, &s->history[drop], (s->filled - drop) * sizeof s->history[0]);
    for (uint32_t i = 0u; i < flag_words; i++) {
        s->history_missing[i] = ((i + words) < flag_words) ? s->history_missing[i + words] : 0u;
    }
    s->filled -= drop;
    s->base -= drop;
}

/* One sample of the input, gaps filled, with 4 fraction bits. False when a window is lost. */
static bool take(pp_signal_t *s, int32_t sample, bool missing)
{
    bool kept = true;
    if (s->rate_mhz == PP_SIGNAL_MODEL_RATE_MHZ) {
        return put(s, sample * PP_RAISE, missing);
    }
    if (s->filled == PP_SIGNAL_HISTORY) {
        make_room(s);
    }
    s->history[s->filled] = sample;
    if (missing) {
        s->history_missing[s->filled / 32u] |= 1u << (s->filled & 31u);
    }
    s->filled++;
    while ((s->base + s->half) < s->filled) {
        const uint32_t flags = s->history_missing[s->base / 32u];
        if (!put(s, interpolate(s), ((flags >> (s->base & 31u)) & 1u) != 0u)) {
            kept = false;
        }
        s->phase += s->rate_mhz;
        while (s->phase >= PP_SIGNAL_MODEL_RATE_MHZ) {
            s->phase -= PP_SIGNAL_MODEL_RATE_MHZ;
            s->base++;
        }
    }
    return kept;
}

/* The `run` missing samples before `after`, on the line between their neighbours. */
static bool bridge(pp_signal_t *s, int32_t after)
{
    bool kept = true;
    const int32_t before = s->last;
    const bool rises = after >= before;
    const uint64_t rise = (uint64_t)(rises ? (after - before) : (before - after));
    const uint32_t parts = s->run + 1u;
    for (uint32_t k = 1u; k <= s->run; k++) {
        const int32_t part = (int32_t)(((rise * k) + (parts / 2u)) / parts);
        if (!take(s, rises ? (before + part) : (before - part), true)) {
            kept = false;
        }
    }
    return kept;
}

pp_signal_status_t pp_signal_push(pp_signal_t *signal, int32_t count)
{
    bool kept = true;
    int32_t sample = count;
    if (signal == NULL) {
        return PP_SIGNAL_BAD_ARGUMENT;
    }
    if (sample > PP_COUNT_MAX) {
        sample = PP_COUNT_MAX;
    }
    if (sample < PP_COUNT_MIN) {
        sample = PP_COUNT_MIN;
    }
    sample *= signal->polarity;
    const bool first = !signal->begun;
    if (first) {
        /* The filter's steady state is a signal that always was at its first sample. */
        signal->origin = sample;
        signal->begun = true;
        signal->asleep = false;
    }
    sample = (sample - signal->origin) * (int32_t)(1u << PP_SAMPLE_BITS);
    if ((signal->run != 0u) && (signal->run <= signal->bridged)) {
        kept = bridge(signal, sample);
    }
    signal->run = 0u;
    signal->last = sample;
    if (!take(signal, sample, false)) {
        kept = false;
    }
    return kept ? PP_SIGNAL_OK : PP_SIGNAL_WINDOW_LOST;
}

pp_signal_status_t pp_signal_gap(pp_signal_t *signal, uint32_t samples)
{
    bool kept = true;
    if (signal == NULL) {
        return PP_SIGNAL_BAD_ARGUMENT;
    }
    if (signal->asleep) {
        return PP_SIGNAL_OK;
    }
    /* Before the first sample there is nothing to hold, hence nothing to wait for. */
    const uint32_t limit = signal->begun ? signal->restart : signal->bridged;
    const uint32_t room = limit - signal->run;
    const uint32_t filled = (samples < room) ? samples : room;
    const uint32_t before = signal->run;
    signal->run += filled;
    if (signal->begun && (signal->run > signal->bridged)) {
        /* The line that was hoped for is given up: what waited for it is held, too. */
        const uint32_t waited = (before > signal->bridged) ? before : 0u;
        for (uint32_t i = waited; i < signal->run; i++) {
            if (!take(signal, signal->last, true)) {
                kept = false;
            }
        }
    }
    if (samples > room) {
        begin(signal);
        signal->asleep = true;
        return PP_SIGNAL_RESTARTED;
    }
    return kept ? PP_SIGNAL_OK : PP_SIGNAL_WINDOW_LOST;
}

bool pp_signal_ready(const pp_signal_t *signal)
{
    return (signal != NULL) && (signal->available >= (int32_t)PP_WINDOW);
}

/* Where in the ring the next window begins. Only while one is finished. */
static uint32_t window_at(const pp_signal_t *s)
{
    const uint32_t available = (uint32_t)s->available;
    return (s->ring_at >= available) ? (s->ring_at - available)
                                     : (s->ring_at + PP_SIGNAL_RING - available);
}

static uint32_t next_at(uint32_t at)
{
    return (at + 1u < PP_SIGNAL_RING) ? (at + 1u) : 0u;
}

/* Whether the resampled signal stood still throughout: what the filter still rings must not
 * be blown up into a pulse. */
static bool is_flat(const pp_signal_t *s, uint32_t from)
{
    uint32_t at = from;
    bool moved = false;
    for (uint32_t i = 1u; i < PP_WINDOW; i++) {
        at = next_at(at);
        moved = moved || get_bit(s->ring_moved, at);
    }
    return !moved;
}

pp_signal_status_t pp_signal_window(const pp_signal_t *signal, int8_t out[PP_WINDOW])
{
    if ((signal == NULL) || (out == NULL)) {
        return PP_SIGNAL_BAD_ARGUMENT;
    }
    if (!pp_signal_ready(signal)) {
        return PP_SIGNAL_NOT_READY;
    }
    const uint32_t from = window_at(signal);
    uint32_t at = from;
    int64_t sum = 0;
    int32_t highest = INT32_MIN;
    int32_t lowest = INT32_MAX;
    for (uint32_t i = 0u; i < PP_WINDOW; i++) {
        const int32_t y = signal->ring[at];
        sum += y;
        highest = (y > highest) ? y : highest;
        lowest = (y < lowest) ? y : lowest;
        at = next_at(at);
    }
    /* 640 times the distance to the mean is a whole number below 2^42. */
    const int64_t above = ((int64_t)highest * (int64_t)PP_WINDOW) - sum;
    const int64_t below = sum - ((int64_t)lowest * (int64_t)PP_WINDOW);
    const uint32_t bits = pp_bit_length((uint64_t)((above > below) ? above : below));
    const uint32_t lower = (bits > PP_MANTISSA_BITS) ? (bits - PP_MANTISSA_BITS) : 0u;
    uint64_t energy = 0u;
    at = from;
    for (uint32_t i = 0u; i < PP_WINDOW; i++) {
        const int64_t centred = ((int64_t)signal->ring[at] * (int64_t)PP_WINDOW) - sum;
        const int32_t mantissa = (int32_t)pp_shift_right(centred, lower);
        energy += (uint64_t)((int64_t)mantissa * mantissa);
        at = next_at(at);
    }
    if ((energy == 0u) || is_flat(signal, from)) {
        (void)memset(out, 0, PP_WINDOW);
        return PP_SIGNAL_OK;
    }
    const uint32_t raised = (62u - pp_bit_length(energy)) / 2u;
    const int32_t scale = (int32_t)(PP_SCALE / pp_root(energy << (2u * raised)));
    const uint32_t shift = PP_SCALE_BITS - raised;
    const int64_t half = (int64_t)(UINT64_C(1) << (shift - 1u));
    at = from;
    for (uint32_t i = 0u; i < PP_WINDOW; i++) {
        const int64_t centred = ((int64_t)signal->ring[at] * (int64_t)PP_WINDOW) - sum;
        const int32_t mantissa = (int32_t)pp_shift_right(centred, lower);
        /* |mantissa| <= 2^24 and 2^29 <= scale < 2^31. */
        const int64_t product = (int64_t)mantissa * scale;
        int64_t step = pp_shift_right(product + half, shift);
        step = (step > PP_STEP_MAX) ? PP_STEP_MAX : step;
        step = (step < -PP_STEP_MAX) ? -PP_STEP_MAX : step;
        out[i] = (int8_t)step;
        at = next_at(at);
    }
    return PP_SIGNAL_OK;
}

uint32_t pp_signal_window_start(const pp_signal_t *signal)
{
    return (signal != NULL) ? signal->start : 0u;
}

uint32_t pp_signal_missing(const pp_signal_t *signal)
{
    uint32_t count = 0u;
    if (pp_signal_ready(signal)) {
        uint32_t at = window_at(signal);
        for (uint32_t i = 0u; i < PP_WINDOW; i++) {
            count += get_bit(signal->ring_missing, at) ? 1u : 0u;
            at = next_at(at);
        }
    }
    return count;
}

pp_signal_status_t pp_signal_advance(pp_signal_t *signal)
{
    if (signal == NULL) {
        return PP_SIGNAL_BAD_ARGUMENT;
    }
    if (!pp_signal_ready(signal)) {
        return PP_SIGNAL_NOT_READY;
    }
    signal->available -= (int32_t)signal->hop;
    signal->start += signal->hop;
    return PP_SIGNAL_OK;
}

uint8_t pp_signal_quality(const pp_signal_t *signal, const int8_t window[PP_WINDOW])
{
    return pp_signal_ready(signal) ? pp_signal_window_quality(window, pp_signal_missing(signal))
                                   : (uint8_t)0;
}
