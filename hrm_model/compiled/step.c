/* One step of HRM-Text in fp32: some tokens through all passes of both stacks, over keys and values in pages.
 *
 * A small network's step is made of calls and of reading its weights; here it is one call, and weights that are bf16
 * numbers are read as such. Every sum is taken in an order that depends on its own token alone, so that a token comes
 * out with the same bits alone and among others. hrm_model/compiled/step.py has the other side of each struct.
 */

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_TOKENS 16
#define PANEL 16     /* outputs whose weights lie side by side: two registers */
#define ROWS 6       /* tokens that share a read of a panel */
#define ABREAST 4    /* panels read at once for one token, or additions would wait for each other */
#define SPINS 2000   /* looks at a barrier before its core is offered to others */

#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint32_t bits __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t ints __attribute__((vector_size(32)));

/* (outputs, inputs) in panels: for each input the panel's outputs, as fp32, or as bf16 with the panel's halves zipped. */
typedef struct {
    const void *packed;
    int64_t is_bf16;
} Matrix;

typedef struct {
    Matrix gqkv, out, gate_up, down;
} Layer;

typedef struct {
    int64_t width, heads, head_dim, feed, vocab;
    int64_t layers, passes, cycle; /* layers of a stack; passes in all; every so many of them one is the slow stack's */
    int64_t threads;
    float eps, scale;               /* of the norms; of the embedding */
    const float *embedding, *start; /* (V, D); z_L at the beginning, (D) */
    const float *cosine, *sine;     /* (positions, K/2) */
    const Layer *fast, *slow;       /* the stacks' layers */
    Matrix head;
    float *keys, *values; /* (slots, rows, N, K) */
    int64_t slot_size;    /* numbers in a slot */
} Network;

/* T tokens. Token t stands at `position` of its sequence, reads `readable` keys of it, and has its pages at `page_at`. */
typedef struct {
    int64_t tokens, wanted;
    const int64_t *id, *position, *readable, *page_at, *page;
    const int64_t *wanted_row; /* tokens whose logits are wanted */
    float *logits;             /* (wanted, V) */
} Step;

typedef struct Engine {
    Network net;
    const Step *step;
    int64_t capacity; /* tokens that the memory below is for */
    float *slow, *fast, *x, *parts, *mixed, *hidden;
    float **normed, **scores; /* each thread's own */
    pthread_t *workers;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int64_t round; /* guarded by `lock`: steps begun; -1 ends the workers */
    atomic_uint met, phase;
} Engine;

typedef struct {
    Engine *engine;
    int64_t number;
} Worker;

/* Numbers */

INLINE vec splat(float value) { return value - (vec){0}; }

INLINE float total(vec v) {
    float low = (v[0] + v[4]) + (v[1] + v[5]), high = (v[2] + v[6]) + (v[3] + v[7]);
    return low + high;
}

INLINE vec choose(ints is_first, vec first, vec second) {
    return (vec)(((ints)first & is_first) | ((ints)second & ~is_first));
}

/* e^x to fp32's last bits: 2^n * e^r with |r| <= ln(2)/2, and a polynomial for e^r. */
INLINE vec exponential(vec x) {
    x = choose(x < splat(-87.0f), splat(-87.0f), x); /* NaN is neither, and stays */
    x = choose(x > splat(88.0f), splat(88.0f), x);
    vec n = x * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: what is added there is rounded to whole numbers */
    ints exponent = (ints)n << 23;
    n -= 12582912.0f;
    vec r = x - n * 0.693359375f + n * 2.12194440e-4f;
    vec p = splat(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    return (vec)((ints)p + exponent);
}

INLINE vec sigmoid(vec x) { return 1.0f / (1.0f + exponential(-x)); }

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
            } else if (whole && rows <= 3) {
                for (int half = 0; half < ABREAST; half += 2, w += 2 * size, to += 2 * PANEL) {
                    if (rows == 2) tile(2, 2, is_bf16, from, inputs, w, to, out_stride);
                    if (rows == 3) tile(3, 2, is_bf16, from, inputs, w, to, out_stride);
                }
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

/* out (T, panels * PANEL) = x (T, inputs) by some panels of a matrix. */
static void product(Matrix matrix, int64_t first_panel, int64_t panels, const float *x, int64_t tokens, int64_t inputs,
                    float *out, int64_t out_stride) {
    const int64_t at = first_panel * inputs * PANEL;
    if (matrix.is_bf16)
        product_as(1, (const uint16_t *)matrix.packed + at, x, tokens, inputs, panels, out, out_stride);
    else
        product_as(0, (const float *)matrix.packed + at, x, tokens, inputs, panels, out, out_stride);
}

static void norm(const float *x, float *out, int64_t width, float eps) {
    vec sum = splat(0);
    for (int64_t i = 0; i < width; i += 8) sum += *(const vec *)(x + i) * *(const vec *)(x + i);
    const float factor = 1.0f / sqrtf(total(sum) / (float)width + eps);
    for (int64_t i = 0; i < width; i += 8) *(vec *)(out + i) = *(const vec *)(x + i) * factor;
}

/* Threads */

static void meet(Engine *engine) {
    const unsigned threads = (unsigned)engine->net.threads;
    if (threads == 1) return;
    const unsigned phase = atomic_load_explicit(&engine->phase, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&engine->met, 1, memory_order_acq_rel) + 1 == threads) {
        atomic_store_explicit(&engine->met, 0, memory_order_relaxed);
        atomic_store_explicit(&engine->phase, phase + 1, memory_order_release);
        return;
    }
    for (int64_t looks = 0; atomic_load_explicit(&engine->phase, memory_order_acquire) == phase; looks++) {
        if (looks < SPINS)
            __builtin_ia32_pause();
        else
            sched_yield();
    }
}

