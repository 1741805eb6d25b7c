/* The few operations that differ from core to core; private to pp_kernels.c.
 *
 * PP_ARITHMETIC_MVE  Helium of the M55: eight 16-bit products an instruction
 * PP_ARITHMETIC_DSP  M4, M7, M33: two 16-bit products an instruction (SMLAD)
 * otherwise          plain C99, for M0, M3, RISC-V and hosts
 *
 * All three give the same bits; define PP_PLAIN_C to have the last one anywhere.
 */
#ifndef PP_ARITHMETIC_H
#define PP_ARITHMETIC_H

#include <stdint.h>
#include <string.h>

#if !defined(PP_PLAIN_C) && defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#define PP_ARITHMETIC_MVE 1
#include <arm_mve.h>
#elif !defined(PP_PLAIN_C) && defined(__ARM_FEATURE_DSP) && (__ARM_FEATURE_DSP == 1)
#define PP_ARITHMETIC_DSP 1
#endif

/* >> of a negative number must keep its sign: C99 leaves that to the compiler. */
typedef char pp_shift_is_arithmetic[((-3 >> 1) == -2) ? 1 : -1];

/* What turns one channel's sums into int8; see pp_requantise. */
typedef struct {
    int32_t multiplier;
    uint32_t halvings; /* all but the last */
    int32_t zero;
} pp_rescale;

#if defined(__ARM_FEATURE_DSP) && (__ARM_FEATURE_DSP == 1) && !defined(PP_PLAIN_C)
/* sum * multiplier / 2^31, rounded. SMMULR drops 32 bits, so that the sum goes in doubled;
 * the generator made sure that it can be. */
static inline int32_t pp_high_product(int32_t sum, int32_t multiplier)
{
    int32_t result;
    __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(sum * 2), "r"(multiplier));
    return result;
}

/* The nearest int8. */
static inline int32_t pp_to_int8(int32_t value)
{
    int32_t result;
    __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(value));
    return result;
}
#else
static inline int32_t pp_high_product(int32_t sum, int32_t multiplier)
{
    return (int32_t)(((int64_t)sum * multiplier + ((int64_t)1 << 30)) >> 31);
}

static inline int32_t pp_to_int8(int32_t value)
{
    value = (value < -128) ? -128 : value;
    return (value > 127) ? 127 : value;
}
#endif

/* sum * multiplier / 2^31, rounded; then halved some times, rounded with ties away from
 * zero; then the zero point. Two roundings, as TFLite has them. */
static inline int8_t pp_requantise(int32_t sum, const pp_rescale *to)
{
    int32_t value = pp_high_product(sum, to->multiplier);
    value += value >> 31; /* a negative tie goes down */
    value = ((value >> to->halvings) + 1) >> 1;
    return (int8_t)pp_to_int8(value + to->zero);
}

#if defined(PP_ARITHMETIC_DSP)

/* Two 16-bit values, or four bytes, at once, whatever type they were stored by. Where it is
 * used, the address is a multiple of four. */
typedef uint32_t __attribute__((may_alias)) pp_word;

/* Two 16-bit values from an address of any alignment. */
static inline uint32_t pp_load_pair(const int16_t *from)
{
    uint32_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

/* Two 16-bit products onto a sum. */
static inline int32_t pp_smlad(uint32_t a, uint32_t b, int32_t sum)
{
    int32_t result;
    __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}

/* Four 16-bit products onto a sum; *x goes on to the next four values. Compilers tune for
 * the M4 with two loads, each of which the product then waits for. */
static inline int32_t pp_dot_four(const pp_word **x, uint32_t even, uint32_t odd,
                                  int32_t sum)
{
    uint32_t first, second;
    __asm__("ldrd %0, %1, [%2], #8"
            : "=r"(first), "=r"(second), "+r"(*x)
            :
            : "memory");
    return pp_smlad(second, odd, pp_smlad(first, even, sum));
}

/* Bytes 0 and 2 of a word as two 16-bit values. */
static inline uint32_t pp_even_bytes(uint32_t word)
{
    uint32_t result;
    __asm__("sxtb16 %0, %1" : "=r"(result) : "r"(word));
    return result;
}

/* Bytes 1 and 3. */
static inline uint32_t pp_odd_bytes(uint32_t word)
{
    uint32_t result;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(word));
    return result;
}

/* Two 16-bit sums. */
static inline uint32_t pp_add_pairs(uint32_t a, uint32_t b)
{
    uint32_t result;
    __asm__("sadd16 %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
}

#endif
#endif
