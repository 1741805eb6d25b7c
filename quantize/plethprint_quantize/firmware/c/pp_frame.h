/* Bytes on the air: PPG frames of the open profile (docs/ble-profile.md, section 5) and
 * fingerprints (section 6), byte for byte those of plethprint.ble.frame and
 * plethprint.fingerprint.
 *
 * C99, integers only, no heap, no writable globals, no recursion. Numbers that travel in
 * floating point are held as their IEEE 754 bits, so that a core without a floating-point
 * unit needs no library for it; pp_f32_of_ratio and the like make such bits from integers.
 * Decoders read no byte beyond `length`, and write nothing but what they return.
 */
#ifndef PP_FRAME_H
#define PP_FRAME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t pp_frame_status_t;
#define PP_FRAME_OK ((pp_frame_status_t)0)
#define PP_FRAME_BAD_ARGUMENT ((pp_frame_status_t)-1) /* a null pointer */
#define PP_FRAME_NO_ROOM ((pp_frame_status_t)-2)      /* `capacity` is too small */
#define PP_FRAME_BAD_LENGTH ((pp_frame_status_t)-3)   /* cut, padded, or empty */
#define PP_FRAME_BAD_VERSION ((pp_frame_status_t)-4)  /* another layout */
#define PP_FRAME_BAD_SHAPE ((pp_frame_status_t)-5)    /* no samples, channels, dimensions.. */
#define PP_FRAME_BAD_VALUE ((pp_frame_status_t)-6)    /* a field or a count out of range */
#define PP_FRAME_BAD_MAGIC ((pp_frame_status_t)-7)    /* no fingerprint at all */
#define PP_FRAME_BAD_CHECKSUM ((pp_frame_status_t)-8) /* damaged on the way */

#define PP_FRAME_VERSION 1u
#define PP_FRAME_HEADER_BYTES 16u
#define PP_FRAME_MAX_CHANNELS 4u
#define PP_FRAME_MAX_SAMPLES 255u

#define PP_FRAME_CONTACT 0x01u
#define PP_FRAME_SATURATED 0x02u
#define PP_FRAME_MOTION 0x04u
#define PP_FRAME_AMBIENT 0x08u
#define PP_FRAME_GAIN_CHANGED 0x10u
#define PP_FRAME_DROPPED 0x20u

/* What a frame says of its samples. */
typedef struct {
    uint32_t first_index;     /* index of the first sample, modulo 2^32 */
    uint32_t device_time_us;  /* device clock at that sample, modulo 2^32 */
    uint16_t sequence;        /* number of the frame, modulo 2^16 */
    uint16_t overflow_frames; /* frames dropped so far, modulo 2^16 */
    uint8_t status;           /* PP_FRAME_CONTACT and the like */
    uint8_t channels;         /* 1..4 */
    uint8_t samples;          /* of each channel, 1..255 */
} pp_frame_t;

/* Most samples of each channel in one notification, 0..255; 0 for a number of channels
 * that no frame has, and where not one sample of each fits. */
uint32_t pp_frame_samples(uint32_t mtu, uint32_t channels);

/* Write a frame. `counts`: channels x samples, all channels of the first sample first, each
 * within 24 bits. `length` gets the bytes written. Only on OK is `out` or `length` touched.
 * Returns OK, BAD_ARGUMENT, BAD_SHAPE, BAD_VALUE or NO_ROOM. */
pp_frame_status_t pp_frame_encode(const pp_frame_t *frame, const int32_t *counts, uint8_t *out,
                                  size_t capacity, size_t *length);

/* Read a frame of exactly `length` bytes; `capacity`: counts that `counts` has room for
 * (1,020 are always enough). Only on OK is anything touched.
 * Returns OK, BAD_ARGUMENT, BAD_LENGTH, BAD_VERSION, BAD_SHAPE or NO_ROOM. */
pp_frame_status_t pp_frame_decode(const uint8_t *data, size_t length, pp_frame_t *frame,
                                  int32_t *counts, size_t capacity);

#define PP_FINGERPRINT_VERSION 1u
#define PP_FINGERPRINT_MAX_DIM 4096u
/* Bytes beside those of the model identity and of the vector. */
#define PP_FINGERPRINT_FIXED_BYTES 41u

/* A fingerprint. Model identity and vector are not copied: when encoding they point to the
 * caller's, after decoding into the decoded bytes. */
typedef struct {
    uint64_t start;          /* f64: Unix time in s, or s of device time; finite */
    uint32_t duration_s;     /* f32: above 0 */
    uint32_t quality;        /* f32: 0..1 */
    uint32_t missing;        /* f32: 0..1 */
    uint32_t heart_rate_bpm; /* f32: above 0; 0 (all bits) when there is none */
    uint32_t scale;          /* f32: 1 / length of the vector, see pp_f32_unit_scale */
    const uint8_t *model;    /* UTF-8, not terminated */
    const int8_t *vector;
    uint16_t dim;        /* numbers in the vector, 1..4096 */
    uint8_t model_bytes; /* 1..255 */
} pp_fingerprint_t;

/* Write a fingerprint: 41 + model_bytes + dim bytes. Only on OK is `out` or `length`
 * touched. Returns OK, BAD_ARGUMENT, BAD_SHAPE, BAD_VALUE or NO_ROOM. */
pp_frame_status_t pp_fingerprint_encode(const pp_fingerprint_t *fingerprint, uint8_t *out,
                                        size_t capacity, size_t *length);

/* Read a fingerprint of exactly `length` bytes. Only on OK is `fingerprint` touched; it
 * points into `data` afterwards. Returns OK, BAD_ARGUMENT, BAD_LENGTH, BAD_MAGIC,
 * BAD_VERSION, BAD_CHECKSUM, BAD_SHAPE or BAD_VALUE. */
pp_frame_status_t pp_fingerprint_decode(const uint8_t *data, size_t length,
                                        pp_fingerprint_t *fingerprint);

/* CRC-32 of zlib, PNG and Ethernet. 0 for no bytes. */
uint32_t pp_crc32(const uint8_t *data, size_t length);

/* numerator / denominator as the nearest f32; both below 2^24, denominator above 0 (else
 * the bits of 0 are given). Duration: (10, 1); quality: (q, 255); missing: (m, 640). */
uint32_t pp_f32_of_ratio(uint32_t numerator, uint32_t denominator);

/* 1 / length of a vector as f32, 0 for one of zeros: plethprint.fingerprint.unit_scale. */
uint32_t pp_f32_unit_scale(const int8_t *vector, size_t dim);

/* Microseconds, below 2^53 (285 years), as seconds in f64. */
uint64_t pp_f64_of_us(uint64_t microseconds);

#ifdef __cplusplus
}
#endif

#endif /* PP_FRAME_H */
