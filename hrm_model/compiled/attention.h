/* Tokens meet the keys and values of their sequences, where those lie. */

#pragma once

#include "wide_attention.h"

/* How well one query, or four of one sequence, fit up to a page of keys. A score is the same either way. */
INLINE void fit(int queries, const float *query, int64_t query_stride, const float *key, int64_t stride, int64_t size,
                int64_t count, float *score, int64_t room) {
    const int keys = queries == 1 ? 4 : 2;
    for (int64_t k = 0; k < count; k += keys) {
        vec sum[4][4];
        float found[4];
        /* Past the last one the last one again, whose score is written first and stays. */
        int64_t at[4];
#pragma GCC unroll 4
        for (int j = 0; j < keys; j++) at[j] = (k + j < count ? k + j : count - 1) * stride;
#pragma GCC unroll 4
        for (int q = 0; q < queries; q++)
#pragma GCC unroll 4
            for (int j = 0; j < keys; j++) sum[q][j] = splat(0);
        for (int64_t i = 0; i < size; i += 8)
#pragma GCC unroll 4
            for (int j = 0; j < keys; j++) {
                const vec one = *(const vec *)(key + at[j] + i);
#pragma GCC unroll 4
                for (int q = 0; q < queries; q++) sum[q][j] += *(const vec *)(query + q * query_stride + i) * one;
            }
        if (queries == 1) {
            totals(sum[0][0], sum[0][1], sum[0][2], sum[0][3], found);
            for (int j = 0; j < 4 && k + j < count; j++) score[k + j] = found[j];
        } else {
#pragma GCC unroll 4
            for (int q = 0; q < 4; q += 2) {
                totals(sum[q][0], sum[q][1], sum[q + 1][0], sum[q + 1][1], found);
                for (int j = 0; j < 2 && k + j < count; j++) {
                    score[q * room + k + j] = found[j];
                    score[(q + 1) * room + k + j] = found[2 + j];
                }
            }
        }
    }
}

/* Scores to weights that are not yet divided by their sum, which is returned. There is room up to a multiple of 8. */
INLINE float weigh(int is_wide, float *score, int64_t count, float factor) {
    for (int64_t k = count; k % 8; k++) score[k] = -INFINITY;
    vec mosts = *(vec *)score;
    for (int64_t k = 8; k < count; k += 8) mosts = choose(*(vec *)(score + k) > mosts, *(vec *)(score + k), mosts);
    float most = mosts[0];
    for (int lane = 1; lane < 8; lane++) most = mosts[lane] > most ? mosts[lane] : most;
    if (is_wide) return total(wide_weights(score, count, most, factor));
    vec sum = splat(0);
    for (int64_t k = 0; k < count; k += 8) {
        vec weight = exponential((*(vec *)(score + k) - most) * factor);
        *(vec *)(score + k) = weight;
        sum += weight;
    }
    return total(sum);
}

/* Add up to a page of values, each times its weight, for one query or four; `wide` vectors at a time. */
INLINE void mix(int queries, int wide, const float *weight, int64_t room, const float *value, int64_t stride,
                int64_t size, int64_t count, float *out, int64_t out_stride) {
    for (int64_t i = 0; i < size; i += 8 * wide) {
        vec sum[4][8];
#pragma GCC unroll 8
        for (int q = 0; q < queries; q++)
#pragma GCC unroll 8
            for (int v = 0; v < wide; v++) sum[q][v] = *(const vec *)(out + q * out_stride + i + 8 * v);
        for (int64_t k = 0; k < count; k++)
#pragma GCC unroll 8
            for (int v = 0; v < wide; v++) {
                const vec one = *(const vec *)(value + k * stride + i + 8 * v);
#pragma GCC unroll 8
                for (int q = 0; q < queries; q++) sum[q][v] += one * weight[q * room + k];
            }
#pragma GCC unroll 8
        for (int q = 0; q < queries; q++)
#pragma GCC unroll 8
            for (int v = 0; v < wide; v++) *(vec *)(out + q * out_stride + i + 8 * v) = sum[q][v];
    }
}

/* Read some heads of a page in the order in which they lie. Memory is fastest so; head by head, as they are needed, it
 * comes at two thirds of its speed, and asking for it ahead changes nothing. */
INLINE void bring_near(const float *page, int64_t stride, int64_t width, int64_t count) {
    vec sum[2] = {splat(0), splat(0)};
    for (int64_t k = 0; k < count; k++)
        for (int64_t i = 0; i < width; i += 16) {
            sum[0] += *(const vec *)(page + k * stride + i);
            sum[1] += *(const vec *)(page + k * stride + i + 8);
        }
    __asm__ volatile("" : : "x"(sum[0] + sum[1])); /* nobody needs it, which the compiler is not to know */
}

/* Some heads of up to a page of keys or values in fp32, each `*stride` numbers behind the one before: where they lie, or
 * widened in the thread's own memory. */
INLINE const float *page_of(Engine *engine, const void *all, const uint16_t *worth, int64_t at, int64_t width,
                            int64_t count, int is_read_once, int64_t number, int64_t *stride) {
    const int64_t size = engine->net.head_dim, inner = engine->net.heads * size, kept = engine->net.kept;
    if (kept != IN_FP32) {
        float *page = engine->page[number];
        for (int64_t k = 0; k < count; k++, at += inner, page += width)
            if (kept == IN_BF16)
                widen((const uint16_t *)all + at, page, width);
            else
                for (int64_t i = 0; i < width; i += size)
                    widen_whole((const int8_t *)all + at + i, worth[(at + i) / size], page + i, size);
        *stride = width;
        return engine->page[number];
    }
    const float *page = (const float *)all + at;
    if (is_read_once && engine->is_far) bring_near(page, inner, width, count);
    *stride = inner;
    return page;
}

