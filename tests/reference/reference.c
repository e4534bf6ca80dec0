/* The operators' twins: see reference.h. */
#include "config.h"

#include <math.h>
#include <stdlib.h>

#include "simd/philox.h"
#include "tests/reference/reference.h"

void ref_mask(const struct sru_mask *m, uint32_t step, size_t rows, size_t cols, double *out)
{
    for (size_t row = 0; row < rows; row++)
        for (size_t j = 0; j < cols; j++) {
            const size_t blocks = (cols + 7) / 8, half = 4 * blocks, i = j % half;
            const uint64_t block = (uint64_t)row * blocks + i / 4;
            uint32_t c[4] = { (uint32_t)block, (uint32_t)(block >> 32), step, m->layer << 8 | m->site };

            sru_philox(c, m->seed);
            const uint32_t bits = j < half ? c[i % 4] & 0xFFFF : c[i % 4] >> 16;
            out[row * cols + j] = bits < round(65536 * (double)m->rate) ? 0 : 1 / (1 - (double)m->rate);
        }
}

static double factor(const double *mask, size_t i)
{
    return mask ? mask[i] : 1;
}

void ref_embed(size_t N, size_t d, const int32_t *tokens, const double *table, const double *mask, double *x)
{
    for (size_t n = 0; n < N; n++)
        for (size_t j = 0; j < d; j++)
            x[n * d + j] = factor(mask, n * d + j) * table[(size_t)tokens[n] * d + j];
}

void ref_linear(size_t rows, size_t in, size_t out, const double *x, const double *w, double *y)
{
    for (size_t n = 0; n < rows; n++)
        for (size_t o = 0; o < out; o++) {
            double sum = 0;
            for (size_t i = 0; i < in; i++)
                sum += x[n * in + i] * w[o * in + i];
            y[n * out + o] = sum;
        }
}

static bool visible(const struct sru_attend *s, size_t t, size_t j)
{
    const size_t at = s->M + t;

    return j <= at && j + s->present >= s->M && (s->window == 0 || at - j <= s->window);
}

/* Where the rows of stream b have key j. */
static size_t row_of(const struct sru_attend *s, size_t b, size_t j)
{
    const size_t keys = s->M + s->T;

    return b * keys + (s->turned ? (j + s->T) % keys : j);
}

void ref_attend(const struct sru_attend *s, const double *q, const double *k, const double *v, const double *mask,
                double *out)
{
    const size_t keys = s->M + s->T, c = s->p / s->H;

    for (size_t b = 0; b < s->B; b++)
        for (size_t h = 0; h < s->H; h++)
            for (size_t t = 0; t < s->T; t++) {
                double *P = calloc(keys, sizeof *P), sum = 0;

                for (size_t j = 0; j < keys; j++) {
                    double dot = 0;
                    for (size_t i = 0; i < c; i++)
                        dot += q[(b * s->T + t) * s->p + h * c + i] * k[row_of(s, b, j) * s->p + h * c + i];
                    P[j] = visible(s, t, j) ? exp(dot / sqrt((double)c)) : 0;
                    sum += P[j];
                }
                for (size_t i = 0; i < c; i++) {
                    double mean = 0;
                    for (size_t j = 0; j < keys; j++)
                        mean += P[j] / sum * factor(mask, ((b * s->H + h) * s->T + t) * keys + j)
                            * v[row_of(s, b, j) * s->p + h * c + i];
                    out[(b * s->T + t) * s->p + h * c + i] = mean;
                }
                free(P);
            }
}

