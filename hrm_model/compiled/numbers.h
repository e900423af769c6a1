/* Vectors of eight fp32 numbers and of sixteen, and what is done number by number. */

#pragma once

#include <float.h>
#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define AVX512 __attribute__((target("avx512f,avx512dq,prefer-vector-width=512")))

typedef float vec __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint32_t bits __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t ints __attribute__((vector_size(32)));
typedef float wide __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t wide_ints __attribute__((vector_size(64)));

INLINE vec splat(float value) { return value - (vec){0}; }

/* The lanes of each, added up: always by halves, quarters and eighths. */
INLINE void totals(vec a, vec b, vec c, vec d, float *to) {
#define HALF(v) _mm_add_ps(_mm256_castps256_ps128((__m256)(v)), _mm256_extractf128_ps((__m256)(v), 1))
    _mm_storeu_ps(to, _mm_hadd_ps(_mm_hadd_ps(HALF(a), HALF(b)), _mm_hadd_ps(HALF(c), HALF(d))));
#undef HALF
}

INLINE float total(vec v) {
    float to[4];
    totals(v, v, v, v, to);
    return to[0];
}

/* bf16 numbers in fp32. */
INLINE void widen(const uint16_t *from, float *to, int64_t count) {
    for (int64_t i = 0; i < count; i += 8) {
        const __m256i both = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(from + i)));
        _mm256_storeu_si256((__m256i *)(to + i), _mm256_slli_epi32(both, 16));
    }
}

/* fp32 numbers in bf16: the nearest, of two as near the even one. NaN stays one. */
INLINE void shorten(const float *from, uint16_t *to, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        uint32_t number;
        memcpy(&number, from + i, sizeof number);
        const uint32_t rounded = number + 0x7fff + (number >> 16 & 1);
        to[i] = (uint16_t)((from[i] == from[i] ? rounded : number | 0x400000) >> 16);
    }
}

/* fp32 numbers to whole ones of -127 to 127 and what one of them is worth, in bf16; hrm_model/projections/rounding.py is
 * the reference. Compared as integers, magnitudes with a NaN or an infinity have it for the largest: its worth is not
 * finite then, and so is none of them. */
INLINE void round_off(const float *from, int8_t *to, uint16_t *worth, int64_t count) {
    const ints magnitude = (ints){0} + 0x7fffffff;
    ints most = {0};
    for (int64_t i = 0; i < count; i += 8) {
        const ints here = (ints)*(const vec *)(from + i) & magnitude;
        most = (ints)_mm256_max_epi32((__m256i)most, (__m256i)here);
    }
    int32_t largest = most[0];
    for (int lane = 1; lane < 8; lane++) largest = most[lane] > largest ? most[lane] : largest;
    float unit;
    memcpy(&unit, &largest, sizeof unit);
    unit /= 127;
    if (unit < FLT_MIN) unit = FLT_MIN;
    shorten(&unit, worth, 1); /* what divides is what multiplies later */
    const uint32_t rounded = (uint32_t)*worth << 16;
    memcpy(&unit, &rounded, sizeof unit);
    for (int64_t i = 0; i < count; i += 8) {
        const ints whole = (ints)_mm256_cvtps_epi32((__m256)(*(const vec *)(from + i) / unit));
        for (int lane = 0; lane < 8; lane++) to[i + lane] = (int8_t)whole[lane];
    }
}

/* Back to fp32. */
INLINE void widen_whole(const int8_t *from, uint16_t worth, float *to, int64_t count) {
    const uint32_t number = (uint32_t)worth << 16;
    float unit;
    memcpy(&unit, &number, sizeof unit);
    for (int64_t i = 0; i < count; i += 8) {
        const __m256i whole = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(from + i)));
        *(vec *)(to + i) = (vec)_mm256_cvtepi32_ps(whole) * unit;
    }
}

/* What is done number by number, in vectors of eight and of sixteen; the bits are the same. */

/* e^x to fp32's last bits: 2^n * e^r with |r| <= ln(2)/2, and a polynomial for e^r. NaN is neither too small nor too
 * large, and stays. What is added to 1.5 * 2^23 is rounded to whole numbers. */
#define BY_NUMBER(VEC, INTS, CHOOSE, EXPONENTIAL, SIGMOID, BEND, LET_THROUGH, TARGET)                         \
    INLINE TARGET VEC CHOOSE(INTS is_first, VEC first, VEC second) {                                          \
        return (VEC)(((INTS)first & is_first) | ((INTS)second & ~is_first));                                  \
    }                                                                                                         \
    INLINE TARGET VEC EXPONENTIAL(VEC x) {                                                                    \
        const VEC zero = {0};                                                                                 \
        x = CHOOSE(x < zero - 87.0f, zero - 87.0f, x);                                                        \
        x = CHOOSE(x > zero + 88.0f, zero + 88.0f, x);                                                        \
        VEC n = x * 1.44269504f + 12582912.0f;                                                                \
        INTS exponent = (INTS)n << 23;                                                                        \
        n -= 12582912.0f;                                                                                     \
        VEC r = x - n * 0.693359375f + n * 2.12194440e-4f;                                                    \
        VEC p = zero + 1.9875691500e-4f;                                                                      \
        p = p * r + 1.3981999507e-3f;                                                                         \
        p = p * r + 8.3334519073e-3f;                                                                         \
        p = p * r + 4.1665795894e-2f;                                                                         \
        p = p * r + 1.6666665459e-1f;                                                                         \
        p = p * r + 5.0000001201e-1f;                                                                         \
        p = p * (r * r) + r + 1.0f;                                                                           \
        return (VEC)((INTS)p + exponent);                                                                     \
    }                                                                                                         \
    INLINE TARGET VEC SIGMOID(VEC x) { return 1.0f / (1.0f + EXPONENTIAL(-x)); }                              \
    /* x = sigmoid(x). */                                                                                     \
    static TARGET void BEND(float *x, int64_t count) {                                                        \
        for (int64_t i = 0; i < count; i += (int64_t)(sizeof(VEC) / sizeof(float)))                           \
            *(VEC *)(x + i) = SIGMOID(*(VEC *)(x + i));                                                       \
    }                                                                                                         \
    /* out = silu(gate) * up, where `up` lies behind as many gates. */                                        \
    static TARGET void LET_THROUGH(const float *gates, float *out, int64_t count) {                           \
        for (int64_t i = 0; i < count; i += (int64_t)(sizeof(VEC) / sizeof(float))) {                         \
            const VEC gate = *(const VEC *)(gates + i), up = *(const VEC *)(gates + count + i);               \
            *(VEC *)(out + i) = gate * SIGMOID(gate) * up;                                                    \
        }                                                                                                     \
    }
BY_NUMBER(vec, ints, choose, exponential, sigmoid, bend, let_through, )
BY_NUMBER(wide, wide_ints, wide_choose, wide_exponential, wide_sigmoid, wide_bend, wide_let_through, AVX512)

static void norm(const float *x, float *out, int64_t width, float eps) {
    vec sum = splat(0);
    for (int64_t i = 0; i < width; i += 8) sum += *(const vec *)(x + i) * *(const vec *)(x + i);
    const float factor = 1.0f / sqrtf(total(sum) / (float)width + eps);
    for (int64_t i = 0; i < width; i += 8) *(vec *)(out + i) = *(const vec *)(x + i) * factor;
}
