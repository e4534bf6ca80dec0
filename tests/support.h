/* What the test programs share: libcheck's runner, random arrays, comparison, device buffers. */
#ifndef SRU_TESTS_SUPPORT_H
#define SRU_TESTS_SUPPORT_H

#include <check.h>
#include <stdlib.h>

#include "src/io/safetensors.h"
#include "src/ops.h"
#include "src/text/vocab.h"

/* Run one suite; the exit code of the program. */
int run_suite(Suite *s);

/* The kernels of this build: the processor's instruction sets, which are n_cpu_kernels, and then "cuda" where it has it. */
extern const char *const all_kernels[];
extern const size_t n_cpu_kernels, n_all_kernels;
/*
 * A device with kernels i in single precision, or NULL (after a line on stderr) where this machine lacks them.  $SRU_TEST_DEVICES
 * "cpu" or "cuda" leaves out the others.
 */
struct sru_dev *open_kernels(int i);
/* Device i of as many as n_all_devices: every set of kernels, in single precision and in bf16; the processor's come first. */
extern const size_t n_cpu_devices, n_all_devices;
struct sru_dev *open_device(int i);
/* The GPU where only "cuda" is to be tested, else the processor's best set, in single precision; there is one. */
struct sru_dev *open_best(void);

#ifdef SRU_HAVE_ONEDNN
/* Whether oneDNN multiplies by AVX-512 here, and with `bf16` by its products of bf16. */
bool onednn_has_avx512(bool bf16);
#endif

/*
 * Memory of the test's: every array that the functions below return.  It is never freed by hand, but all of it when the
 * device is closed by close_kernels, or by free_all.
 */
void *pooled(size_t bytes);
void free_all(void);
void close_kernels(struct sru_dev *dev);

/* PyTorch's optimizers (../shared/optimizers), or false after a line that says SKIP. */
bool open_optimizers(struct sru_st_file *f);

/* n numbers uniform in [-scale, scale), exact in bf16; the same for the same seed. */
double *random_array(size_t n, double scale, uint64_t seed);
int32_t *random_tokens(size_t n, size_t V, uint64_t seed);

/* The largest |a - b| over the largest |b|; NaN counts as infinite. */
double difference(size_t n, const float *a, const double *b);
/* Fails the test where that is above `most`, or, with a bf16 device open, above what its roundings explain. */
void assert_near(const char *what, size_t n, const float *a, const double *b, double most);

/* A matrix [out,in], or with in_first [in,out], ready for products, and its gradient's first value (or NULL). */
struct sru_weight to_matrix(struct sru_dev *dev, const double *w, size_t in, size_t out, bool in_first, const double *grad);

/* Arrays on the device: f32, and token numbers. */
float *to_device(struct sru_dev *dev, const double *x, size_t n);
float *zeros(struct sru_dev *dev, size_t n);
int32_t *tokens_to_device(struct sru_dev *dev, const int32_t *x, size_t n);
/* The same of a step, and of a gauge with that factor of the gradient. */
struct sru_step *step_to_device(struct sru_dev *dev, struct sru_step step);
struct sru_gauge *gauge_to_device(struct sru_dev *dev, float clip);
/* The host's copy of an f32 array on the device; fails where the device did. */
float *from_device(struct sru_dev *dev, const float *p, size_t n);

/*
 * Rows [B][T][cols] on the device with `pad` floats between the streams, which must stay as they are.
 * x NULL: the rows hold NaN, to be overwritten.
 */
struct sru_rows padded(struct sru_dev *dev, const double *x, size_t B, size_t T, size_t cols, size_t pad);
/* The rows as a dense array; fails where a pad was written to. */
float *unpadded(struct sru_dev *dev, struct sru_rows r, size_t B, size_t T, size_t cols);

/* The vocabulary of a text's bytes. */
struct sru_vocab vocab_of(const char *text, size_t size);

#endif
