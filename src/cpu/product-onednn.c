/*
 * Products by oneDNN, where it has its brgemm for AVX-512 or AMX.  Elsewhere it has gemm alone, which divides sums by the number of
 * threads and is no faster than our own products: there those are taken.  See product.h.
 */
#include "config.h"

#ifdef SRU_HAVE_ONEDNN

#include <omp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cpu/onednn.h"
#include "src/cpu/product-blocked.h"
#include "src/size.h"

enum { BUCKETS = 256 };

/* Everything that one thread hands to a primitive; made with the primitive, since making it costs as much as a small product. */
struct operands {
    dnnl_memory_t a, b, c, scratch;
};

struct entry {
    struct sru_product key;
    bool reorder;               /* packs b instead: k, n, bf16 and ta (b's source transposed) of the key count */
    bool direct;                /* and the kernels can: there is no primitive */
    dnnl_primitive_t primitive; /* NULL: it could not be made */
    char   by[40];
    size_t scratch_bytes;
    struct operands *of;        /* [threads], or one where the primitive itself uses all threads */
    struct entry *next;
};

struct thread {
    dnnl_stream_t stream;
    void  *scratch;
    size_t scratch_bytes;
};

struct sru_products {
    dnnl_engine_t engine;
    const struct sru_kernels *kernels;
    int threads;
    struct sru_blocked *own;              /* NULL: not needed */
    bool   takes[2];                      /* f32, bf16: oneDNN has its best kernels */
    struct thread *of;                    /* [threads] */
    _Atomic(struct entry *) buckets[BUCKETS];   /* entries are added under the lock and never removed: readers need none */
    pthread_mutex_t lock;
    atomic_bool failed;
};

/* ---- Making primitives -------------------------------------------------------------------------- */

/* Whether the packed layout is the one that the kernels write. */
static bool kernels_pack(const struct sru_products *x, const struct sru_product *k, dnnl_primitive_desc_t matmul)
{
    return x->kernels && (x->kernels->act_bytes == 2) == k->bf16 && sru_dnnl_kernels_pack(k, matmul);
}

static dnnl_status_t memory(struct sru_products *x, dnnl_primitive_desc_t pd, dnnl_query_t what, dnnl_memory_t *out)
{
    return dnnl_memory_create(out, dnnl_primitive_desc_query_md(pd, what, 0), x->engine, DNNL_MEMORY_NONE);
}

static dnnl_status_t make_operands(struct sru_products *x, dnnl_primitive_desc_t pd, bool reorder, struct operands *o)
{
    dnnl_status_t status;

    if ((status = memory(x, pd, dnnl_query_src_md, &o->a)) || (status = memory(x, pd, dnnl_query_dst_md, &o->c)))
        return status;
    if (reorder)
        return dnnl_success;
    if ((status = memory(x, pd, dnnl_query_weights_md, &o->b)))
        return status;
    return memory(x, pd, dnnl_query_scratchpad_md, &o->scratch);
}

static dnnl_status_t make_primitive(struct sru_products *x, struct entry *e, dnnl_primitive_desc_t pd)
{
    const size_t n = e->key.alone ? (size_t)x->threads : 1;
    const char *by;
    dnnl_status_t status = (e->of = calloc(n, sizeof *e->of)) ? dnnl_success : dnnl_out_of_memory;

    if (!e->reorder)
        e->scratch_bytes = dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0));
    for (size_t i = 0; i < n && !status; i++)
        status = make_operands(x, pd, e->reorder, &e->of[i]);
    if (!status)
        status = dnnl_primitive_create(&e->primitive, pd);
    if (!status && !(status = dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &by)))
        snprintf(e->by, sizeof e->by, "%s", by);
    return status;
}

static dnnl_status_t make(struct sru_products *x, struct entry *e)
{
    dnnl_primitive_desc_t pd = NULL, matmul = NULL;
    dnnl_status_t status = e->reorder ? sru_dnnl_packing(x->engine, &e->key, &pd, &matmul)
                                      : sru_dnnl_product(x->engine, &e->key, &pd);

    e->direct = !status && e->reorder && kernels_pack(x, &e->key, matmul);
    if (!status && !e->direct)
        status = make_primitive(x, e, pd);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (matmul)
        dnnl_primitive_desc_destroy(matmul);
    return status;
}

/* ---- The cache -------------------------------------------------------------------------------------- */

static size_t bucket_of(const struct sru_product *k, bool reorder)
{
    const size_t values[] = { k->m, k->n, k->k, k->lda, k->ldb, k->ldc, (size_t)k->b << 8 | (size_t)k->bf16 << 5
        | (size_t)k->c_bf16 << 4 | (size_t)k->ta << 3 | (size_t)k->add << 2 | (size_t)k->alone << 1 | (size_t)reorder };
    uint64_t h = 0;

    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        h = (h ^ values[i]) * 0x9E3779B97F4A7C15u;
    return (size_t)(h >> 56) % BUCKETS;
}

