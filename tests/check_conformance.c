/*
 * The model against the reference implementation's numbers: every full-softmax file of the folder in SRU_FIXTURES, or of
 * ../shared/fixtures.  Arrays of the files are position-major [T,B], ours are stream-major.
 */
#include "config.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/io/safetensors.h"
#include "src/model/lm.h"
#include "tests/support.h"

#define VALUES 2e-5      /* allowed difference, of the largest absolute value of the tensor */
#define GRADIENTS 2e-4   /* of the largest in any segment: a small gradient's rounding is its terms', not its own */
#define IN_BF16   2e-2   /* of either, where activations and operands have 8 bits; twice for a single number's gradient, whose terms cancel */

static char folder[4096];

struct fixture {
    struct sru_st_file file;
    struct sru_config config;
    size_t T, B, segments;
    bool   eval;
    json_t *json;
};

static size_t number(const struct fixture *x, const char *key)
{
    return (size_t)json_integer_value(json_object_get(x->json, key));
}

static bool flag(const struct fixture *x, const char *key)
{
    return json_is_true(json_object_get(x->json, key));
}

static double real(const struct fixture *x, const char *key)
{
    return json_number_value(json_object_get(x->json, key));
}

static void read_adaptive(struct fixture *x)
{
    const json_t *cutoffs = json_object_get(x->json, "cutoffs");

    x->config.n_e = number(x, "n_e"), x->config.div_val = number(x, "div_val"), x->config.n_cutoffs = json_array_size(cutoffs);
    for (size_t i = 0; i < x->config.n_cutoffs; i++)
        x->config.cutoffs[i] = (size_t)json_integer_value(json_array_get(cutoffs, i));
    x->config.tie_projs = flag(x, "tie_projs"), x->config.emb_dropout = real(x, "emb_dropout");
}

static void open_fixture(struct fixture *x, const char *path)
{
    struct sru_error err;

    ck_assert_msg(!sru_st_open(path, &x->file, &err), "%s", err.message);
    x->json = json_loads(sru_st_metadata(&x->file, "config"), 0, NULL);
    ck_assert_ptr_nonnull(x->json);
    const json_int_t last = json_integer_value(json_object_get(x->json, "last"));
    x->T = number(x, "T"), x->B = number(x, "B"), x->segments = number(x, "segments");
    x->eval = strcmp(sru_st_metadata(&x->file, "mode"), "eval") == 0;
    x->config = (struct sru_config){
        .vocab = number(x, "vocab"), .n_d = number(x, "n_d"), .n_proj = number(x, "n_proj"), .depth = number(x, "depth"),
        .heads = number(x, "heads"), .attn_every_n_layers = number(x, "every"), .attn_last_n_layers = last < 0 ? 0 : (size_t)last,
        .layer_norm = flag(x, "layer_norm"), .normalize_after = flag(x, "normalize_after"),
        .attn_layer_norm = flag(x, "attn_layer_norm"), .rescale = flag(x, "rescale"), .highway_bias = real(x, "highway_bias"),
        .dropout = real(x, "dropout"), .attn_dropout = real(x, "attn_dropout"), .window = number(x, "T"),
    };
    if (strcmp(json_string_value(json_object_get(x->json, "softmax")), "adaptive") == 0)
        read_adaptive(x);
    ck_assert_msg(!sru_config_check(&x->config, &err), "%s: %s", path, err.message);
}

/* A tensor's numbers as doubles, and their count; NULL where the file has none of that name. */
static double *load(const struct fixture *x, const char *name, size_t *n)
{
    const struct sru_st_entry *e = sru_st_find(&x->file, name);

    if (!e)
        return NULL;
    *n = 1;
    for (size_t i = 0; i < e->rank; i++)
        *n *= e->shape[i];
    void *raw = malloc(*n * 8);
    double *out = malloc(*n * sizeof *out);
    ck_assert(!sru_st_read(&x->file, e, raw, (size_t)(e->end - e->begin), NULL));
    for (size_t i = 0; i < *n; i++)
        out[i] = strcmp(e->dtype, "F64") == 0 ? ((double *)raw)[i]
            : strcmp(e->dtype, "F32") == 0    ? (double)((float *)raw)[i]
                                              : (double)((int64_t *)raw)[i];
    free(raw);
    return out;
}

/* [T,B,cols] to [B,T,cols]. */
static double *turn(const struct fixture *x, double *in, size_t n)
{
    const size_t cols = n / x->T / x->B;
    double *out = malloc(n * sizeof *out);

    for (size_t t = 0; t < x->T; t++)
        for (size_t b = 0; b < x->B; b++)
            memcpy(out + (b * x->T + t) * cols, in + (t * x->B + b) * cols, cols * sizeof *out);
    free(in);
    return out;
}

