/* Integer arithmetic with one meaning on every compiler; for pp_signal and pp_quality. */
#ifndef PP_INTEGER_H
#define PP_INTEGER_H

#include <stdint.h>

/* C99 leaves >> of a negative number to the compiler. All that are known to us keep the
 * sign; a build with one that does not fails here. */
typedef char pp_shift_check[((INT64_C(-3) >> 1) == INT64_C(-2)) ? 1 : -1];

/* floor(value / 2^bits), bits 0..62. */
static inline int64_t pp_shift_right(int64_t value, uint32_t bits)
{
    return value >> bits;
}

static inline int32_t pp_saturate(int64_t value)
{
    int32_t result;
    if (value > INT32_MAX) {
        result = INT32_MAX;
    } else if (value < INT32_MIN) {
        result = INT32_MIN;
    } else {
        result = (int32_t)value;
    }
    return result;
}

/* Bits up to the highest one that is set; 0 for 0. */
static inline uint32_t pp_bit_length(uint64_t value)
{
    uint32_t bits = 0u;
    uint64_t rest = value;
    while (rest != 0u) {
        rest >>= 1;
        bits++;
    }
    return bits;
}

/* floor(square root). */
static inline uint32_t pp_root(uint64_t value)
{
    uint64_t rest = value;
    uint64_t root = 0u;
    for (uint64_t bit = UINT64_C(1) << 62; bit != 0u; bit >>= 2) {
        if (rest >= root + bit) {
            rest -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return (uint32_t)root;
}

#endif /* PP_INTEGER_H */
