/* The options of `sru-lm train`: see train-options.h. */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/train-options.h"
#include "src/train/checkpoint.h"
#include "src/train/directory.h"

#define AT(member) offsetof(struct sru_train_options, member)
#define MANY 1073741824.0   /* of anything counted */

static const struct sru_option options[] = {
    { "data", 'd', SRU_OPT_STRING, "FILE", "The text to learn: a file of any bytes, or a corpus from 'sru-lm prepare'.", AT(data), 0, 0 },
    { "out", 'o', SRU_OPT_STRING, "DIR", "Directory of the run, made where it is missing (default: sru-run).", AT(out), 0, 0 },
    { "resume", 'r', SRU_OPT_FLAG, NULL, "Go on with the run in --out.", AT(resume), 0, 0 },
    { "preset", 'p', SRU_OPT_STRING, "NAME", "Sizes and rates to begin with: tiny (about 1 million parameters), small (5), medium (20) or "
      "large (48, for a GPU); or one of the paper's systems, for a large GPU: enwik8-base, enwik8-large, enwik8-large-r8, wt103-base, wt103-large, "
      "wt103-large-r8, wt103-large-r8-k5, lm1b-base, lm1b-large-k5 (default: tiny).", AT(preset), 0, 0 },
    { "time", 't', SRU_OPT_DURATION, "TIME", "Length of the run, such as 90s, 10m or 2h (default: 10m).", AT(time), 0, HUGE_VAL },
    { "steps", 'n', SRU_OPT_UINT64, "N", "Length of the run in steps, instead of --time.", AT(steps), 0, 1e15 },
    { "stop-at", 0, SRU_OPT_UINT64, "N", "Save and end this session after step N of the run, to resume it later.", AT(stop_at), 0, 1e15 },
    { "seed", 's', SRU_OPT_UINT64, "N", "Seed of the first weights and of dropout (default: 1).", AT(seed), 0, 0 },
    { "valid", 0, SRU_OPT_STRING, "FILE", "The text to evaluate on (default: a part of --data).", AT(valid), 0, 0 },
    { "test", 0, SRU_OPT_STRING, "FILE", "A text for a last evaluation; needs --valid.", AT(test), 0, 0 },
    { "split", 0, SRU_OPT_STRING, "A/B/C", "Percent of --data to train on, to evaluate on and to test with; or A/B (default: 90/5/5).",
      AT(split), 0, 0 },
    { "tokens", 0, SRU_OPT_STRING, "UNIT", "What the model reads and predicts: bytes, or words between white space (default: bytes).",
      AT(tokens), 0, 0 },
    SRU_WORDS_OPTIONS(struct sru_train_options, tokenizing),

    { "hidden", 0, SRU_OPT_SIZE, "N", "Hidden size d.", AT(config.n_d), 1, MANY },
    { "projection", 0, SRU_OPT_SIZE, "N", "Attention size p.", AT(config.n_proj), 1, MANY },
    { "layers", 0, SRU_OPT_SIZE, "N", "Layers.", AT(config.depth), 1, 10000 },
    { "heads", 0, SRU_OPT_SIZE, "N", "Attention heads; they divide p (default: 1).", AT(config.heads), 1, MANY },
    { "attention-every", 0, SRU_OPT_SIZE, "N", "Attention in every Nth layer (default: 1).", AT(config.attn_every_n_layers), 1, MANY },
    { "attention-last", 0, SRU_OPT_SIZE, "N", "Attention in the last N layers alone; 0: as --attention-every says (default: 0).",
      AT(config.attn_last_n_layers), 0, MANY },
    { "attention-norm", 0, SRU_OPT_FLAG, NULL, "Normalise what attention gives (default: yes).", AT(config.attn_layer_norm), 0, 0 },
    { "layer-norm", 0, SRU_OPT_FLAG, NULL, "Normalise the input of every layer (default: no).", AT(config.layer_norm), 0, 0 },
    { "normalize-after", 0, SRU_OPT_FLAG, NULL, "With --layer-norm: normalise its output instead (default: no).",
      AT(config.normalize_after), 0, 0 },
    { "rescale", 0, SRU_OPT_FLAG, NULL, "Scale the highway's input by the size of its bias (default: no).", AT(config.rescale), 0, 0 },
    { "highway-bias", 0, SRU_OPT_DOUBLE, "X", "First bias of the highway's gate (default: -2).", AT(config.highway_bias), -100, 100 },
    { "window", 0, SRU_OPT_SIZE, "N", "Positions that attention sees in evaluation and generation (default: twice --unroll, "
      "or the paper's).",
      AT(config.window), 0, MANY },

    { "cutoffs", 0, SRU_OPT_STRING, "N,...", "Adaptive embedding and softmax: the words before each cutoff and after the one before share "
      "a table, smaller for rarer ones; 'none', or 'auto': of words 2000,20000,100000, as far as there are more (default: auto).", AT(cutoffs), 0, 0 },
    { "embedding", 0, SRU_OPT_SIZE, "N", "With cutoffs: embedding size of the most frequent words; 0: the hidden size (default: 0).",
      AT(config.n_e), 0, MANY },
    { "divide", 0, SRU_OPT_SIZE, "N", "With cutoffs: by how much each table's embeddings are smaller than those before (default: 4).",
      AT(config.div_val), 1, MANY },
    { "tie", 0, SRU_OPT_FLAG, NULL, "With cutoffs: the softmax shares the embedding's projections too (default: no).", AT(config.tie_projs), 0, 0 },
    { "embedding-dropout", 0, SRU_OPT_DOUBLE, "P", "With cutoffs: share of the embedding dropped (default: 0).", AT(config.emb_dropout), 0, 0.99 },

    { "batch", 'b', SRU_OPT_SIZE, "N", "Streams B read side by side.", AT(batch), 1, MANY },
    { "unroll", 'u', SRU_OPT_SIZE, "N", "Positions T of a step; as many before them are remembered.", AT(unroll), 1, MANY },
    { "dropout", 0, SRU_OPT_DOUBLE, "P", "Share of activations dropped.", AT(config.dropout), 0, 0.99 },
    { "attention-dropout", 0, SRU_OPT_DOUBLE, "P", "Share of attention dropped.", AT(config.attn_dropout), 0, 0.99 },
    { "optimizer", 0, SRU_OPT_STRING, "NAME", "adamw, muon or radam (default: the preset's).", AT(optimizer), 0, 0 },
    { "lr", 0, SRU_OPT_DOUBLE, "X", "Largest learning rate; a cosine takes it to 0.", AT(lr), 0, HUGE_VAL },
    { "muon-lr", 0, SRU_OPT_DOUBLE, "X", "With --optimizer muon: the same for the layers' matrices (default: 0.02; large 0.01).", AT(muon_lr), 0,
      HUGE_VAL },
    { "warmup", 0, SRU_OPT_DOUBLE, "X", "Share of the run over which the rate rises (default: 0.06, or 16,000 of the paper's steps).", AT(warmup), 0, 1 },
    { "weight-decay", 0, SRU_OPT_DOUBLE, "X", "Decoupled weight decay (default: 0.1).", AT(weight_decay), 0, HUGE_VAL },
    { "beta1", 0, SRU_OPT_DOUBLE, "X", "Decay of the first moment (default: 0.9).", AT(beta1), 0, 0.9999999 },
    { "beta2", 0, SRU_OPT_DOUBLE, "X", "Decay of the second moment; 0: the optimizer's usual one, 0.999 for radam and 0.95 for the others "
      "(default: 0).", AT(beta2), 0, 0.9999999 },
    { "eps", 0, SRU_OPT_DOUBLE, "X", "What keeps the optimizer from dividing by 0 (default: 1e-8).", AT(eps), 1e-30, 1 },
    { "clip", 0, SRU_OPT_DOUBLE, "X", "Largest norm of the gradient; 0: any (default: 1).", AT(clip), 0, HUGE_VAL },
    { "evals", 0, SRU_OPT_SIZE, "N", "Evaluations over the run, evenly spaced (default: 10).", AT(evaluations), 1, MANY },
    { "log-every", 0, SRU_OPT_SIZE, "N", "Steps between records of metrics.jsonl (default: 50).", AT(log_every), 1, MANY },
    { "save-every", 0, SRU_OPT_DURATION, "TIME", "Time between checkpoints besides those of evaluations (default: 5m).",
      AT(save_every), 0, HUGE_VAL },
    SRU_DEVICE_OPTIONS(struct sru_train_options, device),
};
const struct sru_option_table sru_train_table = { options, sizeof options / sizeof *options };

