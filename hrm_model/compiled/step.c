/* One step of HRM-Text in fp32: some tokens through all passes of both stacks, over keys and values in pages.
 *
 * A step on torch is made of calls and of reading weights; here it is one call, and weights, keys and values are read
 * as they are held, in fp32 or less. Every sum is taken in an order that depends on its own token alone, so that a
 * token comes out with the same bits alone and among others.
 */

#include <cpuid.h>
#include <sched.h>
#include <stdlib.h>

#include "attention.h"

#define SPINS 2000 /* looks at a barrier before its core is offered to others */

typedef struct {
    Engine *engine;
    int64_t number;
} Worker;

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

/* Layers */

/* Turn the first half of a head against its second half. */
INLINE void turn(const float *from, float *to, const float *cosine, const float *sine, int64_t half) {
    for (int64_t i = 0; i < half; i += 8) {
        vec first = *(const vec *)(from + i), second = *(const vec *)(from + half + i);
        vec c = *(const vec *)(cosine + i), s = *(const vec *)(sine + i);
        *(vec *)(to + i) = first * c - second * s;
        *(vec *)(to + half + i) = second * c + first * s;
    }
}

/* Put a head's key or value where keys or values are. */
INLINE void keep(const Network *net, void *all, uint16_t *worth, int64_t at, const float *head) {
    if (net->kept == IN_INT8)
        round_off(head, (int8_t *)all + at, worth + at / net->head_dim, net->head_dim);
    else if (net->kept == IN_BF16)
        shorten(head, (uint16_t *)all + at, net->head_dim);
    else
        memcpy((float *)all + at, head, (size_t)net->head_dim * sizeof(float));
}

/* A chunk of tokens, normed: by each thread for itself, which takes less than waiting for others. */
static const float *normed(Engine *engine, Chosen chosen, int64_t from, int64_t count, int64_t number) {
    const int64_t width = engine->net.width;
    for (int64_t t = 0; t < count; t++)
        norm(engine->step->x + token_of(chosen, from + t) * width, engine->own[number] + t * width, width,
             engine->net.eps);
    return engine->own[number];
}

/* Gates, queries, keys and values, head by head: gates bent, queries and keys turned, keys and values stored. */
static void project(Engine *engine, const Layer *layer, int64_t slot, int64_t number) {
    const Network *net = &engine->net;
    const Step *step = engine->step;
    const int64_t size = net->head_dim, inner = net->heads * size, width = 4 * inner;
    int64_t first, end;
    share(4 * net->heads, number, net->threads, &first, &end);
    for (int64_t from = 0; from < step->tokens; from += CHUNK) {
        const int64_t count = chunk(from, step->tokens);
        const float *x = normed(engine, (Chosen){step->tokens, NULL}, from, count, number);
        for (int64_t unit = first; unit < end; unit++) {
            const int64_t kind = unit / net->heads, head = unit % net->heads;
            product(layer->gqkv, unit * size / PANEL, size / PANEL, x, count, net->width,
                    engine->parts + from * width + unit * size, width);
            for (int64_t t = from; t < from + count; t++) {
                float *part = engine->parts + t * width + unit * size;
                const int64_t position = step->position[t];
                const int64_t at = slot * net->slot_size + row_of(step, t, position) * inner + head * size;
                const float *cosine = net->cosine + position * size / 2, *sine = net->sine + position * size / 2;
                if (kind == 0)
                    (layer->gqkv.is_wide ? wide_bend : bend)(part, size);
                else if (kind == 1)
                    turn(part, part, cosine, sine, size / 2);
                else if (kind == 2)
                    turn(part, part, cosine, sine, size / 2), keep(net, net->keys, net->key_worth, at, part);
                else
                    keep(net, net->values, net->value_worth, at, part);
            }
        }
    }
}

/* x of some tokens += some outputs of a matrix by their `inputs`. */
static void add_product(Engine *engine, Chosen chosen, Matrix matrix, const float *inputs, int64_t count,
                        int64_t number) {
    const Network *net = &engine->net;
    const int64_t panels = net->width / PANEL;
    int64_t first, end;
    share((panels + ABREAST - 1) / ABREAST, number, net->threads, &first, &end);
    first *= ABREAST, end = end * ABREAST < panels ? end * ABREAST : panels;
    float *sums = engine->own[number];
    for (int64_t from = 0; from < chosen.count && first < end; from += CHUNK) {
        const int64_t tokens = chunk(from, chosen.count);
        product(matrix, first, end - first, inputs + from * count, tokens, count, sums, net->width);
        for (int64_t t = 0; t < tokens; t++) {
            float *x = engine->step->x + token_of(chosen, from + t) * net->width + first * PANEL;
            for (int64_t i = 0; i < (end - first) * PANEL; i += 8)
                *(vec *)(x + i) += *(vec *)(sums + t * net->width + i);
        }
    }
}

