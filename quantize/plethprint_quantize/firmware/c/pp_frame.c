/* See pp_frame.h for the contracts. */
#include "pp_frame.h"

#include <stdbool.h>
#include <string.h>

#include "pp_integer.h"

#define COUNT_BYTES 3u
#define COUNT_MIN (-8388608)
#define COUNT_MAX 8388607
#define ATT_HEADER_BYTES 3u
#define LONGEST_ATTRIBUTE_BYTES 512u
#define F32_INFINITY 0x7F800000u
#define F32_ONE 0x3F800000u
#define F32_NEGATIVE_ZERO 0x80000000u
#define F64_EXPONENT 0x7FFu
#define HAS_HEART_RATE 0x01u
#define MODEL_AT 37u
#define CHECKSUM_BYTES 4u

static void put_number(uint8_t *at, uint64_t value, uint32_t bytes)
{
    for (uint32_t i = 0u; i < bytes; i++) {
        at[i] = (uint8_t)((value >> (8u * i)) & 0xFFu);
    }
}

static uint64_t get_number(const uint8_t *at, uint32_t bytes)
{
    uint64_t value = 0u;
    for (uint32_t i = 0u; i < bytes; i++) {
        value |= (uint64_t)at[i] << (8u * i);
    }
    return value;
}

uint32_t pp_frame_samples(uint32_t mtu, uint32_t channels)
{
    uint32_t room = (mtu > ATT_HEADER_BYTES) ? (mtu - ATT_HEADER_BYTES) : 0u;
    room = (room < LONGEST_ATTRIBUTE_BYTES) ? room : LONGEST_ATTRIBUTE_BYTES;
    if ((channels < 1u) || (channels > PP_FRAME_MAX_CHANNELS) || (room < PP_FRAME_HEADER_BYTES)) {
        return 0u;
    }
    const uint32_t samples = (room - PP_FRAME_HEADER_BYTES) / (COUNT_BYTES * channels);
    return (samples < PP_FRAME_MAX_SAMPLES) ? samples : PP_FRAME_MAX_SAMPLES;
}

pp_frame_status_t pp_frame_encode(const pp_frame_t *frame, const int32_t *counts, uint8_t *out,
                                  size_t capacity, size_t *length)
{
    if ((frame == NULL) || (counts == NULL) || (out == NULL) || (length == NULL)) {
        return PP_FRAME_BAD_ARGUMENT;
    }
    if ((frame->channels < 1u) || (frame->channels > PP_FRAME_MAX_CHANNELS) ||
        (frame->samples < 1u)) {
        return PP_FRAME_BAD_SHAPE;
    }
    const size_t values = (size_t)frame->channels * frame->samples;
    for (size_t i = 0u; i < values; i++) {
        if ((counts[i] < COUNT_MIN) || (counts[i] > COUNT_MAX)) {
            return PP_FRAME_BAD_VALUE;
        }
    }
    const size_t needed = PP_FRAME_HEADER_BYTES + (COUNT_BYTES * values);
    if (capacity < needed) {
        return PP_FRAME_NO_ROOM;
    }
    out[0] = (uint8_t)PP_FRAME_VERSION;
    out[1] = frame->status;
    put_number(&out[2], frame->sequence, 2u);
    put_number(&out[4], frame->first_index, 4u);
    put_number(&out[8], frame->device_time_us, 4u);
    put_number(&out[12], frame->overflow_frames, 2u);
    out[14] = frame->channels;
    out[15] = frame->samples;
    for (size_t i = 0u; i < values; i++) {
        put_number(&out[PP_FRAME_HEADER_BYTES + (COUNT_BYTES * i)], (uint32_t)counts[i],
                   COUNT_BYTES);
    }
    *length = needed;
    return PP_FRAME_OK;
}

