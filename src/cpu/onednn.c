/* What is asked of oneDNN, in the words of its versions 2 and 3: see onednn.h. */
#include "config.h"

#ifdef SRU_HAVE_ONEDNN

#include "src/cpu/onednn.h"

/* ---- Memory descriptors, and what else differs between versions ------------------------------------ */

#ifdef SRU_ONEDNN_3
typedef dnnl_memory_desc_t sru_md;                /* a handle, to be destroyed */
typedef const_dnnl_memory_desc_t sru_md_ref;
#else
typedef dnnl_memory_desc_t sru_md;                /* a value */
typedef const dnnl_memory_desc_t *sru_md_ref;
#endif

static sru_md_ref sru_md_of(const sru_md *md)
{
#ifdef SRU_ONEDNN_3
    return *md;
#else
    return md;
#endif
}

/* A matrix [rows, cols] in the layout of a tag; of dnnl_format_tag_any, in the one that the product likes best. */
static dnnl_status_t sru_md_tagged(sru_md *md, dnnl_data_type_t type, size_t rows, size_t cols, dnnl_format_tag_t tag)
{
    const dnnl_dims_t dims = { (dnnl_dim_t)rows, (dnnl_dim_t)cols };

#ifdef SRU_ONEDNN_3
    return dnnl_memory_desc_create_with_tag(md, 2, dims, type, tag);
#else
    return dnnl_memory_desc_init_by_tag(md, 2, dims, type, tag);
#endif
}

/* A matrix [rows, cols] with the given strides. */
static dnnl_status_t sru_md_matrix(sru_md *md, dnnl_data_type_t type, size_t rows, size_t cols, size_t row_stride,
                                   size_t col_stride)
{
    const dnnl_dims_t dims = { (dnnl_dim_t)rows, (dnnl_dim_t)cols };
    const dnnl_dims_t strides = { (dnnl_dim_t)row_stride, (dnnl_dim_t)col_stride };

#ifdef SRU_ONEDNN_3
    return dnnl_memory_desc_create_with_strides(md, 2, dims, type, strides);
#else
    return dnnl_memory_desc_init_by_strides(md, 2, dims, type, strides);
#endif
}

static void sru_md_destroy(sru_md *md)
{
#ifdef SRU_ONEDNN_3
    dnnl_memory_desc_destroy(*md);
#else
    (void)md;
#endif
}

/* dst (+)= src weights, with the caller's scratchpad. */
static dnnl_status_t sru_matmul_create(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const sru_md *src,
                                       const sru_md *weights, const sru_md *dst, bool add)
{
    dnnl_primitive_attr_t attr;
    dnnl_post_ops_t post;
    dnnl_status_t status = dnnl_primitive_attr_create(&attr);

    if (status)
        return status;
    status = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (!status && add && !(status = dnnl_post_ops_create(&post))) {
#ifdef SRU_ONEDNN_3
        status = dnnl_post_ops_append_sum(post, 1.0f, 0, dnnl_data_type_undef);
#else
        status = dnnl_post_ops_append_sum(post, 1.0f);
#endif
        if (!status)
            status = dnnl_primitive_attr_set_post_ops(attr, post);
        dnnl_post_ops_destroy(post);
    }
    if (!status) {
#ifdef SRU_ONEDNN_3
        status = dnnl_matmul_primitive_desc_create(pd, engine, *src, *weights, NULL, *dst, attr);
#else
        dnnl_matmul_desc_t d;
        if (!(status = dnnl_matmul_desc_init(&d, src, weights, NULL, dst)))
            status = dnnl_primitive_desc_create(pd, &d, attr, engine, NULL);
#endif
    }
    dnnl_primitive_attr_destroy(attr);
    return status;
}

/* ---- Descriptions ---------------------------------------------------------------------------------- */

static dnnl_data_type_t type_of(bool bf16)
{
    return bf16 ? dnnl_bf16 : dnnl_f32;
}

/* The product whose favourite layout packed operands have. */
static struct sru_product canonical_of(size_t k, size_t n, bool bf16)
{
    return (struct sru_product){ .m = 256, .n = n, .k = k, .bf16 = bf16, .c_bf16 = bf16, .b = SRU_PACKED };
}

