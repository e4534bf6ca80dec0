/*
 * How fast matrices are multiplied when they are called in the way that suits oneDNN best: dense rows, and the second matrix
 * in the layout of its own choice.
 */
#include "config.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/bench/bench.h"
#include "src/cpu/product.h"
#include "src/size.h"

struct product {
    struct sru_products *products;
    struct sru_product key;
    void *a, *b, *c;
};

/* Numbers between -1 and 1 in either type: bf16 is the upper half of f32. */
static void *filled(size_t bytes, bool bf16)
{
    char *p = aligned_alloc(64, sru_round_up(bytes, 64));

    for (size_t i = 0; p && i < bytes / (bf16 ? 2 : 4); i++) {
        const float x = (float)(i * 2654435761u % 2048) / 1024 - 1;
        uint32_t bits;

        memcpy(&bits, &x, sizeof bits);
        if (bf16)
            ((uint16_t *)(void *)p)[i] = (uint16_t)(bits >> 16);
        else
            ((uint32_t *)(void *)p)[i] = bits;
    }
    return p;
}

static sru_status multiply(void *of, struct sru_error *err)
{
    const struct product *x = of;

    sru_product(x->products, &x->key, x->a, x->b, x->c);
    return sru_products_failed(x->products) ? sru_fail(err, SRU_EDEVICE, "a matrix product failed: out of memory?") : SRU_OK;
}

sru_status sru_matmul_measure(const struct sru_step_product *p, bool bf16, double seconds, struct sru_matmul *out, struct sru_error *err)
{
    struct product x = { .key = { .m = p->m, .n = p->n, .k = p->k, .bf16 = bf16, .c_bf16 = bf16 && !p->f32_out, .b = SRU_PACKED } };
    struct sru_spread spread;
    sru_status status = sru_products_open(&x.products, NULL, omp_get_max_threads(), err);

    *out = (struct sru_matmul){ .rate = NAN };
    if (status)
        return status;
    const char *by = sru_product_by(x.products, &x.key);
    if (by) {
        snprintf(out->by, sizeof out->by, "%s", by);
        x.a = filled(p->m * p->k * sizeof(float), bf16);
        x.b = filled(sru_packed_bytes(x.products, p->k, p->n, bf16), bf16);
        x.c = filled(p->m * p->n * sizeof(float), x.key.c_bf16);
        status = x.a && x.b && x.c ? sru_measure(seconds, multiply, &x, &spread, err)
                                   : sru_fail(err, SRU_ENOMEM, "out of memory for a matrix product");
        if (!status)
            out->rate = sru_product_flops(p) / spread.least;   /* a limit is what can be done */
    }
    free(x.a);
    free(x.b);
    free(x.c);
    sru_products_close(x.products);
    return status;
}

sru_status sru_matmuls_measure(const struct sru_bench_model *m, struct sru_dev *dev, double seconds, struct sru_matmuls *out,
                               struct sru_error *err)
{
    sru_status status = SRU_OK;

    out->n = sru_step_products(m, out->product);
    for (int precision = SRU_F32; precision < SRU_PRECISIONS; precision++) {
        double flops = 0, time = 0;

        for (size_t i = 0; i < out->n && !status; i++) {
            const struct sru_step_product *p = &out->product[i];
            struct sru_matmul *is = &out->is[i][precision];
            const double all = (double)p->count * sru_product_flops(p), each = seconds / (double)out->n;

            status = sru_is_cpu(dev) ? sru_matmul_measure(p, precision == SRU_BF16, each, is, err)
                                           : sru_device_matmul(dev, p, precision == SRU_BF16, each, is, err);
            flops += all;
            time += all / is->rate;
        }
        out->mean[precision] = flops / time;
    }
    return status;
}
