/* The vector kernels' source: see kernels.h.  Compiled with SRU_KERNELS and the flags of each instruction set. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "simd/kernels.h"
#include "simd/philox.h"

#define SRU_TEXT_OF(x) #x
#define SRU_TEXT(x) SRU_TEXT_OF(x)
#define SRU_TABLE_OF(x) sru_kernels_##x
#define SRU_TABLE(x) SRU_TABLE_OF(x)

/*
 * e^x within 2 ulp for -87.3 <= x <= 88, held at the ends outside; NaN stays.  x = n ln2 + r with |r| <= ln2/2,
 * the polynomial is Cephes' expf.  No branches, so that loops around it become vectors.
 */
static inline float exp_f32(float x)
{
    static const float shift = 12582912.0f;   /* 1.5 * 2^23, bits 0x4B400000: adding it rounds to a whole number, in the low bits */

    x = x < -87.3f ? -87.3f : x;
    x = x > 88.0f ? 88.0f : x;
    const float shifted = x * 1.44269504088896341f + shift, n = shifted - shift;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float y = 1.9875691500e-4f;
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    y = y * r * r + r + 1.0f;

    uint32_t bits;
    float two_to_n;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits - 0x4B400000u + 127) << 23;
    memcpy(&two_to_n, &bits, sizeof bits);
    return y * two_to_n;
}

static inline float sigmoid(float x)
{
    return 1.0f / (1.0f + exp_f32(-x));
}

/* ---- Elementwise ---------------------------------------------------------------------- */

static void mask_row(const struct sru_mask *mask, size_t row, size_t cols, float *out)
{
    const float keep = 1.0f / (1.0f - mask->rate);
    const uint32_t limit = (uint32_t)fminf(mask->rate * 4294967296.0f, 4294967040.0f);
    const uint64_t first = (uint64_t)row * ((cols + 3) / 4);   /* a row begins with a block of its own */
    const uint32_t place = mask->layer << 8 | mask->site;

    for (size_t j = 0; j < cols; j += 4) {
        const uint64_t block = first + j / 4;
        uint32_t c[4] = { (uint32_t)block, (uint32_t)(block >> 32), mask->step, place };

        sru_philox(c, mask->seed);
        for (size_t i = 0; i < 4 && j + i < cols; i++)
            out[j + i] = c[i] < limit ? 0.0f : keep;
    }
}

static void mul(size_t n, const float *a, const float *b, float *y)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] * b[i];
}

static void add(size_t n, const float *a, float *y)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        y[i] += a[i];
}

static void scale(size_t n, float alpha, const float *x, float *y)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        y[i] = alpha * x[i];
}

static void mix(size_t n, float alpha, const float *a, const float *r, float *y)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        y[i] = alpha * a[i] + r[i];
}

static float dot(size_t n, const float *a, const float *b)
{
    float sum = 0;

#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* ---- Softmax ----------------------------------------------------------------------------- */

static float largest(size_t n, const float *s)
{
    float top = -INFINITY;

#pragma omp simd reduction(max : top)
    for (size_t i = 0; i < n; i++)
        top = s[i] > top ? s[i] : top;
    return top;
}

/* s = exp((s - top) * factor); their sum. */
static float exponentials(size_t n, float top, float factor, float *s)
{
    float sum = 0;

#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) {
        s[i] = exp_f32((s[i] - top) * factor);
        sum += s[i];
    }
    return sum;
}

static void softmax(size_t n, float factor, float *s)
{
    scale(n, 1.0f / exponentials(n, largest(n, s), factor, s), s, s);
}

static void softmax_back(size_t n, float factor, const float *p, float *dp)
{
    float sum = 0;

#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += p[i] * dp[i];
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        dp[i] = p[i] * (dp[i] - sum) * factor;
}

static float nll(size_t V, float *logits, int32_t target, float factor)
{
    const float top = largest(V, logits), hit = logits[target];
    const float sum = exponentials(V, top, 1.0f, logits);

    if (factor != 0) {
        scale(V, factor / sum, logits, logits);
        logits[target] -= factor;
    }
    return logf(sum) + (top - hit);
}

/* ---- Normalisation ----------------------------------------------------------------------- */

static void norm(size_t n, const float *gamma, const float *beta, float *y, float stats[2])
{
    float sum = 0, square = 0;

#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += y[i];
    const float mean = sum / (float)n;
#pragma omp simd reduction(+ : square)
    for (size_t i = 0; i < n; i++)
        square += (y[i] - mean) * (y[i] - mean);
    const float inverse = 1.0f / sqrtf(square / (float)n + 1e-5f);
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        y[i] = (y[i] - mean) * inverse * gamma[i] + beta[i];
    stats[0] = mean;
    stats[1] = inverse;
}

