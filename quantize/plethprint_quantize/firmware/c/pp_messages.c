/* See pp_messages.h for the contracts. */
#include "pp_messages.h"

#include <string.h>

#include "pp_frame.h"

#define BEGIN 0x01u
#define DATA 0x02u
#define RUN 0x03u
#define CHECK 0x04u
#define COUNTS 0x05u
#define WINDOW 0x06u
#define RESULT 0x80u

#define BEGIN_BYTES 8u
#define DATA_HEADER_BYTES 4u
#define COUNTS_HEADER_BYTES 10u
#define COUNT_BYTES 3u
#define SHORT_BYTES 2u /* RUN, CHECK and WINDOW: kind and test id */
#define MOST_COUNTS 65535u
#define ATT_HEADER_BYTES 3u
#define LONGEST_ATTRIBUTE_BYTES 512u

static uint32_t number(const uint8_t *at, uint32_t bytes)
{
    uint32_t value = 0u;
    for (uint32_t i = 0u; i < bytes; i++) {
        value |= (uint32_t)at[i] << (8u * i);
    }
    return value;
}

static void put(uint8_t *at, uint32_t value, uint32_t bytes)
{
    for (uint32_t i = 0u; i < bytes; i++) {
        at[i] = (uint8_t)((value >> (8u * i)) & 0xFFu);
    }
}

static int32_t count_of(const uint8_t *at)
{
    const uint32_t bits = number(at, COUNT_BYTES);
    return (bits < 0x800000u) ? (int32_t)bits : (int32_t)bits - 0x1000000;
}

static uint32_t now_us(const pp_messages_t *messages)
{
    return (messages->clock == NULL) ? 0u : messages->clock(messages->context);
}

static void answer(pp_messages_t *messages, uint8_t test_id, uint32_t status, uint32_t length,
                   uint32_t run_time_us)
{
    messages->answer_id = test_id;
    messages->answer = (uint8_t)status;
    messages->length = length;
    messages->run_time_us = run_time_us;
    messages->sent = 0u;
    messages->waiting = true;
}

/* The counts are done with, or worthless: the workspace is the device's again. */
static void end_counts(pp_messages_t *messages)
{
    if (messages->counting) {
        messages->counting = false;
        (void)pp_init(messages->workspace, messages->own_rate);
        (void)pp_set_polarity(messages->workspace, messages->own_polarity);
        (void)pp_set_hop(messages->workspace, messages->own_hop);
    }
}

static void begin_counts(pp_messages_t *messages, uint8_t test_id, uint32_t rate_mhz)
{
    const pp_signal_t *own = &messages->workspace->signal;
    end_counts(messages);
    messages->own_rate = own->rate_mhz;
    messages->own_polarity = own->polarity;
    messages->own_hop = own->hop;
    messages->counting = true;
    messages->counts_id = test_id;
    messages->rate_mhz = rate_mhz;
    messages->given = 0u;
    messages->takes_rate = (pp_init(messages->workspace, rate_mhz) == PP_OK);
}

static void refuse_counts(pp_messages_t *messages, uint8_t test_id, uint32_t status)
{
    end_counts(messages);
    answer(messages, test_id, status, 0u, 0u);
}

static void refuse_window(pp_messages_t *messages, uint8_t test_id, uint32_t status)
{
    messages->begun = false;
    answer(messages, test_id, status, 0u, 0u);
}

static void take_begin(pp_messages_t *messages, uint8_t test_id, const uint8_t *data)
{
    if (number(&data[2], 2u) != PP_WINDOW) { /* there is no room for another */
        refuse_window(messages, test_id, PP_ANSWER_WRONG_SIZE);
        return;
    }
    messages->begun = true;
    messages->window_id = test_id;
    messages->checksum = number(&data[4], 4u);
    memset(messages->present, 0, sizeof messages->present);
    memset(messages->window, 0, sizeof messages->window);
}

