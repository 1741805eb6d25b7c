/* RISC-V start-up, semihosting and instruction counter for QEMU's virt board. */
#include "board.h"

int main(void);
void start_in_c(void);

extern uint32_t bss_start[], bss_end[];

#define SYS_WRITE0 0x04
#define SYS_EXIT 0x18
#define STOPPED_BY_APPLICATION 0x20026
#define STOPPED_BY_ERROR 0x20024

/* The three instructions that a semihosting call is known by must not be compressed. */
__attribute__((noinline)) static void semihost(uint32_t operation, uintptr_t argument)
{
    register uint32_t a0 __asm__("a0") = operation;
    register uintptr_t a1 __asm__("a1") = argument;
    __asm__ volatile(".option push\n .option norvc\n .balign 16\n"
                     "slli x0, x0, 0x1f\n ebreak\n srai x0, x0, 7\n"
                     ".option pop"
                     : "+r"(a0)
                     : "r"(a1)
                     : "memory");
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
    uint32_t count;
    __asm__ volatile(".option push\n .option arch, +zicsr\n csrr %0, minstret\n .option pop"
                     : "=r"(count));
    return count;
}

uint32_t board_instructions_since(uint32_t moment)
{
    return board_now() - moment;
}

__attribute__((section(".vectors"), used, naked)) void _start(void)
{
    __asm__ volatile("la sp, stack_top\n j start_in_c");
}

void start_in_c(void)
{
    uint32_t *word;
    for (word = bss_start; word < bss_end; word++) {
        *word = 0;
    }
    board_exit(main());
}
