/* Products by packed matrices. Each sum has one order, whatever is beside it.
 *
 * They come twice, in vectors of eight and of sixteen. A sum lies in a lane of its own in both, so its bits are equal.
 */

#pragma once

#include "numbers.h"

#define PANEL 16     /* outputs whose weights lie side by side: two registers, or a wide one */
#define ROWS 6       /* tokens that share a read of a panel */
#define WIDE_ROWS 12 /* the same where there are 32 registers */
#define ABREAST 4    /* panels read at once for one token, or additions would wait for each other */
#define GROUP 64     /* inputs whose int4 weights share a multiplier for each output */
#define FORMAT 1     /* of panels; a change of it goes with one in structs.py */
#define AT_ONCE 48   /* tokens for which a group's weights are unpacked once */
#define GROUP_BYTES (PANEL + GROUP * PANEL / 2) /* a panel's multipliers, then two inputs in each row of bytes */

/* How a panel's weights are written, for each input a row of its outputs: in fp32; in bf16 with the panel's halves
 * zipped; in int8; in int4, the lower halves of a row of bytes being the first of two inputs. */
typedef enum { IN_FP32, IN_BF16, IN_INT8, IN_INT4 } Kind;

/* (outputs, inputs) in panels. */
typedef struct {
    const void *packed;
    const float *scale;    /* of each output, where weights are whole numbers */
    int64_t kind, is_wide; /* how they are written; whether this processor works on sixteen numbers at a time */
} Matrix;

INLINE int64_t panel_bytes(int kind, int64_t inputs) {
    switch (kind) {
        case IN_FP32: return inputs * PANEL * 4;
        case IN_BF16: return inputs * PANEL * 2;
        case IN_INT8: return inputs * PANEL;
        default: return inputs / GROUP * GROUP_BYTES;
    }
}

/* Inputs that are gone through together: of int4 a group, whose multipliers stand before its rows. */
INLINE int64_t block_inputs(int kind) { return kind == IN_INT4 ? GROUP : 1; }

/* Eight whole numbers in fp32. */
INLINE vec from_int8(const char *at) {
    return (vec)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)at)));
}

INLINE vec from_int4(const char *at, int is_second) {
    const ints both = (ints)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)at));
    return (vec)_mm256_cvtepi32_ps((__m256i)((is_second ? both : both << 28) >> (is_second ? 4 : 28)));
}

/* A panel's weights of an input of a block, or of its second one where two share a row; multipliers are left out. */
INLINE void read_panel(int kind, const char *block, int64_t input, int is_second, vec *low, vec *high) {
    switch (kind) {
        case IN_FP32:
            *low = *(const vec *)block;
            *high = *(const vec *)(block + 32);
            return;
        case IN_BF16: {
            const bits both = *(const bits *)block;
            *low = (vec)(both << 16);
            *high = (vec)(both & 0xffff0000u);
            return;
        }
        case IN_INT8:
            *low = from_int8(block);
            *high = from_int8(block + 8);
            return;
        default:
            block += PANEL + input / 2 * PANEL;
            *low = from_int4(block, is_second);
            *high = from_int4(block + 8, is_second);
    }
}

/* `rows` tokens by `panels` panels; all counts but `inputs` are known where this is called. In int4 a part of the sum is
 * that of a group, which is multiplied once; otherwise the part is the sum. With `asks` it asks for the panels after
 * these: one is too short for the processor to see where reading leads. */
