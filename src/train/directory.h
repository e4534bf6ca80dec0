/* A run's directory: its files, and the lock that keeps a second run out. */
#ifndef SRU_TRAIN_DIRECTORY_H
#define SRU_TRAIN_DIRECTORY_H

#include <stdbool.h>

#include "src/error.h"

#define SRU_LAST_NAME "last.safetensors"   /* the checkpoint */

struct sru_directory {
    int   lock;
    char *last, *best, *metrics;   /* DIR/last.safetensors, DIR/best.safetensors, DIR/metrics.jsonl */
    char *vocabulary;              /* DIR/vocabulary.txt, of words */
};

/*
 * Make the directory (and its parents) where it is missing, lock it, and remove what dead writers left.
 * @param resume  there must be a checkpoint; otherwise there must be none.
 * @return SRU_EIO: cannot be made, in use by another process, holds a run or holds none; SRU_ENOMEM.
 */
sru_status sru_directory_open(struct sru_directory *d, const char *path, bool resume, struct sru_error *err);
void sru_directory_close(struct sru_directory *d);

#endif