/* Without the device's, which are a session's own. */
static const struct sru_option_table run_table = { options, sizeof options / sizeof *options - 4 };

/* What a session may choose anew; all else is the run's for good. */
static const char *const per_session[] = { "out", "resume", "data", "valid", "test", "time", "steps", "stop-at", "evals", "log-every",
                                           "save-every", "device", "cpu", "precision", "threads" };

sru_status sru_train_optimizer(const char *name, struct sru_optimizer *o, struct sru_error *err)
{
    return sru_optimizer_parse(name, o) ? SRU_OK
        : sru_fail(err, SRU_EINVAL, "option '--optimizer': '%.40s' is none: give adamw, muon or radam", name);
}

/* ---- The command line ------------------------------------------------------------------------------- */

/* The settings in the checkpoint of the run in `out`. */
static sru_status stored_settings(const char *out, json_t **settings, struct sru_error *err)
{
    struct sru_model_file f;
    char path[4096];

    if (snprintf(path, sizeof path, "%s/" SRU_LAST_NAME, out) >= (int)sizeof path)
        return sru_fail(err, SRU_EIO, "the name of the directory is too long: %.80s...", out);
    const sru_status status = sru_model_file_open(&f, path, err);
    if (status)
        return status;
    *settings = json_deep_copy(sru_checkpoint_settings(&f));
    sru_model_file_close(&f);
    return *settings ? SRU_OK : sru_fail(err, SRU_EFORMAT, "%s holds a model, but no run to resume", path);
}

