/* Learning rates: linear warm-up, then a cosine to zero. */
#ifndef SRU_TRAIN_SCHEDULE_H
#define SRU_TRAIN_SCHEDULE_H

/*
 * The rate at a place of the run.
 *
 * @param progress  0 to 1: (step + 1) / (steps + 1), or the share of the time that is over
 * @param warmup    share of the run over which the rate rises to `peak`, 0 to 1
 */
double sru_schedule(double progress, double warmup, double peak);

#endif
