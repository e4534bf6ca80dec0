/*
 * How fast oneDNN multiplies matrices, called in the way that suits it best: dense rows, and the second matrix in the
 * layout of its own choice.  What the numbers mean does not matter, so nothing is ever brought into that layout.
 */
#include "config.h"

#include <dnnl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/bench/bench.h"

#ifdef SRU_ONEDNN_3
typedef const_dnnl_memory_desc_t layout;
#else
typedef const dnnl_memory_desc_t *layout;
#endif

enum { SRC, WEIGHTS, DST, MATRICES };
static const int arguments[MATRICES] = { DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST };
static const dnnl_query_t queries[MATRICES] = { dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md };

struct product {
    dnnl_engine_t    engine;
    dnnl_stream_t    stream;
    dnnl_primitive_desc_t description;
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t  matrices[MATRICES];
};

static dnnl_status_t describe(struct product *x, const struct sru_product *p, dnnl_data_type_t in, dnnl_data_type_t out)
{
    const dnnl_dims_t dims[MATRICES] = { { (dnnl_dim_t)p->m, (dnnl_dim_t)p->k }, { (dnnl_dim_t)p->k, (dnnl_dim_t)p->n },
                                         { (dnnl_dim_t)p->m, (dnnl_dim_t)p->n } };
    const dnnl_data_type_t types[MATRICES] = { in, in, out };
    const dnnl_format_tag_t tags[MATRICES] = { dnnl_ab, dnnl_format_tag_any, dnnl_ab };
    dnnl_memory_desc_t md[MATRICES];
    dnnl_status_t status = dnnl_success;

    memset(md, 0, sizeof md);
#ifdef SRU_ONEDNN_3
    for (int i = 0; i < MATRICES && !status; i++)
        status = dnnl_memory_desc_create_with_tag(&md[i], 2, dims[i], types[i], tags[i]);
    if (!status)
        status = dnnl_matmul_primitive_desc_create(&x->description, x->engine, md[SRC], md[WEIGHTS], NULL, md[DST], NULL);
    for (int i = 0; i < MATRICES; i++)
        dnnl_memory_desc_destroy(md[i]);
#else
    dnnl_matmul_desc_t matmul;

    for (int i = 0; i < MATRICES && !status; i++)
        status = dnnl_memory_desc_init_by_tag(&md[i], 2, dims[i], types[i], tags[i]);
    if (!status && !(status = dnnl_matmul_desc_init(&matmul, &md[SRC], &md[WEIGHTS], NULL, &md[DST])))
        status = dnnl_primitive_desc_create(&x->description, &matmul, NULL, x->engine, NULL);
#endif
    return status;
}

/* Numbers between -1 and 1 in either type: bf16 is the upper half of f32. */
static void fill(void *p, size_t bytes, bool bf16)
{
    for (size_t i = 0; i < bytes / (bf16 ? 2 : 4); i++) {
        const float x = (float)(i * 2654435761u % 2048) / 1024 - 1;
        uint32_t bits;

        memcpy(&bits, &x, sizeof bits);
        if (bf16)
            ((uint16_t *)p)[i] = (uint16_t)(bits >> 16);
        else
            ((uint32_t *)p)[i] = bits;
    }
}

static dnnl_status_t allocate(struct product *x, int i, bool bf16)
{
    const layout md = dnnl_primitive_desc_query_md(x->description, queries[i], 0);
    void *p;
    dnnl_status_t status;

    x->matrices[i].arg = arguments[i];
    if ((status = dnnl_memory_create(&x->matrices[i].memory, md, x->engine, DNNL_MEMORY_ALLOCATE))
        || (status = dnnl_memory_get_data_handle(x->matrices[i].memory, &p)))
        return status;
    fill(p, dnnl_memory_desc_get_size(md), bf16);
    return dnnl_success;
}

static dnnl_status_t product_open(struct product *x, const struct sru_product *p, bool bf16)
{
    const dnnl_data_type_t in = bf16 ? dnnl_bf16 : dnnl_f32, out = bf16 && !p->f32_out ? dnnl_bf16 : dnnl_f32;
    dnnl_status_t status;

    *x = (struct product){ .engine = NULL };
    if ((status = dnnl_engine_create(&x->engine, dnnl_cpu, 0))
        || (status = dnnl_stream_create(&x->stream, x->engine, dnnl_stream_default_flags))
        || (status = describe(x, p, in, out)))
        return status;
    for (int i = 0; i < MATRICES; i++)
        if ((status = allocate(x, i, i == DST ? out == dnnl_bf16 : bf16)))
            return status;
    return dnnl_primitive_create(&x->primitive, x->description);
}

static void product_close(struct product *x)
{
    for (int i = 0; i < MATRICES; i++)
        if (x->matrices[i].memory)
            dnnl_memory_destroy(x->matrices[i].memory);
    if (x->primitive)
        dnnl_primitive_destroy(x->primitive);
    if (x->description)
        dnnl_primitive_desc_destroy(x->description);
    if (x->stream)
        dnnl_stream_destroy(x->stream);
    if (x->engine)
        dnnl_engine_destroy(x->engine);
}

static sru_status failed(dnnl_status_t status, struct sru_error *err)
{
    return status == dnnl_out_of_memory ? sru_fail(err, SRU_ENOMEM, "out of memory for a matrix product")
                                        : sru_fail(err, SRU_EDEVICE, "a matrix product failed in oneDNN (status %d)", (int)status);
}

static sru_status multiply(void *of, struct sru_error *err)
{
    struct product *x = of;
    dnnl_status_t status = dnnl_primitive_execute(x->primitive, x->stream, MATRICES, x->matrices);

    if (!status)
        status = dnnl_stream_wait(x->stream);
    return status ? failed(status, err) : SRU_OK;
}

sru_status sru_matmul_measure(const struct sru_product *p, bool bf16, double seconds, struct sru_matmul *out, struct sru_error *err)
{
    struct product x;
    struct sru_spread spread;
    const char *by = "";
    const dnnl_status_t opened = product_open(&x, p, bf16);
    sru_status status = SRU_OK;

    *out = (struct sru_matmul){ .rate = NAN };
    if (opened && opened != dnnl_unimplemented)
        status = failed(opened, err);
    else if (!opened && !(status = sru_measure(seconds, multiply, &x, &spread, err))) {
        out->rate = sru_product_flops(p) / spread.least;   /* a limit is what can be done */
        dnnl_primitive_desc_query(x.description, dnnl_query_impl_info_str, 0, &by);
        snprintf(out->by, sizeof out->by, "%s", by);
    }
    product_close(&x);
    return status;
}

sru_status sru_matmuls_measure(const struct sru_bench_model *m, double seconds, struct sru_matmuls *out, struct sru_error *err)
{
    sru_status status = SRU_OK;

    out->n = sru_step_products(m, out->product);
    for (int precision = SRU_F32; precision < SRU_PRECISIONS; precision++) {
        double flops = 0, time = 0;

        for (size_t i = 0; i < out->n && !status; i++) {
            const double all = (double)out->product[i].count * sru_product_flops(&out->product[i]);

            status = sru_matmul_measure(&out->product[i], precision == SRU_BF16, seconds / (double)out->n, &out->is[i][precision], err);
            flops += all;
            time += all / out->is[i][precision].rate;
        }
        out->mean[precision] = flops / time;
    }
    return status;
}