pp_frame_status_t pp_frame_decode(const uint8_t *data, size_t length, pp_frame_t *frame,
                                  int32_t *counts, size_t capacity)
{
    if ((data == NULL) || (frame == NULL) || (counts == NULL)) {
        return PP_FRAME_BAD_ARGUMENT;
    }
    if (length < PP_FRAME_HEADER_BYTES) {
        return PP_FRAME_BAD_LENGTH;
    }
    if (data[0] != PP_FRAME_VERSION) {
        return PP_FRAME_BAD_VERSION;
    }
    const uint8_t channels = data[14];
    const uint8_t samples = data[15];
    if ((channels < 1u) || (channels > PP_FRAME_MAX_CHANNELS) || (samples < 1u)) {
        return PP_FRAME_BAD_SHAPE;
    }
    const size_t values = (size_t)channels * samples;
    if (length != (PP_FRAME_HEADER_BYTES + (COUNT_BYTES * values))) {
        return PP_FRAME_BAD_LENGTH;
    }
    if (capacity < values) {
        return PP_FRAME_NO_ROOM;
    }
    frame->status = data[1];
    frame->sequence = (uint16_t)get_number(&data[2], 2u);
    frame->first_index = (uint32_t)get_number(&data[4], 4u);
    frame->device_time_us = (uint32_t)get_number(&data[8], 4u);
    frame->overflow_frames = (uint16_t)get_number(&data[12], 2u);
    frame->channels = channels;
    frame->samples = samples;
    for (size_t i = 0u; i < values; i++) {
        const int32_t count = (int32_t)get_number(
            &data[PP_FRAME_HEADER_BYTES + (COUNT_BYTES * i)], COUNT_BYTES);
        counts[i] = (count > COUNT_MAX) ? (count + (2 * COUNT_MIN)) : count;
    }
    return PP_FRAME_OK;
}

uint32_t pp_crc32(const uint8_t *data, size_t length)
{
    /* Half a byte at a time: a table of 64 bytes instead of 1,024. */
    static const uint32_t TABLE[16] = {
        0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u,
        0x4DB26158u, 0x5005713Cu, 0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu,
        0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu};
    uint32_t crc = 0xFFFFFFFFu;
    if (data == NULL) {
        return 0u;
    }
    for (size_t i = 0u; i < length; i++) {
        crc ^= data[i];
        crc = (crc >> 4) ^ TABLE[crc & 15u];
        crc = (crc >> 4) ^ TABLE[crc & 15u];
    }
    return crc ^ 0xFFFFFFFFu;
}

/* 0..1, with either sign of zero, as the host takes it. */
static bool is_share(uint32_t f32)
{
    return (f32 <= F32_ONE) || (f32 == F32_NEGATIVE_ZERO);
}

static bool is_positive(uint32_t f32)
{
    return (f32 > 0u) && (f32 < F32_INFINITY);
}

static bool is_finite(uint64_t f64)
{
    return ((f64 >> 52) & F64_EXPONENT) != F64_EXPONENT;
}

static uint32_t squared_length(const int8_t *vector, size_t dim)
{
    uint32_t squared = 0u;
    for (size_t i = 0u; i < dim; i++) {
        const int32_t number = vector[i];
        squared += (uint32_t)(number * number);
    }
    return squared;
}

/* Whether scale x length lies within a thousandth of 1; for a vector of zeros any finite
 * scale will do. With scale = m x 2^e this compares m^2 x |vector|^2 x 2^2e, m^2 kept to
 * 38 bits so that the product fits into 64. */
static bool fits_scale(uint32_t scale, uint32_t squared)
{
    const uint32_t exponent = (scale >> 23) & 0xFFu;
    if (squared == 0u) {
        return exponent != 0xFFu;
    }
    /* |vector|^2 < 2^27, so that scale > 2^-14, a normal number; and below 2. */
    if ((scale >= 0x40000000u) || (exponent < (127u - 14u))) {
        return false;
    }
    const uint64_t mantissa = (scale & 0x7FFFFFu) | 0x800000u;
    const uint64_t product = ((mantissa * mantissa) >> 10) * squared;
    /* scale^2 |vector|^2 = product x 2^(10 + 2 (exponent - 150)). */
    const uint32_t one_at = 290u - (2u * exponent); /* 1 is 2^one_at, 36..64 */
    const uint32_t bits = pp_bit_length(product);
    if ((bits > (one_at + 1u)) || ((bits + 1u) < one_at)) {
        return false;
    }
    /* Both to 2^60: 0.999^2 and 1.001^2. */
    const uint64_t share =
        (one_at > 60u) ? (product >> (one_at - 60u)) : (product << (60u - one_at));
    return (share >= UINT64_C(1150616814519137889)) && (share <= UINT64_C(1155228500537565276));
}

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xC0u) == 0x80u;
}

/* Whether the bytes are UTF-8 as RFC 3629 has it: no longer forms, no surrogates. */
static bool is_utf8(const uint8_t *text, size_t length)
{
    size_t at = 0u;
    while (at < length) {
        const uint8_t lead = text[at];
        size_t more = 0u;
        uint8_t least = 0x80u; /* of the second byte */
        uint8_t most = 0xBFu;
        if (lead < 0x80u) {
            more = 0u;
        } else if ((lead >= 0xC2u) && (lead <= 0xDFu)) {
            more = 1u;
        } else if ((lead >= 0xE0u) && (lead <= 0xEFu)) {
            more = 2u;
            least = (lead == 0xE0u) ? 0xA0u : least;
            most = (lead == 0xEDu) ? 0x9Fu : most;
        } else if ((lead >= 0xF0u) && (lead <= 0xF4u)) {
            more = 3u;
            least = (lead == 0xF0u) ? 0x90u : least;
            most = (lead == 0xF4u) ? 0x8Fu : most;
        } else {
            return false;
        }
        if ((length - at) <= more) {
            return false;
        }
        for (size_t i = 1u; i <= more; i++) {
            const uint8_t byte = text[at + i];
            if (!is_continuation(byte) || ((i == 1u) && ((byte < least) || (byte > most)))) {
                return false;
            }
        }
        at += more + 1u;
    }
    return true;
}

