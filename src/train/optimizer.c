/* Optimizers: see optimizer.h. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "src/train/optimizer.h"

bool sru_optimizer_parse(const char *name, struct sru_optimizer *o)
{
    *o = (struct sru_optimizer){ .beta1 = 0.9, .eps = 1e-8, .weight_decay = 0.1 };
    if (strcmp(name, "radam") == 0) {
        o->kind = SRU_RADAM;
        o->beta2 = 0.999;
        return true;
    }
    o->kind = strcmp(name, "muon") == 0 ? SRU_MUON : SRU_ADAMW;
    o->beta2 = 0.95;
    return o->kind == SRU_MUON || strcmp(name, "adamw") == 0;
}

struct sru_step sru_optimizer_at(const struct sru_optimizer *o, uint64_t n, double rate, double muon_rate)
{
    const double b1n = pow(o->beta1, (double)n), b2n = pow(o->beta2, (double)n);
    struct sru_step s = {
        .count = (uint32_t)(n - 1), .adaptive = true, .decay = (float)(rate * o->weight_decay), .rate = (float)(rate / (1 - b1n)),
        .correction = 1, .muon_rate = (float)muon_rate, .muon_decay = (float)(muon_rate * o->weight_decay),
    };

    if (o->kind != SRU_RADAM) {
        s.correction = (float)sqrt(1 - b2n);
    } else {
        const double most = 2 / (1 - o->beta2) - 1, rho = most - 2 * (double)n * b2n / (1 - b2n);

        s.adaptive = rho > 5;
        if (s.adaptive) {
            const double rectify = sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho));
            s.rate = (float)(rate * rectify * sqrt(1 - b2n) / (1 - b1n));
        }
    }
    return s;
}

void sru_optimizer_update(const struct sru_optimizer *o, struct sru_dev *dev, struct sru_now now, size_t n, float *w, float *g,
                          float *m, float *v)
{
    const struct sru_update u = {
        .n = n, .w = w, .g = g, .m = m, .v = v, .beta1 = (float)o->beta1, .beta2 = (float)o->beta2, .eps = (float)o->eps,
        .step = now.step, .gauge = now.gauge,
    };

    dev->ops->update(dev, &u);
}

void sru_optimizer_muon(struct sru_dev *dev, struct sru_now now, const struct sru_muon_matrix *matrices, size_t n, float *w,
                        float *g, float *m)
{
    const struct sru_muon s = {
        .n = n, .matrices = matrices, .w = w, .g = g, .m = m, .momentum = 0.95f, .step = now.step, .gauge = now.gauge,
    };

    dev->ops->muon(dev, &s);
}