static bool same(const struct entry *e, const struct sru_product *k, bool reorder)
{
    return e->key.m == k->m && e->key.n == k->n && e->key.k == k->k && e->key.lda == k->lda && e->key.ldb == k->ldb
        && e->key.ldc == k->ldc && e->key.b == k->b && e->key.bf16 == k->bf16 && e->key.c_bf16 == k->c_bf16 && e->key.ta == k->ta
        && e->key.add == k->add && e->key.alone == k->alone && e->reorder == reorder;
}

static struct entry *search(struct entry *e, const struct sru_product *k, bool reorder)
{
    while (e && !same(e, k, reorder))
        e = e->next;
    return e;
}

/* Primitives for use inside a region are made for one thread. */
static struct entry *add_entry(struct sru_products *x, _Atomic(struct entry *) *bucket, const struct sru_product *k, bool reorder)
{
    struct entry *e = calloc(1, sizeof *e);
    const int before = omp_get_max_threads();

    if (!e)
        return NULL;
    *e = (struct entry){ .reorder = reorder, .next = atomic_load(bucket) };
    memcpy(&e->key, k, sizeof *k);
    if (k->alone)
        omp_set_num_threads(1);
    if (make(x, e))
        e->primitive = NULL;
    if (k->alone)
        omp_set_num_threads(before);
    atomic_store_explicit(bucket, e, memory_order_release);
    return e;
}

static struct entry *find(struct sru_products *x, const struct sru_product *k, bool reorder)
{
    _Atomic(struct entry *) *bucket = &x->buckets[bucket_of(k, reorder)];
    struct entry *e = search(atomic_load_explicit(bucket, memory_order_acquire), k, reorder);

    if (!e) {
        pthread_mutex_lock(&x->lock);
        if (!(e = search(atomic_load(bucket), k, reorder)))
            e = add_entry(x, bucket, k, reorder);
        pthread_mutex_unlock(&x->lock);
    }
    return e && (e->primitive || e->direct) ? e : NULL;
}

/* ---- Computing ---------------------------------------------------------------------------------------- */

static bool room(struct thread *t, size_t bytes)
{
    if (bytes <= t->scratch_bytes)
        return true;
    free(t->scratch);
    t->scratch = aligned_alloc(64, sru_round_up(bytes, 64));
    t->scratch_bytes = t->scratch ? bytes : 0;
    return t->scratch != NULL;
}

static bool run(struct sru_products *x, struct entry *e, const void *a, const void *b, void *c)
{
    const int me = e->key.alone ? omp_get_thread_num() : 0;
    struct thread *t = &x->of[me];
    struct operands *o = &e->of[me];
    dnnl_exec_arg_t args[4] = { { DNNL_ARG_SRC, o->a }, { DNNL_ARG_DST, o->c }, { DNNL_ARG_WEIGHTS, o->b },
                                { DNNL_ARG_SCRATCHPAD, o->scratch } };
    void *from;

    memcpy(&from, &a, sizeof from);   /* oneDNN has no const handles */
    if (dnnl_memory_set_data_handle(o->a, from) || dnnl_memory_set_data_handle(o->c, c))
        return false;
    if (!e->reorder) {
        memcpy(&from, &b, sizeof from);
        if (!room(t, e->scratch_bytes) || dnnl_memory_set_data_handle(o->b, from)
            || dnnl_memory_set_data_handle(o->scratch, t->scratch))
            return false;
    }
    return !dnnl_primitive_execute(e->primitive, t->stream, e->reorder ? 2 : 4, args) && !dnnl_stream_wait(t->stream);
}

void sru_product(struct sru_products *x, const struct sru_product *k, const void *a, const void *b, void *c)
{
    if (!x->takes[k->bf16]) {
        sru_blocked_product(x->own, k, a, b, c);
        return;
    }
    struct entry *e = find(x, k, false);

    if (!e || !run(x, e, a, b, c))
        atomic_store(&x->failed, true);
}

const char *sru_product_by(struct sru_products *x, const struct sru_product *k)
{
    if (!x->takes[k->bf16])
        return SRU_BLOCKED;
    const struct entry *e = find(x, k, false);

    return e ? e->by : NULL;
}

/* A description tells, and costs a hundredth of the primitive. */
static bool takes(const struct sru_products *x, bool bf16)
{
    const struct sru_product rows = { .m = 128, .n = 1024, .k = 1024, .bf16 = bf16 };
    dnnl_primitive_desc_t pd = NULL;
    const char *by;

    if (sru_dnnl_product(x->engine, &rows, &pd))
        return false;
    const bool best = !dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &by) && strncmp(by, "brg", 3) == 0 && strstr(by, "avx512");
    dnnl_primitive_desc_destroy(pd);
    return best;
}

