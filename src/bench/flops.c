/*
 * What a training step must do: flops, and bytes to and from memory.  tests/bench/README has the numbers.
 *
 * Letters as in ops.h; N = B T rows of the segment, R = B (M + T) with the memory's, M = T; L layers, A with attention;
 * K = M + (T+1)/2 keys that a query sees in the mean; P parameters; e bytes of an activation or a product's operand.
 *
 * Flops are "executed" ones: the memory's rows count, attention is causal, nothing is computed twice, and what is
 * not a product does not count.  Bytes: every pass reads what it needs and writes what it makes once, as if no cache
 * kept anything from one pass to the next; a matrix product is a pass, and so is what an operator does between products.
 */
#include "config.h"

#include "src/bench/bench.h"

const char *const sru_timed_names[SRU_TIMED] = {
    "embed", "W1", "W2", "attend", "norm", "recur", "predict", "update", "muon", "prepare", "measure", "copy, zero"
};

static size_t attending(const struct sru_config *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->depth; i++)
        n += sru_config_attends(c, i);
    return n;
}

/* ---- Operators ------------------------------------------------------------------------------- */

struct sizes {
    const struct sru_dev *dev;
    double d, p, H, N, R, L, A, K, P, e;
    double scores;  /* multiplications of a row's scores */
    double tables;  /* elements of what they are made with */
    double rows;    /* of W1 in all layers */
};

/* Without clusters h W^T.  With them every row asks the head, and one other cluster where its word is there. */
static void count_scores(const struct sru_config *c, struct sizes *s)
{
    s->scores = s->tables = c->n_e > 0 ? 0 : s->d * (double)c->vocab;
    for (size_t k = 0; k <= c->n_cutoffs && c->n_e > 0; k++) {
        const struct sru_cluster_sizes z = sru_config_cluster(c, k);
        const double elements = ((double)z.n + (k == 0 ? (double)c->n_cutoffs : 0) + s->d) * (double)z.e;

        s->scores += (k == 0 ? 1 : sru_bench_share(c->vocab, z.from, z.from + z.n)) * elements;
        s->tables += elements;
    }
}

static struct sizes sizes_of(const struct sru_bench_model *m, const struct sru_dev *dev)
{
    const struct sru_config *c = &m->config;
    struct sizes s = { .dev = dev, .d = (double)c->n_d, .p = (double)c->n_proj, .H = (double)c->heads,
                       .L = (double)c->depth, .A = (double)attending(c), .P = (double)m->parameters, .e = (double)dev->act_bytes };

    s.N = (double)m->B * (double)m->T;
    s.R = 2 * s.N;
    s.K = (double)m->T + ((double)m->T + 1) / 2;
    s.rows = s.A * s.R + (s.L - s.A) * s.N;
    count_scores(c, &s);
    return s;
}

/* A GPU keeps the state of a position in 16 bytes' worth, and computes the others again, for which it reads U0 too. */
double sru_bytes_of_scan(int direction, const struct sru_dev *dev)
{
    const double e = (double)dev->act_bytes;

    if (sru_is_cpu(dev))
        return direction == SRU_FORWARD ? 5 * e + 4    /* U, x; h, c */
                                        : 8 * e + 4;   /* U1, U2, x, dh, c; dx, dU */
    return (direction == SRU_FORWARD ? 5 * e : 9 * e) + 4 * e / 16;
}

static double scan(const struct sizes *s, int direction)
{
    return s->L * s->N * s->d * sru_bytes_of_scan(direction, s->dev);
}

static struct sru_cost forward(const struct sizes *s, enum sru_timed op)
{
    const double d = s->d, p = s->p, e = s->e, N = s->N, R = s->R;

