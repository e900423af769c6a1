/* The parts of attention that read keys and values, sixteen numbers at a time.
 *
 * A score is a sum over eight lanes, which are then added up by halves, quarters and eighths. Here each half of a vector
 * holds the eight lanes of one key, so that every sum has the order that it has in vectors of eight, and its bits.
 */

#pragma once

#include "engine.h"

#define QUERIES 4 /* tokens of one sequence that share a read of its keys */
#define TOGETHER 8 /* keys */

INLINE AVX512 wide both_halves(const float *low, const float *high) {
    return (wide)_mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(low)), _mm256_loadu_ps(high), 1);
}

INLINE AVX512 wide in_both_halves(const float *eight) { return (wide)_mm512_broadcast_f32x8(_mm256_loadu_ps(eight)); }

/* Neighbours in each quarter added up: first those of `a`, then those of `b`. */
INLINE AVX512 __m512 neighbours(__m512 a, __m512 b) {
    return _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x88), _mm512_shuffle_ps(a, b, 0xdd));
}

/* The quarters of each half added up: of `a`'s keys, then of `b`'s. */
INLINE AVX512 __m512 halved(wide a, wide b) {
    return _mm512_add_ps(_mm512_shuffle_f32x4((__m512)a, (__m512)b, 0x88),
                         _mm512_shuffle_f32x4((__m512)a, (__m512)b, 0xdd));
}

/* Two times eight keys, each half of a vector one of them, to their sums: the first eight, then the others. */
INLINE AVX512 __m512 wide_totals(const wide *first, const wide *second) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512 firsts = neighbours(halved(first[0], first[1]), halved(first[2], first[3]));
    const __m512 seconds = neighbours(halved(second[0], second[1]), halved(second[2], second[3]));
    return _mm512_permutexvar_ps(order, neighbours(firsts, seconds));
}

/* As `fit`, for four queries: eight keys at a time, past the last one the last one again, for which there is room. */
static AVX512 void wide_fit_four(const float *query, int64_t query_stride, const float *key, int64_t stride,
                                 int64_t size, int64_t count, float *score, int64_t room) {
    for (int64_t k = 0; k < count; k += TOGETHER) {
        wide sum[QUERIES][TOGETHER / 2];
        int64_t at[TOGETHER];
#pragma GCC unroll 8
        for (int j = 0; j < TOGETHER; j++) at[j] = (k + j < count ? k + j : count - 1) * stride;
#pragma GCC unroll 4
        for (int q = 0; q < QUERIES; q++)
#pragma GCC unroll 4
            for (int j = 0; j < TOGETHER / 2; j++) sum[q][j] = (wide){0};
        for (int64_t i = 0; i < size; i += 8) {
            wide asked[QUERIES];
#pragma GCC unroll 4
            for (int q = 0; q < QUERIES; q++) asked[q] = in_both_halves(query + q * query_stride + i);
#pragma GCC unroll 4
            for (int j = 0; j < TOGETHER / 2; j++) {
                const wide two = both_halves(key + at[2 * j] + i, key + at[2 * j + 1] + i);
#pragma GCC unroll 4
                for (int q = 0; q < QUERIES; q++) sum[q][j] += asked[q] * two;
            }
        }
#pragma GCC unroll 2
        for (int q = 0; q < QUERIES; q += 2) {
            const __m512 found = wide_totals(sum[q], sum[q + 1]);
            _mm256_storeu_ps(score + q * room + k, _mm512_castps512_ps256(found));
            _mm256_storeu_ps(score + (q + 1) * room + k, _mm512_extractf32x8_ps(found, 1));
        }
    }
}

/* The same for one query: a page's keys at a time. */
static AVX512 void wide_fit_one(const float *query, int64_t query_stride, const float *key, int64_t stride,
                                int64_t size, int64_t count, float *score, int64_t room) {
    (void)query_stride, (void)room;
    wide sum[TOGETHER];
    int64_t at[2 * TOGETHER];
#pragma GCC unroll 16
    for (int j = 0; j < 2 * TOGETHER; j++) at[j] = (j < count ? j : count - 1) * stride;
#pragma GCC unroll 8
    for (int j = 0; j < TOGETHER; j++) sum[j] = (wide){0};
    for (int64_t i = 0; i < size; i += 8) {
        const wide asked = in_both_halves(query + i);
#pragma GCC unroll 8
        for (int j = 0; j < TOGETHER; j++) sum[j] += asked * both_halves(key + at[2 * j] + i, key + at[2 * j + 1] + i);
    }
    const __m512 found = wide_totals(sum, sum + TOGETHER / 2);
    _mm256_storeu_ps(score, _mm512_castps512_ps256(found));
    if (count > TOGETHER) _mm256_storeu_ps(score + TOGETHER, _mm512_extractf32x8_ps(found, 1));
}

/* As `weigh`, of which it makes the numbers that are not yet added up. */
static AVX512 vec wide_weights(float *score, int64_t count, float most, float factor) {
    vec sum = splat(0);
    int64_t k = 0;
    for (; k + 8 < count; k += 16) {
        const wide weight = wide_exponential((*(wide *)(score + k) - most) * factor);
        *(wide *)(score + k) = weight;
        sum += (vec)_mm512_castps512_ps256((__m512)weight);
        sum += (vec)_mm512_extractf32x8_ps((__m512)weight, 1);
    }
    if (k < count) {
        const vec weight = exponential((*(vec *)(score + k) - most) * factor);
        *(vec *)(score + k) = weight;
        sum += weight;
    }
    return sum;
}

/* As `mix`; `vectors` at a time. */
INLINE AVX512 void wide_mix(int queries, int vectors, const float *weight, int64_t room, const float *value,
                            int64_t stride, int64_t size, int64_t count, float *out, int64_t out_stride) {
    for (int64_t i = 0; i < size; i += 16 * vectors) {
        wide sum[QUERIES][4];
#pragma GCC unroll 4
        for (int q = 0; q < queries; q++)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) sum[q][v] = *(const wide *)(out + q * out_stride + i + 16 * v);
        for (int64_t k = 0; k < count; k++)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) {
                const wide one = *(const wide *)(value + k * stride + i + 16 * v);
#pragma GCC unroll 4
                for (int q = 0; q < queries; q++) sum[q][v] += one * weight[q * room + k];
            }
#pragma GCC unroll 4
        for (int q = 0; q < queries; q++)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) *(wide *)(out + q * out_stride + i + 16 * v) = sum[q][v];
    }
}

#define WIDE_MIX(NAME, QUERIES)                                                                               \
    static AVX512 void NAME(const float *weight, int64_t room, const float *value, int64_t stride,            \
                            int64_t size, int64_t count, float *out, int64_t out_stride) {                    \
        if (size % 64)                                                                                        \
            wide_mix(QUERIES, 1, weight, room, value, stride, size, count, out, out_stride);                  \
        else                                                                                                  \
            wide_mix(QUERIES, 4, weight, room, value, stride, size, count, out, out_stride);                  \
    }
WIDE_MIX(wide_mix_one, 1)
WIDE_MIX(wide_mix_four, 4)