void ref_norm(size_t N, size_t cols, const double *a, const double *alpha, const double *r, const double *gamma,
              const double *beta, const double *mask, double *y)
{
    for (size_t n = 0; n < N; n++) {
        double *row = y + n * cols, mean = 0, var = 0;

        for (size_t j = 0; j < cols; j++) {
            row[j] = r[n * cols + j] + (a ? alpha[0] * a[n * cols + j] : 0);
            mean += row[j] / (double)cols;
        }
        for (size_t j = 0; j < cols; j++)
            var += (row[j] - mean) * (row[j] - mean) / (double)cols;
        for (size_t j = 0; j < cols; j++) {
            if (gamma)
                row[j] = (row[j] - mean) / sqrt(var + 1e-5) * gamma[j] + beta[j];
            row[j] *= factor(mask, n * cols + j);
        }
    }
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

void ref_recur(const struct sru_recur *s, const double *a, const double *w3, const double *x, const double *v,
               const double *bias, const double *c0, const double *mask, double *h, double *c1)
{
    const size_t d = s->d, N = s->B * s->T;
    double *U = malloc(3 * d * N * sizeof *U);

    for (size_t n = 0; n < N; n++)
        for (size_t j = 0; j < 3 * d; j++) {
            U[n * 3 * d + j] = 0;
            for (size_t i = 0; i < s->p; i++)
                U[n * 3 * d + j] += a[n * s->p + i] * w3[i * 3 * d + j];
        }
    for (size_t b = 0; b < s->B; b++)
        for (size_t j = 0; j < d; j++) {
            double c = c0[b * d + j];

            for (size_t t = 0; t < s->T; t++) {
                const size_t n = b * s->T + t;
                const double *u = U + n * 3 * d + j, skip = x[n * d + j] * (double)s->scale;
                const double f = sigmoid(u[d] + v[j] * c + bias[j]);
                const double r = sigmoid(u[2 * d] + v[d + j] * c + bias[d + j]);

                c = f * c + (1 - f) * u[0];
                h[n * d + j] = skip + factor(mask, b * d + j) * r * (c - skip);
            }
            c1[b * d + j] = c;
        }
    free(U);
}

void ref_predict(size_t N, size_t d, size_t V, const double *h, const double *mask, const double *w,
                 const double *bias, const int32_t *targets, double *nll, double *logits)
{
    for (size_t n = 0; n < N; n++) {
        double sum = 0, *row = logits + n * V;

        for (size_t o = 0; o < V; o++) {
            row[o] = bias[o];
            for (size_t j = 0; j < d; j++)
                row[o] += h[n * d + j] * factor(mask, n * d + j) * w[o * d + j];
        }
        for (size_t o = 0; o < V && targets[n] >= 0; o++)
            sum += exp(row[o] - row[targets[n]]);
        nll[n] = targets[n] >= 0 ? log(sum) : 0;
    }
}

/* c = factor a b + add c */
static void multiply(size_t rows, size_t inner, size_t cols, const double *a, const double *b, double factor, double add, double *c)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++) {
            double sum = 0;
            for (size_t k = 0; k < inner; k++)
                sum += a[i * inner + k] * b[k * cols + j];
            c[i * cols + j] = factor * sum + add * c[i * cols + j];
        }
}

static void transpose(size_t rows, size_t cols, const double *x, double *y)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++)
            y[j * rows + i] = x[i * cols + j];
}

/* x [n,k], n <= k; y is as large. */
static void newton_schulz(size_t n, size_t k, double *x, double *y)
{
    double *a = calloc(2 * n * n, sizeof *a), *b = a + n * n;

    for (int i = 0; i < 5; i++) {
        transpose(n, k, x, y);
        multiply(n, k, n, x, y, 1, 0, a);
        for (size_t j = 0; j < n * n; j++)
            b[j] = a[j];
        multiply(n, n, n, a, a, 2.0315, -4.7750, b);
        for (size_t j = 0; j < n * k; j++)
            y[j] = x[j];
        multiply(n, n, k, b, y, 1, 3.4445, x);
    }
    free(a);
}

void ref_muon(const struct sru_muon *s, const struct sru_step *step, double clip, double *w, const double *g, double *m)
{
    for (const struct sru_muon_matrix *x = s->matrices; x < s->matrices + s->n; x++) {
        const size_t rows = x->rows, cols = x->cols;
        const double b = s->momentum;
        double *u = calloc(2 * rows * cols, sizeof *u), *y = u + rows * cols, sum = 0;

        for (size_t i = 0; i < rows * cols; i++) {
            const size_t at = x->offset + i / cols * x->length + i % cols;

            m[at] = b * m[at] + (1 - b) * clip * g[at];
            u[i] = (1 - b) * clip * g[at] + b * m[at];
            sum += u[i] * u[i];
        }
        for (size_t i = 0; i < rows * cols; i++)
            y[i] = u[i] /= sqrt(sum) + 1e-7;
        if (rows > cols) {
            transpose(rows, cols, y, u);
            newton_schulz(cols, rows, u, y);
            transpose(cols, rows, u, y);
        } else {
            newton_schulz(rows, cols, y, u);
        }
        for (size_t i = 0; i < rows * cols; i++) {
            const size_t at = x->offset + i / cols * x->length + i % cols;

            w[at] = (1 - (double)step->muon_decay) * w[at] - (double)step->muon_rate * (double)x->scale * y[i];
        }
        free(u);
    }
}
