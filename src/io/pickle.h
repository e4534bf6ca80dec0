/* The pickle of a PyTorch state_dict: read by a machine that knows nothing else, and runs nothing. */
#ifndef SRU_IO_PICKLE_H
#define SRU_IO_PICKLE_H

#include <stddef.h>
#include <stdint.h>

#include "src/error.h"

enum { SRU_PT_MAX_RANK = 4 };

/* What a state_dict says of a tensor. */
struct sru_pt_tensor {
    char       *name;
    const char *dtype;                    /* as safetensors names it: "F32", "F16", "BF16", "F64" */
    char       *storage;                  /* the entry of the archive that has its values: data/STORAGE */
    uint64_t    offset, numel;            /* of the first, in elements; of the storage */
    size_t      rank;
    uint64_t    shape[SRU_PT_MAX_RANK], stride[SRU_PT_MAX_RANK];   /* in elements; all of it lies in the storage */
};

struct sru_pt_tensors {
    struct sru_pt_tensor *items;          /* in the dictionary's order */
    size_t n;
};

/*
 * The tensors of a pickled dictionary of names to tensors; what else its values are is refused, and so is every operation that this does not
 * take: the machine makes numbers, texts, tuples, dictionaries and tensors, and calls nothing.
 * @param name  of the file, for messages
 * @return SRU_EFORMAT, SRU_ENOMEM; nothing to close then
 */
sru_status sru_pickle_tensors(const unsigned char *data, size_t size, const char *name, struct sru_pt_tensors *out, struct sru_error *err);
void sru_pt_tensors_close(struct sru_pt_tensors *);

#endif