static pp_frame_status_t check(const pp_fingerprint_t *f)
{
    if ((f->dim < 1u) || (f->dim > PP_FINGERPRINT_MAX_DIM) || (f->model_bytes < 1u)) {
        return PP_FRAME_BAD_SHAPE;
    }
    const bool good = is_finite(f->start) && is_positive(f->duration_s) &&
                      is_share(f->quality) && is_share(f->missing) &&
                      ((f->heart_rate_bpm == 0u) || is_positive(f->heart_rate_bpm)) &&
                      is_utf8(f->model, f->model_bytes) &&
                      fits_scale(f->scale, squared_length(f->vector, f->dim));
    return good ? PP_FRAME_OK : PP_FRAME_BAD_VALUE;
}

pp_frame_status_t pp_fingerprint_encode(const pp_fingerprint_t *fingerprint, uint8_t *out,
                                        size_t capacity, size_t *length)
{
    if ((fingerprint == NULL) || (out == NULL) || (length == NULL) ||
        (fingerprint->model == NULL) || (fingerprint->vector == NULL)) {
        return PP_FRAME_BAD_ARGUMENT;
    }
    const pp_fingerprint_t *f = fingerprint;
    const pp_frame_status_t status = check(f);
    if (status != PP_FRAME_OK) {
        return status;
    }
    const size_t body = (size_t)MODEL_AT + f->model_bytes + f->dim;
    if (capacity < (body + CHECKSUM_BYTES)) {
        return PP_FRAME_NO_ROOM;
    }
    out[0] = (uint8_t)'P';
    out[1] = (uint8_t)'L';
    out[2] = (uint8_t)'F';
    out[3] = (uint8_t)'P';
    out[4] = (uint8_t)PP_FINGERPRINT_VERSION;
    out[5] = (uint8_t)((f->heart_rate_bpm != 0u) ? HAS_HEART_RATE : 0u);
    put_number(&out[6], f->dim, 2u);
    put_number(&out[8], f->start, 8u);
    put_number(&out[16], f->duration_s, 4u);
    put_number(&out[20], f->quality, 4u);
    put_number(&out[24], f->missing, 4u);
    put_number(&out[28], f->heart_rate_bpm, 4u);
    put_number(&out[32], f->scale, 4u);
    out[36] = f->model_bytes;
    (void)memcpy(&out[MODEL_AT], f->model, f->model_bytes);
    (void)memcpy(&out[MODEL_AT + f->model_bytes], f->vector, f->dim);
    put_number(&out[body], pp_crc32(out, body), CHECKSUM_BYTES);
    *length = body + CHECKSUM_BYTES;
    return PP_FRAME_OK;
}

pp_frame_status_t pp_fingerprint_decode(const uint8_t *data, size_t length,
                                        pp_fingerprint_t *fingerprint)
{
    pp_fingerprint_t f;
    if ((data == NULL) || (fingerprint == NULL)) {
        return PP_FRAME_BAD_ARGUMENT;
    }
    if (length < PP_FINGERPRINT_FIXED_BYTES) {
        return PP_FRAME_BAD_LENGTH;
    }
    if ((data[0] != (uint8_t)'P') || (data[1] != (uint8_t)'L') || (data[2] != (uint8_t)'F') ||
        (data[3] != (uint8_t)'P')) {
        return PP_FRAME_BAD_MAGIC;
    }
    if (data[4] != PP_FINGERPRINT_VERSION) {
        return PP_FRAME_BAD_VERSION;
    }
    f.dim = (uint16_t)get_number(&data[6], 2u);
    f.model_bytes = data[36];
    const size_t body = (size_t)MODEL_AT + f.model_bytes + f.dim;
    if (length != (body + CHECKSUM_BYTES)) {
        return PP_FRAME_BAD_LENGTH;
    }
    if (get_number(&data[body], CHECKSUM_BYTES) != pp_crc32(data, body)) {
        return PP_FRAME_BAD_CHECKSUM;
    }
    f.start = get_number(&data[8], 8u);
    f.duration_s = (uint32_t)get_number(&data[16], 4u);
    f.quality = (uint32_t)get_number(&data[20], 4u);
    f.missing = (uint32_t)get_number(&data[24], 4u);
    f.heart_rate_bpm = (uint32_t)get_number(&data[28], 4u);
    f.scale = (uint32_t)get_number(&data[32], 4u);
    f.model = &data[MODEL_AT];
    /* int8_t is a character type: reading bytes through it is defined. */
    f.vector = (const int8_t *)&data[MODEL_AT + f.model_bytes];
    const bool has_rate = data[5] == HAS_HEART_RATE;
    if (!has_rate && (f.heart_rate_bpm == F32_NEGATIVE_ZERO)) {
        f.heart_rate_bpm = 0u;
    }
    if (((data[5] & (uint8_t)~HAS_HEART_RATE) != 0u) || (has_rate == (f.heart_rate_bpm == 0u))) {
        return PP_FRAME_BAD_VALUE;
    }
    const pp_frame_status_t status = check(&f);
    if (status == PP_FRAME_OK) {
        *fingerprint = f;
    }
    return status;
}

