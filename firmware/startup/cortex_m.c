/* From reset to main on any Cortex-M: stack, .data, .bss, FPU and Helium, caches. */
#include "cortex_m.h"

#include "board.h"

#define CPACR 0xE000ED88u
#define CCR 0xE000ED14u
#define CCSIDR 0xE000ED80u
#define CSSELR 0xE000ED84u
#define ICIALLU 0xE000EF50u
#define DCISW 0xE000EF60u

/* Placed by link.ld. */
extern uint32_t ggdq_data_load[], ggdq_data_start[], ggdq_data_end[];
extern uint32_t ggdq_bss_start[], ggdq_bss_end[], ggdq_stack_top[];

int main(void);
void reset_handler(void);
void fault_handler(void);

/* Faults and interrupts that nobody asked for end here, where a debugger or an emulator finds them by name. */
void fault_handler(void)
{
    for (;;) {
    }
}

typedef void (*vector_t)(void);

__attribute__((section(".vectors"), used)) static const union {
    vector_t handler;
    const void *stack;
} vectors[16] = {
    {.stack = ggdq_stack_top}, {reset_handler}, {fault_handler}, {fault_handler}, {fault_handler}, {fault_handler},
    {fault_handler},           {fault_handler}, {fault_handler}, {fault_handler}, {fault_handler}, {fault_handler},
    {fault_handler},           {fault_handler}, {fault_handler}, {systick_handler},
};

static inline void enable_coprocessors(void)
{
#if (defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)) && !defined(__SOFTFP__)
    CORE_REGISTER(CPACR) |= 0xFu << 20;
    synchronize();
#endif
}

#ifdef BOARD_CORE_CORTEX_M7
static void enable_caches(void)
{
    synchronize();
    CORE_REGISTER(ICIALLU) = 0;
    CORE_REGISTER(CSSELR) = 0; /* the data cache of level 1 */
    synchronize();
    const uint32_t size = CORE_REGISTER(CCSIDR);
    const uint32_t last_set = size >> 13 & 0x7FFFu;
    const uint32_t last_way = size >> 3 & 0x3FFu;
    for (uint32_t set = 0; set <= last_set; set++) {
        for (uint32_t way = 0; way <= last_way; way++) {
            CORE_REGISTER(DCISW) = way << 30 | set << 5;
        }
    }
    synchronize();
    CORE_REGISTER(CCR) |= 1u << 16 | 1u << 17;
    synchronize();
}
#endif

void reset_handler(void)
{
    enable_coprocessors();
    const uint32_t *from = ggdq_data_load;
    for (uint32_t *to = ggdq_data_start; (uintptr_t)to < (uintptr_t)ggdq_data_end; to++) {
        *to = *from;
        from++;
    }
    for (uint32_t *to = ggdq_bss_start; (uintptr_t)to < (uintptr_t)ggdq_bss_end; to++) {
        *to = 0;
    }
#ifdef BOARD_CORE_CORTEX_M7
    enable_caches();
#endif
    main();
    fault_handler();
}
