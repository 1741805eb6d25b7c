/* Written by plethprint_quantize.firmware.signal_tables; do not edit. */
#ifndef PP_QUALITY_TABLES_H
#define PP_QUALITY_TABLES_H

#include <stdint.h>

#define PP_SECOND 64u /* samples of a second */
#define PP_SECONDS 10u /* of a window */
#define PP_SHORTEST_LAG 17u /* of a pulse, samples */
#define PP_LONGEST_LAG 140u
#define PP_MOST_MISSING 320u /* samples: quality 0 */
#define PP_SIGMOID_ENTRIES 65u
#define PP_SIGMOID_BITS 13u /* Q16 per entry */

/* Logistic function, 15 fraction bits. */
static const uint16_t PP_SIGMOID[] = {
    16384, 17407, 18421, 19420, 20397, 21344, 22255, 23127, 23955, 24737, 25471, 26155,
    26790, 27377, 27917, 28411, 28862, 29272, 29644, 29979, 30282, 30555, 30799, 31018,
    31214, 31389, 31545, 31684, 31807, 31917, 32015, 32102, 32179, 32247, 32307, 32361,
    32408, 32450, 32487, 32520, 32549, 32574, 32597, 32617, 32635, 32650, 32664, 32676,
    32687, 32696, 32705, 32712, 32719, 32725, 32730, 32734, 32738, 32742, 32745, 32747,
    32750, 32752, 32754, 32756, 32757
};

#endif /* PP_QUALITY_TABLES_H */
