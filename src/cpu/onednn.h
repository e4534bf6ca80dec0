/* What differs between oneDNN 2.x and 3.x in the little that is used here: memory descriptors and their creation. */
#ifndef SRU_CPU_ONEDNN_H
#define SRU_CPU_ONEDNN_H

#include <dnnl.h>
#include <stdbool.h>

#ifdef SRU_ONEDNN_3
typedef dnnl_memory_desc_t sru_md;                /* a handle, to be destroyed */
typedef const_dnnl_memory_desc_t sru_md_ref;
#else
typedef dnnl_memory_desc_t sru_md;                /* a value */
typedef const dnnl_memory_desc_t *sru_md_ref;
#endif

static inline sru_md_ref sru_md_of(const sru_md *md)
{
#ifdef SRU_ONEDNN_3
    return *md;
#else
    return md;
#endif
}

/* A matrix [rows, cols] in the layout of a tag; of dnnl_format_tag_any, in the one that the product likes best. */
static inline dnnl_status_t sru_md_tagged(sru_md *md, dnnl_data_type_t type, size_t rows, size_t cols, dnnl_format_tag_t tag)
{
    const dnnl_dims_t dims = { (dnnl_dim_t)rows, (dnnl_dim_t)cols };

#ifdef SRU_ONEDNN_3
    return dnnl_memory_desc_create_with_tag(md, 2, dims, type, tag);
#else
    return dnnl_memory_desc_init_by_tag(md, 2, dims, type, tag);
#endif
}

/* A matrix [rows, cols] with the given strides. */
static inline dnnl_status_t sru_md_matrix(sru_md *md, dnnl_data_type_t type, size_t rows, size_t cols, size_t row_stride,
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

static inline void sru_md_destroy(sru_md *md)
{
#ifdef SRU_ONEDNN_3
    dnnl_memory_desc_destroy(*md);
#else
    (void)md;
#endif
}

/* dst (+)= src weights, with the caller's scratchpad. */
static inline dnnl_status_t sru_matmul_create(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const sru_md *src,
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

#endif
