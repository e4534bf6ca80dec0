/* PyTorch's files where there is no libzip: none. */
#include "config.h"

#include "src/io/torch.h"

sru_status sru_torch_open(struct sru_torch_file *f, const char *path, struct sru_error *err)
{
    *f = (struct sru_torch_file){ .path = NULL };
    return sru_fail(err, SRU_EINVAL, "cannot read %s: this program was built without libzip, which reads PyTorch's files", path);
}

void sru_torch_close(struct sru_torch_file *f)
{
    (void)f;
}

const struct sru_pt_tensor *sru_torch_find(const struct sru_torch_file *f, const char *name)
{
    (void)f;
    (void)name;
    return NULL;
}

sru_status sru_torch_read(const struct sru_torch_file *f, const struct sru_pt_tensor *t, float *out, struct sru_error *err)
{
    (void)f;
    (void)out;
    return sru_fail(err, SRU_EINVAL, "cannot read %s: there is no libzip", t->name);
}

sru_status sru_torch_write(const char *path, const struct sru_torch_tensor *tensors, size_t n, struct sru_error *err)
{
    (void)tensors;
    (void)n;
    return sru_fail(err, SRU_EINVAL, "cannot write %s: this program was built without libzip, which writes PyTorch's files", path);
}