void sru_products_library(char *name, size_t size)
{
    const dnnl_version_t *v = dnnl_version();

    snprintf(name, size, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
}

bool sru_products_failed(struct sru_products *x)
{
    return atomic_exchange(&x->failed, false);
}

/* ---- Packing -------------------------------------------------------------------------------------------- */

size_t sru_packed_bytes(struct sru_products *x, size_t k, size_t n, bool bf16)
{
    dnnl_primitive_desc_t pd = NULL;
    size_t bytes;

    if (!x->takes[bf16])
        return sru_blocked_packed_bytes(x->own, k, n);
    if (sru_dnnl_packed(x->engine, k, n, bf16, &pd))
        return 0;
    bytes = dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0));
    dnnl_primitive_desc_destroy(pd);
    return bytes;
}

enum { STRIP = 64, PIECE = 256 };   /* columns and rows of b that a thread takes at a time */

static void pack_directly(const struct sru_products *x, const struct sru_product *k, const float *w, char *packed)
{
    const size_t k_stride = k->ta ? 1 : k->n, n_stride = k->ta ? k->k : 1, bytes = x->kernels->act_bytes;
    const size_t depth = sru_round_up(k->k, k->bf16 ? 32 : 16), pieces = (k->k + PIECE - 1) / PIECE;
    const size_t items = (k->n + STRIP - 1) / STRIP * pieces;

#pragma omp parallel for schedule(static) if (items > 1)
    for (size_t i = 0; i < items; i++) {
        const size_t at = i % pieces * PIECE, j = i / pieces * STRIP;

        x->kernels->pack(sru_min(PIECE, k->k - at), sru_min(STRIP, k->n - j), w + at * k_stride + j * n_stride, k_stride, n_stride,
                         (sru_act *)(packed + (j * depth + at * STRIP) * bytes));
    }
}

void sru_pack(struct sru_products *x, size_t k, size_t n, bool bf16, bool transposed, const float *w, void *packed)
{
    if (!x->takes[bf16]) {
        sru_blocked_pack(x->own, k, n, bf16, transposed, w, packed);
        return;
    }
    const struct sru_product key = { .m = 256, .n = n, .k = k, .bf16 = bf16, .c_bf16 = bf16, .ta = transposed, .b = SRU_PACKED };
    struct entry *e = find(x, &key, true);

    if (e && e->direct)
        pack_directly(x, &key, w, packed);
    else if (!e || !run(x, e, w, NULL, packed))
        atomic_store(&x->failed, true);
}

/* ---- Opening ---------------------------------------------------------------------------------------------- */

sru_status sru_products_open(struct sru_products **out, const struct sru_kernels *kernels, int threads, struct sru_error *err)
{
    struct sru_products *x = calloc(1, sizeof *x);
    bool ok;

    *out = x;
    if (!x)
        return sru_fail(err, SRU_ENOMEM, "out of memory to open oneDNN");
    pthread_mutex_init(&x->lock, NULL);
    x->kernels = kernels;
    x->threads = threads;
    ok = (x->of = calloc((size_t)threads, sizeof *x->of)) && !dnnl_engine_create(&x->engine, dnnl_cpu, 0);
    for (int i = 0; i < threads && ok; i++)
        ok = !dnnl_stream_create(&x->of[i].stream, x->engine, dnnl_stream_default_flags);
    sru_status status = ok ? SRU_OK : sru_fail(err, SRU_EDEVICE, "oneDNN cannot be used: it gives no stream");
    for (int i = 0; i < 2 && ok; i++)
        x->takes[i] = takes(x, i > 0);
    if (ok && !(x->takes[0] && x->takes[1]))
        status = sru_blocked_open(&x->own, kernels, threads, err);
    if (status) {
        sru_products_close(x);
        *out = NULL;
    }
    return status;
}

static void close_entry(struct entry *e, int threads)
{
    const int n = e->key.alone ? threads : 1;

    for (int i = 0; e->of && i < n; i++) {
        dnnl_memory_t all[] = { e->of[i].a, e->of[i].b, e->of[i].c, e->of[i].scratch };
        for (size_t j = 0; j < sizeof all / sizeof *all; j++)
            if (all[j])
                dnnl_memory_destroy(all[j]);
    }
    free(e->of);
    if (e->primitive)
        dnnl_primitive_destroy(e->primitive);
    free(e);
}

void sru_products_close(struct sru_products *x)
{
    if (!x)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct entry *e = atomic_load(&x->buckets[i]), *next; e; e = next) {
            next = e->next;
            close_entry(e, x->threads);
        }
    for (int i = 0; x->of && i < x->threads; i++) {
        if (x->of[i].stream)
            dnnl_stream_destroy(x->of[i].stream);
        free(x->of[i].scratch);
    }
    sru_blocked_close(x->own);
    if (x->engine)
        dnnl_engine_destroy(x->engine);
    pthread_mutex_destroy(&x->lock);
    free(x->of);
    free(x);
}

#endif
