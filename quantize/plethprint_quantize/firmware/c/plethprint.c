#include "plethprint.h"

#include <stddef.h>
#include <string.h>

#include "pp_self_test.h"

/* The build stops here when the parts of the pack do not belong together. */
typedef char pp_window_is_the_models[(PP_WINDOW == PP_MODEL_WINDOW) ? 1 : -1];
typedef char pp_window_fits[(PP_WINDOW <= PP_ACTIVATION_BYTES) ? 1 : -1];
typedef char pp_workspace_fits[(sizeof(pp_workspace_t) <= PP_WORKSPACE_BYTES) ? 1 : -1];

pp_status_t pp_init(pp_workspace_t *workspace, uint32_t rate_mhz)
{
    pp_status_t status;
    if (workspace == NULL) {
        return PP_BAD_ARGUMENT;
    }
    status = pp_signal_init(&workspace->signal, rate_mhz);
    if (status == PP_OK) {
        /* a tile that is not full sums what scratch holds: let that be known values */
        memset(&workspace->arena, 0, sizeof workspace->arena);
        workspace->start = 0;
        workspace->missing = 0;
        workspace->quality = 0;
    }
    return status;
}

pp_status_t pp_set_polarity(pp_workspace_t *workspace, int32_t polarity)
{
    return (workspace == NULL) ? PP_BAD_ARGUMENT
                               : pp_signal_set_polarity(&workspace->signal, polarity);
}

pp_status_t pp_set_hop(pp_workspace_t *workspace, uint32_t hop)
{
    return (workspace == NULL) ? PP_BAD_ARGUMENT
                               : pp_signal_set_hop(&workspace->signal, hop);
}

pp_status_t pp_push_sample(pp_workspace_t *workspace, int32_t counts)
{
    return (workspace == NULL) ? PP_BAD_ARGUMENT
                               : pp_signal_push(&workspace->signal, counts);
}

pp_status_t pp_push_gap(pp_workspace_t *workspace, uint32_t samples)
{
    return (workspace == NULL) ? PP_BAD_ARGUMENT
                               : pp_signal_gap(&workspace->signal, samples);
}

bool pp_window_ready(const pp_workspace_t *workspace)
{
    return (workspace != NULL) && pp_signal_ready(&workspace->signal);
}

pp_status_t pp_fingerprint(pp_workspace_t *workspace, int8_t out[PP_DIM])
{
    int8_t *window;
    if ((workspace == NULL) || (out == NULL)) {
        return PP_BAD_ARGUMENT;
    }
    if (!pp_signal_ready(&workspace->signal)) {
        return PP_NOT_READY;
    }
    window = workspace->arena.activations; /* the encoder may read it where it works */
    (void)pp_signal_window(&workspace->signal, window);
    workspace->start = pp_signal_window_start(&workspace->signal);
    workspace->missing = pp_signal_missing(&workspace->signal);
    workspace->quality = pp_signal_quality(&workspace->signal, window);
    pp_encode(&workspace->arena, window, out);
    (void)pp_signal_advance(&workspace->signal);
    return PP_OK;
}

uint8_t pp_quality(const pp_workspace_t *workspace)
{
    return (workspace == NULL) ? (uint8_t)0 : workspace->quality;
}

uint32_t pp_window_start(const pp_workspace_t *workspace)
{
    return (workspace == NULL) ? 0u : workspace->start;
}

uint32_t pp_window_missing(const pp_workspace_t *workspace)
{
    return (workspace == NULL) ? 0u : workspace->missing;
}

pp_status_t pp_fingerprint_window(pp_workspace_t *workspace,
                                  const int8_t window[PP_WINDOW], int8_t out[PP_DIM])
{
    if ((workspace == NULL) || (window == NULL) || (out == NULL)) {
        return PP_BAD_ARGUMENT;
    }
    pp_encode(&workspace->arena, window, out);
    return PP_OK;
}

/* A made-up pulse: a triangle 25 samples up, 50 down, on a slope. It needs no sine. */
static int32_t made_up_counts(uint32_t sample)
{
    const uint32_t beat = sample % 75u;
    const uint32_t height = (beat < 25u) ? 2u * beat : 75u - beat;
    return (int32_t)(100000u + 40u * height + 3u * sample);
}

static pp_status_t test_encoder(pp_arena *arena)
{
    uint32_t i;
    for (i = 0; i < PP_SELF_TEST_COUNT; i++) {
        int8_t found[PP_DIM];
        pp_encode(arena, pp_self_test_windows[i], found);
        if (memcmp(found, pp_self_test_vectors[i], sizeof found) != 0) {
            return PP_FAULT_ENCODER;
        }
    }
    return PP_OK;
}

static pp_status_t test_signal(pp_workspace_t *workspace)
{
    int8_t *const window = workspace->arena.activations;
    uint32_t sample;
    (void)pp_signal_init(&workspace->signal, PP_SELF_TEST_RATE_MHZ);
    for (sample = 0; sample < PP_SELF_TEST_SAMPLES; sample++) {
        (void)pp_signal_push(&workspace->signal, made_up_counts(sample));
    }
    if (pp_signal_window(&workspace->signal, window) != PP_OK) {
        return PP_FAULT_SIGNAL;
    }
    return (memcmp(window, pp_self_test_made_up, PP_WINDOW) == 0) ? PP_OK
                                                                  : PP_FAULT_SIGNAL;
}

pp_status_t pp_self_test(pp_workspace_t *workspace)
{
    pp_status_t status;
    uint32_t rate_mhz, hop;
    int32_t polarity;
    if (workspace == NULL) {
        return PP_BAD_ARGUMENT;
    }
    rate_mhz = workspace->signal.rate_mhz;
    hop = workspace->signal.hop;
    polarity = workspace->signal.polarity;
    status = (pp_model_crc() == PP_MODEL_CRC) ? PP_OK : PP_FAULT_MODEL;
    if (status == PP_OK) {
        status = test_encoder(&workspace->arena);
    }
    if (status == PP_OK) {
        status = test_signal(workspace);
    }
    (void)pp_init(workspace, rate_mhz);
    (void)pp_set_polarity(workspace, polarity);
    (void)pp_set_hop(workspace, hop);
    return status;
}

const char *pp_model_id(void)
{
    return PP_MODEL_ID;
}

uint32_t pp_dim(void)
{
    return PP_DIM;
}

uint32_t pp_workspace_bytes(void)
{
    return (uint32_t)sizeof(pp_workspace_t);
}
