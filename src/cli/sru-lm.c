/* The program. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "src/sru.h"

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        printf("sru-lm %s\n", sru_version());
    else if (argc == 2 && strcmp(argv[1], "--help") == 0)
        puts("Usage: sru-lm [--help | --version]");
    else
        return 2;
    return 0;
}