/* hidden = silu(gate) * up. All gates come first in the matrix, then what they let through. */
static void feed(Engine *engine, Chosen chosen, Matrix matrix, int64_t number) {
    const Network *net = &engine->net;
    const int64_t panels = net->feed / PANEL;
    int64_t first, end;
    share((panels + ABREAST - 1) / ABREAST, number, net->threads, &first, &end);
    float *pair = engine->scores[number];
    for (int64_t from = 0; from < chosen.count; from += CHUNK) {
        const int64_t tokens = chunk(from, chosen.count);
        const float *x = normed(engine, chosen, from, tokens, number);
        for (int64_t p = first * ABREAST; p < end * ABREAST && p < panels; p += ABREAST) {
            const int64_t count = panels - p < ABREAST ? panels - p : ABREAST, half = count * PANEL;
            product(matrix, p, count, x, tokens, net->width, pair, 2 * half);
            product(matrix, panels + p, count, x, tokens, net->width, pair + half, 2 * half);
            for (int64_t t = 0; t < tokens; t++)
                (matrix.is_wide ? wide_let_through : let_through)(
                    pair + t * 2 * half, engine->hidden + (from + t) * net->feed + p * PANEL, half);
        }
    }
}

/* All tokens leave their keys and values in a layer; the chosen ones go on. */
static void block(Engine *engine, Chosen chosen, const Layer *layer, int64_t slot, int64_t number) {
    const Network *net = &engine->net;
    project(engine, layer, slot, number);
    meet(engine);
    attend_all(engine, chosen, slot, number);
    meet(engine);
    add_product(engine, chosen, layer->out, engine->mixed, net->heads * net->head_dim, number);
    meet(engine);
    feed(engine, chosen, layer->gate_up, number);
    meet(engine);
    add_product(engine, chosen, layer->down, engine->hidden, net->feed, number);
    meet(engine);
}

/* Where a token begins. */
static void embed(const Network *net, const Step *step, int64_t token) {
    const int64_t at = step->id[token] * net->width;
    float *slow = step->slow + token * net->width, *fast = step->fast + token * net->width;
    float *x = step->x + token * net->width;
    if (net->is_short)
        widen((const uint16_t *)net->embedding + at, slow, net->width);
    else
        memcpy(slow, (const float *)net->embedding + at, (size_t)net->width * sizeof(float));
    for (int64_t i = 0; i < net->width; i++) {
        slow[i] *= net->scale;
        fast[i] = net->start[i];
        x[i] = slow[i] + fast[i];
    }
}

/* What one thread does of a step. */
static void run(Engine *engine, int64_t number) {
    const Network *net = &engine->net;
    const Step *step = engine->step;
    /* Nothing of the step is read after its last meeting: whoever asked for it has gone on, and may ask for more. */
    const int64_t last = step->end_layer;
    const int64_t layers = net->passes * net->layers;
    Chosen chosen = {step->tokens, NULL};
    int64_t first, end;
    share(step->tokens, number, net->threads, &first, &end); /* what it does of each token, but for products */
    for (int64_t t = first; t < end && !step->first_layer; t++)
        embed(net, step, t);
    meet(engine);
    for (int64_t slot = step->first_layer; slot < last; slot++) {
        const int64_t layer = slot % net->layers;
        const int is_slow = (slot / net->layers + 1) % net->cycle == 0;
        if (slot + 1 == layers) { /* what comes out of the last one is for logits alone */
            chosen = (Chosen){step->wanted, step->wanted_row};
            share(chosen.count, number, net->threads, &first, &end);
        }
        block(engine, chosen, (is_slow ? net->slow : net->fast) + layer, slot, number);
        if (layer + 1 < net->layers) continue;
        for (int64_t t = first; t < end; t++) {
            const int64_t at = token_of(chosen, t) * net->width;
            norm(step->x + at, (is_slow ? step->slow : step->fast) + at, net->width, net->eps);
            for (int64_t i = at; i < at + net->width; i++) step->x[i] = step->slow[i] + step->fast[i];
        }
        meet(engine);
    }
    if (last < layers) return;
    const int64_t panels = (net->vocab + PANEL - 1) / PANEL, groups = (panels + ABREAST - 1) / ABREAST;
    share(groups, number, net->threads, &first, &end);
    first *= ABREAST, end = end * ABREAST < panels ? end * ABREAST : panels;
    for (int64_t from = 0; from < step->wanted && first < end; from += CHUNK) {
        const int64_t rows = chunk(from, step->wanted);
        for (int64_t r = 0; r < rows; r++)
            memcpy(engine->own[number] + r * net->width, step->slow + step->wanted_row[from + r] * net->width,
                   (size_t)net->width * sizeof(float));
        product(net->head, first, end - first, engine->own[number], rows, net->width,
                step->logits + from * panels * PANEL + first * PANEL, panels * PANEL);
    }
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
    float **all[] = {&engine->parts, &engine->mixed, &engine->hidden};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(*all[i]), *all[i] = NULL;
    for (int64_t n = 0; n < engine->net.threads; n++) {
        free(engine->own[n]), engine->own[n] = NULL;
        free(engine->scores[n]), engine->scores[n] = NULL;
        free(engine->page[n]), engine->page[n] = NULL;
    }
    engine->capacity = 0;
}

