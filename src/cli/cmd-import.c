/* sru-lm import */
#include "config.h"

#include <math.h>
#include <stdio.h>

#include "src/cli/cli.h"
#include "src/model/import.h"
#include "src/text/prepared.h"

struct settings {
    const char *out, *data, *words;
    struct sru_import_settings import;
};

#define AT(member) offsetof(struct settings, member)
static const struct sru_option options[] = {
    { "out", 'o', SRU_OPT_STRING, "FILE", "The model file to write, such as model.safetensors.", AT(out), 0, 0 },
    { "data", 'd', SRU_OPT_STRING, "FILE", "The text that the model learnt, whose bytes, in ascending order, are its vocabulary; or a corpus from "
      "'sru-lm prepare'.", AT(data), 0, 0 },
    { "words", 'w', SRU_OPT_STRING, "FILE", "The vocabulary, a word a line, instead of --data.", AT(words), 0, 0 },
    { "heads", 0, SRU_OPT_SIZE, "N", "Attention heads (default: 1).", AT(import.heads), 1, 1073741824 },
    { "window", 0, SRU_OPT_SIZE, "N", "Positions that attention sees in evaluation and generation (default: 3072, of words 2560).", AT(import.window), 0,
      1073741824 },
    { "highway-bias", 0, SRU_OPT_DOUBLE, "X", "Bias that the highway's gate began with, on which --rescale models depend (default: -2).",
      AT(import.highway_bias), -100, 100 },
    { "dropout", 0, SRU_OPT_DOUBLE, "P", "Share of activations dropped, to note it in the model (default: 0).", AT(import.dropout), 0, 0.99 },
    { "attention-dropout", 0, SRU_OPT_DOUBLE, "P", "Likewise of attention (default: 0).", AT(import.attn_dropout), 0, 0.99 },
    { "embedding-dropout", 0, SRU_OPT_DOUBLE, "P", "Likewise of the adaptive embedding (default: 0).", AT(import.emb_dropout), 0, 0.99 },
    { "normalize-after", 0, SRU_OPT_FLAG, NULL, "Layers that normalise do so after them (default: no).", AT(import.normalize_after), 0, 0 },
};
static const struct sru_option_table table = { options, sizeof options / sizeof *options };

/* ---- The vocabulary -------------------------------------------------------------------------------- */

static sru_status vocab_of_text(struct sru_vocab *v, const char *path, struct sru_error *err)
{
    struct sru_text text;
    bool seen[256] = { false };
    const sru_status status = sru_text_open(&text, path, err);

    if (status)
        return status;
    sru_see_bytes(seen, text.data, text.size);
    *v = sru_vocab_of_bytes(seen);
    sru_text_close(&text);
    return SRU_OK;
}

static sru_status vocab_of_corpus(struct sru_vocab *v, const char *path, struct sru_error *err)
{
    const struct sru_sources from = { .path = { path } };
    struct sru_corpus c;
    const sru_status status = sru_corpus_open(&c, &from, NULL, err);

    if (status)
        return status;
    *v = c.vocab;
    c.vocab = (struct sru_vocab){ 0 };
    sru_corpus_close(&c);
    return SRU_OK;
}

static sru_status find_vocab(struct sru_vocab *v, const struct settings *s, size_t n, struct sru_error *err)
{
    const char *from = s->words ? s->words : s->data;
    const sru_status status = s->words                  ? sru_vocab_read(v, s->words, false, err)
                            : sru_is_prepared(s->data)  ? vocab_of_corpus(v, s->data, err)
                                                        : vocab_of_text(v, s->data, err);

    if (status || v->size == n)
        return status;
    return sru_fail(err, SRU_EFORMAT, "the model has %zu tokens, and %s has %zu different %ss: it is not what the model learnt", n, from, v->size,
                    sru_unit_name(v->unit));
}

/* ---- The command --------------------------------------------------------------------------------------- */

static sru_status convert(const struct sru_torch_file *f, const struct settings *s, struct sru_dev *dev, struct sru_error *err)
{
    struct sru_import_settings import = s->import;
    struct sru_config c;
    struct sru_lm lm = { .dev = NULL };
    struct sru_vocab v = { 0 };
    sru_status status;

    if (import.window == 0)
        import.window = sru_torch_find(f, "embedding_layer.weight") ? 3072 : 2560;
    if ((status = sru_import_config(f, &import, &c, err)) || (status = find_vocab(&v, s, c.vocab, err)))
        ;
    else if (!(status = sru_lm_open(&lm, &c, dev, SRU_USE_READ, err)) && !(status = sru_import_weights(f, &lm, err)))
        status = sru_model_save(s->out, &lm, &v, NULL, NULL, 0, err);
    if (!status)
        printf("wrote %s: %llu parameters, %zu layers, hidden size %zu, attention size %zu, %zu %ss\n", s->out, (unsigned long long)lm.params.count,
               c.depth, c.n_d, c.n_proj, c.vocab, sru_unit_name(v.unit));
    sru_lm_close(&lm);
    sru_vocab_close(&v);
    return status;
}

static int run(int argc, char **argv)
{
    struct settings s = { .import = { .heads = 1, .highway_bias = -2 } };
    struct sru_torch_file f;
    struct sru_error err;
    struct sru_dev *dev;
    int first;

    if (sru_options_parse(table, &s, NULL, argc, argv, &first, &err))
        return sru_usage(&sru_cmd_import, "%s", err.message);
    if (first + 1 != argc)
        return sru_usage(&sru_cmd_import, first == argc ? "FILE is missing: a PyTorch checkpoint" : "one FILE is enough");
    if (!s.out)
        return sru_usage(&sru_cmd_import, "--out FILE is missing");
    if (!s.data == !s.words)
        return sru_usage(&sru_cmd_import, "give --data or --words: a checkpoint does not say what its tokens are");
    sru_status status = sru_cpu_open(NULL, SRU_PRECISION_F32, &dev, &err);
    if (status)
        return sru_report_error(&err);
    if (!(status = sru_torch_open(&f, argv[first], &err))) {
        status = convert(&f, &s, dev, &err);
        sru_torch_close(&f);
    }
    sru_dev_close(dev);
    return status ? sru_report_error(&err) : SRU_EXIT_OK;
}

const struct sru_cmd sru_cmd_import = {
    .name = "import",
    .synopsis = "FILE --out MODEL --data TEXT [OPTION]...",
    .summary = "Make a model of a PyTorch checkpoint.",
    .description =
        "Read a checkpoint of the reference implementation, a state_dict saved by torch.save, and\n"
        "write it as a model. Nothing in it is run: its pickle is read by a machine that knows\n"
        "numbers, texts and tensors, and refuses all else.\n\n"
        "  sru-lm import enwik8.pt --data enwik8 --out enwik8.safetensors\n"
        "  sru-lm import wt103.pt --data wt103 --out wt103.safetensors",
    .table = &table,
    .run = run,
};