INLINE void tile(int rows, int panels, int kind, int asks, const float *x, int64_t inputs, const char *packed,
                 const float *scale, float *out, int64_t out_stride) {
    const int64_t size = panel_bytes(kind, inputs), step = kind == IN_INT4 ? 2 : 1;
    const int64_t together = block_inputs(kind), block_size = panel_bytes(kind, together);
    vec sum[ROWS][2 * ABREAST], part[ROWS][2 * ABREAST];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int p = 0; p < 2 * panels; p++) sum[r][p] = part[r][p] = splat(0);
    for (int64_t first = 0; first < inputs; first += together, packed += block_size) {
        if (asks && !(first * block_size % 64)) __builtin_prefetch(packed + panels * size);
        for (int64_t i = 0; i < together; i += step)
#pragma GCC unroll 2
            for (int s = 0; s < step; s++)
#pragma GCC unroll 8
                for (int p = 0; p < panels; p++) {
                    vec low, high;
                    read_panel(kind, packed + p * size, i, s, &low, &high);
#pragma GCC unroll 8
                    for (int r = 0; r < rows; r++) {
                        part[r][2 * p] += low * x[r * inputs + first + i + s];
                        part[r][2 * p + 1] += high * x[r * inputs + first + i + s];
                    }
                }
        if (kind != IN_INT4) continue;
#pragma GCC unroll 8
        for (int p = 0; p < 2 * panels; p++) {
            const vec many = from_int8(packed + p / 2 * size + p % 2 * 8);
#pragma GCC unroll 8
            for (int r = 0; r < rows; r++) sum[r][p] += part[r][p] * many, part[r][p] = splat(0);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int p = 0; p < 2 * panels; p++) {
            if (kind == IN_INT4) part[r][p] = sum[r][p];
            if (scale) part[r][p] *= *(const vec *)(scale + 8 * p);
            *(vec *)(out + r * out_stride + 8 * p) = part[r][p];
        }
}

/* One group of a panel in int4, unpacked: what it adds to the sums of some tokens. */
INLINE void group_tile(int rows, const float *x, int64_t inputs, const float *weights, const vec *many, float *sums) {
    vec part[ROWS][2];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) part[r][0] = part[r][1] = splat(0);
    for (int64_t i = 0; i < GROUP; i++, weights += PANEL)
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            part[r][0] += *(const vec *)weights * x[r * inputs + i];
            part[r][1] += *(const vec *)(weights + 8) * x[r * inputs + i];
        }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int p = 0; p < 2; p++) *(vec *)(sums + r * PANEL + 8 * p) += part[r][p] * many[p];
}

/* Up to AT_ONCE tokens by a panel in int4. To unpack it takes as long as to multiply a few tokens by it, and more of
 * them than a tile has would do so again and again. The bits are those of `tile`. */
static void by_groups(const char *packed, const float *scale, const float *x, int64_t tokens, int64_t inputs, float *out,
                      int64_t out_stride) {
    float weights[GROUP * PANEL], sums[AT_ONCE * PANEL] = {0};
    for (int64_t first = 0; first < inputs; first += GROUP, packed += GROUP_BYTES) {
        const vec many[2] = {from_int8(packed), from_int8(packed + 8)};
        for (int i = 0; i < GROUP; i += 2)
#pragma GCC unroll 2
            for (int s = 0; s < 2; s++) {
                vec *to = (vec *)(weights + (i + s) * PANEL);
                read_panel(IN_INT4, packed, i, s, to, to + 1);
            }
        int64_t tiles = (tokens + ROWS - 1) / ROWS;
        for (int64_t t = 0, rows; t < tokens; t += rows, tiles--) {
            rows = (tokens - t + tiles - 1) / tiles;
#define ROWS_OF(R) \
    case R: group_tile(R, x + t * inputs + first, inputs, weights, many, sums + t * PANEL); break;
            switch (rows) { ROWS_OF(1) ROWS_OF(2) ROWS_OF(3) ROWS_OF(4) ROWS_OF(5) ROWS_OF(6) }
#undef ROWS_OF
        }
    }
    for (int64_t t = 0; t < tokens; t++)
        for (int p = 0; p < PANEL; p += 8)
            *(vec *)(out + t * out_stride + p) = *(const vec *)(sums + t * PANEL + p) * *(const vec *)(scale + p);
}

