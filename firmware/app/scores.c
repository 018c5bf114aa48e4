#include "scores.h"

#include "app.h"

#if APP_ANOMALY

static uint8_t values[SCORES_INPUT_BYTES];
static int64_t score;

static uint32_t load_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* floor(value * factor / 2^shift + 1/2) of a float32 that is given by its bits, within +-2^31; factor is below 2^38. Not a
 * number is 0. */
static int64_t scaled_float(uint32_t bits, int64_t factor, int32_t shift)
{
    const int32_t exponent = (int32_t)(bits >> 23 & 255u);
    const int64_t fraction = (int64_t)(bits & 0x7FFFFFu);
    const int64_t limit = bits >> 31 != 0 ? -(INT64_C(1) << 31) : INT64_C(1) << 31;
    if (exponent == 255) {
        return fraction != 0 ? 0 : limit;
    }
    const int64_t mantissa = exponent == 0 ? fraction : fraction | 0x800000;
    const int64_t product = (bits >> 31 != 0 ? -mantissa : mantissa) * factor; /* below 2^62 */
    const int32_t right = shift + 150 - (exponent == 0 ? 1 : exponent);
    if (right > 62) {
        return 0;
    }
    if (right < 31) { /* a normal number times at least 2^37 is beyond the limit then, unless it is 0 */
        return product == 0 ? 0 : limit;
    }
    return (product + (INT64_C(1) << (right - 1))) >> right;
}

uint8_t *scores_inputs(void)
{
    return values;
}

void scores_convert_inputs(void)
{
    uint8_t *inputs = app_inputs();
    for (size_t i = 0; i < APP_INPUT_ELEMENTS; i++) {
        const int64_t q = scaled_float(load_u32(values + 4 * i), APP_INPUT_FACTOR, APP_INPUT_SHIFT) + APP_INPUT_ZERO;
        const int64_t raised = q < APP_INPUT_LOW ? APP_INPUT_LOW : q;
        app_model_set_input(inputs, i, (int32_t)(raised > APP_INPUT_HIGH ? APP_INPUT_HIGH : raised));
    }
}

void scores_compute(void)
{
    enum { MOST = 1 << 21 }; /* 2048: no sum overflows */
    uint64_t sum = 0;        /* of squares, in 2^-20: a difference has 10 bits behind the point */
    for (size_t i = 0; i < APP_INPUT_ELEMENTS; i++) {
        const int64_t input = scaled_float(load_u32(values + 4 * i), INT64_C(1) << 37, 37 - 10);
        const int64_t output = app_model_output_millionths(app_outputs(), i) * 1024 / 1000000;
        int64_t difference = input - output;
        difference = difference > MOST ? MOST : difference < -MOST ? -MOST : difference;
        sum += (uint64_t)(difference * difference);
    }
    score = (int64_t)(sum / APP_INPUT_ELEMENTS * 1000000u >> 20);
}

int64_t scores_millionths(size_t i)
{
    (void)i;
    return score;
}

#else

uint8_t *scores_inputs(void)
{
    return app_inputs();
}

void scores_convert_inputs(void)
{
}

#if APP_PROBABILITIES

static int64_t largest; /* of the outputs, in millionths */
static int64_t sum;     /* of exp(output - largest), in 2^-30 */

/* exp(-x) in 2^-30, x >= 0 in millionths: 2^-k by a shift, the rest by its power series. */
static int64_t exp_of_minus(int64_t x)
{
    enum { ZERO_FROM = 21000000, LN2 = 744261118, TERMS = 12 };
    if (x >= ZERO_FROM) {
        return 0;
    }
    const int64_t scaled = (x << 30) / 1000000;
    const int64_t rest = scaled % LN2;
    int64_t term = INT64_C(1) << 30;
    int64_t result = term;
    for (int64_t i = 1; i <= TERMS; i++) {
        term = -(term * rest >> 30) / i;
        result += term;
    }
    return result >> (scaled / LN2);
}

void scores_compute(void)
{
    largest = INT64_MIN;
    for (size_t i = 0; i < APP_OUTPUT_ELEMENTS; i++) {
        const int64_t value = app_model_output_millionths(app_outputs(), i);
        largest = value > largest ? value : largest;
    }
    sum = 0;
    for (size_t i = 0; i < APP_OUTPUT_ELEMENTS; i++) {
        sum += exp_of_minus(largest - app_model_output_millionths(app_outputs(), i));
    }
}

int64_t scores_millionths(size_t i)
{
    return (exp_of_minus(largest - app_model_output_millionths(app_outputs(), i)) * 1000000 + sum / 2) / sum;
}

#else

void scores_compute(void)
{
}

int64_t scores_millionths(size_t i)
{
    return app_model_output_millionths(app_outputs(), i);
}

#endif
#endif
