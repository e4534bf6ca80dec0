/* What the figures were measured on. */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "src/bench/bench.h"
#include "src/cpu/product.h"

/* The value of "key\t: value" in a line, or NULL. */
static const char *value_of(char *line, const char *key)
{
    const size_t n = strlen(key);
    char *colon = strchr(line, ':');

    if (!colon || strncmp(line, key, n) != 0 || line[n + strspn(line + n, " \t")] != ':')
        return NULL;
    line[strcspn(line, "\n")] = '\0';
    return colon + 1 + strspn(colon + 1, " ");
}

/* Virtual machines hide the name, seldom the family and model that tell processors apart. */
static void name_cpu(char *name, size_t size)
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[4096], model[80] = "", family[16] = "", number[16] = "";
    struct utsname system;
    const char *value;

    while (f && fgets(line, sizeof line, f) && line[0] != '\n') {   /* the first processor's lines */
        if ((value = value_of(line, "model name")))
            snprintf(model, sizeof model, "%s", value);
        else if ((value = value_of(line, "cpu family")))
            snprintf(family, sizeof family, "%s", value);
        else if ((value = value_of(line, "model")))
            snprintf(number, sizeof number, "%s", value);
    }
    if (f)
        fclose(f);
    if (*model && *family && *number)
        snprintf(name, size, "%s (family %s, model %s)", model, family, number);
    else
        snprintf(name, size, "%s", *model ? model : uname(&system) < 0 ? "unknown" : system.machine);
}

struct sru_machine sru_machine_describe(void)
{
    struct sru_machine m = { .cpus = sysconf(_SC_NPROCESSORS_ONLN) };

    if (getloadavg(&m.load, 1) < 1)
        m.load = NAN;
    name_cpu(m.cpu, sizeof m.cpu);
    sru_products_library(m.library, sizeof m.library);
#ifdef __clang__
    snprintf(m.compiler, sizeof m.compiler, "clang %d.%d.%d", __clang_major__, __clang_minor__, __clang_patchlevel__);
#elif defined __GNUC__
    snprintf(m.compiler, sizeof m.compiler, "gcc %d.%d.%d", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#else
    snprintf(m.compiler, sizeof m.compiler, "unknown");
#endif
    return m;
}