INLINE void product_as(int kind, const char *packed, const float *scale, const float *x, int64_t tokens, int64_t inputs,
                       int64_t panels, float *out, int64_t out_stride) {
    const int64_t size = panel_bytes(kind, inputs);
    if (kind == IN_INT4 && tokens > ROWS) {
        for (int64_t p = 0; p < panels; p++)
            for (int64_t t = 0; t < tokens; t += AT_ONCE)
                by_groups(packed + p * size, scale + p * PANEL, x + t * inputs, tokens - t < AT_ONCE ? tokens - t : AT_ONCE,
                          inputs, out + t * out_stride + p * PANEL, out_stride);
        return;
    }
    for (int64_t p = 0; p < panels; p += ABREAST) {
        const int whole = panels - p >= ABREAST;
        for (int64_t t = 0; t < tokens; t += ROWS) {
            const int64_t rows = tokens - t < ROWS ? tokens - t : ROWS;
            const float *from = x + t * inputs;
            float *to = out + t * out_stride + p * PANEL;
            const char *w = packed + p * size;
            const float *s = scale ? scale + p * PANEL : NULL;
#define TILE(R, P) tile(R, P, kind, 0, from, inputs, w, s, to, out_stride)
/* Whole numbers come as quickly unasked, and one or two tokens are done before what was asked for is there. */
#define ASKING_TILE(R)                                                                                        \
    if (t == 0 && kind <= IN_BF16)                                                                            \
        tile(R, 1, kind, 1, from, inputs, w, s, to, out_stride);                                              \
    else                                                                                                      \
        TILE(R, 1)
#define ON(P) w += (P) * size, to += (P) * PANEL, s = s ? s + (P) * PANEL : NULL
            if (whole && rows == 1) {
                TILE(1, ABREAST);
            } else if (whole && rows == 2) {
                TILE(2, 2);
                ON(2);
                TILE(2, 2);
            } else {
                const int64_t count = whole ? ABREAST : panels - p;
                for (int64_t one = 0; one < count; one++, ON(1)) {
                    switch (rows) {
                        case 1: TILE(1, 1); break;
                        case 2: TILE(2, 1); break;
                        case 3: ASKING_TILE(3); break;
                        case 4: ASKING_TILE(4); break;
                        case 5: ASKING_TILE(5); break;
                        default: ASKING_TILE(6);
                    }
                }
            }
#undef ASKING_TILE
#undef TILE
#undef ON
        }
    }
}

INLINE AVX512 wide wide_from_int8(const char *at) {
    return (wide)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)at)));
}

INLINE AVX512 wide read_wide(int kind, const char *block, int64_t input, int is_second) {
    vec low, high;
    switch (kind) {
        case IN_FP32: return *(const wide *)block;
        case IN_BF16:
            read_panel(IN_BF16, block, 0, 0, &low, &high);
            return (wide)_mm512_insertf32x8(_mm512_castps256_ps512((__m256)low), (__m256)high, 1);
        case IN_INT8: return wide_from_int8(block);
        default: {
            const __m512 number = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1);
            const wide_ints both =
                (wide_ints)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(block + PANEL + input / 2 * PANEL)));
            /* Looked up by the lower halves alone. */
            return (wide)_mm512_permutexvar_ps((__m512i)(is_second ? both >> 4 : both), number);
        }
    }
}

/* As `tile`, for up to WIDE_ROWS tokens. The first of them ask for the panels after these: keys and values have driven
 * the weights out of the core's own cache, and a panel is too short for the processor to see where reading leads. */