    switch (op) {
    case SRU_EMBED:
        return (struct sru_cost){ 0, N * (4 + (4 + e) * d) };
    case SRU_LINEAR_W1:
        return (struct sru_cost){ s->rows * 2 * d * p, e * (s->rows * (d + p) + s->L * d * p) };
    case SRU_LINEAR_W2:
        return (struct sru_cost){ s->A * R * 4 * p * p, s->A * e * (R * 3 * p + 2 * p * p) };
    case SRU_ATTEND:   /* q, k, v; out and the probabilities */
        return (struct sru_cost){ s->A * N * 4 * s->K * p, s->A * e * (2 * N * p + 2 * R * p + N * s->H * s->K) };
    case SRU_NORM:
        return (struct sru_cost){ 0, N * (e * p * (s->A * 3 + (s->L - s->A) * 2) + 8 * s->L) };
    case SRU_RECUR:    /* a, W3; U; and the scan */
        return (struct sru_cost){ s->L * N * 6 * d * p, s->L * e * (N * (p + 3 * d) + 3 * d * p) + scan(s, SRU_FORWARD) };
    case SRU_PREPARE:  /* the matrices; a copy for forwards and one for backwards */
        return (struct sru_cost){ 0, (s->L * 4 * d * p + s->A * 2 * p * p + s->tables) * (4 + 2 * e) };
    case SRU_MOVE:     /* the memory's rows, unless they change places with the segment's */
        return (struct sru_cost){ 0, s->dev->ops->turns ? 0 : s->A * N * 2 * d * e };
    default:
        return (struct sru_cost){ 0, 0 };
    }
}

static struct sru_cost backward(const struct sizes *s, enum sru_timed op)
{
    const double d = s->d, p = s->p, e = s->e, N = s->N, R = s->R;

    switch (op) {
    case SRU_EMBED:    /* dx; dE is read and written */
        return (struct sru_cost){ 0, N * (4 + (e + 8) * d) };
    case SRU_LINEAR_W1:       /* x, dz; dW1; then dz, W1, dx; dx */
        return (struct sru_cost){ (s->rows + s->L * N) * 2 * d * p,
                                  e * (s->rows * (d + p) + s->L * (N * (p + 2 * d) + d * p)) + 4 * s->L * d * p };
    case SRU_LINEAR_W2:       /* z, dkv; dW2; then dkv, W2, dz; dz */
        return (struct sru_cost){ s->A * R * 8 * p * p, s->A * (e * (R * 7 * p + 2 * p * p) + 8 * p * p) };
    case SRU_ATTEND:   /* q, dout, dq, k, v, the probabilities; dq, dk, dv */
        return (struct sru_cost){ s->A * N * 8 * s->K * p, s->A * e * (4 * N * p + 4 * R * p + N * s->H * s->K) };
    case SRU_NORM:     /* A, q, dy; dA, dq */
        return (struct sru_cost){ 0, N * (e * p * (s->A * 5 + (s->L - s->A) * 3) + 8 * s->L) };
    case SRU_RECUR:    /* the scan; a, dU; dW3; then dU, W3; da */
        return (struct sru_cost){ s->L * N * 12 * d * p,
                                  scan(s, SRU_BACKWARD) + s->L * (e * (N * (2 * p + 6 * d) + 3 * d * p) + 12 * d * p) };
    case SRU_PREDICT:  /* h, W; dh, dW: logits stay in cache */
        return (struct sru_cost){ N * 6 * s->scores, e * (N * 2 * d + s->tables) + 4 * s->tables };
    case SRU_UPDATE:   /* w, g, m, v; w, m, v */
        return (struct sru_cost){ 0, 28 * s->P };
    case SRU_MEASURE:
        return (struct sru_cost){ 0, 4 * s->P };
    case SRU_MOVE:     /* dz set to 0 */
        return (struct sru_cost){ 0, s->A * R * p * e };
    default:
        return (struct sru_cost){ 0, 0 };
    }
}

struct sru_cost sru_cost_of(const struct sru_bench_model *m, enum sru_timed op, int direction, const struct sru_dev *dev)
{
    const struct sizes s = sizes_of(m, dev);

    return direction == SRU_FORWARD ? forward(&s, op) : backward(&s, op);
}

struct sru_cost sru_cost_of_step(const struct sru_bench_model *m, const struct sru_dev *dev)
{
    struct sru_cost sum = { 0, 0 };