static sru_status check_given(const bool *set, struct sru_error *err)
{
    for (size_t i = 0; i < sru_train_table.n; i++) {
        bool ok = !set[i];

        for (size_t k = 0; k < sizeof per_session / sizeof *per_session; k++)
            ok = ok || strcmp(per_session[k], options[i].name) == 0;
        if (!ok)
            return sru_fail(err, SRU_EINVAL, "option '--%s' belongs to the run and cannot change when it is resumed", options[i].name);
    }
    return SRU_OK;
}

static bool given(const bool *set, const char *name)
{
    for (size_t i = 0; i < sru_train_table.n; i++)
        if (strcmp(options[i].name, name) == 0)
            return set[i];
    return false;
}

static sru_status parse(struct sru_train_options *o, bool *set, int argc, char **argv, struct sru_error *err)
{
    int first;
    const sru_status status = sru_options_parse(sru_train_table, o, set, argc, argv, &first, err);

    if (!status && first < argc)
        return sru_fail(err, SRU_EINVAL, "'%.80s' is not an option; the text is given as --data FILE", argv[first]);
    return status;
}

/* The values that the command line is laid over: the preset's, or those of the run. */
static sru_status set_defaults(struct sru_train_options *o, const bool *set, struct sru_error *err)
{
    const struct sru_train_options looked = *o;   /* what the command line alone says */
    sru_status status;

    if (!looked.resume)
        return sru_train_preset(looked.preset ? looked.preset : "tiny", o)
            ? SRU_OK
            : sru_fail(err, SRU_EINVAL, "no preset is named '%.60s': there are %s", looked.preset, sru_preset_names);
    if ((status = check_given(set, err)) || (status = stored_settings(looked.out ? looked.out : SRU_DEFAULT_OUT, &o->before, err))
        || (status = sru_options_from_json(run_table, o, o->before, err)))
        return status;
    o->stop_at = 0;   /* of the session that gave it */
    o->out = looked.out ? looked.out : SRU_DEFAULT_OUT;   /* the directory may have another name now */
    return o->split && o->optimizer && o->tokens && o->cutoffs ? SRU_OK : sru_fail(err, SRU_EFORMAT, "%s/" SRU_LAST_NAME ": its settings are broken", o->out);
}

/* --steps or --time, and what the next checkpoint is to remember. */
static sru_status settle(struct sru_train_options *o, const bool *set, struct sru_error *err)
{
    if (given(set, "steps") && given(set, "time"))
        return sru_fail(err, SRU_EINVAL, "--steps and --time both say how long the run is: give one");
    if ((given(set, "steps") && o->steps == 0) || (given(set, "time") && !(o->time > 0)))
        return sru_fail(err, SRU_EINVAL, "a run needs a length: --steps or --time above 0");
    if (given(set, "steps"))
        o->time = 0;
    if (given(set, "time"))
        o->steps = 0;
    if (o->steps == 0 && !(o->time > 0))
        o->time = 600;
    if (!(o->stored = sru_options_to_json(run_table, o)))
        return sru_fail(err, SRU_ENOMEM, "out of memory");
    if (o->before)
        json_object_set(o->stored, "fingerprint", json_object_get(o->before, "fingerprint"));
    return SRU_OK;
}

sru_status sru_train_options_read(struct sru_train_options *o, int argc, char **argv, struct sru_error *err)
{
    bool *set = calloc(sru_train_table.n, sizeof *set);
    sru_status status;

    *o = (struct sru_train_options){ .out = NULL };
    if (!set)
        return sru_fail(err, SRU_ENOMEM, "out of memory");
    if (!(status = parse(o, set, argc, argv, err)) && !(status = set_defaults(o, set, err))
        && !(status = parse(o, set, argc, argv, err)))
        status = settle(o, set, err);
    free(set);
    return status;
}

