/* Messages of the characteristic `self-test` of the open profile (docs/ble-profile.md,
 * section 7): the encoder's test and, since 1.1, the firmware check. What a host writes
 * goes in, what is to be notified comes out; the answers are those of plethprint_sim.
 *
 *     static pp_messages_t messages;
 *
 *     pp_messages_init(&messages, &workspace, microseconds, NULL);
 *     on each write:    if notifications are off: ATT error 0xFD; else
 *                       pp_messages_take(&messages, value, length);
 *     when it is sent:  while (pp_messages_next(&messages, mtu, out, sizeof out, &length))
 *                           notify(out, length);
 *     on a lost link:   pp_messages_forget(&messages);
 *
 * C99, integers only, no heap, no writable globals, no recursion. No byte beyond a message's
 * length is read, whatever it says of itself. A write may take as long as a fingerprint, or
 * for CHECK as pp_self_test: take it outside the radio's interrupt.
 */
#ifndef PP_MESSAGES_H
#define PP_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plethprint.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What an answer says, in its third byte. */
#define PP_ANSWER_OK 0x00u
#define PP_ANSWER_BAD_MESSAGE 0x01u
#define PP_ANSWER_WRONG_SIZE 0x02u
#define PP_ANSWER_INCOMPLETE 0x03u
#define PP_ANSWER_BAD_CHECKSUM 0x04u
#define PP_ANSWER_NOT_BEGUN 0x05u
#define PP_ANSWER_INTERNAL 0x07u
#define PP_ANSWER_FAULT_MODEL 0x08u
#define PP_ANSWER_FAULT_ENCODER 0x09u
#define PP_ANSWER_FAULT_SIGNAL 0x0Au

#define PP_ANSWER_HEADER_BYTES 16u
#define PP_MESSAGES_LONGEST ((PP_WINDOW > PP_DIM) ? PP_WINDOW : PP_DIM)

/* Microseconds of some clock, modulo 2^32. */
typedef uint32_t (*pp_clock_t)(void *context);

/* The tests of one host. The fields are private. */
typedef struct {
    pp_workspace_t *workspace;
    pp_clock_t clock;
    void *context;
    uint32_t checksum;    /* of the window, says BEGIN */
    uint32_t rate_mhz;    /* of the counts */
    uint32_t given;       /* counts so far */
    uint32_t own_rate;    /* of the workspace before the counts, to go back to */
    uint32_t own_hop;
    int32_t own_polarity;
    uint32_t run_time_us; /* of the answer */
    uint32_t length;      /* numbers in the answer */
    uint32_t sent;        /* of them */
    bool begun;           /* a window is coming */
    bool counting;        /* counts are coming: the workspace is lent to them */
    bool takes_rate;      /* of the counts */
    bool waiting;         /* there is an answer, or more of it */
    uint8_t window_id;    /* tests that they belong to */
    uint8_t counts_id;
    uint8_t answer_id;
    uint8_t answer;       /* PP_ANSWER_OK and the like */
    uint8_t present[(PP_WINDOW + 7u) / 8u]; /* a bit for each sample of the window */
    int8_t window[PP_WINDOW];
    int8_t numbers[PP_MESSAGES_LONGEST]; /* of the answer */
} pp_messages_t;

/* Begin. `workspace`: after pp_init; the device's own, or one kept for tests. `clock` tells
 * the host how long the encoder took, with `context` as its argument; NULL for not at all.
 * Returns PP_OK, or PP_BAD_ARGUMENT for a null pointer. */
pp_status_t pp_messages_init(pp_messages_t *messages, pp_workspace_t *workspace, pp_clock_t clock,
                             void *context);

/* Take what a host wrote. Send the answer before the next write, which may replace it.
 * Whether there is an answer to send; false for a null pointer. */
bool pp_messages_take(pp_messages_t *messages, const uint8_t *data, size_t length);

/* The next notification of the answer; at most `mtu` - 3 bytes, at most 512, at most
 * `capacity`, and at least 17 must be left. False, and nothing is written, when there is none
 * to send, no room, or a null pointer. */
bool pp_messages_next(pp_messages_t *messages, uint32_t mtu, uint8_t *out, size_t capacity,
                      size_t *length);

/* Whether the workspace is lent to a host's counts: push no samples of the sensor then. It
 * comes back with an empty window, at the rate, polarity and hop that it had. */
bool pp_messages_busy(const pp_messages_t *messages);

/* Forget every test, as a lost link does; the workspace comes back. */
void pp_messages_forget(pp_messages_t *messages);

/* Bytes of a pp_messages_t as compiled, for callers that cannot see this header. */
uint32_t pp_messages_bytes(void);

#ifdef __cplusplus
}
#endif

#endif /* PP_MESSAGES_H */
