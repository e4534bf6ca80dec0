/* sru-lm export */
#include "config.h"

#include <stdio.h>

#include "src/cli/load.h"
#include "src/model/import.h"

struct settings {
    const char *out;
    struct sru_device_settings device;
};

static const struct sru_option options[] = {
    { "out", 'o', SRU_OPT_STRING, "FILE", "The file to write, such as model.pt.", offsetof(struct settings, out), 0, 0 },
};
static const struct sru_option_table table = { options, sizeof options / sizeof *options };

static int run(int argc, char **argv)
{
    struct settings s = { .device.device = "cpu", .device.precision = "f32" };
    struct sru_loaded x;
    struct sru_error err;
    const char *model;
    int code = sru_parse_model(&sru_cmd_export, &s, argc, argv, false, &model);

    if (code)
        return code;
    if (!s.out)
        return sru_usage(&sru_cmd_export, "--out FILE is missing");
    if ((code = sru_load(&x, &sru_cmd_export, model, &s.device, SRU_USE_READ)))
        return code;
    if (sru_export(&x.lm, s.out, &err))
        code = sru_report_error(&err);
    else
        printf("wrote %s: torch.load(\"%s\", weights_only=True) is the state_dict\n", s.out, s.out);
    sru_loaded_close(&x);
    return code;
}

const struct sru_cmd sru_cmd_export = {
    .name = "export",
    .synopsis = "MODEL --out FILE",
    .summary = "Write a model as a PyTorch checkpoint.",
    .description =
        "Write a model's weights as a state_dict that the reference implementation's model loads.\n"
        "Its vocabulary is not in it: vocabulary.txt beside the model has the words.\n\n"
        "  sru-lm export sru-run/best.safetensors --out model.pt",
    .table = &table,
    .run = run,
};
