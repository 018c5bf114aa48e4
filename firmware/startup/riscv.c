/* From reset to main on a RISC-V core with one hart: pointers, trap handler, .data, .bss. */
#include <stdint.h>

/* Placed by link.ld. */
extern uint32_t ggdq_data_load[], ggdq_data_start[], ggdq_data_end[], ggdq_bss_start[], ggdq_bss_end[];

int main(void);
void reset_handler(void);
void fault_handler(void);
void start(void);

/* Exceptions end here, where a debugger or an emulator finds them by name. Interrupts are off from reset. */
__attribute__((aligned(4))) void fault_handler(void)
{
    for (;;) {
    }
}

__attribute__((used)) void start(void)
{
    const uint32_t *from = ggdq_data_load;
    for (uint32_t *to = ggdq_data_start; (uintptr_t)to < (uintptr_t)ggdq_data_end; to++) {
        *to = *from;
        from++;
    }
    for (uint32_t *to = ggdq_bss_start; (uintptr_t)to < (uintptr_t)ggdq_bss_end; to++) {
        *to = 0;
    }
    main();
    fault_handler();
}

/* mtvec is written by encoding: compilers differ in whether -march must name the extension of control registers. */
__attribute__((naked, section(".vectors"))) void reset_handler(void)
{
    __asm__ volatile(".option push\n\t"
                     ".option norelax\n\t"
                     "la gp, __global_pointer$\n\t"
                     ".option pop\n\t"
                     "la sp, ggdq_stack_top\n\t"
                     "la t0, fault_handler\n\t"
                     ".insn i 0x73, 1, x0, t0, 0x305\n\t" /* csrw mtvec, t0 */
                     "tail start");
}
