/* What the test programs share: see support.h. */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifdef SRU_HAVE_ONEDNN
#include <dnnl.h>
#endif

#ifdef SRU_HAVE_CUDA
# include "gpu/cuda.h"
enum { GPUS = 1 };
#else
enum { GPUS = 0 };
#endif
#include "tests/support.h"

#define PAD 12288.0f   /* exact in bf16 */

/* A bf16 device is open: its results carry a few roundings to 8 bits. */
static bool coarse;
#define COARSE 0.02

int run_suite(Suite *s)
{
    SRunner *sr = srunner_create(s);

    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

const char *const all_kernels[] = { "scalar",
#ifdef SRU_HAVE_X86_KERNELS
                                    "avx2", "avx512",
#endif
#ifdef SRU_HAVE_NEON_KERNELS
                                    "neon",
#endif
#ifdef SRU_HAVE_CUDA
                                    "cuda",
#endif
};
enum { KERNELS = sizeof all_kernels / sizeof *all_kernels };
const size_t n_all_kernels = KERNELS, n_cpu_kernels = KERNELS - GPUS;
const size_t n_all_devices = 2 * KERNELS, n_cpu_devices = 2 * (KERNELS - GPUS);

/* Whether only this kind of device, "cpu" or "cuda", is to be tested. */
static bool only(const char *kind)
{
    const char *wanted = getenv("SRU_TEST_DEVICES");

    return wanted && strcmp(wanted, kind) == 0;
}

static struct sru_dev *open_cpu(const char *kernels, enum sru_precision precision)
{
    struct sru_error err;
    struct sru_dev *dev;

    if (only("cuda"))
        return NULL;
    if (sru_cpu_open(kernels, precision, &dev, &err)) {
        ck_assert_int_eq(err.status, SRU_EDEVICE);
        fprintf(stderr, "not run: %s\n", err.message);
        return NULL;
    }
    return dev;
}

#ifdef SRU_HAVE_CUDA
static struct sru_dev *open_gpu(enum sru_precision precision)
{
    struct sru_error err;
    struct sru_dev *dev;

    if (only("cpu") || sru_cuda_count() == 0) {
        fprintf(stderr, "not run: no GPU\n");
        return NULL;
    }
    ck_assert_msg(!sru_cuda_open(0, precision, &dev, &err), "%s", err.message);
    return dev;
}
#else
static struct sru_dev *open_gpu(enum sru_precision precision)
{
    (void)precision;
    return NULL;
}
#endif

static struct sru_dev *open_as(size_t i, enum sru_precision precision)
{
    struct sru_dev *dev = i < n_cpu_kernels ? open_cpu(all_kernels[i], precision) : open_gpu(precision);

    coarse = dev && precision == SRU_PRECISION_BF16;
    return dev;
}

struct sru_dev *open_best(void)
{
    struct sru_dev *dev = only("cuda") ? open_gpu(SRU_PRECISION_F32) : open_cpu(NULL, SRU_PRECISION_F32);

    ck_assert(dev != NULL);
    coarse = false;
    return dev;
}

struct sru_dev *open_kernels(int i)
{
    return open_as((size_t)i, SRU_PRECISION_F32);
}

struct sru_dev *open_device(int i)
{
    return open_as((size_t)i / 2, i % 2 ? SRU_PRECISION_BF16 : SRU_PRECISION_F32);
}

#ifdef SRU_HAVE_ONEDNN
bool onednn_has_avx512(bool bf16)
{
    const int set = bf16 ? dnnl_cpu_isa_avx512_core_bf16 : dnnl_cpu_isa_avx512_core;

    return ((int)dnnl_get_effective_cpu_isa() & set) == set;
}
#endif

/* ---- Memory ---------------------------------------------------------------------------------- */

struct piece {
    struct piece *next;
    void *p;
    struct sru_dev *dev;   /* NULL: the host's */
    bool operand;
};
static struct piece *pieces;

static void *keep(void *p, struct sru_dev *dev)
{
    struct piece *new = malloc(sizeof *new);

    ck_assert(p && new);
    *new = (struct piece){ pieces, p, dev, false };
    pieces = new;
    return p;
}

void *pooled(size_t bytes)
{
    return keep(calloc(1, bytes + 8), NULL);
}

void free_all(void)
{
    while (pieces) {
        struct piece *first = pieces;

        pieces = first->next;
        if (first->operand)
            first->dev->ops->operand_close(first->dev, first->p);
        else if (first->dev)
            first->dev->ops->release(first->dev, first->p);
        else
            free(first->p);
        free(first);
    }
}

void close_kernels(struct sru_dev *dev)
{
    free_all();
    sru_dev_close(dev);
    coarse = false;
}

bool open_optimizers(struct sru_st_file *f)
{
    const char *source = getenv("srcdir");
    char path[4096];

    snprintf(path, sizeof path, "%s/../shared/optimizers/optimizers.safetensors", source ? source : ".");
    if (access(path, R_OK) != 0) {
        printf("SKIP: no %s\n", path);
        return false;
    }
    ck_assert(!sru_st_open(path, f, NULL));
    return true;
}

/* ---- Numbers ---------------------------------------------------------------------------------- */

/* SplitMix64 (Steele, Lea and Flood 2014). */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Cut to 8 significant bits, as bf16 has. */
static double bf16(double x)
{
    int exponent;
    const double fraction = frexp(x, &exponent);

    return ldexp(trunc(fraction * 256), exponent - 8);
}

double *random_array(size_t n, double scale, uint64_t seed)
{
    double *x = pooled(n * sizeof *x);

    for (size_t i = 0; i < n; i++)
        x[i] = bf16(scale * ((double)(next(&seed) >> 40) / 8388608.0 - 1));
    return x;
}

int32_t *random_tokens(size_t n, size_t V, uint64_t seed)
{
    int32_t *x = pooled(n * sizeof *x);

    for (size_t i = 0; i < n; i++)
        x[i] = (int32_t)(next(&seed) % V);
    return x;
}

double difference(size_t n, const float *a, const double *b)
{
    double most = 0, largest = 0;

    for (size_t i = 0; i < n; i++) {
        if (isnan(a[i]) || isnan(b[i]))
            return INFINITY;
        most = fmax(most, fabs((double)a[i] - b[i]));
        largest = fmax(largest, fabs(b[i]));
    }
    return largest > 0 ? most / largest : most;
}

void assert_near(const char *what, size_t n, const float *a, const double *b, double most)
{
    const double is = difference(n, a, b);

    if (coarse && most < COARSE)
        most = COARSE;
    if (!(is <= most))
        ck_abort_msg("%s: differs by %.3g of the largest value, allowed are %.3g", what, is, most);
}

float *zeros(struct sru_dev *dev, size_t n)
{
    return keep(dev->ops->alloc(dev, n * sizeof(float)), dev);
}

float *to_device(struct sru_dev *dev, const double *x, size_t n)
{
    float *host = malloc((n + 1) * sizeof *host), *p = zeros(dev, n);

    for (size_t i = 0; i < n; i++)
        host[i] = (float)x[i];
    dev->ops->put(dev, p, host, n * sizeof *host);
    free(host);
    return p;
}

int32_t *tokens_to_device(struct sru_dev *dev, const int32_t *x, size_t n)
{
    int32_t *p = keep(dev->ops->alloc(dev, n * sizeof *x), dev);

    dev->ops->put(dev, p, x, n * sizeof *x);
    return p;
}

struct sru_step *step_to_device(struct sru_dev *dev, struct sru_step step)
{
    struct sru_step *p = keep(dev->ops->alloc(dev, sizeof *p), dev);

    dev->ops->put(dev, p, &step, sizeof step);
    return p;
}

struct sru_gauge *gauge_to_device(struct sru_dev *dev, float clip)
{
    const struct sru_gauge gauge = { .clip = clip };
    struct sru_gauge *p = keep(dev->ops->alloc(dev, sizeof *p), dev);

    dev->ops->put(dev, p, &gauge, sizeof gauge);
    return p;
}

/* Fails where an operator did. */
static void assert_works(struct sru_dev *dev)
{
    struct sru_error err;

    ck_assert_msg(!dev->ops->sync(dev, &err), "%s", err.message);
}

float *from_device(struct sru_dev *dev, const float *p, size_t n)
{
    float *x = pooled(n * sizeof *x);

    dev->ops->get(dev, x, p, n * sizeof *x);
    assert_works(dev);
    return x;
}

struct sru_weight to_matrix(struct sru_dev *dev, const double *w, size_t in, size_t out, bool in_first, const double *grad)
{
    struct sru_weight m = { .w = to_device(dev, w, in * out), .g = grad ? to_device(dev, grad, in * out) : NULL };

    m.operand = keep(dev->ops->operand_open(dev, in, out, in_first, grad ? SRU_USE_TRAIN : SRU_USE_READ), dev);
    pieces->operand = true;
    dev->ops->prepare(dev, &m, 1);
    return m;
}

struct sru_rows padded(struct sru_dev *dev, const double *x, size_t B, size_t T, size_t cols, size_t pad)
{
    const size_t stride = T * cols + pad;
    float *host = malloc((B * stride + 1) * sizeof *host);
    struct sru_rows r = { keep(dev->ops->alloc(dev, B * stride * dev->act_bytes), dev), stride };

    for (size_t b = 0; b < B; b++) {
        for (size_t i = 0; i < T * cols; i++)
            host[b * stride + i] = x ? (float)x[b * T * cols + i] : NAN;
        for (size_t i = T * cols; i < stride; i++)
            host[b * stride + i] = PAD;
    }
    dev->ops->put_act(dev, r.p, host, B * stride);
    free(host);
    return r;
}

float *unpadded(struct sru_dev *dev, struct sru_rows r, size_t B, size_t T, size_t cols)
{
    float *host = malloc((B * r.stride + 1) * sizeof *host), *out = pooled(B * T * cols * sizeof *out);

    dev->ops->get_act(dev, host, r.p, B * r.stride);
    assert_works(dev);
    for (size_t b = 0; b < B; b++) {
        memcpy(out + b * T * cols, host + b * r.stride, T * cols * sizeof *out);
        for (size_t i = T * cols; i < r.stride; i++)
            ck_assert_msg(host[b * r.stride + i] == PAD, "an operator wrote between the streams' rows");
    }
    free(host);
    return out;
}

struct sru_vocab vocab_of(const char *text, size_t size)
{
    bool seen[256] = { false };

    sru_see_bytes(seen, text, size);
    return sru_vocab_of_bytes(seen);
}