/* The product's description.  A packed operand has the layout that the canonical product asks for, whatever m is. */
static dnnl_status_t describe(dnnl_engine_t engine, const struct sru_product *k, dnnl_primitive_desc_t *pd, bool is_canonical)
{
    sru_md a = { 0 }, b = { 0 }, c = { 0 };
    dnnl_primitive_desc_t canonical = NULL;
    dnnl_status_t status;
    const size_t lda = k->lda ? k->lda : k->ta ? k->m : k->k, ldb = k->ldb ? k->ldb : k->b == SRU_COLUMNS ? k->k : k->n;
    const size_t ldc = k->ldc ? k->ldc : k->n;
    const struct sru_product many = canonical_of(k->k, k->n, k->bf16);

    if ((status = sru_md_matrix(&a, type_of(k->bf16), k->m, k->k, k->ta ? 1 : lda, k->ta ? lda : 1)))
        return status;
    if ((status = sru_md_matrix(&c, type_of(k->c_bf16), k->m, k->n, ldc, 1)))
        return status;
    if (k->b == SRU_PACKED && !is_canonical) {
        if ((status = describe(engine, &many, &canonical, true)))
            return status;
#ifdef SRU_ONEDNN_3
        status = dnnl_memory_desc_clone(&b, dnnl_primitive_desc_query_md(canonical, dnnl_query_weights_md, 0));
#else
        b = *dnnl_primitive_desc_query_md(canonical, dnnl_query_weights_md, 0);
#endif
    } else if (k->b == SRU_PACKED) {
        status = sru_md_tagged(&b, type_of(k->bf16), k->k, k->n, dnnl_format_tag_any);
    } else {
        status = sru_md_matrix(&b, type_of(k->bf16), k->k, k->n, k->b == SRU_COLUMNS ? 1 : ldb, k->b == SRU_COLUMNS ? ldb : 1);
    }
    if (!status)
        status = sru_matmul_create(pd, engine, &a, &b, &c, k->add);
    sru_md_destroy(&a);
    sru_md_destroy(&b);
    sru_md_destroy(&c);
    if (canonical)
        dnnl_primitive_desc_destroy(canonical);
    return status;
}

dnnl_status_t sru_dnnl_product(dnnl_engine_t engine, const struct sru_product *k, dnnl_primitive_desc_t *pd)
{
    return describe(engine, k, pd, false);
}

dnnl_status_t sru_dnnl_packed(dnnl_engine_t engine, size_t k, size_t n, bool bf16, dnnl_primitive_desc_t *pd)
{
    const struct sru_product many = canonical_of(k, n, bf16);

    return describe(engine, &many, pd, true);
}

dnnl_status_t sru_dnnl_packing(dnnl_engine_t engine, const struct sru_product *k, dnnl_primitive_desc_t *pd,
                               dnnl_primitive_desc_t *matmul)
{
    const struct sru_product many = canonical_of(k->k, k->n, k->bf16);
    sru_md from;
    dnnl_status_t status = describe(engine, &many, matmul, true);

    if (status || (status = sru_md_matrix(&from, dnnl_f32, k->k, k->n, k->ta ? 1 : k->n, k->ta ? k->k : 1)))
        return status;
    status = dnnl_reorder_primitive_desc_create(pd, sru_md_of(&from), engine,
                                                dnnl_primitive_desc_query_md(*matmul, dnnl_query_weights_md, 0), engine, NULL);
    sru_md_destroy(&from);
    return status;
}

bool sru_dnnl_kernels_pack(const struct sru_product *k, dnnl_primitive_desc_t matmul)
{
    sru_md ours;

    if (sru_md_tagged(&ours, type_of(k->bf16), k->k, k->n, k->bf16 ? dnnl_BA16a64b2a : dnnl_BA16a64b))
        return false;
    const bool equal = dnnl_memory_desc_equal(sru_md_of(&ours), dnnl_primitive_desc_query_md(matmul, dnnl_query_weights_md, 0));
    sru_md_destroy(&ours);
    return equal;
}

#endif