static double *load_segment(const struct fixture *x, size_t s, const char *what, size_t *n)
{
    char name[128];

    snprintf(name, sizeof name, "seg%zu.%s", s, what);
    double *a = load(x, name, n);
    ck_assert_msg(a != NULL, "%s has no %s", x->file.path, name);
    return turn(x, a, *n);
}

static void compare(const struct fixture *x, size_t s, const char *what, size_t n, const float *ours, const double *theirs)
{
    char label[4300];

    snprintf(label, sizeof label, "%s, segment %zu, %s", x->file.path, s, what);
    assert_near(label, n, ours, theirs, VALUES);
}

/* ---- Masks ------------------------------------------------------------------------------------------- */

enum kind { ROWS, STREAMS, SCORES };

/* A mask of the file as the operators take it, or NULL. */
static const float *mask(const struct fixture *x, struct sru_dev *dev, size_t s, const char *site, enum kind kind)
{
    char name[128];
    size_t n;

    snprintf(name, sizeof name, "mask.seg%zu.%s", s, site);
    double *a = load(x, name, &n);
    if (!a)
        return NULL;
    if (kind == ROWS)
        a = turn(x, a, n);
    if (kind == SCORES) {   /* keys of a memory that does not exist yet are not in the file */
        const size_t rows = x->B * x->config.heads * x->T, keys = n / rows, all = 2 * x->T;
        double *wide = calloc(rows * all, sizeof *wide);

        for (size_t r = 0; r < rows; r++)
            memcpy(wide + r * all + all - keys, a + r * keys, keys * sizeof *wide);
        free(a);
        a = wide, n = rows * all;
    }
    const float *out = to_device(dev, a, n);
    free(a);
    return out;
}

static struct sru_given masks(const struct fixture *x, struct sru_dev *dev, size_t s)
{
    struct sru_given g = { .embed = mask(x, dev, s, "embedding", ROWS), .output = mask(x, dev, s, "output", ROWS) };

    for (size_t i = 0; i < x->config.depth; i++) {
        char site[64];

        snprintf(site, sizeof site, "layer%zu.attention", i);
        g.layer[i].attend = mask(x, dev, s, site, SCORES);
        snprintf(site, sizeof site, "layer%zu.projection", i);
        g.layer[i].project = mask(x, dev, s, site, ROWS);
        snprintf(site, sizeof site, "layer%zu.highway", i);
        g.layer[i].highway = mask(x, dev, s, site, STREAMS);
    }
    return g;
}

/* ---- Runs ---------------------------------------------------------------------------------------------- */

static void load_weights(const struct fixture *x, struct sru_lm *lm)
{
    float *arena = pooled(lm->params.arena * sizeof *arena);

    for (size_t i = 0; i < lm->params.n_tensors; i++) {
        const struct sru_tensor *t = &lm->params.tensors[i];
        float *values = malloc(t->count * sizeof *values);
        char name[128];

        snprintf(name, sizeof name, "param.%s", t->name);
        ck_assert_msg(!sru_st_read_as(&x->file, name, "F32", t->rank, t->shape, values, NULL), "%s: %s", x->file.path, name);
        sru_tensor_from_file(t, arena, values);
        free(values);
    }
    lm->dev->ops->put(lm->dev, lm->w, arena, lm->params.arena * sizeof *arena);
    lm->prepared = false;
}

static double allowed(const struct sru_lm *lm, const struct sru_tensor *t)
{
    if (lm->dev->act_bytes > 2)
        return GRADIENTS;
    return t->count == 1 ? 2 * IN_BF16 : IN_BF16;
}

static void check_gradients(const struct fixture *x, const struct sru_lm *lm, size_t s)
{
    const float *g = from_device(lm->dev, lm->g, lm->params.arena);

    for (size_t i = 0; i < lm->params.n_tensors; i++) {
        const struct sru_tensor *t = &lm->params.tensors[i];
        float *ours = malloc(t->count * sizeof *ours);
        double largest = 0, most = 0;
        char name[128];
        size_t n;

        sru_tensor_to_file(t, g, ours);
        for (size_t k = 0; k < x->segments; k++) {
            snprintf(name, sizeof name, "seg%zu.grad.%s", k, t->name);
            double *theirs = load(x, name, &n);
            ck_assert_msg(theirs && n == t->count, "%s: %s", x->file.path, name);
            for (size_t j = 0; j < n; j++) {
                largest = fmax(largest, fabs(theirs[j]));
                if (k == s)
                    most = fmax(most, isfinite(ours[j]) ? fabs(theirs[j] - (double)ours[j]) : INFINITY);
            }
            free(theirs);
        }
        ck_assert_msg(most <= allowed(lm, t) * largest, "%s, segment %zu, gradient of %s: differs by %.3g of %.3g", x->file.path, s,
                      t->name, most, largest);
        free(ours);
    }
}