static void norm_back(size_t n, const float *gamma, const float stats[2], const float *dy, float *s,
                      float *dgamma, float *dbeta)
{
    const float mean = stats[0], inverse = stats[1];
    float sum = 0, product = 0;

#pragma omp simd reduction(+ : sum, product)
    for (size_t i = 0; i < n; i++) {
        const float normal = (s[i] - mean) * inverse, e = dy[i] * gamma[i];

        s[i] = normal;
        sum += e;
        product += e * normal;
        dgamma[i] += dy[i] * normal;
        dbeta[i] += dy[i];
    }
    sum /= (float)n;
    product /= (float)n;
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        s[i] = (dy[i] * gamma[i] - sum - s[i] * product) * inverse;
}

/* ---- Recurrence ---------------------------------------------------------------------------- */

static void scan(const struct sru_scan *s)
{
    const size_t d = s->d;

    for (size_t t = 0; t < s->T; t++) {
        float *u = s->u + t * 3 * d, *c = s->last ? s->c : s->c + t * d, *h = s->h + t * d;
        const float *x = s->x + t * d, *before = t == 0 ? s->c0 : s->last ? s->c : c - d;
        const float *v = s->v, *bias = s->bias, *m = s->m;
        const float factor = s->scale;

#pragma omp simd
        for (size_t j = 0; j < s->n; j++) {
            const float b = before[j], skip = x[j] * factor;
            const float f = sigmoid(u[d + j] + v[j] * b + bias[j]);
            const float r = sigmoid(u[2 * d + j] + v[d + j] * b + bias[d + j]);
            const float state = u[j] + f * (b - u[j]);

            u[d + j] = f;
            u[2 * d + j] = r;
            c[j] = state;
            h[j] = skip + m[j] * r * (state - skip);
        }
    }
}

static void scan_back(const struct sru_scan *s)
{
    const size_t d = s->d;

    for (size_t t = s->T; t-- > 0;) {
        float *u = s->u + t * 3 * d, *dx = s->dx + t * d;
        const float *c = s->c + t * d, *before = t == 0 ? s->c0 : c - d;
        const float *x = s->x + t * d, *dh = s->dh + t * d, *v = s->v, *m = s->m;
        float *dc = s->dc, *dv = s->dv, *dbias = s->dbias;
        const float factor = s->scale;

#pragma omp simd
        for (size_t j = 0; j < s->n; j++) {
            const float b = before[j], f = u[d + j], r = u[2 * d + j];
            const float g = m[j] * dh[j];
            const float all = dc[j] + g * r;
            const float dr = g * (c[j] - x[j] * factor) * r * (1.0f - r);
            const float df = all * (b - u[j]) * f * (1.0f - f);

            dx[j] = (dh[j] - g * r) * factor;
            u[j] = all * (1.0f - f);
            u[d + j] = df;
            u[2 * d + j] = dr;
            dv[j] += df * b;
            dv[d + j] += dr * b;
            dbias[j] += df;
            dbias[d + j] += dr;
            dc[j] = all * f + df * v[j] + dr * v[d + j];
        }
    }
}

/* ---- Optimizer ---------------------------------------------------------------------------- */

static void update(const struct sru_update *s, size_t from, size_t to)
{
    const float b1 = s->beta1, b2 = s->beta2, clip = s->clip, decay = s->decay, rate = s->rate, eps = s->eps;
    const float inverse = 1.0f / s->correction;
    float *w = s->w, *m = s->m, *v = s->v;
    const float *g = s->g;

    if (s->adaptive) {
#pragma omp simd
        for (size_t i = from; i < to; i++) {
            const float gi = g[i] * clip;

            m[i] = b1 * m[i] + (1.0f - b1) * gi;
            v[i] = b2 * v[i] + (1.0f - b2) * gi * gi;
            w[i] = w[i] - decay * w[i] - rate * m[i] / (sqrtf(v[i]) * inverse + eps);
        }
    } else {
#pragma omp simd
        for (size_t i = from; i < to; i++) {
            const float gi = g[i] * clip;

            m[i] = b1 * m[i] + (1.0f - b1) * gi;
            v[i] = b2 * v[i] + (1.0f - b2) * gi * gi;
            w[i] = w[i] - decay * w[i] - rate * m[i];
        }
    }
}

static double sumsq(size_t n, const float *x)
{
    double sum = 0;

#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

const struct sru_kernels SRU_TABLE(SRU_KERNELS) = {
    .name = SRU_TEXT(SRU_KERNELS),
    .mask_row = mask_row,
    .mul = mul,
    .add = add,
    .scale = scale,
    .mix = mix,
    .dot = dot,
    .softmax = softmax,
    .softmax_back = softmax_back,
    .norm = norm,
    .norm_back = norm_back,
    .scan = scan,
    .scan_back = scan_back,
    .nll = nll,
    .update = update,
    .sumsq = sumsq,
};