/* Some heads of one token, or of four of one sequence that read the same keys, meet those keys. They do so page by
 * page, so that what lies side by side is read together. What they take from there is put down at `place`. */
INLINE void attend(int queries, int is_wide, Engine *engine, int64_t slot, int64_t token, int64_t place,
                   int64_t first_head, int64_t end_head, int64_t number) {
    const Network *net = &engine->net;
    const Step *step = engine->step;
    const int64_t size = net->head_dim, inner = net->heads * size, count = step->readable[token];
    const int64_t room = (count + 7) / 8 * 8, width = 4 * inner, each = queries * room;
    const int64_t near = first_head * size, near_width = (end_head - first_head) * size;
    const float *parts = engine->parts + token * width, factor = 1.0f / sqrtf((float)size);
    float *mixed = engine->mixed + place * inner, *scores = engine->scores[number], *sums = scores + net->heads * each;
    for (int64_t k = 0; k < count; k += PAGE_TOKENS) {
        const int64_t here = count - k < PAGE_TOKENS ? count - k : PAGE_TOKENS;
        const int64_t at = slot * net->slot_size + row_of(step, token, k) * inner + near;
        int64_t stride; /* four queries share what is read */
        const float *keys = page_of(engine, net->keys, net->key_worth, at, near_width, here, queries == 1, number, &stride);
        for (int64_t head = first_head; head < end_head; head++) {
            const float *query = parts + inner + head * size, *key = keys + (head - first_head) * size;
            if (is_wide)
                (queries == 1 ? wide_fit_one : wide_fit_four)(query, width, key, stride, size, here,
                                                              scores + head * each + k, room);
            else
                fit(queries, query, width, key, stride, size, here, scores + head * each + k, room);
        }
    }
    for (int64_t head = first_head; head < end_head; head++)
        for (int q = 0; q < queries; q++) {
            sums[head * queries + q] = weigh(is_wide, scores + head * each + q * room, count, factor);
            memset(mixed + q * inner + head * size, 0, (size_t)size * sizeof(float));
        }
    for (int64_t k = 0; k < count; k += PAGE_TOKENS) {
        const int64_t here = count - k < PAGE_TOKENS ? count - k : PAGE_TOKENS;
        const int64_t at = slot * net->slot_size + row_of(step, token, k) * inner + near;
        int64_t stride;
        const float *values = page_of(engine, net->values, net->value_worth, at, near_width, here, queries == 1, number, &stride);
        for (int64_t head = first_head; head < end_head; head++) {
            const float *weight = scores + head * each + k, *value = values + (head - first_head) * size;
            if (is_wide)
                (queries == 1 ? wide_mix_one : wide_mix_four)(weight, room, value, stride, size, here,
                                                              mixed + head * size, inner);
            else if (queries > 1 || size % 64)
                mix(queries, 2, weight, room, value, stride, size, here, mixed + head * size, inner);
            else
                mix(queries, 8, weight, room, value, stride, size, here, mixed + head * size, inner);
        }
    }
    for (int64_t head = first_head; head < end_head; head++) /* the gate is bent already */
        for (int q = 0; q < queries; q++)
            for (int64_t i = head * size; i < (head + 1) * size; i += 8)
                *(vec *)(mixed + q * inner + i) *= *(const vec *)(parts + q * width + i) / sums[head * queries + q];
}

/* Whether a token and the three after it are of one sequence and read the same keys, as a prompt's do. */
INLINE int are_alike(const Step *step, Chosen chosen, int64_t first) {
    const int64_t token = token_of(chosen, first);
    int alike = first + QUERIES <= chosen.count;
    for (int64_t i = 1; alike && i < QUERIES; i++)
        alike = token_of(chosen, first + i) == token + i && step->page_at[token + i] == step->page_at[token] &&
                step->readable[token + i] == step->readable[token];
    return alike;
}

/* What a thread does of the attention of some tokens; that of the i-th of them is put down as the i-th. */
INLINE void attend_all_as(int is_wide, Engine *engine, Chosen chosen, int64_t slot, int64_t number) {
    const int64_t heads = engine->net.heads, threads = engine->net.threads;
    int64_t first, end;
    if (chosen.count < 2 * QUERIES * threads) { /* few: they are shared out head by head */
        share(chosen.count * heads, number, threads, &first, &end);
        while (first < end) {
            const int64_t i = first / heads, head = first % heads;
            const int64_t count = heads - head < end - first ? heads - head : end - first;
            attend(1, is_wide, engine, slot, token_of(chosen, i), i, head, head + count, number);
            first += count;
        }
        return;
    }
    share((chosen.count + QUERIES - 1) / QUERIES, number, threads, &first, &end);
    for (int64_t group = first * QUERIES; group < end * QUERIES; group += QUERIES) {
        if (are_alike(engine->step, chosen, group)) {
            const int64_t token = token_of(chosen, group);
            for (int64_t head = 0; head < heads; head++)
                attend(QUERIES, is_wide, engine, slot, token, group, head, head + 1, number);
        } else {
            const int64_t last = group + QUERIES < chosen.count ? group + QUERIES : chosen.count;
            for (int64_t i = group; i < last; i++)
                attend(1, is_wide, engine, slot, token_of(chosen, i), i, 0, heads, number);
        }
    }
}

static void attend_all(Engine *engine, Chosen chosen, int64_t slot, int64_t number) {
    if (engine->net.head.is_wide)
        attend_all_as(1, engine, chosen, slot, number);
    else
        attend_all_as(0, engine, chosen, slot, number);
}