static void check_segment(const struct fixture *x, struct sru_net *net, size_t s, const double *tokens)
{
    const size_t T = x->T, B = x->B, N = T * B, d = x->config.n_d;
    int32_t *in = malloc(N * sizeof *in), *next = malloc(N * sizeof *next);
    float *nll = malloc(N * sizeof *nll);
    double *theirs, *states;
    size_t n;
    struct sru_dev *dev = net->lm->dev;
    const struct sru_given given = masks(x, dev, s);

    for (size_t b = 0; b < B; b++)
        for (size_t t = 0; t < T; t++) {
            in[b * T + t] = (int32_t)tokens[(s * T + t) * B + b];
            next[b * T + t] = (int32_t)tokens[(s * T + t + 1) * B + b];
        }
    net->given = &given;
    if (x->eval)
        ck_assert(!sru_net_read(net, T, in, next, nll, NULL));
    else
        ck_assert(!sru_net_train(net, in, next, 1.0f / (float)N, nll, NULL));
    compare(x, s, "nll", N, nll, theirs = load_segment(x, s, "nll", &n)), free(theirs);
    if (x->config.n_e == 0) {
        const float *logits = from_device(dev, net->logits, N * x->config.vocab);
        compare(x, s, "logits", N * x->config.vocab, logits, theirs = load_segment(x, s, "logits", &n)), free(theirs);
    }
    const float *h = unpadded(dev, (struct sru_rows){ net->out, T * d }, B, T, d);
    compare(x, s, "h", N * d, h, theirs = load_segment(x, s, "h", &n)), free(theirs);
    char name[32];
    snprintf(name, sizeof name, "seg%zu.c", s);
    ck_assert_ptr_nonnull(states = load(x, name, &n));
    for (size_t i = 0; i < x->config.depth; i++)
        compare(x, s, "c", B * d, from_device(dev, net->layers[i].c1, B * d), states + i * B * d);
    if (!x->eval)
        check_gradients(x, net->lm, s);
    free(states), free(in), free(next), free(nll);
}

static void run_fixture(const struct fixture *x, struct sru_dev *dev)
{
    struct sru_error err;
    struct sru_lm lm;
    struct sru_net net;
    size_t n;
    double *tokens = load(x, "tokens", &n);

    ck_assert_msg(!sru_lm_open(&lm, &x->config, dev, SRU_USE_TRAIN, &err), "%s", err.message);
    char count[32];
    snprintf(count, sizeof count, "%llu", (unsigned long long)lm.params.count);
    ck_assert_str_eq(sru_st_metadata(&x->file, "params"), count);
    load_weights(x, &lm);
    ck_assert_msg(!sru_net_open(&net, &lm, x->B, x->T, x->T, !x->eval, x->config.n_e == 0, &err), "%s", err.message);
    sru_net_reset(&net);
    for (size_t s = 0; s < x->segments; s++)
        check_segment(x, &net, s, tokens);
    free(tokens);
    sru_net_close(&net);
    sru_lm_close(&lm);
}

static int is_fixture(const struct dirent *e)
{
    const char *dot = strrchr(e->d_name, '.');

    return dot && strcmp(dot, ".safetensors") == 0;
}

START_TEST(fixtures)
{
    struct sru_dev *dev = open_device(_i);
    struct dirent **list;
    const int n = scandir(folder, &list, is_fixture, alphasort);
    int ran = 0;

    if (!dev)
        return;
    for (int i = 0; i < n; i++) {
        struct fixture x;
        char path[5000];

        snprintf(path, sizeof path, "%s/%s", folder, list[i]->d_name);
        open_fixture(&x, path);
        run_fixture(&x, dev);
        ran++;
        json_decref(x.json);
        sru_st_close(&x.file);
        free(list[i]);
    }
    free(list);
    printf("%s, %s: %d files of %s agree\n", all_kernels[_i / 2], dev->act_bytes == 2 ? "bf16" : "f32", ran, folder);
    fflush(stdout);
    ck_assert_int_gt(ran, 0);
    close_kernels(dev);
}
END_TEST

int main(void)
{
    const char *given = getenv("SRU_FIXTURES"), *source = getenv("srcdir");
    DIR *d;

    if (given)
        snprintf(folder, sizeof folder, "%s", given);
    else
        snprintf(folder, sizeof folder, "%s/../shared/fixtures", source ? source : ".");
    if (!(d = opendir(folder))) {
        printf("SKIP: no fixtures in %s\n", folder);
        return 77;
    }
    closedir(d);
    Suite *s = suite_create("conformance");
    TCase *t = tcase_create("conformance");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, fixtures, 0, (int)n_all_devices);
    suite_add_tcase(s, t);
    return run_suite(s);
}
