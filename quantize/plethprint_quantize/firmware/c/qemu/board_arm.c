/* Cortex-M start-up, semihosting and instruction counter for QEMU's MPS2 and MPS3 boards.
 * TICK_INSTRUCTIONS_X4: four times the instructions of one SysTick tick. At -icount
 * shift=0 an instruction takes 1 ns, so that is four times the clock's period in ns. */
#include "board.h"

#include <stddef.h>

int main(void);
void reset_handler(void);

extern uint32_t stack_top[], bss_start[], bss_end[];

#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)
#define CPACR (*(volatile uint32_t *)0xE000ED88u)

#define SYS_WRITE0 0x04
#define SYS_EXIT 0x18
#define STOPPED_BY_APPLICATION 0x20026
#define STOPPED_BY_ERROR 0x20024

static void semihost(uint32_t operation, uintptr_t argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register uintptr_t r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

void board_write(const char *text)
{
    semihost(SYS_WRITE0, (uintptr_t)text);
}

void board_exit(int code)
{
    semihost(SYS_EXIT, (code == 0) ? STOPPED_BY_APPLICATION : STOPPED_BY_ERROR);
    for (;;) {
    }
}

uint32_t board_now(void)
{
    return SYST_CVR;
}

uint32_t board_instructions_since(uint32_t moment)
{
    const uint32_t ticks = (moment - SYST_CVR) & 0x00FFFFFFu; /* it counts down */
    return ticks * TICK_INSTRUCTIONS_X4 / 4u;
}

void reset_handler(void)
{
    uint32_t *word;
    CPACR |= 0xFu << 20; /* floating point and Helium on */
    __asm__ volatile("dsb\n isb" ::: "memory");
    for (word = bss_start; word < bss_end; word++) {
        *word = 0;
    }
    SYST_RVR = 0x00FFFFFFu;
    SYST_CVR = 0;
    SYST_CSR = 5u; /* processor clock, no interrupt */
    while (SYST_CVR == 0u) {
        /* the first tick loads it */
    }
    board_exit(main());
}

static void fault_handler(void)
{
    board_write("fault\n");
    board_exit(1);
}

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
    (void (*)(void))(uintptr_t)stack_top,
    reset_handler,
    fault_handler,
    fault_handler,
    fault_handler,
    fault_handler,
    fault_handler,
    NULL,
    NULL,
    NULL,
    NULL,
    fault_handler,
    fault_handler,
    NULL,
    fault_handler,
    fault_handler,
};
