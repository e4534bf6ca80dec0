/*
 * What decoding does: products of a few rows with weights that stand in panels (struct sru_panels), which are read from
 * memory once and in order; and attention of one query, its keys and values as they lie.
 */

/*
 * A lane is an output and sums by itself, in CHAINS parts that do not wait for each other; ROWS rows share what is read.
 * A row's sums are the same whatever rows stand beside it.
 */
enum { PANEL_VECTORS = SRU_PANEL / W, CHAINS = W >= 16 ? 4 : W >= 8 ? 2 : 1, ROWS = W >= 16 || W == 4 ? 4 : 2 };
/* Bytes that are fetched ahead: 8 KB doubled the rate of 4 rows from memory and gave one row a quarter; 2 KB gave a fifth, and less. */
enum { AHEAD = 8192 };

/* Outputs i to i+W of weights in form f. */
SRU_INLINE vf weight_load(enum sru_form f, const void *w, size_t i)
{
    switch (f) {
    case SRU_AS_INT8: return i8_load((const int8_t *)w + i);
    case SRU_AS_BF16: return bf_load((const uint16_t *)w + i, W);
    default: return vf_load((const float *)w + i, W);
    }
}

/* sum += x[i] w[i] of the panel at w, for rows b to b+rows. */
SRU_INLINE void panel_step(const struct sru_panels *s, enum sru_form f, size_t w, size_t b, size_t rows, size_t i, vf sum[][PANEL_VECTORS])
{
    const size_t bytes = f == SRU_AS_F32 ? sizeof(float) : f == SRU_AS_BF16 ? sizeof(uint16_t) : 1;

    if (i * SRU_PANEL * bytes % 64 == 0)
        __builtin_prefetch((const char *)s->w + (w + i * SRU_PANEL) * bytes + AHEAD);
#pragma GCC unroll 16
    for (size_t v = 0; v < PANEL_VECTORS; v++) {
        const vf weights = weight_load(f, s->w, w + i * SRU_PANEL + v * W);

#pragma GCC unroll 4
        for (size_t r = 0; r < rows; r++)
            sum[r][v] = vf_fma(weights, vf_set1(s->x[(b + r) * s->x_stride + i]), sum[r][v]);
    }
}

SRU_INLINE void panel_store(const struct sru_panels *s, enum sru_form f, size_t o, size_t b, vf sum)
{
    const size_t k = s->out - o < W ? s->out - o : W, at = b * s->y_stride + o;

    if (o >= s->out)
        return;
    if (f == SRU_AS_INT8)
        sum = vf_mul(sum, vf_load(s->scale + o, W));
    if (s->sum)
        vf_store(s->sum + at, k, vf_add(vf_load(s->sum + at, k), sum));
    else
        act_store(s->y, at, k, sum);
}

/* Panel p of rows b to b+rows, a constant. */
SRU_INLINE void panel(const struct sru_panels *s, enum sru_form f, size_t p, size_t b, size_t rows)
{
    vf sum[CHAINS][ROWS][PANEL_VECTORS];
    const size_t w = p * s->in * SRU_PANEL;
    size_t i = 0;

#pragma GCC unroll 64
    for (size_t n = 0; n < CHAINS * ROWS * PANEL_VECTORS; n++)
        sum[n / (ROWS * PANEL_VECTORS)][n / PANEL_VECTORS % ROWS][n % PANEL_VECTORS] = vf_set1(0);
    for (; i + CHAINS <= s->in; i += CHAINS) {
#pragma GCC unroll 4
        for (size_t c = 0; c < CHAINS; c++)
            panel_step(s, f, w, b, rows, i + c, sum[c]);
    }
    for (; i < s->in; i++)
        panel_step(s, f, w, b, rows, i, sum[0]);
#pragma GCC unroll 16
    for (size_t v = 0; v < PANEL_VECTORS; v++)
#pragma GCC unroll 4
        for (size_t r = 0; r < rows; r++) {
            vf all = sum[0][r][v];

#pragma GCC unroll 4
            for (size_t c = 1; c < CHAINS; c++)
                all = vf_add(all, sum[c][r][v]);
            panel_store(s, f, p * SRU_PANEL + v * W, b + r, all);
        }
}

/* Where there are more rows than ROWS, a panel is in cache when it is read again. */
SRU_INLINE void panels(const struct sru_panels *s, enum sru_form f, size_t from, size_t to)
{
    for (size_t p = from; p < to; p++) {
        size_t b = 0;

        for (; b + ROWS <= s->rows; b += ROWS)
            panel(s, f, p, b, ROWS);
        for (; b < s->rows; b++)
            panel(s, f, p, b, 1);
    }
}

static void panels_f32(const struct sru_panels *s, size_t from, size_t to) { panels(s, SRU_AS_F32, from, to); }
static void panels_bf16(const struct sru_panels *s, size_t from, size_t to) { panels(s, SRU_AS_BF16, from, to); }
static void panels_int8(const struct sru_panels *s, size_t from, size_t to) { panels(s, SRU_AS_INT8, from, to); }

/* ---- Attention ------------------------------------------------------------------------------------ */

/* Rows are taken FEW at a time; where fewer are left, the last one stands in for those that are not there. */
enum { FEW = 4 };

SRU_INLINE const act *few_row(const sru_act *p, size_t j, size_t n, size_t stride)
{
    return (const act *)p + (j < n ? j : n - 1) * stride;
}

/* Lanes i to i+k of a row, and what comes later towards cache. */
SRU_INLINE vf few_load(const act *row, size_t i, size_t k)
{
    __builtin_prefetch((const char *)(row + i) + AHEAD);
    return act_load((const sru_act *)row, i, k);
}

static void keys(size_t n, size_t cols, size_t stride, const sru_act *q, const sru_act *k, float *s)
{
    for (size_t j = 0; j < n; j += FEW) {
        const act *row[FEW];
        vf sum[FEW];

        for (size_t r = 0; r < FEW; r++) {
            row[r] = few_row(k, j + r, n, stride);
            sum[r] = vf_set1(0);
        }
        EACH(i, lanes, cols, {
            const vf x = act_load(q, i, lanes);

#pragma GCC unroll 4
            for (size_t r = 0; r < FEW; r++)
                sum[r] = vf_fma(x, few_load(row[r], i, lanes), sum[r]);
        });
        for (size_t r = 0; r < FEW && j + r < n; r++)
            s[j + r] = vf_sum(sum[r]);
    }
}

static void probabilities(size_t n, float factor, float *s)
{
    const vf inverse = vf_set1(1.0f / exponentials(n, largest(n, s), factor, s));

    EACH(i, k, n, vf_store(s + i, k, vf_mul(vf_load(s + i, k), inverse)));
}

static void values(size_t n, size_t cols, size_t stride, const float *p, const sru_act *v, float *sum, sru_act *out)
{
    EACH(i, k, cols, vf_store(sum + i, k, vf_set1(0)));
    for (size_t j = 0; j < n; j += FEW) {
        const act *row[FEW];
        vf x[FEW];

        for (size_t r = 0; r < FEW; r++) {
            row[r] = few_row(v, j + r, n, stride);
            x[r] = vf_set1(j + r < n ? p[j + r] : 0);
        }
        EACH(i, k, cols, {
            vf all = vf_load(sum + i, k);

#pragma GCC unroll 4
            for (size_t r = 0; r < FEW; r++)
                all = vf_fma(x[r], few_load(row[r], i, k), all);
            vf_store(sum + i, k, all);
        });
    }
    narrow(cols, sum, out);
}
