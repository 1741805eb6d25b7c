#include "check.h"

#include <stddef.h>
#include <string.h>

#include "pp_golden.h"
#include "pp_stream.h"

static uint32_t differing(const int8_t *a, const int8_t *b, uint32_t count)
{
    uint32_t i, result = 0;
    for (i = 0; i < count; i++) {
        result += (a[i] != b[i]) ? 1u : 0u;
    }
    return result;
}

uint32_t check_golden(pp_workspace_t *workspace)
{
    uint32_t i, missed = 0;
    for (i = 0; i < PP_GOLDEN_COUNT; i++) {
        int8_t found[PP_DIM];
        memset(found, 0, sizeof found);
        (void)pp_fingerprint_window(workspace, pp_golden_windows[i], found);
        missed += differing(found, pp_golden_vectors[i], PP_DIM);
    }
    return missed;
}

uint32_t check_stream(pp_workspace_t *workspace)
{
    uint32_t sample, windows = 0, missed = 0;
    missed += (pp_init(workspace, PP_STREAM_RATE_MHZ) != PP_OK) ? 1u : 0u;
    for (sample = 0; sample < PP_STREAM_SAMPLES; sample++) {
        missed += (pp_push_sample(workspace, pp_stream_counts[sample]) != PP_OK) ? 1u : 0u;
        if (pp_window_ready(workspace)) {
            int8_t found[PP_DIM];
            missed += (pp_fingerprint(workspace, found) != PP_OK) ? 1u : 0u;
            if (windows < PP_STREAM_WINDOWS) {
                missed += differing(found, pp_stream_vectors[windows], PP_DIM);
                missed += (pp_quality(workspace) != pp_stream_quality[windows]) ? 1u : 0u;
                missed += (pp_window_start(workspace) != windows * PP_SIGNAL_HOP) ? 1u : 0u;
            }
            windows++;
        }
    }
    return missed + ((windows != PP_STREAM_WINDOWS) ? 1u : 0u);
}

uint32_t check_refusals(pp_workspace_t *workspace)
{
    int8_t out[PP_DIM];
    uint32_t wrong = 0;
    wrong += (pp_init(NULL, 100000u) != PP_BAD_ARGUMENT) ? 1u : 0u;
    wrong += (pp_init(workspace, PP_SIGNAL_MIN_RATE_MHZ - 1u) != PP_BAD_RATE) ? 1u : 0u;
    wrong += (pp_init(workspace, PP_SIGNAL_MAX_RATE_MHZ + 1u) != PP_BAD_RATE) ? 1u : 0u;
    wrong += (pp_init(workspace, 100000u) != PP_OK) ? 1u : 0u;
    wrong += (pp_set_polarity(workspace, 0) != PP_BAD_ARGUMENT) ? 1u : 0u;
    wrong += (pp_set_hop(workspace, 0u) != PP_BAD_ARGUMENT) ? 1u : 0u;
    wrong += (pp_push_sample(NULL, 1) != PP_BAD_ARGUMENT) ? 1u : 0u;
    wrong += pp_window_ready(NULL) ? 1u : 0u;
    wrong += pp_window_ready(workspace) ? 1u : 0u;
    wrong += (pp_fingerprint(workspace, out) != PP_NOT_READY) ? 1u : 0u;
    wrong += (pp_fingerprint(workspace, NULL) != PP_BAD_ARGUMENT) ? 1u : 0u;
    wrong += (pp_fingerprint_window(workspace, NULL, out) != PP_BAD_ARGUMENT) ? 1u : 0u;
    wrong += (pp_self_test(NULL) != PP_BAD_ARGUMENT) ? 1u : 0u;
    return wrong;
}