static void take_data(pp_messages_t *messages, uint8_t test_id, const uint8_t *data, size_t length)
{
    const uint32_t offset = number(&data[2], 2u);
    const size_t samples = length - DATA_HEADER_BYTES;
    if ((offset > PP_WINDOW) || (samples > PP_WINDOW - offset)) {
        refuse_window(messages, test_id, PP_ANSWER_BAD_MESSAGE);
        return;
    }
    memcpy(&messages->window[offset], &data[DATA_HEADER_BYTES], samples);
    for (size_t at = offset; at < offset + samples; at++) {
        messages->present[at / 8u] = (uint8_t)(messages->present[at / 8u] | (1u << (at % 8u)));
    }
}

static bool is_whole(const pp_messages_t *messages)
{
    for (uint32_t at = 0u; at < PP_WINDOW; at++) {
        if ((messages->present[at / 8u] & (1u << (at % 8u))) == 0u) {
            return false;
        }
    }
    return true;
}

static void take_run(pp_messages_t *messages, uint8_t test_id)
{
    if (!is_whole(messages)) {
        refuse_window(messages, test_id, PP_ANSWER_INCOMPLETE);
        return;
    }
    if (pp_crc32((const uint8_t *)messages->window, PP_WINDOW) != messages->checksum) {
        refuse_window(messages, test_id, PP_ANSWER_BAD_CHECKSUM);
        return;
    }
    messages->begun = false;
    const uint32_t before_us = now_us(messages);
    if (pp_fingerprint_window(messages->workspace, messages->window, messages->numbers) != PP_OK) {
        answer(messages, test_id, PP_ANSWER_INTERNAL, 0u, 0u);
        return;
    }
    answer(messages, test_id, PP_ANSWER_OK, PP_DIM, now_us(messages) - before_us);
}

static void take_check(pp_messages_t *messages, uint8_t test_id)
{
    uint32_t status = PP_ANSWER_INTERNAL;
    end_counts(messages);
    switch (pp_self_test(messages->workspace)) {
    case PP_OK:
        status = PP_ANSWER_OK;
        break;
    case PP_FAULT_MODEL:
        status = PP_ANSWER_FAULT_MODEL;
        break;
    case PP_FAULT_ENCODER:
        status = PP_ANSWER_FAULT_ENCODER;
        break;
    case PP_FAULT_SIGNAL:
        status = PP_ANSWER_FAULT_SIGNAL;
        break;
    default:
        break;
    }
    answer(messages, test_id, status, 0u, 0u);
}

static void take_counts(pp_messages_t *messages, uint8_t test_id, const uint8_t *data,
                        size_t length)
{
    if ((length <= COUNTS_HEADER_BYTES) || ((length - COUNTS_HEADER_BYTES) % COUNT_BYTES != 0u)) {
        refuse_counts(messages, test_id, PP_ANSWER_BAD_MESSAGE);
        return;
    }
    const uint32_t rate_mhz = number(&data[2], 4u);
    const uint32_t index = number(&data[6], 4u);
    const size_t counts = (length - COUNTS_HEADER_BYTES) / COUNT_BYTES;
    if (index == 0u) {
        begin_counts(messages, test_id, rate_mhz);
    }
    if (!messages->counting || (test_id != messages->counts_id)) {
        refuse_counts(messages, test_id, PP_ANSWER_NOT_BEGUN);
        return;
    }
    if ((index != messages->given) || (rate_mhz != messages->rate_mhz) ||
        (counts > MOST_COUNTS - messages->given)) {
        refuse_counts(messages, test_id, PP_ANSWER_BAD_MESSAGE);
        return;
    }
    messages->given += (uint32_t)counts;
    for (size_t at = 0u; at < counts; at++) {
        /* The signal itself keeps the first window; what comes behind it is ignored. */
        if (!messages->takes_rate || pp_window_ready(messages->workspace)) {
            break;
        }
        (void)pp_push_sample(messages->workspace,
                             count_of(&data[COUNTS_HEADER_BYTES + COUNT_BYTES * at]));
    }
}

static void take_window(pp_messages_t *messages, uint8_t test_id)
{
    if (!messages->counting || (test_id != messages->counts_id)) {
        refuse_counts(messages, test_id, PP_ANSWER_NOT_BEGUN);
        return;
    }
    const uint32_t before_us = now_us(messages);
    const bool made = messages->takes_rate && (pp_signal_window(&messages->workspace->signal,
                                                                messages->numbers) == PP_OK);
    const uint32_t run_time_us = now_us(messages) - before_us;
    end_counts(messages);
    if (made) {
        answer(messages, test_id, PP_ANSWER_OK, PP_WINDOW, run_time_us);
    } else {
        answer(messages, test_id, PP_ANSWER_WRONG_SIZE, 0u, 0u);
    }
}

