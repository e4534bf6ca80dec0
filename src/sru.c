/* The public interface: see sru.h. */
#include "config.h"

#include "src/sru.h"

const char *sru_version(void)
{
    return PACKAGE_VERSION;
}
