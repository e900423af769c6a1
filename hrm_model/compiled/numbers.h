/* Vectors of eight fp32 numbers, and products by packed matrices. Each sum has one order, whatever is beside it.
 *
 * Products come twice, in vectors of eight and of sixteen. A sum lies in a lane of its own in both, so its bits are equal.
 */

#pragma once

#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define PANEL 16     /* outputs whose weights lie side by side: two registers, or a wide one */
#define ROWS 6       /* tokens that share a read of a panel */
#define WIDE_ROWS 12 /* the same where there are 32 registers */
#define ABREAST 4    /* panels read at once for one token, or additions would wait for each other */

#define INLINE static inline __attribute__((always_inline))
#define AVX512 __attribute__((target("avx512f,avx512dq,prefer-vector-width=512")))

typedef float vec __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint32_t bits __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t ints __attribute__((vector_size(32)));
typedef float wide __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t wide_ints __attribute__((vector_size(64)));

/* (outputs, inputs) in panels: for each input a panel's outputs, in fp32, or in bf16 with the panel's halves zipped. */
typedef struct {
    const void *packed;
    int64_t is_bf16, is_wide; /* what is packed; whether this processor works on sixteen numbers at a time */
} Matrix;

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

/* Products */

INLINE void read_panel(const void *packed, int64_t at, int is_bf16, vec *low, vec *high) {
    if (is_bf16) {
        bits both = *(const bits *)((const uint16_t *)packed + at * PANEL);
        *low = (vec)(both << 16);
        *high = (vec)(both & 0xffff0000u);
    } else {
        *low = *(const vec *)((const float *)packed + at * PANEL);
        *high = *(const vec *)((const float *)packed + at * PANEL + 8);
    }
}

/* `rows` tokens by `panels` panels; all counts but `inputs` are known where this is called. */
INLINE void tile(int rows, int panels, int is_bf16, const float *x, int64_t inputs, const void *packed, float *out,
                 int64_t out_stride) {
    vec sum[ROWS][2 * ABREAST];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int p = 0; p < 2 * panels; p++) sum[r][p] = splat(0);
    for (int64_t i = 0; i < inputs; i++) {
#pragma GCC unroll 8
        for (int p = 0; p < panels; p++) {
            vec low, high;
            read_panel(packed, p * inputs + i, is_bf16, &low, &high);
#pragma GCC unroll 8
            for (int r = 0; r < rows; r++) {
                sum[r][2 * p] += low * x[r * inputs + i];
                sum[r][2 * p + 1] += high * x[r * inputs + i];
            }
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int p = 0; p < 2 * panels; p++) *(vec *)(out + r * out_stride + 8 * p) = sum[r][p];
}

INLINE void product_as(int is_bf16, const void *packed, const float *x, int64_t tokens, int64_t inputs, int64_t panels,
                       float *out, int64_t out_stride) {
    const int64_t size = inputs * PANEL * (is_bf16 ? 2 : 4);
    for (int64_t p = 0; p < panels; p += ABREAST) {
        const int whole = panels - p >= ABREAST;
        for (int64_t t = 0; t < tokens; t += ROWS) {
            const int64_t rows = tokens - t < ROWS ? tokens - t : ROWS;
            const float *from = x + t * inputs;
            float *to = out + t * out_stride + p * PANEL;
            const char *w = (const char *)packed + p * size;
            if (whole && rows == 1) {
                tile(1, ABREAST, is_bf16, from, inputs, w, to, out_stride);
            } else if (whole && rows == 2) {
                tile(2, 2, is_bf16, from, inputs, w, to, out_stride);
                tile(2, 2, is_bf16, from, inputs, w + 2 * size, to + 2 * PANEL, out_stride);
            } else {
                const int64_t count = whole ? ABREAST : panels - p;
                for (int64_t one = 0; one < count; one++, w += size, to += PANEL) {
                    switch (rows) {
                        case 1: tile(1, 1, is_bf16, from, inputs, w, to, out_stride); break;
                        case 2: tile(2, 1, is_bf16, from, inputs, w, to, out_stride); break;
                        case 3: tile(3, 1, is_bf16, from, inputs, w, to, out_stride); break;
                        case 4: tile(4, 1, is_bf16, from, inputs, w, to, out_stride); break;
                        case 5: tile(5, 1, is_bf16, from, inputs, w, to, out_stride); break;
                        default: tile(6, 1, is_bf16, from, inputs, w, to, out_stride);
                    }
                }
            }
        }
    }
}

INLINE AVX512 wide read_wide(const void *packed, int64_t at, int is_bf16) {
    vec low, high;
    if (!is_bf16) return *(const wide *)((const float *)packed + at * PANEL);
    read_panel(packed, at, 1, &low, &high);
    return (wide)_mm512_insertf32x8(_mm512_castps256_ps512((__m256)low), (__m256)high, 1);
}

