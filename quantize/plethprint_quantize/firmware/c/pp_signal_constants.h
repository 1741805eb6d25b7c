/* Written by plethprint_quantize.firmware.signal_tables; do not edit. */
#ifndef PP_SIGNAL_CONSTANTS_H
#define PP_SIGNAL_CONSTANTS_H

#include <stdint.h>

#define PP_WINDOW 640u /* samples of one window */
#define PP_SIGNAL_MODEL_RATE_MHZ 64000u /* their rate, mHz */
#define PP_SIGNAL_MIN_RATE_MHZ 25000u /* device rates taken, mHz */
#define PP_SIGNAL_MAX_RATE_MHZ 200000u
#define PP_SIGNAL_HOP 320u /* default hop, samples */
#define PP_SIGNAL_SECTIONS 2u /* biquads */
#define PP_SIGNAL_HISTORY 96u /* input samples kept; a multiple of 32 */
#define PP_SIGNAL_RING 776u /* filtered samples kept; a multiple of 8 */


#endif /* PP_SIGNAL_CONSTANTS_H */
