/* For libFuzzer (make fuzz): pickles of any bytes give tensors that lie in their storages, or an error. */
#include "config.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "src/io/pickle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sru_pt_tensors t;
    struct sru_error err;

    if (sru_pickle_tensors(data, size, "fuzz", &t, &err)) {
        if (err.message[0] == '\0' || strchr(err.message, '\n'))
            abort();
        return 0;
    }
    for (size_t i = 0; i < t.n; i++) {
        unsigned __int128 last = t.items[i].offset;
        bool none = false;

        if (!t.items[i].name || !t.items[i].storage || t.items[i].rank > SRU_PT_MAX_RANK)
            abort();
        for (size_t k = 0; k < t.items[i].rank; k++) {
            none = none || t.items[i].shape[k] == 0;
            last += none ? 0 : (unsigned __int128)(t.items[i].shape[k] - 1) * t.items[i].stride[k];
        }
        if (!none && last >= t.items[i].numel)
            abort();
    }
    sru_pt_tensors_close(&t);
    return 0;
}