/* Have memory for `tokens` tokens that read up to `positions` keys; 0 where there is none. */
static int make_room(Engine *engine, int64_t tokens, int64_t positions) {
    const Network *net = &engine->net;
    const int64_t inner = net->heads * net->head_dim, width = net->width;
    if (tokens <= engine->capacity) return 1;
    let_go(engine);
    int64_t own = QUERIES * net->heads * (positions + 8 + 1);
    if (own < 2 * CHUNK * ABREAST * PANEL) own = 2 * CHUNK * ABREAST * PANEL;
    int got = (engine->parts = numbers(tokens * 4 * inner)) && (engine->mixed = numbers(tokens * inner)) &&
              (engine->hidden = numbers(tokens * net->feed));
    for (int64_t n = 0; n < net->threads; n++)
        got = got && (engine->own[n] = numbers(CHUNK * width)) && (engine->scores[n] = numbers(own)) &&
              (engine->page[n] = numbers(net->kept != IN_FP32 ? PAGE_TOKENS * inner : 1));
    if (got)
        engine->capacity = tokens;
    else
        let_go(engine);
    return got;
}

/* What Python calls */

/* Whether this processor has the instructions that this file was compiled to. */
int hrm_runs_here(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

/* Whether products may be wide, and gain by it: processors before those with bf16 slow down for such vectors. */
int hrm_is_wide_here(void) { return __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bf16"); }

/* Whether this processor multiplies bf16 tile by tile (AMX), which nothing here does. */
int hrm_has_tiles(void) {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && d >> 22 & 1 && d >> 24 & 1;
}

/* Tells structs and panels of another version. */
int hrm_layout(void) { return (int)(FORMAT << 28 | sizeof(Network) << 16 | sizeof(Step)); }

/* End an engine and its threads. */
void hrm_close(Engine *engine) {
    pthread_mutex_lock(&engine->lock);
    engine->round = -1;
    pthread_cond_broadcast(&engine->wake);
    pthread_mutex_unlock(&engine->lock);
    for (int64_t n = 0; n + 1 < engine->net.threads; n++) pthread_join(engine->workers[n], NULL);
    let_go(engine);
    free(engine->workers), free(engine->own), free(engine->scores), free(engine->page);
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
    engine->own = calloc((size_t)wanted, sizeof *engine->own);
    engine->scores = calloc((size_t)wanted, sizeof *engine->scores);
    engine->page = calloc((size_t)wanted, sizeof *engine->page);
    const int has_places = engine->own && engine->scores && engine->page;
    int64_t begun = 1;
    for (; engine->workers && has_places && begun < wanted; begun++) {
        Worker *worker = malloc(sizeof *worker);
        if (!worker) break;
        *worker = (Worker){engine, begun};
        if (pthread_create(&engine->workers[begun - 1], NULL, work, worker)) {
            free(worker);
            break;
        }
    }
    if (begun == wanted && engine->workers && has_places) return engine;
    engine->net.threads = has_places ? begun : 0; /* those that have a place to let go of */
    hrm_close(engine);
    return NULL;
}

/* Make a step; `positions` is the most keys that any token may read. 0, or -1 where memory is lacking. */
int hrm_step(Engine *engine, const Step *step, int64_t positions) {
    if (!make_room(engine, step->tokens, positions)) return -1;
    const Network *net = &engine->net;
    int64_t keys = 0;
    for (int64_t t = 0; t < step->tokens; t++) keys += step->readable[t];
    engine->step = step;
    engine->is_far = keys * net->heads * net->head_dim * net->passes * net->layers > FAR / (2 * (int64_t)sizeof(float));
    if (net->threads > 1) {
        pthread_mutex_lock(&engine->lock);
        engine->round++;
        pthread_cond_broadcast(&engine->wake);
        pthread_mutex_unlock(&engine->lock);
    }
    run(engine, 0);
    return 0;
}