/* The part of `count` things that falls to a thread. */
INLINE void share(int64_t count, int64_t number, int64_t threads, int64_t *first, int64_t *end) {
    *first = count * number / threads;
    *end = count * (number + 1) / threads;
}

/* Layers */

INLINE int64_t row_of(const Step *step, int64_t token, int64_t position) {
    return step->page[step->page_at[token] + position / PAGE_TOKENS] * PAGE_TOKENS + position % PAGE_TOKENS;
}

/* Turn the first half of a head against its second half. */
INLINE void turn(const float *from, float *to, const float *cosine, const float *sine, int64_t half) {
    for (int64_t i = 0; i < half; i += 8) {
        vec first = *(const vec *)(from + i), second = *(const vec *)(from + half + i);
        vec c = *(const vec *)(cosine + i), s = *(const vec *)(sine + i);
        *(vec *)(to + i) = first * c - second * s;
        *(vec *)(to + half + i) = second * c + first * s;
    }
}

/* Gates, queries, keys and values, head by head: gates bent, queries and keys turned, keys and values stored. */
static void project(Engine *engine, const Layer *layer, int64_t slot, int64_t number) {
    const Network *net = &engine->net;
    const Step *step = engine->step;
    const int64_t size = net->head_dim, inner = net->heads * size, width = 4 * inner;
    int64_t first, end;
    share(4 * net->heads, number, net->threads, &first, &end);
    for (int64_t unit = first; unit < end; unit++) {
        const int64_t kind = unit / net->heads, head = unit % net->heads;
        product(layer->gqkv, unit * size / PANEL, size / PANEL, engine->normed[number], step->tokens, net->width,
                engine->parts + unit * size, width);
        for (int64_t t = 0; t < step->tokens; t++) {
            float *part = engine->parts + t * width + unit * size;
            const int64_t position = step->position[t];
            const int64_t at = slot * net->slot_size + row_of(step, t, position) * inner + head * size;
            const float *cosine = net->cosine + position * size / 2, *sine = net->sine + position * size / 2;
            if (kind == 0)
                for (int64_t i = 0; i < size; i += 8) *(vec *)(part + i) = sigmoid(*(vec *)(part + i));
            else if (kind == 1)
                turn(part, part, cosine, sine, size / 2);
            else if (kind == 2)
                turn(part, net->keys + at, cosine, sine, size / 2);
            else
                memcpy(net->values + at, part, (size_t)size * sizeof(float));
        }
    }
}

/* How well a query fits up to a page of keys. */
INLINE void fit(const float *query, const float *key, int64_t stride, int64_t size, int64_t count, float factor,
                float *score) {
    int64_t k = 0;
    for (; k + 4 <= count; k += 4, key += 4 * stride) {
        vec a = splat(0), b = a, c = a, d = a;
        for (int64_t i = 0; i < size; i += 8) {
            vec q = *(const vec *)(query + i);
            a += q * *(const vec *)(key + i);
            b += q * *(const vec *)(key + stride + i);
            c += q * *(const vec *)(key + 2 * stride + i);
            d += q * *(const vec *)(key + 3 * stride + i);
        }
        score[k] = total(a) * factor, score[k + 1] = total(b) * factor;
        score[k + 2] = total(c) * factor, score[k + 3] = total(d) * factor;
    }
    for (; k < count; k++, key += stride) {
        vec a = splat(0);
        for (int64_t i = 0; i < size; i += 8) a += *(const vec *)(query + i) * *(const vec *)(key + i);
        score[k] = total(a) * factor;
    }
}

