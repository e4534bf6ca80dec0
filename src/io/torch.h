/* PyTorch's files of a state_dict: a zip archive of a pickle and, for each storage, its values. */
#ifndef SRU_IO_TORCH_H
#define SRU_IO_TORCH_H

#include "src/io/pickle.h"

struct sru_torch_file {
    char *path;
    void *zip;                     /* libzip's */
    char *folder;                  /* that all entries are in, with its slash */
    struct sru_pt_tensors tensors;
};

/* SRU_EIO; SRU_EFORMAT: no such archive, or its pickle is another (sru_pickle_tensors); SRU_ENOMEM; SRU_EINVAL: built without libzip. */
sru_status sru_torch_open(struct sru_torch_file *f, const char *path, struct sru_error *err);
void sru_torch_close(struct sru_torch_file *f);
/* NULL: there is no such tensor. */
const struct sru_pt_tensor *sru_torch_find(const struct sru_torch_file *f, const char *name);
/* A tensor's values, row-major, in single precision.  SRU_EFORMAT where its storage is missing or too short; SRU_ENOMEM. */
sru_status sru_torch_read(const struct sru_torch_file *f, const struct sru_pt_tensor *t, float *out, struct sru_error *err);

/* A tensor to write: two may have the same data, and then are one in the file too. */
struct sru_torch_tensor {
    const char  *name;
    size_t       rank, shape[SRU_PT_MAX_RANK];
    const float *data;
};

/*
 * Write an archive that torch.load(weights_only=True) takes, by atomic replacement.
 * @return SRU_EIO, SRU_ENOMEM, SRU_EINVAL: built without libzip
 */
sru_status sru_torch_write(const char *path, const struct sru_torch_tensor *tensors, size_t n, struct sru_error *err);

#endif
