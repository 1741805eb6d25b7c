/* libFuzzer harness: no bytes may make a decoder read or write out of bounds, and what it
 * takes encodes to the same bytes again. The first byte chooses; see Makefile.fuzz. */
#include <stdlib.h>
#include <string.h>

#include "pp_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LONGEST 4500u

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

static void try_frame(const uint8_t *data, size_t size)
{
    pp_frame_t frame;
    int32_t counts[1020];
    uint8_t again[16 + 3 * 1020];
    size_t length = 0u;
    const size_t capacity = ((size & 1u) != 0u) ? 1020u : (size / 4u);
    if (pp_frame_decode(data, size, &frame, counts, capacity) == PP_FRAME_OK) {
        require(pp_frame_encode(&frame, counts, again, sizeof again, &length) == PP_FRAME_OK);
        require((length == size) && (memcmp(again, data, size) == 0));
        require(pp_frame_encode(&frame, counts, again, size - 1u, &length) == PP_FRAME_NO_ROOM);
    }
}

static void try_fingerprint(const uint8_t *data, size_t size)
{
    pp_fingerprint_t fingerprint;
    uint8_t again[LONGEST];
    size_t length = 0u;
    if (pp_fingerprint_decode(data, size, &fingerprint) == PP_FRAME_OK) {
        require(pp_fingerprint_encode(&fingerprint, again, sizeof again, &length) == PP_FRAME_OK);
        require(length == size);
        /* A heart rate of -0 without its flag is taken, and becomes 0. */
        require((data[31] == 0x80u) || (memcmp(again, data, size) == 0));
        (void)pp_f32_unit_scale(fingerprint.vector, fingerprint.dim);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if ((size < 1u) || (size > LONGEST)) {
        return 0;
    }
    /* A copy of exactly this size, so that the sanitizer sees one byte too many. */
    const size_t length = size - 1u;
    uint8_t *bytes = malloc((length > 0u) ? length : 1u);
    require(bytes != NULL);
    (void)memcpy(bytes, &data[1], length);
    switch (data[0] & 3u) {
    case 0u:
        try_frame(bytes, length);
        break;
    case 1u:
        try_fingerprint(bytes, length);
        break;
    default:
        /* With a checksum that is right: else hardly anything would get past it. */
        if (length >= 4u) {
            const uint32_t crc = pp_crc32(bytes, length - 4u);
            for (uint32_t i = 0u; i < 4u; i++) {
                bytes[length - 4u + i] = (uint8_t)(crc >> (8u * i));
            }
        }
        try_fingerprint(bytes, length);
        break;
    }
    if (length >= 8u) {
        uint32_t numbers[2];
        uint64_t microseconds;
        (void)memcpy(numbers, bytes, sizeof numbers);
        (void)memcpy(&microseconds, bytes, sizeof microseconds);
        (void)pp_f32_of_ratio(numbers[0], numbers[1]);
        (void)pp_f32_of_ratio(numbers[0] >> 8, numbers[1] >> 8);
        (void)pp_f64_of_us(microseconds);
        (void)pp_frame_samples(numbers[0], numbers[1]);
    }
    free(bytes);
    return 0;
}
