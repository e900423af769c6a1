/* What a network, a step and an engine are. hrm_model/compiled/step.py has the other side of what Python passes. */

#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "products.h"

#define PAGE_TOKENS 16
#define FAR (16 << 20) /* bytes of keys and values that no cache is likely to hold from one step to the next */
#define CHUNK 96 /* tokens that go through a matrix together, so that they stay in a core's cache meanwhile */

typedef struct {
    Matrix gqkv, out, gate_up, down;
} Layer;

typedef struct {
    int64_t width, heads, head_dim, feed, vocab;
    int64_t layers, passes, cycle; /* layers of a stack; passes in all; every so many of them one is the slow stack's */
    int64_t threads;
    float eps, scale;               /* of the norms; of the embedding */
    const void *embedding;          /* (V, D) */
    const float *start;             /* z_L at the beginning, (D) */
    const float *cosine, *sine;     /* (positions, K/2) */
    const Layer *fast, *slow;       /* the stacks' layers */
    Matrix head;
    void *keys, *values; /* (slots, rows, N, K) */
    uint16_t *key_worth, *value_worth; /* (slots, rows, N): where they are int8, what one of them is worth, in bf16 */
    int64_t slot_size;                 /* numbers in a slot */
    int64_t is_short;                  /* whether the embedding is bf16, or fp32 */
    int64_t kept;                      /* what keys and values are: IN_FP32, IN_BF16 or IN_INT8 */
} Network;

/* T tokens. Each stands at `position` of its sequence, reads `readable` keys of it, and has its pages at `page_at`. */
typedef struct {
    int64_t tokens, wanted;
    const int64_t *id, *position, *readable, *page_at, *page;
    const int64_t *wanted_row;      /* tokens whose logits are wanted */
    int64_t first_layer, end_layer; /* of all passes' layers, those to go through now */
    float *slow, *fast, *x;         /* (T, D) each: where the tokens stand between two layers */
    float *logits;                  /* (wanted, V), after the last layer */
} Step;

typedef struct Engine {
    Network net;
    const Step *step;
    int is_far;       /* whether the step's keys and values have to come from memory */
    int64_t capacity; /* tokens that the memory below is for */
    float *parts, *mixed, *hidden;
    float **own, **scores, **page; /* each thread's */
    pthread_t *workers;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int64_t round; /* guarded by `lock`: steps begun; -1 ends the workers */
    atomic_uint met, phase;
} Engine;

/* Tokens that something is done for: by their numbers, or without any the first `count`. */
typedef struct {
    int64_t count;
    const int64_t *token;
} Chosen;

INLINE int64_t token_of(Chosen chosen, int64_t i) { return chosen.token ? chosen.token[i] : i; }

/* The part of `count` things that falls to a thread. */
INLINE void share(int64_t count, int64_t number, int64_t threads, int64_t *first, int64_t *end) {
    *first = count * number / threads;
    *end = count * (number + 1) / threads;
}

/* The tokens of the chunk that begins at `from`. */
INLINE int64_t chunk(int64_t from, int64_t tokens) { return tokens - from < CHUNK ? tokens - from : CHUNK; }

/* Where a token's sequence has the keys and values of a position. */
INLINE int64_t row_of(const Step *step, int64_t token, int64_t position) {
    return step->page[step->page_at[token] + position / PAGE_TOKENS] * PAGE_TOKENS + position % PAGE_TOKENS;
}
