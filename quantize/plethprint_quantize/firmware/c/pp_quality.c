/* Quality of a window: plethprint_quantize.firmware.fixed_quality in C. The measures and
 * their weights are those of plethprint.quality; see there for what they mean. */
#include <stddef.h>

#include "pp_integer.h"
#include "pp_quality_tables.h"
#include "pp_signal.h"

#define PP_Q16 65536u
/* Products of two int8 over a whole window stay below 2^24. */
#define PP_PERIOD_LEAST ((uint32_t)((2u * PP_Q16 + 5u) / 10u))
#define PP_PERIOD_MOST ((uint32_t)((8u * PP_Q16 + 5u) / 10u))
#define PP_PERIOD_ENOUGH ((uint32_t)((64u * PP_Q16 + 50u) / 100u))
#define PP_ROUGH_MOST ((uint32_t)((15u * PP_Q16 + 50u) / 100u))
#define PP_DRIFT_MOST ((uint32_t)((2u * PP_Q16 + 5u) / 10u))
#define PP_JERK_MOST ((uint32_t)((4u * PP_Q16 + 5u) / 10u))

static uint32_t at_most(uint64_t value, uint32_t limit)
{
    return (value < limit) ? (uint32_t)value : limit;
}

static uint32_t square_of(int32_t step)
{
    return (uint32_t)(step * step);
}

/* Squared normalised autocorrelation of every `stride`-th sample at `lag` samples of the
 * window, Q16; 0 where it is negative. `head` and `tail` are the energies of the samples
 * that have a partner after and before them. At most 1, by Cauchy and Schwarz. */
static uint32_t squared_correlation(const int8_t *window, uint32_t lag, uint32_t stride,
                                    uint32_t head, uint32_t tail)
{
    int32_t product = 0;
    for (uint32_t i = 0u; i < (PP_WINDOW - lag); i += stride) {
        product += (int32_t)window[i] * window[i + lag];
    }
    if (product <= 0) {
        return 0u;
    }
    const uint64_t square = (uint64_t)product * (uint64_t)product;
    return (uint32_t)((square << 16) / ((uint64_t)head * (uint64_t)tail));
}

/* The same of all samples. */
static uint32_t exact_correlation(const int8_t *window, uint32_t lag)
{
    uint32_t head = 0u;
    uint32_t tail = 0u;
    for (uint32_t i = 0u; i < (PP_WINDOW - lag); i++) {
        head += square_of(window[i]);
        tail += square_of(window[i + lag]);
    }
    return squared_correlation(window, lag, 1u, head, tail);
}

/* Best normalised autocorrelation at the lags of a pulse, Q16: looked for at half the rate,
 * taken exactly beside the best lag found. */
static uint32_t period(const int8_t *window)
{
    uint32_t best = 0u;
    uint32_t best_lag = 0u;
    uint32_t head = 0u;
    for (uint32_t i = 0u; i < PP_WINDOW; i += 2u) {
        head += square_of(window[i]);
    }
    uint32_t tail = head;
    for (uint32_t lag = 2u; lag <= PP_LONGEST_LAG; lag += 2u) {
        /* One sample at each end has lost its partner. */
        head -= square_of(window[PP_WINDOW - lag]);
        tail -= square_of(window[lag - 2u]);
        if (lag >= PP_SHORTEST_LAG) {
            const uint32_t square = squared_correlation(window, lag, 2u, head, tail);
            if (square > best) {
                best = square;
                best_lag = lag;
            }
            if (best >= PP_PERIOD_ENOUGH) {
                return PP_PERIOD_MOST;
            }
        }
    }
    if (best_lag == 0u) {
        return 0u;
    }
    best = 0u;
    for (uint32_t lag = best_lag - 1u; lag <= (best_lag + 1u); lag++) {
        if ((lag >= PP_SHORTEST_LAG) && (lag <= PP_LONGEST_LAG)) {
            const uint32_t square = exact_correlation(window, lag);
            best = (square > best) ? square : best;
        }
    }
    return pp_root((uint64_t)at_most(best, PP_PERIOD_ENOUGH) << 16);
}

static uint32_t logistic(int32_t logit)
{
    const uint32_t size = (uint32_t)((logit < 0) ? -logit : logit);
    const uint32_t entry = size >> PP_SIGMOID_BITS;
    uint32_t value = PP_SIGMOID[PP_SIGMOID_ENTRIES - 1u];
    if (entry < (PP_SIGMOID_ENTRIES - 1u)) {
        const uint32_t part = size & ((1u << PP_SIGMOID_BITS) - 1u);
        const uint32_t rise = (uint32_t)PP_SIGMOID[entry + 1u] - PP_SIGMOID[entry];
        value = PP_SIGMOID[entry] + ((rise * part) >> PP_SIGMOID_BITS);
    }
    return (logit < 0) ? (32768u - value) : value;
}

uint8_t pp_signal_window_quality(const int8_t window[PP_WINDOW], uint32_t missing)
{
    if ((window == NULL) || (missing >= PP_MOST_MISSING)) {
        return 0u;
    }
    uint32_t energy = 0u;
    uint32_t slope_energy = 0u;
    uint32_t bend_energy = 0u;
    uint64_t drift_energy = 0u;
    uint32_t least = UINT32_MAX;
    uint32_t most = 1u;
    int32_t last = window[0];
    int32_t last_slope = 0;
    for (uint32_t second = 0u; second < PP_SECONDS; second++) {
        int32_t sum = 0;
        uint32_t power = 0u;
        for (uint32_t i = second * PP_SECOND; i < ((second + 1u) * PP_SECOND); i++) {
            const int32_t step = window[i];
            const int32_t slope = step - last;
            const int32_t bend = slope - last_slope;
            sum += step;
            power += (uint32_t)(step * step);
            slope_energy += (uint32_t)(slope * slope);
            bend_energy += (i >= 2u) ? (uint32_t)(bend * bend) : 0u;
            last = step;
            last_slope = slope;
        }
        energy += power;
        drift_energy += (uint64_t)((int64_t)sum * sum);
        least = (power < least) ? power : least;
        most = (power > most) ? power : most;
    }
    if (energy == 0u) {
        return 0u;
    }
    const uint64_t total = (energy > PP_SECONDS) ? energy : PP_SECONDS;
    const uint32_t weakest = pp_root((((uint64_t)least * PP_SECONDS) << 32) / total);
    const uint32_t burst = pp_root((total << 32) / ((uint64_t)PP_SECONDS * most));
    const uint32_t rough = at_most(((uint64_t)slope_energy << 16) / energy, PP_ROUGH_MOST);
    const uint32_t drift =
        at_most((drift_energy << 16) / ((uint64_t)PP_SECOND * energy), PP_DRIFT_MOST);
    const uint32_t jerk = at_most(
        ((uint64_t)bend_energy << 16) / ((slope_energy > 0u) ? slope_energy : 1u), PP_JERK_MOST);
    const uint32_t found = period(window);
    const uint32_t repeats = (found > PP_PERIOD_LEAST) ? found : PP_PERIOD_LEAST;
    /* Both sides stay below 2^20. */
    const uint32_t good = repeats + (4u * weakest) + ((5u * burst) / 2u);
    const uint32_t bad = (6u * rough) + (4u * drift) + (25u * jerk) + (PP_Q16 / 2u);
    const uint32_t scaled =
        logistic((int32_t)good - (int32_t)bad) * 255u * (PP_MOST_MISSING - missing);
    return (uint8_t)((scaled + (PP_MOST_MISSING << 14)) / (PP_MOST_MISSING << 15));
}
