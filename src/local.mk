# libsru's objects, once: the library and the program are both linked from them.
noinst_LTLIBRARIES += libcore.la
libcore_la_SOURCES = \
  src/sru.h src/sru.c src/size.h src/clock.h src/error.h src/error.c src/ops.h \
  src/cpu/cpu.h src/cpu/cpu.c src/cpu/product.h src/cpu/product-onednn.c src/cpu/product-plain.c src/cpu/product-blocked.h src/cpu/product-blocked.c src/cpu/onednn.h src/cpu/onednn.c \
  src/cpu/linear.c src/cpu/embed.c src/cpu/pick.c src/cpu/attend.c src/cpu/attend-one.c src/cpu/norm.c src/cpu/recur.c src/cpu/predict.c \
  src/cpu/decode.c src/cpu/muon.c src/int8.h \
  src/io/dtype.h src/io/dtype.c src/io/path.h src/io/path.c src/io/replace.h src/io/replace.c src/io/safetensors.h src/io/safetensors.c \
  src/io/safetensors-write.c \
  src/model/config.h src/model/config.c src/model/params.h src/model/params.c src/model/lm.h src/model/lm.c \
  src/model/decode.h src/model/decode.c src/model/quantize.c src/model/layer.c src/model/net.c src/model/adaptive.h src/model/adaptive.c src/model/file.h src/model/file.c \
  src/text/text.h src/text/text.c src/text/word.h src/text/word.c src/text/words.h src/text/words.c src/text/vocab.h src/text/vocab.c src/text/part.h src/text/part.c \
  src/text/streams.c src/text/corpus.h src/text/corpus.c src/text/prepared.h src/text/prepared.c src/text/prepare.c src/text/spool.h src/text/spool.c \
  src/text/lines.h src/text/lines.c src/text/shuffle.h src/text/shuffle.c src/text/sample.h src/text/sample.c \
  src/train/schedule.h src/train/schedule.c src/train/optimizer.h src/train/optimizer.c src/train/muon.h src/train/muon.c src/train/metrics.h \
  src/train/metrics.c src/train/evaluate.h src/train/evaluate.c src/train/trainer.h src/train/trainer.c \
  src/train/checkpoint.h src/train/checkpoint.c src/train/directory.h src/train/directory.c src/train/run.h \
  src/train/run.c
libcore_la_LIBADD = $(KERNEL_LIBS) $(GPU_OBJECTS) $(DNNL_LIBS) $(JANSSON_LIBS) $(CUDA_LIBS)

lib_LTLIBRARIES += libsru.la
include_HEADERS = src/sru.h
libsru_la_SOURCES =
libsru_la_LIBADD = libcore.la
libsru_la_CFLAGS = $(AM_CFLAGS)
libsru_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 -no-undefined

bin_PROGRAMS += sru-lm
sru_lm_SOURCES = src/cli/sru-lm.c src/cli/cli.h src/cli/options.c src/cli/messages.c src/cli/words.h src/cli/words.c \
  src/cli/device.c src/cli/progress.h src/cli/progress.c src/cli/train-options.h src/cli/train-options.c src/cli/presets.c \
  src/cli/load.h src/cli/load.c src/cli/cmd-train.c src/cli/cmd-prepare.c src/cli/cmd-import.c src/cli/cmd-export.c src/cli/cmd-eval.c src/cli/eval-lines.h src/cli/eval-lines.c src/cli/cmd-generate.c src/cli/cmd-info.c \
  src/cli/cmd-bench.c src/cli/bench-report.h src/cli/bench-text.c src/cli/bench-json.c
sru_lm_LDADD = libbench.la libtorchfile.la libcore.la

# PyTorch's files: no part of libsru either, which then needs no libzip.
noinst_LTLIBRARIES += libtorchfile.la
libtorchfile_la_SOURCES = src/io/torch.h src/io/pickle.h src/io/pickle.c src/model/import.h src/model/import.c src/model/export.c
libtorchfile_la_CFLAGS = $(AM_CFLAGS) $(LIBZIP_CFLAGS)
libtorchfile_la_LIBADD = $(LIBZIP_LIBS)
if LIBZIP
libtorchfile_la_SOURCES += src/io/torch-read.c src/io/torch-write.c
else
libtorchfile_la_SOURCES += src/io/torch-none.c
endif

# What `sru-lm bench` measures; no part of libsru.
noinst_LTLIBRARIES += libbench.la
libbench_la_SOURCES = src/bench/bench.h src/bench/measure.c src/bench/machine.c src/bench/memory.c src/bench/train.c \
  src/bench/flops.c src/bench/matmul.c src/bench/device.c src/bench/ops-timing.c \
  src/bench/scan.c src/bench/generate.c
