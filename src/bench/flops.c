/*
 * What a training step computes.  Letters as in ops.h; N = B T rows of the segment, R = B (M + T) with the memory's.
 * Flops are "executed" ones: the memory's rows count, attention is causal, nothing is computed twice, and what is
 * not a product does not count.
 */
#include "config.h"

#include "src/bench/bench.h"

double sru_product_flops(const struct sru_product *p)
{
    return 2.0 * (double)p->m * (double)p->k * (double)p->n;
}

static size_t attending(const struct sru_config *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->depth; i++)
        n += sru_config_attends(c, i);
    return n;
}

/* W2's halves are one product here: keys and values are made from the same rows. */
size_t sru_step_products(const struct sru_bench_model *m, struct sru_product out[SRU_PRODUCTS])
{
    const struct sru_config *c = &m->config;
    const size_t d = c->n_d, p = c->n_proj, V = c->vocab, N = m->B * m->T, R = 2 * N, L = c->depth, A = attending(c);
    const struct sru_product all[SRU_PRODUCTS] = {
        { "z = x W1^T", R, d, p, A, false },
        { "kv = z W2^T", R, p, 2 * p, A, false },
        { "U = a W3^T", N, p, 3 * d, L, false },
        { "logits = h W^T", N, d, V, 1, true },
        { "dh = dlogits W", N, V, d, 1, false },
        { "dW^T = h^T dlogits", d, N, V, 1, true },
        { "da = dU W3", N, 3 * d, p, L, false },
        { "dW3^T = a^T dU", p, N, 3 * d, L, true },
        { "dz = dkv W2", R, 2 * p, p, A, false },
        { "dW2^T = z^T dkv", p, R, 2 * p, A, true },
        { "dx = dz W1", N, p, d, L, false },
        { "dW1 = dz^T x", p, R, d, A, true },
    };
    size_t n = 0;

    for (size_t i = 0; i < SRU_PRODUCTS; i++)
        if (all[i].count > 0)
            out[n++] = all[i];
    return n;
}
