/* PyTorch's files: models come through them unchanged, the reference's are read, and a hostile one gets an error and nothing else. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/model/import.h"
#include "tests/models.h"

/* ---- Models ----------------------------------------------------------------------------------------- */

static const struct sru_import_settings like_plain = { .heads = 1, .window = 9, .highway_bias = -2 };

/* A model to a file and back: the same configuration and weights. */
static void there_and_back(const struct sru_config *c)
{
    char path[] = "/tmp/check_torch.XXXXXX";
    struct sru_import_settings s = like_plain;
    struct sru_torch_file f;
    struct sru_config again;
    struct sru_lm a, b;
    struct sru_dev *dev;
    struct sru_error err;

    s.heads = c->heads, s.window = c->window, s.normalize_after = c->normalize_after;
    close(mkstemp(path));
    ck_assert(!sru_cpu_open(NULL, SRU_PRECISION_F32, &dev, NULL));
    open_model(&a, c, dev, SRU_USE_READ);
    ck_assert_msg(!sru_export(&a, path, &err), "%s", err.message);
    ck_assert_msg(!sru_torch_open(&f, path, &err), "%s", err.message);
    ck_assert_msg(!sru_import_config(&f, &s, &again, &err), "%s", err.message);
    ck_assert(again.n_d == c->n_d && again.n_proj == c->n_proj && again.vocab == c->vocab && again.depth == c->depth && again.n_e == c->n_e
              && again.tie_projs == c->tie_projs && again.rescale == c->rescale && again.n_cutoffs == c->n_cutoffs);
    for (size_t i = 0; i < c->depth; i++)
        ck_assert(sru_config_attends(c, i) == sru_config_attends(&again, i));
    ck_assert(!sru_lm_open(&b, &again, dev, SRU_USE_READ, NULL));
    ck_assert_msg(!sru_import_weights(&f, &b, &err), "%s", err.message);
    ck_assert_uint_eq(a.params.arena, b.params.arena);
    ck_assert_mem_eq(a.w, b.w, a.params.arena * sizeof(float));
    sru_torch_close(&f);
    unlink(path);
    sru_lm_close(&a), sru_lm_close(&b);
    close_kernels(dev);
}

START_TEST(models_come_back)
{
    const struct sru_config c = model_variant(_i);

    there_and_back(&c);
}
END_TEST

/* The reference's own files: its numbers stand in a safetensors file of the same name. */
static void compare(const char *folder, const char *name)
{
    char path[4200];
    struct sru_torch_file f;
    struct sru_st_file theirs;
    struct sru_config c;
    struct sru_lm lm;
    struct sru_dev *dev;
    struct sru_error err;

    snprintf(path, sizeof path, "%s/%s.pt", folder, name);
    ck_assert_msg(!sru_torch_open(&f, path, &err), "%s", err.message);
    ck_assert_msg(!sru_import_config(&f, &like_plain, &c, &err), "%s", err.message);
    ck_assert(!sru_cpu_open(NULL, SRU_PRECISION_F32, &dev, NULL) && !sru_lm_open(&lm, &c, dev, SRU_USE_READ, NULL));
    ck_assert_msg(!sru_import_weights(&f, &lm, &err), "%s", err.message);
    snprintf(path, sizeof path, "%s/%s.safetensors", folder, name);
    ck_assert(!sru_st_open(path, &theirs, &err));
    for (size_t i = 0; i < lm.params.n_tensors; i++) {
        const struct sru_tensor *t = &lm.params.tensors[i];
        float *ours = pooled(t->count * sizeof *ours), *values = pooled(t->count * sizeof *values);

        snprintf(path, sizeof path, "param.%s", t->name);
        ck_assert_msg(!sru_st_read_as(&theirs, path, "F32", t->rank, t->shape, values, &err), "%s", err.message);
        sru_tensor_to_file(t, lm.w, ours);
        ck_assert_mem_eq(ours, values, t->count * sizeof *ours);
    }
    sru_st_close(&theirs);
    sru_torch_close(&f);
    sru_lm_close(&lm);
    close_kernels(dev);
}

START_TEST(the_references)
{
    const char *given = getenv("SRU_FIXTURES"), *source = getenv("srcdir");
    char folder[4096];
    struct stat st;

    if (given)
        snprintf(folder, sizeof folder, "%s", given);
    else
        snprintf(folder, sizeof folder, "%s/../shared/fixtures", source ? source : ".");
    if (stat(folder, &st)) {
        printf("SKIP: no fixtures in %s\n", folder);
        return;
    }
    compare(folder, "base");
    compare(folder, "adaptive-tied");
}
END_TEST

