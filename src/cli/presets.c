/* Presets: sizes and rates to begin with. */
#include "config.h"

#include <string.h>

#include "src/cli/train-options.h"

const char sru_preset_names[] = "tiny, small, medium and large, and the paper's systems: enwik8-base, enwik8-large, enwik8-large-r8, wt103-base, "
                                "wt103-large, wt103-large-r8, wt103-large-r8-k5, lm1b-base and lm1b-large-k5";

/* What differs between presets; window 0: twice unroll, steps 0: by time. */
static const struct preset {
    const char *name;
    size_t n_d, n_proj, depth, every, batch, unroll, window;
    double lr, muon_lr, dropout, attn_dropout, warmup;
    const char *optimizer;
    uint64_t steps;
    /* Of words: the embedding, and its clusters.  The vocabulary is that of the corpus the preset is for; 0: of any text. */
    size_t n_e;
    const char *cutoffs;
    bool tie_projs;
    double emb_dropout;
    size_t vocab;
} presets[] = {
    /* Of what was tried, this learnt most of a megabyte of text in ten minutes on two cores. */
    { "tiny", 512, 128, 4, 1, 16, 128, 0, 4e-3, .02, .1, .1, .06, "muon", .cutoffs = "auto" },
    { "small", 1024, 256, 4, 1, 8, 128, 0, 2e-3, .02, .05, .05, .06, "adamw", .cutoffs = "auto" },
    { "medium", 1536, 384, 8, 1, 8, 256, 0, 1.5e-3, .02, .1, .1, .06, "adamw", .cutoffs = "auto" },
    /* The rates that learnt most of 16 million bytes in a thousand steps on a GPU. */
    { "large", 2048, 512, 10, 1, 32, 512, 0, 1.2e-3, .01, .05, .05, .06, "muon", .cutoffs = "auto" },

    /*
     * The paper's nine systems (model.md), with its rates.  It warms up over 16,000 steps.  Streams are those of its 8 GPUs together,
     * but half as many where these do not fit in 80 GB: enwik8-large-r8, wt103-large-r8 and lm1b-large-k5.
     */
    { "enwik8-base", 3072, 768, 10, 1, 32, 1024, 3072, 3e-4, .02, .22, .22, .04, "radam", 400000, .cutoffs = "none", .vocab = 205 },
    { "enwik8-large", 4096, 1024, 10, 1, 64, 1024, 3072, 4e-4, .02, .32, .32, .04, "radam", 400000, .cutoffs = "none", .vocab = 205 },
    { "enwik8-large-r8", 6016, 752, 10, 1, 32, 1024, 3072, 4e-4, .02, .32, .32, .04, "radam", 400000, .cutoffs = "none", .vocab = 205 },
#define WT103 1024, "19997,39997,199997", true
    { "wt103-base", 3072, 768, 10, 1, 64, 768, 2560, 3e-4, .02, .15, .15, .04, "radam", 400000, WT103, .15, 267735 },
    { "wt103-large", 4096, 1024, 10, 1, 64, 1024, 2560, 3e-4, .02, .2, .2, .04, "radam", 400000, WT103, .2, 267735 },
    { "wt103-large-r8", 5952, 744, 10, 1, 32, 1024, 2560, 3e-4, .02, .2, .2, .04, "radam", 400000, WT103, .2, 267735 },
    { "wt103-large-r8-k5", 5952, 744, 10, 5, 64, 1024, 2560, 3e-4, .02, .2, .2, .04, "radam", 400000, WT103, .2, 267735 },
#undef WT103
    { "lm1b-base", 4096, 1024, 10, 1, 1024, 64, 96, 2e-4, .02, .05, 0, .02, "radam", 800000, 1024, "59998,159998", false, 0, 793471 },
    { "lm1b-large-k5", 7616, 1024, 10, 5, 768, 64, 96, 2e-4, .02, .1, 0, .02, "radam", 800000, 1024, "59998,159998", false, 0, 793471 },
};

/* The rest of the settings, which presets share. */
static struct sru_train_options common(const char *name)
{
    return (struct sru_train_options){
        .out = SRU_DEFAULT_OUT, .split = "90/5/5", .tokens = "bytes", .tokenizing.min_count = 1, .preset = name, .seed = 1,
        .config = sru_config_default(), .evaluations = 10, .log_every = 50, .clip = 1, .weight_decay = 0.1, .beta1 = 0.9, .eps = 1e-8,
        .save_every = 300,
    };
}

bool sru_train_preset(const char *name, struct sru_train_options *o)
{
    const struct preset *p = presets, *end = presets + sizeof presets / sizeof *presets;

    *o = common(name);
    while (p < end && strcmp(p->name, name) != 0)
        p++;
    if (p == end)
        return false;
    struct sru_config *c = &o->config;
    c->n_d = p->n_d;
    c->n_proj = p->n_proj;
    c->depth = p->depth;
    c->attn_every_n_layers = p->every;
    c->window = p->window;
    c->dropout = p->dropout;
    c->attn_dropout = p->attn_dropout;
    c->n_e = p->n_e;
    c->tie_projs = p->tie_projs;
    c->emb_dropout = p->emb_dropout;
    o->cutoffs = p->cutoffs;
    o->batch = p->batch;
    o->unroll = p->unroll;
    o->lr = p->lr;
    o->muon_lr = p->muon_lr;
    o->warmup = p->warmup;
    o->optimizer = p->optimizer;
    o->steps = p->steps;
    o->usual_vocab = p->vocab;
    if (p->steps > 0)
        o->evaluations = 100;
    if (p->n_e > 0)
        o->tokens = "words";
    return true;
}
