/* Checks that run alike on the host and on every emulated core. */
#ifndef CHECK_H
#define CHECK_H

#include "plethprint.h"

/* Bytes by which the golden fingerprints are missed; 0 is the only good answer. */
uint32_t check_golden(pp_workspace_t *workspace);

/* Push the golden counts as a sensor would. Bytes by which fingerprints, qualities and
 * window starts are missed, and one for each window too few or too many. */
uint32_t check_stream(pp_workspace_t *workspace);

/* Arguments that must be refused, and were not. */
uint32_t check_refusals(pp_workspace_t *workspace);

#endif