/* Scores to weights that are not yet divided by their sum, which is returned. There is room up to a multiple of 8. */
INLINE float weigh(float *score, int64_t count) {
    float most = score[0];
    for (int64_t k = 1; k < count; k++) most = score[k] > most ? score[k] : most;
    for (int64_t k = count; k % 8; k++) score[k] = -INFINITY;
    vec sum = splat(0);
    for (int64_t k = 0; k < count; k += 8) {
        vec weight = exponential(*(vec *)(score + k) - most);
        *(vec *)(score + k) = weight;
        sum += weight;
    }
    return total(sum);
}

/* Add up to a page of values, each times its weight; `wide` vectors at a time. */
INLINE void mix(int wide, const float *weight, const float *value, int64_t stride, int64_t size, int64_t count,
                float *out) {
    for (int64_t i = 0; i < size; i += 8 * wide) {
        vec sum[8];
#pragma GCC unroll 8
        for (int v = 0; v < wide; v++) sum[v] = *(const vec *)(out + i + 8 * v);
        for (int64_t k = 0; k < count; k++)
#pragma GCC unroll 8
            for (int v = 0; v < wide; v++) sum[v] += *(const vec *)(value + k * stride + i + 8 * v) * weight[k];
#pragma GCC unroll 8
        for (int v = 0; v < wide; v++) *(vec *)(out + i + 8 * v) = sum[v];
    }
}

/* Some heads of one token meet its keys, page by page, so that what lies side by side is read together. */
static void attend(Engine *engine, int64_t slot, int64_t token, int64_t first_head, int64_t end_head, int64_t number) {
    const Network *net = &engine->net;
    const Step *step = engine->step;
    const int64_t size = net->head_dim, inner = net->heads * size, count = step->readable[token];
    const int64_t room = (count + 7) / 8 * 8;
    const float *parts = engine->parts + token * 4 * inner, factor = 1.0f / sqrtf((float)size);
    float *mixed = engine->mixed + token * inner, *scores = engine->scores[number], *sums = scores + net->heads * room;
    for (int64_t k = 0; k < count; k += PAGE_TOKENS) {
        const int64_t here = count - k < PAGE_TOKENS ? count - k : PAGE_TOKENS;
        const float *keys = net->keys + slot * net->slot_size + row_of(step, token, k) * inner;
        for (int64_t head = first_head; head < end_head; head++)
            fit(parts + inner + head * size, keys + head * size, inner, size, here, factor, scores + head * room + k);
    }
    for (int64_t head = first_head; head < end_head; head++) sums[head] = weigh(scores + head * room, count);
    memset(mixed + first_head * size, 0, (size_t)((end_head - first_head) * size) * sizeof(float));
    for (int64_t k = 0; k < count; k += PAGE_TOKENS) {
        const int64_t here = count - k < PAGE_TOKENS ? count - k : PAGE_TOKENS;
        const float *values = net->values + slot * net->slot_size + row_of(step, token, k) * inner;
        for (int64_t head = first_head; head < end_head; head++) {
            const float *weight = scores + head * room + k, *value = values + head * size;
            if (size % 64)
                mix(2, weight, value, inner, size, here, mixed + head * size);
            else
                mix(8, weight, value, inner, size, here, mixed + head * size);
        }
    }
    for (int64_t head = first_head; head < end_head; head++) /* the gate is bent already */
        for (int64_t i = head * size; i < (head + 1) * size; i += 8)
            *(vec *)(mixed + i) *= *(const vec *)(parts + i) / sums[head];
}

/* x += some outputs of a matrix by `from`. */
static void add_product(Engine *engine, Matrix matrix, const float *from, int64_t inputs, int64_t number) {
    const Network *net = &engine->net;
    const int64_t panels = net->width / PANEL;
    int64_t first, end;
    share((panels + ABREAST - 1) / ABREAST, number, net->threads, &first, &end);
    first *= ABREAST, end = end * ABREAST < panels ? end * ABREAST : panels;
    if (first >= end) return;
    /* Through `normed`, which nobody else reads and which is not needed any more. */
    float *sums = engine->normed[number];
    product(matrix, first, end - first, from, engine->step->tokens, inputs, sums, net->width);
    for (int64_t t = 0; t < engine->step->tokens; t++)
        for (int64_t i = 0; i < (end - first) * PANEL; i += 8)
            *(vec *)(engine->x + t * net->width + first * PANEL + i) += *(vec *)(sums + t * net->width + i);
}

