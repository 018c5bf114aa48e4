/* Is the flash what was linked: code, constants, initial values of variables? Part of projects that test themselves. */
#include <stddef.h>
#include <stdint.h>

#include "app.h"
#include "frame.h"

/* Placed by link.ld: the first byte of the image. */
extern const uint8_t ggdq_image_start[];

bool app_image_is_whole(void)
{
    /* The word behind the image. image_crc.py writes it into the linked program, so the compiler must not know it. */
    __attribute__((section(".image_crc"), used)) static const volatile uint32_t image_crc = 0;
    const uintptr_t bytes = (uintptr_t)&image_crc - (uintptr_t)ggdq_image_start;
    return frame_crc32(ggdq_image_start, (size_t)bytes) == image_crc;
}
