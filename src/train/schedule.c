/* Learning rates: see schedule.h. */
#include "config.h"

#include <math.h>

#include "src/train/schedule.h"

double sru_schedule(double progress, double warmup, double peak)
{
    if (progress < warmup)
        return peak * progress / warmup;
    if (progress >= 1)
        return 0;
    return peak * 0.5 * (1 + cos(M_PI * (progress - warmup) / (1 - warmup)));
}