void sru_train_options_close(struct sru_train_options *o)
{
    json_decref(o->before);
    json_decref(o->stored);
}

/* ---- The run's settings ----------------------------------------------------------------------------------- */

/* --cutoffs and --embedding, which are one field of the configuration: without cutoffs it is 0. */
static sru_status read_cutoffs(const struct sru_train_options *o, struct sru_config *c, bool *own, struct sru_error *err)
{
    const char *at = o->cutoffs;
    char *end;

    c->n_cutoffs = 0;
    if (c->n_e == 0)
        c->n_e = c->n_d;
    *own = strcmp(at, "auto") == 0;
    if (*own || strcmp(at, "none") == 0) {
        c->n_e = strcmp(at, "none") == 0 ? 0 : c->n_e;
        return SRU_OK;
    }
    while (c->n_cutoffs < SRU_MOST_CUTOFFS && *at >= '0' && *at <= '9') {
        c->cutoffs[c->n_cutoffs++] = (size_t)strtoull(at, &end, 10);
        at = *end == ',' ? end + 1 : end;
        if (*end == '\0')
            return SRU_OK;
    }
    return sru_fail(err, SRU_EINVAL, "option '--cutoffs': '%.60s' is not one to %d numbers such as 20000,40000; nor auto, nor none", o->cutoffs,
                    SRU_MOST_CUTOFFS);
}

/* The configuration as far as it does not depend on the vocabulary. */
static sru_status read_config(const struct sru_train_options *o, struct sru_config *c, bool *own_cutoffs, struct sru_error *err)
{
    *c = o->config;
    if (c->window == 0)
        c->window = 2 * o->unroll;
    return read_cutoffs(o, c, own_cutoffs, err);
}

sru_status sru_train_config(const struct sru_train_options *o, size_t vocab, struct sru_config *c, struct sru_error *err)
{
    enum sru_unit unit;
    bool own;
    const sru_status status = read_config(o, c, &own, err);

    if (own)
        sru_config_divide(c, sru_unit_parse(o->tokens, &unit) && unit == SRU_WORDS ? vocab : 0);
    c->vocab = vocab;
    return status;
}

sru_status sru_train_settings(const struct sru_train_options *o, struct sru_run_settings *s, struct sru_error *err)
{
    struct sru_config checked;
    sru_status status;

    *s = (struct sru_run_settings){
        .sources.path = { o->data, o->valid, o->test }, .tokenizing = o->tokenizing, .out = o->out, .resume = o->resume, .seed = o->seed,
        .batch = o->batch, .unroll = o->unroll, .lr = o->lr, .muon_lr = o->muon_lr, .warmup = o->warmup, .clip = o->clip, .steps = o->steps,
        .seconds = o->time, .stop_at = o->stop_at, .evaluations = o->evaluations, .log_every = o->log_every,
        .save_every = o->save_every, .stored = o->stored,
    };
    if (!o->data)
        return sru_fail(err, SRU_EINVAL, "--data FILE is missing: the text to learn");
    if ((status = sru_sources_parse(o->split, &s->sources, err)))
        return status;
    if (sru_train_optimizer(o->optimizer, &s->optimizer, err))
        return SRU_EINVAL;
    if (!sru_unit_parse(o->tokens, &s->tokenizing.unit))
        return sru_fail(err, SRU_EINVAL, "option '--tokens': '%.40s' is none: give bytes or words", o->tokens);
    if ((status = read_config(o, &s->config, &s->own_cutoffs, err)))
        return status;
    s->optimizer.weight_decay = o->weight_decay;
    s->optimizer.beta1 = o->beta1;
    s->optimizer.eps = o->eps;
    if (o->beta2 > 0)
        s->optimizer.beta2 = o->beta2;
    checked = s->config;
    if (s->own_cutoffs)
        checked.n_e = 0;
    checked.vocab = 1 + (checked.n_cutoffs > 0 ? checked.cutoffs[checked.n_cutoffs - 1] : 0);   /* known with the text */
    if ((status = sru_config_check(&checked, err)))
        return status;
    if (o->batch > SIZE_MAX / 64 / o->unroll)
        return sru_fail(err, SRU_EINVAL, "--batch %zu and --unroll %zu are too large together", o->batch, o->unroll);
    return SRU_OK;
}