pp_status_t pp_messages_init(pp_messages_t *messages, pp_workspace_t *workspace, pp_clock_t clock,
                             void *context)
{
    if ((messages == NULL) || (workspace == NULL)) {
        return PP_BAD_ARGUMENT;
    }
    memset(messages, 0, sizeof *messages);
    messages->workspace = workspace;
    messages->clock = clock;
    messages->context = context;
    return PP_OK;
}

bool pp_messages_take(pp_messages_t *messages, const uint8_t *data, size_t length)
{
    if ((messages == NULL) || ((data == NULL) && (length > 0u))) {
        return false;
    }
    const uint32_t kind = (length > 0u) ? data[0] : 0u;
    const uint8_t test_id = (length > 1u) ? data[1] : 0u;
    const bool is_data = (kind == DATA) && (length > DATA_HEADER_BYTES);
    const bool is_run = (kind == RUN) && (length == SHORT_BYTES);
    if ((kind == CHECK) && (length == SHORT_BYTES)) {
        take_check(messages, test_id);
    } else if (kind == COUNTS) {
        take_counts(messages, test_id, data, length);
    } else if ((kind == WINDOW) && (length == SHORT_BYTES)) {
        take_window(messages, test_id);
    } else if ((kind == CHECK) || (kind == WINDOW)) {
        refuse_counts(messages, test_id, PP_ANSWER_BAD_MESSAGE);
    } else if ((kind == BEGIN) && (length == BEGIN_BYTES)) {
        take_begin(messages, test_id, data);
    } else if (!is_data && !is_run) {
        refuse_window(messages, test_id, PP_ANSWER_BAD_MESSAGE);
    } else if (!messages->begun || (test_id != messages->window_id)) {
        refuse_window(messages, test_id, PP_ANSWER_NOT_BEGUN);
    } else if (is_data) {
        take_data(messages, test_id, data, length);
    } else {
        take_run(messages, test_id);
    }
    return messages->waiting;
}

bool pp_messages_next(pp_messages_t *messages, uint32_t mtu, uint8_t *out, size_t capacity,
                      size_t *length)
{
    if ((messages == NULL) || (out == NULL) || (length == NULL) || !messages->waiting) {
        return false;
    }
    size_t room = (mtu > ATT_HEADER_BYTES) ? (size_t)mtu - ATT_HEADER_BYTES : 0u;
    room = (room < LONGEST_ATTRIBUTE_BYTES) ? room : LONGEST_ATTRIBUTE_BYTES;
    room = (room < capacity) ? room : capacity;
    if (room <= PP_ANSWER_HEADER_BYTES) {
        return false;
    }
    const size_t left = messages->length - messages->sent;
    const size_t fitting = room - PP_ANSWER_HEADER_BYTES;
    const size_t part = (left < fitting) ? left : fitting;
    uint8_t *numbers = &out[PP_ANSWER_HEADER_BYTES];
    out[0] = RESULT;
    out[1] = messages->answer_id;
    out[2] = messages->answer;
    out[3] = 0u;
    put(&out[4], messages->length, 2u);
    put(&out[6], messages->sent, 2u);
    put(&out[8], pp_crc32((const uint8_t *)messages->numbers, messages->length), 4u);
    put(&out[12], messages->run_time_us, 4u);
    memcpy(numbers, &messages->numbers[messages->sent], part);
    *length = PP_ANSWER_HEADER_BYTES + part;
    messages->sent += (uint32_t)part;
    messages->waiting = messages->sent < messages->length;
    return true;
}

bool pp_messages_busy(const pp_messages_t *messages)
{
    return (messages != NULL) && messages->counting;
}

void pp_messages_forget(pp_messages_t *messages)
{
    if (messages != NULL) {
        end_counts(messages);
        messages->begun = false;
        messages->waiting = false;
    }
}

uint32_t pp_messages_bytes(void)
{
    return (uint32_t)sizeof(pp_messages_t);
}