/* hidden = silu(gate) * up. Panels come in fours, two of gates and the two of what they let through. */
static void feed(Engine *engine, Matrix matrix, int64_t number) {
    const Network *net = &engine->net;
    const int64_t unit = ABREAST * PANEL, half = unit / 2, tokens = engine->step->tokens;
    int64_t first, end;
    share(net->feed / half, number, net->threads, &first, &end);
    float *pair = engine->scores[number];
    for (int64_t one = first; one < end; one++) {
        product(matrix, one * ABREAST, ABREAST, engine->normed[number], tokens, net->width, pair, unit);
        for (int64_t t = 0; t < tokens; t++)
            for (int64_t i = 0; i < half; i += 8) {
                vec gate = *(vec *)(pair + t * unit + i), up = *(vec *)(pair + t * unit + half + i);
                *(vec *)(engine->hidden + t * net->feed + one * half + i) = gate * sigmoid(gate) * up;
            }
    }
}

static void norm_all(Engine *engine, int64_t number) {
    const int64_t width = engine->net.width;
    for (int64_t t = 0; t < engine->step->tokens; t++)
        norm(engine->x + t * width, engine->normed[number] + t * width, width, engine->net.eps);
}

static void block(Engine *engine, const Layer *layer, int64_t slot, int64_t number) {
    const Network *net = &engine->net;
    int64_t first, end;
    norm_all(engine, number); /* each thread for itself, which takes less than waiting for others */
    project(engine, layer, slot, number);
    meet(engine);
    share(engine->step->tokens * net->heads, number, net->threads, &first, &end);
    while (first < end) {
        const int64_t token = first / net->heads, head = first % net->heads;
        const int64_t heads = net->heads - head < end - first ? net->heads - head : end - first;
        attend(engine, slot, token, head, head + heads, number);
        first += heads;
    }
    meet(engine);
    add_product(engine, layer->out, engine->mixed, net->heads * net->head_dim, number);
    meet(engine);
    norm_all(engine, number);
    feed(engine, layer->gate_up, number);
    meet(engine);
    add_product(engine, layer->down, engine->hidden, net->feed, number);
    meet(engine);
}

/* What one thread does of a step. */
static void run(Engine *engine, int64_t number) {
    const Network *net = &engine->net;
    const Step *step = engine->step;
    int64_t first, end;
    share(step->tokens, number, net->threads, &first, &end); /* what it does of each token, but for products */
    for (int64_t t = first; t < end; t++)
        for (int64_t i = t * net->width, j = 0; j < net->width; i++, j++) {
            engine->slow[i] = net->embedding[step->id[t] * net->width + j] * net->scale;
            engine->fast[i] = net->start[j];
            engine->x[i] = engine->slow[i] + engine->fast[i];
        }
    meet(engine);
    for (int64_t pass = 0; pass < net->passes; pass++) {
        const int is_slow = (pass + 1) % net->cycle == 0;
        for (int64_t layer = 0; layer < net->layers; layer++)
            block(engine, (is_slow ? net->slow : net->fast) + layer, pass * net->layers + layer, number);
        for (int64_t t = first; t < end; t++) {
            const int64_t at = t * net->width;
            norm(engine->x + at, (is_slow ? engine->slow : engine->fast) + at, net->width, net->eps);
            for (int64_t i = at; i < at + net->width; i++) engine->x[i] = engine->slow[i] + engine->fast[i];
        }
        meet(engine);
    }
    const int64_t panels = (net->vocab + PANEL - 1) / PANEL, groups = (panels + ABREAST - 1) / ABREAST;
    for (int64_t r = 0; r < step->wanted; r++)
        memcpy(engine->normed[number] + r * net->width, engine->slow + step->wanted_row[r] * net->width,
               (size_t)net->width * sizeof(float));
    share(groups, number, net->threads, &first, &end);
    first *= ABREAST, end = end * ABREAST < panels ? end * ABREAST : panels;
    if (first < end)
        product(net->head, first, end - first, engine->normed[number], step->wanted, net->width,
                step->logits + first * PANEL, panels * PANEL);
    meet(engine);
}

static void *work(void *argument) {
    Worker worker = *(Worker *)argument;
    Engine *engine = worker.engine;
    free(argument);
    for (int64_t seen = 0;;) {
        pthread_mutex_lock(&engine->lock);
        while (engine->round == seen) pthread_cond_wait(&engine->wake, &engine->lock);
        seen = engine->round;
        pthread_mutex_unlock(&engine->lock);
        if (seen < 0) return NULL;
        run(engine, worker.number);
    }
}

