/* What the check needs of the board that it runs on: a way out and a counter. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

void board_write(const char *text);

/* A moment, for board_instructions_since. */
uint32_t board_now(void);

/* Instructions since a moment at most 500 million instructions ago, to within one tick of
 * the counter (50 instructions); meaningful only under QEMU's -icount shift=0. */
uint32_t board_instructions_since(uint32_t moment);

/* End the emulation; 0 when all went well. */
void board_exit(int code);

#endif