/* As `tile`, for up to WIDE_ROWS tokens. The first of them ask for the panels after these: keys and values have driven
 * the weights out of the core's own cache, and a panel is too short for the processor to see where reading leads. */
INLINE AVX512 void wide_tile(int rows, int panels, int is_bf16, int is_first, const float *x, int64_t inputs,
                             const void *packed, float *out, int64_t out_stride) {
    wide sum[WIDE_ROWS][ABREAST];
    const int64_t share = panels * PANEL * (is_bf16 ? 2 : 4); /* of the next panels' bytes, for each input of these */
    const char *next = (const char *)packed + inputs * share;
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int p = 0; p < panels; p++) sum[r][p] = (wide){0};
    for (int64_t i = 0; i < inputs; i++) {
        wide weight[ABREAST];
#pragma GCC unroll 4
        for (int p = 0; p < panels; p++) weight[p] = read_wide(packed, p * inputs + i, is_bf16);
        if (is_first)
            for (int64_t at = i * share; at < (i + 1) * share; at += 64) __builtin_prefetch(next + at);
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (int p = 0; p < panels; p++) sum[r][p] += weight[p] * x[r * inputs + i];
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int p = 0; p < panels; p++) *(wide *)(out + r * out_stride + PANEL * p) = sum[r][p];
}

INLINE AVX512 void wide_product_as(int is_bf16, const void *packed, const float *x, int64_t tokens, int64_t inputs,
                                   int64_t panels, float *out, int64_t out_stride) {
    const int64_t size = inputs * PANEL * (is_bf16 ? 2 : 4);
    for (int64_t p = 0; p < panels; p += ABREAST) {
        const int64_t count = panels - p < ABREAST ? panels - p : ABREAST;
        int64_t tiles = (tokens + WIDE_ROWS - 1) / WIDE_ROWS;
        for (int64_t t = 0, rows; t < tokens; t += rows, tiles--) {
            rows = (tokens - t + tiles - 1) / tiles; /* about as many in each: a few take as long as twice as many */
            const float *from = x + t * inputs;
            const char *w = (const char *)packed + p * size;
            float *to = out + t * out_stride + p * PANEL;
            int64_t one = 0;
#define TILES(R, P)                                                                                           \
    case R:                                                                                                   \
        for (; one + P <= count; one += P)                                                                    \
            wide_tile(R, P, is_bf16, t == 0, from, inputs, w + one * size, to + one * PANEL, out_stride);     \
        break;
            switch (rows) {
                TILES(1, 4) TILES(2, 4) TILES(3, 2) TILES(4, 2) TILES(5, 2) TILES(6, 2)
                TILES(7, 2) TILES(8, 2) TILES(9, 2) TILES(10, 2) TILES(11, 2) TILES(12, 2)
            }
            switch (rows) {
                TILES(1, 1) TILES(2, 1) TILES(3, 1) TILES(4, 1) TILES(5, 1) TILES(6, 1)
                TILES(7, 1) TILES(8, 1) TILES(9, 1) TILES(10, 1) TILES(11, 1) TILES(12, 1)
            }
#undef TILES
        }
    }
}

static AVX512 void wide_product(int is_bf16, const void *packed, const float *x, int64_t tokens, int64_t inputs,
                                int64_t panels, float *out, int64_t out_stride) {
    if (is_bf16)
        wide_product_as(1, packed, x, tokens, inputs, panels, out, out_stride);
    else
        wide_product_as(0, packed, x, tokens, inputs, panels, out, out_stride);
}

/* out (T, panels * PANEL) = x (T, inputs) by some panels of a matrix. */
static void product(Matrix matrix, int64_t first_panel, int64_t panels, const float *x, int64_t tokens, int64_t inputs,
                    float *out, int64_t out_stride) {
    const char *from = (const char *)matrix.packed + first_panel * inputs * PANEL * (matrix.is_bf16 ? 2 : 4);
    if (matrix.is_wide)
        wide_product(matrix.is_bf16 != 0, from, x, tokens, inputs, panels, out, out_stride);
    else if (matrix.is_bf16)
        product_as(1, from, x, tokens, inputs, panels, out, out_stride);
    else
        product_as(0, from, x, tokens, inputs, panels, out, out_stride);
}

static void norm(const float *x, float *out, int64_t width, float eps) {
    vec sum = splat(0);
    for (int64_t i = 0; i < width; i += 8) sum += *(const vec *)(x + i) * *(const vec *)(x + i);
    const float factor = 1.0f / sqrtf(total(sum) / (float)width + eps);
    for (int64_t i = 0; i < width; i += 8) *(vec *)(out + i) = *(const vec *)(x + i) * factor;
}