/* What shares a tensor here has to be equal there, and nothing is passed over. */
START_TEST(wrong_models)
{
    static const float one[40 * 24] = { 0.5f }, other[40 * 24] = { 0.25f };
    struct sru_torch_tensor extra[] = { { "rnn.rnn_lst.0.weight_c", 1, { 80 }, one }, { "strange", 2, { 3, 4 }, other } };
    char path[] = "/tmp/check_torch.XXXXXX";
    struct sru_torch_file f;
    struct sru_config again;
    struct sru_error err;

    close(mkstemp(path));
    ck_assert(!sru_torch_write(path, extra, 2, &err) && !sru_torch_open(&f, path, &err));
    ck_assert(sru_torch_find(&f, "strange") && sru_torch_find(&f, "strange")->shape[1] == 4 && !sru_torch_find(&f, "nothing"));
    ck_assert_int_eq(sru_import_config(&f, &like_plain, &again, &err), SRU_EFORMAT);
    sru_torch_close(&f);
    ck_assert_int_eq(sru_torch_open(&f, "/nowhere", &err), SRU_EIO);
    ck_assert_int_eq(truncate(path, 100), 0);
    ck_assert_int_eq(sru_torch_open(&f, path, &err), SRU_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.message, "zip"));
    unlink(path);
}
END_TEST

/* ---- Pickles ------------------------------------------------------------------------------------------ */

#define TENSOR(shape, stride) "ctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" "0X\3\0\0\0cpuK\6tQK\0" shape stride \
                              "\x89" "ccollections\nOrderedDict\n)RtR"
#define PICKLE(text) (const unsigned char *)text, sizeof text - 1

static sru_status parse(const unsigned char *data, size_t size, struct sru_pt_tensors *t, struct sru_error *err)
{
    unsigned char *copy = malloc(size + 1);   /* so that sanitizers see its end */

    memcpy(copy, data, size);
    const sru_status status = sru_pickle_tensors(copy, size, "x.pt", t, err);
    free(copy);
    return status;
}

START_TEST(pickles)
{
    static const char good[] = "\x80\2}(X\1\0\0\0a" TENSOR("K\2K\3\x86", "K\3K\1\x86") "X\1\0\0\0b" TENSOR("K\6\x85", "K\1\x85") "u.";
    struct sru_pt_tensors t;
    struct sru_error err;

    ck_assert_msg(!parse(PICKLE(good), &t, &err), "%s", err.message);
    ck_assert(t.n == 2 && strcmp(t.items[0].name, "a") == 0 && t.items[0].rank == 2 && t.items[0].shape[1] == 3 && t.items[0].numel == 6);
    ck_assert(strcmp(t.items[1].storage, "0") == 0 && strcmp(t.items[1].dtype, "F32") == 0);
    sru_pt_tensors_close(&t);
    for (size_t n = 0; n < sizeof good - 1; n++)   /* cut anywhere */
        ck_assert_int_eq(parse((const unsigned char *)good, n, &t, &err), SRU_EFORMAT);
}
END_TEST

START_TEST(hostile_pickles)
{
    static const struct { const unsigned char *data; size_t size; const char *says; } bad[] = {
        { PICKLE("\x80\2cos\nsystem\nX\4\0\0\0true\x85R."), "os.system" },
        { PICKLE("\x80\2cbuiltins\neval\n."), "builtins.eval" },
        { PICKLE("\x80\4}."), "protocol" },
        { PICKLE("\x80\2ctorch\nFloatStorage\n)R."), "called" },
        { PICKLE("\x80\2ccollections\nOrderedDict\nK\1\x85R."), "called" },
        { PICKLE("\x80\2}."), "no tensors" },
        { PICKLE("\x80\2}X\1\0\0\0aK\1s."), "not a tensor" },
        { PICKLE("\x80\2}X\1\0\0\0a" TENSOR("K\3K\3\x86", "K\3K\1\x86") "s."), "larger than its storage" },
        { PICKLE("\x80\2}X\1\0\0\0a" TENSOR("K\2K\3\x86", "J\377\377\377\377K\1\x86") "s."), "tensor" },
        { PICKLE("\x80\2X\377\377\377\377a."), "longer" },
        { PICKLE("\x80\2h\7."), "kept" },
        { PICKLE("\x80\2Nr\377\377\377\377."), "keep" },
        { PICKLE("\x80\2(((tttt."), "mark" },
        { PICKLE("\x80\2R."), "left to take" },
        { PICKLE("\x80\2i."), "operation" },
    };
    struct sru_pt_tensors t;
    struct sru_error err;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(parse(bad[i].data, bad[i].size, &t, &err), SRU_EFORMAT);
        ck_assert_msg(strstr(err.message, bad[i].says) != NULL, "%zu: '%s' does not say '%s'", i, err.message, bad[i].says);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("torch");
    TCase *t = tcase_create("torch");

    tcase_add_loop_test(t, models_come_back, 0, VARIANTS);
    tcase_add_test(t, the_references);
    tcase_add_test(t, wrong_models);
    tcase_add_test(t, pickles);
    tcase_add_test(t, hostile_pickles);
    suite_add_tcase(s, t);
    return run_suite(s);
}