INLINE AVX512 void wide_tile(int rows, int panels, int kind, int is_first, const float *x, int64_t inputs,
                             const char *packed, const float *scale, float *out, int64_t out_stride) {
    const int64_t size = panel_bytes(kind, inputs), step = kind == IN_INT4 ? 2 : 1;
    const int64_t together = block_inputs(kind), block_size = panel_bytes(kind, together);
    const char *next = packed + panels * size;
    wide sum[WIDE_ROWS][ABREAST], part[WIDE_ROWS][ABREAST];
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int p = 0; p < panels; p++) sum[r][p] = part[r][p] = (wide){0};
    for (int64_t first = 0; first < inputs; first += together, packed += block_size, next += panels * block_size) {
        if (is_first)
            for (int64_t at = 0; at < panels * block_size; at += 64) __builtin_prefetch(next + at);
        for (int64_t i = 0; i < together; i += step)
#pragma GCC unroll 2
            for (int s = 0; s < step; s++) {
                wide weight[ABREAST];
#pragma GCC unroll 4
                for (int p = 0; p < panels; p++) weight[p] = read_wide(kind, packed + p * size, i, s);
#pragma GCC unroll 16
                for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
                    for (int p = 0; p < panels; p++) part[r][p] += weight[p] * x[r * inputs + first + i + s];
            }
        if (kind != IN_INT4) continue;
#pragma GCC unroll 4
        for (int p = 0; p < panels; p++) {
            const wide many = wide_from_int8(packed + p * size);
#pragma GCC unroll 16
            for (int r = 0; r < rows; r++) sum[r][p] += part[r][p] * many, part[r][p] = (wide){0};
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int p = 0; p < panels; p++) {
            if (kind == IN_INT4) part[r][p] = sum[r][p];
            if (scale) part[r][p] *= *(const wide *)(scale + PANEL * p);
            *(wide *)(out + r * out_stride + PANEL * p) = part[r][p];
        }
}

INLINE AVX512 void wide_product_as(int kind, const char *packed, const float *scale, const float *x, int64_t tokens,
                                   int64_t inputs, int64_t panels, float *out, int64_t out_stride) {
    const int64_t size = panel_bytes(kind, inputs);
    for (int64_t p = 0; p < panels; p += ABREAST) {
        const int64_t count = panels - p < ABREAST ? panels - p : ABREAST;
        int64_t tiles = (tokens + WIDE_ROWS - 1) / WIDE_ROWS;
        for (int64_t t = 0, rows; t < tokens; t += rows, tiles--) {
            rows = (tokens - t + tiles - 1) / tiles; /* about as many in each: a few take as long as twice as many */
            const float *from = x + t * inputs;
            int64_t one = 0;
#define TILES(R, P)                                                                                           \
    case R:                                                                                                   \
        for (; one + P <= count; one += P)                                                                    \
            wide_tile(R, P, kind, t == 0, from, inputs, packed + (p + one) * size,                            \
                      scale ? scale + (p + one) * PANEL : NULL, out + t * out_stride + (p + one) * PANEL,     \
                      out_stride);                                                                            \
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

#define BY_KIND(NAME, AS, TARGET)                                                                             \
    static TARGET void NAME(int64_t kind, const char *packed, const float *scale, const float *x,             \
                            int64_t tokens, int64_t inputs, int64_t panels, float *out, int64_t out_stride) { \
        switch (kind) {                                                                                       \
            case IN_FP32: AS(IN_FP32, packed, NULL, x, tokens, inputs, panels, out, out_stride); break;       \
            case IN_BF16: AS(IN_BF16, packed, NULL, x, tokens, inputs, panels, out, out_stride); break;       \
            case IN_INT8: AS(IN_INT8, packed, scale, x, tokens, inputs, panels, out, out_stride); break;      \
            default: AS(IN_INT4, packed, scale, x, tokens, inputs, panels, out, out_stride);                  \
        }                                                                                                     \
    }
BY_KIND(narrow_product, product_as, )
BY_KIND(wide_product, wide_product_as, AVX512)

/* out (T, panels * PANEL) = x (T, inputs) by some panels of a matrix. */
static void product(Matrix matrix, int64_t first_panel, int64_t panels, const float *x, int64_t tokens, int64_t inputs,
                    float *out, int64_t out_stride) {
    const char *packed = (const char *)matrix.packed + first_panel * panel_bytes((int)matrix.kind, inputs);
    const float *scale = matrix.scale ? matrix.scale + first_panel * PANEL : NULL;
    /* One token's time is spent in reading, but for whole numbers. */
    const int is_wide = matrix.is_wide && (tokens > 1 || scale);
    (is_wide ? wide_product : narrow_product)(matrix.kind, packed, scale, x, tokens, inputs, panels, out, out_stride);
}
