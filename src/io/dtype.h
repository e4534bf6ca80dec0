/* The element types of the safetensors format. */
#ifndef SRU_IO_DTYPE_H
#define SRU_IO_DTYPE_H

/* Bits of one element, or 0 for a name that the format does not have. */
unsigned sru_dtype_bits(const char *name);

/* Place in the order in which files are written, widest first; names must exist. */
unsigned sru_dtype_rank(const char *name);

#endif