/* Memory */

static float *numbers(int64_t count) {
    return aligned_alloc(64, ((size_t)count * sizeof(float) + 63) / 64 * 64);
}

static void let_go(Engine *engine) {
    float **all[] = {&engine->slow, &engine->fast, &engine->x, &engine->parts, &engine->mixed, &engine->hidden};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(*all[i]), *all[i] = NULL;
    for (int64_t n = 0; n < engine->net.threads; n++) {
        free(engine->normed[n]), engine->normed[n] = NULL;
        free(engine->scores[n]), engine->scores[n] = NULL;
    }
    engine->capacity = 0;
}

/* Have memory for `tokens` tokens that read up to `positions` keys; 0 where there is none. */
static int make_room(Engine *engine, int64_t tokens, int64_t positions) {
    const Network *net = &engine->net;
    const int64_t inner = net->heads * net->head_dim, width = net->width;
    if (tokens <= engine->capacity) return 1;
    let_go(engine);
    int64_t own = net->heads * (positions + 8 + 1);
    if (own < tokens * ABREAST * PANEL) own = tokens * ABREAST * PANEL;
    int got = (engine->slow = numbers(tokens * width)) && (engine->fast = numbers(tokens * width)) &&
              (engine->x = numbers(tokens * width)) && (engine->parts = numbers(tokens * 4 * inner)) &&
              (engine->mixed = numbers(tokens * inner)) && (engine->hidden = numbers(tokens * net->feed));
    for (int64_t n = 0; n < net->threads; n++)
        got = got && (engine->normed[n] = numbers(tokens * width)) && (engine->scores[n] = numbers(own));
    if (got)
        engine->capacity = tokens;
    else
        let_go(engine);
    return got;
}

/* What Python calls */

/* Whether this processor has the instructions that this file was compiled to. */
int hrm_runs_here(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

/* Tells structs of another version. */
int hrm_layout(void) { return (int)(sizeof(Network) << 16 | sizeof(Step)); }

/* End an engine and its threads. */
void hrm_close(Engine *engine) {
    pthread_mutex_lock(&engine->lock);
    engine->round = -1;
    pthread_cond_broadcast(&engine->wake);
    pthread_mutex_unlock(&engine->lock);
    for (int64_t n = 0; n + 1 < engine->net.threads; n++) pthread_join(engine->workers[n], NULL);
    let_go(engine);
    free(engine->workers), free(engine->normed), free(engine->scores);
    pthread_mutex_destroy(&engine->lock), pthread_cond_destroy(&engine->wake);
    free(engine);
}

/* Begin an engine with threads - 1 workers beside whoever calls; NULL where memory or threads are lacking. */
Engine *hrm_open(const Network *network) {
    Engine *engine = calloc(1, sizeof *engine);
    if (!engine) return NULL;
    const int64_t wanted = network->threads;
    engine->net = *network;
    pthread_mutex_init(&engine->lock, NULL), pthread_cond_init(&engine->wake, NULL);
    engine->workers = calloc((size_t)wanted, sizeof *engine->workers);
    engine->normed = calloc((size_t)wanted, sizeof *engine->normed);
    engine->scores = calloc((size_t)wanted, sizeof *engine->scores);
    int64_t begun = 1;
    for (; engine->workers && engine->normed && engine->scores && begun < wanted; begun++) {
        Worker *worker = malloc(sizeof *worker);
        if (!worker) break;
        *worker = (Worker){engine, begun};
        if (pthread_create(&engine->workers[begun - 1], NULL, work, worker)) {
            free(worker);
            break;
        }
    }
    if (begun == wanted && engine->workers && engine->normed && engine->scores) return engine;
    engine->net.threads = begun;
    if (!engine->normed || !engine->scores) engine->net.threads = 1, engine->normed = engine->scores = NULL;
    hrm_close(engine);
    return NULL;
}

/* Make a step; `positions` is the most keys that any token may read. 0, or -1 where memory is lacking. */
int hrm_step(Engine *engine, const Step *step, int64_t positions) {
    if (!make_room(engine, step->tokens, positions)) return -1;
    engine->step = step;
    if (engine->net.threads > 1) {
        pthread_mutex_lock(&engine->lock);
        engine->round++;
        pthread_cond_broadcast(&engine->wake);
        pthread_mutex_unlock(&engine->lock);
    }
    run(engine, 0);
    return 0;
}
