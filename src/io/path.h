/* Names of files, and directories. */
#ifndef SRU_IO_PATH_H
#define SRU_IO_PATH_H

#include "src/error.h"

/* "DIRECTORY/NAME", to be freed; NULL without memory. */
char *sru_path_join(const char *directory, const char *name);

/* Make a directory and its parents, where they are missing.  SRU_EIO, SRU_ENOMEM. */
sru_status sru_make_directories(const char *directory, struct sru_error *err);

#endif