    for (int op = 0; op < SRU_TIMED; op++)
        for (int k = 0; k < SRU_DIRECTIONS; k++) {
            const struct sru_cost cost = sru_cost_of(m, op, k, dev);

            sum.flops += cost.flops;
            sum.bytes += cost.bytes;
        }
    return sum;
}

struct sru_cost sru_cost_of_token(const struct sru_bench_model *m, const struct sru_dev *dev)
{
    const struct sizes s = sizes_of(m, dev);
    const double matrices = s.L * 4 * s.d * s.p + s.A * 2 * s.p * s.p + s.tables;
    const double vectors = s.P - matrices - (m->config.n_e > 0 ? 0 : s.tables) + s.d, cache = s.A * 2 * ((double)m->config.window + 1) * s.p;

    return (struct sru_cost){ 2 * (matrices + cache), s.e * (matrices + cache) + 4 * vectors };
}

/* ---- Products ---------------------------------------------------------------------------------- */

double sru_product_flops(const struct sru_step_product *p)
{
    return 2.0 * (double)p->m * (double)p->k * (double)p->n;
}

/* W2's halves are one product here: keys and values are made from the same rows.  W3 alone stands as [in,out]. */
size_t sru_step_products(const struct sru_bench_model *m, struct sru_step_product out[SRU_PRODUCTS])
{
    const struct sru_config *c = &m->config;
    const size_t d = c->n_d, p = c->n_proj, V = c->n_e > 0 ? c->cutoffs[0] + c->n_cutoffs : c->vocab, e = c->n_e > 0 ? c->n_e : d, N = m->B * m->T, R = 2 * N, L = c->depth, A = attending(c);
    const struct sru_step_product all[SRU_PRODUCTS] = {
        { "z = x W1^T", R, d, p, A, false, SRU_SECOND_TURNED, SRU_LINEAR_W1, SRU_FORWARD },
        { "z, no memory", N, d, p, L - A, false, SRU_SECOND_TURNED, SRU_LINEAR_W1, SRU_FORWARD },
        { "kv = z W2^T", R, p, 2 * p, A, false, SRU_SECOND_TURNED, SRU_LINEAR_W2, SRU_FORWARD },
        { "U = a W3^T", N, p, 3 * d, L, false, SRU_NONE_TURNED, SRU_RECUR, SRU_FORWARD },
        { "logits = h W^T", N, e, V, 1, true, SRU_SECOND_TURNED, SRU_PREDICT, SRU_BACKWARD },
        { "dh = dlogits W", N, V, e, 1, false, SRU_NONE_TURNED, SRU_PREDICT, SRU_BACKWARD },
        { "dW^T = h^T dlogits", e, N, V, 1, true, SRU_FIRST_TURNED, SRU_PREDICT, SRU_BACKWARD },
        { "da = dU W3", N, 3 * d, p, L, false, SRU_SECOND_TURNED, SRU_RECUR, SRU_BACKWARD },
        { "dW3^T = a^T dU", p, N, 3 * d, L, true, SRU_FIRST_TURNED, SRU_RECUR, SRU_BACKWARD },
        { "dz = dkv W2", R, 2 * p, p, A, false, SRU_NONE_TURNED, SRU_LINEAR_W2, SRU_BACKWARD },
        { "dW2^T = z^T dkv", p, R, 2 * p, A, true, SRU_FIRST_TURNED, SRU_LINEAR_W2, SRU_BACKWARD },
        { "dx = dz W1", N, p, d, L, false, SRU_NONE_TURNED, SRU_LINEAR_W1, SRU_BACKWARD },
        { "dW1 = dz^T x", p, R, d, A, true, SRU_FIRST_TURNED, SRU_LINEAR_W1, SRU_BACKWARD },
        { "dW1, no memory", p, N, d, L - A, true, SRU_FIRST_TURNED, SRU_LINEAR_W1, SRU_BACKWARD },
    };
    size_t n = 0;

    for (size_t i = 0; i < SRU_PRODUCTS; i++)
        if (all[i].count > 0)
            out[n++] = all[i];
    return n;
}
