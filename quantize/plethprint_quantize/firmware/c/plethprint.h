/* plethprint on the device: raw counts of an optical sensor in, int8 fingerprints out.
 *
 *     static pp_workspace_t workspace;
 *
 *     pp_init(&workspace, 100000u);                   100 Hz
 *     for each sample:
 *         pp_push_sample(&workspace, counts);
 *         if (pp_window_ready(&workspace)) {
 *             int8_t fingerprint[PP_DIM];
 *             pp_fingerprint(&workspace, fingerprint);
 *             ... pp_quality(&workspace) tells how far to trust it ...
 *         }
 *
 * Needs C99 and memcpy, memset. No heap, no writable globals, no recursion, no floating
 * point; all state is in the workspace, and several workspaces may be used at once. One
 * workspace is for one context at a time: guard it when an interrupt pushes and a thread
 * fingerprints. Every function is total: bad arguments give a status, never a crash.
 */
#ifndef PLETHPRINT_H
#define PLETHPRINT_H

#include <stdbool.h>
#include <stdint.h>

#include "pp_encoder.h"
#include "pp_signal.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Results. Below 0: refused, and nothing changed. */
typedef int32_t pp_status_t;
#define PP_OK ((pp_status_t)0)
#define PP_RESTARTED PP_SIGNAL_RESTARTED     /* 1: a long gap, the signal begins anew */
#define PP_WINDOW_LOST PP_SIGNAL_WINDOW_LOST /* 2: a window was not fetched in time */
#define PP_BAD_ARGUMENT PP_SIGNAL_BAD_ARGUMENT /* -1: null, or a value out of range */
#define PP_BAD_RATE PP_SIGNAL_BAD_RATE         /* -2: not 25 to 200 Hz */
#define PP_NOT_READY PP_SIGNAL_NOT_READY       /* -3: no window is finished */
/* What pp_self_test finds wrong, named by where it lies. */
#define PP_FAULT_MODEL ((pp_status_t)-4)   /* weights in flash are not those generated */
#define PP_FAULT_ENCODER ((pp_status_t)-5) /* a golden window gives other numbers */
#define PP_FAULT_SIGNAL ((pp_status_t)-6)  /* filters give another window */

/* Everything about one wearer. The fields are private. */
typedef struct {
    pp_signal_t signal;
    pp_arena arena;
    uint32_t start;   /* of the window fingerprinted last */
    uint32_t missing; /* samples missing in it */
    uint8_t quality;  /* of it */
} pp_workspace_t;

/* RAM of one workspace, at most; a build fails where it is more. */
#define PP_WORKSPACE_BYTES \
    (PP_SIGNAL_BYTES + PP_ACTIVATION_BYTES + 2u * PP_SCRATCH_VALUES + 24u)

/* Begin with an empty window. Any memory will do; it need not be zeroed.
 * rate_mhz: of the sensor, in thousandths of a hertz, 25000 to 200000. Windows follow
 * each other every PP_SIGNAL_HOP samples at 64 Hz (5 s), each 10 s long.
 * Returns OK, BAD_ARGUMENT or BAD_RATE. */
pp_status_t pp_init(pp_workspace_t *workspace, uint32_t rate_mhz);

/* -1 when more blood gives fewer counts (raw reflectance), else 1, as after pp_init.
 * Before the first sample. Returns OK or BAD_ARGUMENT. */
pp_status_t pp_set_polarity(pp_workspace_t *workspace, int32_t polarity);

/* Samples at 64 Hz from one window to the next. Before the first sample.
 * Returns OK or BAD_ARGUMENT. */
pp_status_t pp_set_hop(pp_workspace_t *workspace, uint32_t hop);

/* Take one raw sample. The offset of the sensor does not matter within 24 bits, signed;
 * beyond them a count is taken for the end of that range: shift those of a wider converter.
 * Returns OK, WINDOW_LOST or BAD_ARGUMENT. */
pp_status_t pp_push_sample(pp_workspace_t *workspace, int32_t counts);

/* So many samples did not come; see pp_signal_gap.
 * Returns OK, RESTARTED, WINDOW_LOST or BAD_ARGUMENT. */
pp_status_t pp_push_gap(pp_workspace_t *workspace, uint32_t samples);

/* Whether pp_fingerprint has a window to work on. After it turns true there are about two
 * seconds until the window is lost. False for a null pointer. */
bool pp_window_ready(const pp_workspace_t *workspace);

/* Fingerprint the finished window, and go on to the next. The time it takes does not
 * depend on the data. Returns OK, NOT_READY or BAD_ARGUMENT; `out` is written for OK only. */
pp_status_t pp_fingerprint(pp_workspace_t *workspace, int8_t out[PP_DIM]);

/* About the window fingerprinted last: quality from 0 (noise, flat) to 255 (clean); its
 * first sample at 64 Hz, counted from the (re)start; how many of its samples were missing.
 * All 0 before the first one and for a null pointer. */
uint8_t pp_quality(const pp_workspace_t *workspace);
uint32_t pp_window_start(const pp_workspace_t *workspace);
uint32_t pp_window_missing(const pp_workspace_t *workspace);

/* Fingerprint a window that came from elsewhere, such as the self-test over Bluetooth.
 * The signal is not touched. Returns OK or BAD_ARGUMENT. */
pp_status_t pp_fingerprint_window(pp_workspace_t *workspace,
                                  const int8_t window[PP_WINDOW], int8_t out[PP_DIM]);

/* Check the weights in flash, the encoder on golden windows and the filters on a made-up
 * pulse. The signal begins anew afterwards, at the same rate, polarity and hop; a zeroed
 * workspace may be tested before pp_init, which must then follow.
 * Returns OK, a FAULT or BAD_ARGUMENT. */
pp_status_t pp_self_test(pp_workspace_t *workspace);

/* For callers that cannot see this header's macros: PP_MODEL_ID, PP_DIM, and the bytes of
 * a pp_workspace_t as compiled. */
const char *pp_model_id(void);
uint32_t pp_dim(void);
uint32_t pp_workspace_bytes(void);

#ifdef __cplusplus
}
#endif

#endif /* PLETHPRINT_H */