uint32_t pp_f32_of_ratio(uint32_t numerator, uint32_t denominator)
{
    if ((numerator == 0u) || (denominator == 0u) || (numerator >= (1u << 24)) ||
        (denominator >= (1u << 24))) {
        return 0u;
    }
    /* A quotient of 25 or 26 bits: 24 to keep, and what decides how the last is rounded. */
    const uint32_t raise = (25u + pp_bit_length(denominator)) - pp_bit_length(numerator);
    const uint64_t raised = (uint64_t)numerator << raise;
    const uint64_t quotient = raised / denominator;
    const uint64_t rest = raised % denominator;
    const uint32_t below = pp_bit_length(quotient) - 24u;
    const uint64_t half = UINT64_C(1) << (below - 1u);
    const uint64_t cut = quotient & ((UINT64_C(1) << below) - 1u);
    uint64_t mantissa = quotient >> below;
    if ((cut > half) || ((cut == half) && ((rest != 0u) || ((mantissa & 1u) != 0u)))) {
        mantissa++;
    }
    /* A mantissa that was rounded up to 2^24 carries into the exponent, as it should. */
    const uint32_t exponent = ((127u + 23u) + below) - raise;
    return (uint32_t)(((uint64_t)(exponent - 1u) << 23) + mantissa);
}

uint32_t pp_f32_unit_scale(const int8_t *vector, size_t dim)
{
    if ((vector == NULL) || (dim > PP_FINGERPRINT_MAX_DIM)) {
        return 0u;
    }
    uint32_t squared = squared_length(vector, dim);
    if (squared == 0u) {
        return 0u;
    }
    /* squared = n / 4^quarters with n in 2^26..2^28: 1 / root(n) lies in 2^-14..2^-13. */
    uint32_t quarters = 0u;
    while (squared < (1u << 26)) {
        squared *= 4u;
        quarters++;
    }
    /* root(2^76 / n) has 25 or 26 bits; 2^76 / n takes two steps in 64 bits. */
    const uint64_t first = (UINT64_C(1) << 63) / squared;
    const uint64_t rest = (UINT64_C(1) << 63) % squared;
    const uint64_t quotient = (first << 13) + ((rest << 13) / squared);
    const uint32_t root = pp_root(quotient);
    const uint32_t below = pp_bit_length(root) - 24u;
    /* Never half way: then n would be a power of two, whose root needs no rounding. */
    const uint32_t mantissa = (root + (1u << (below - 1u))) >> below;
    /* 1 / length = mantissa x 2^(below - 38 + quarters). */
    const uint32_t exponent = (((127u + 23u) + below) - 38u) + quarters;
    return ((exponent - 1u) << 23) + mantissa;
}

uint64_t pp_f64_of_us(uint64_t microseconds)
{
    const uint64_t million = 1000000u;
    if ((microseconds == 0u) || (microseconds >= (UINT64_C(1) << 53))) {
        return 0u;
    }
    /* Long division in binary until 53 bits and one more are there. */
    uint64_t quotient = microseconds / million;
    uint64_t rest = microseconds % million;
    uint32_t raise = 0u;
    while (pp_bit_length(quotient) < 54u) {
        rest *= 2u;
        quotient *= 2u;
        if (rest >= million) {
            rest -= million;
            quotient++;
        }
        raise++;
    }
    uint64_t mantissa = quotient >> 1;
    if (((quotient & 1u) != 0u) && ((rest != 0u) || ((mantissa & 1u) != 0u))) {
        mantissa++;
    }
    const uint64_t exponent = (1023u + 53u) - raise;
    return ((exponent - 1u) << 52) + mantissa;
}
