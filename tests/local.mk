# Unit tests with libcheck: one program for each subject.
check_LTLIBRARIES = libsupport.la
libsupport_la_SOURCES = tests/support.h tests/support.c tests/reference/reference.h tests/reference/reference.c
libsupport_la_LIBADD = libcore.la $(CHECK_LIBS)

unit_tests = tests/check_error tests/check_files tests/check_ops tests/check_ops_layer tests/check_product tests/check_blocked \
  tests/check_conformance tests/check_text tests/check_words tests/check_train tests/check_muon tests/check_model tests/check_decode tests/check_sample tests/check_kernels \
  tests/check_bench tests/check_threads tests/check_threads_plain
if LIBZIP
unit_tests += tests/check_torch
endif
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests) tests/avx2.sh tests/commands.sh tests/cuda.sh tests/data.sh tests/manual.sh tests/neon.sh
tests_check_error_SOURCES = tests/check_error.c
tests_check_files_SOURCES = tests/check_files.c
tests_check_ops_SOURCES = tests/check_ops.c tests/gradient.h tests/gradient.c
tests_check_ops_layer_SOURCES = tests/check_ops_layer.c tests/gradient.h tests/gradient.c
tests_check_product_SOURCES = tests/check_product.c
tests_check_blocked_SOURCES = tests/check_blocked.c
tests_check_conformance_SOURCES = tests/check_conformance.c
tests_check_text_SOURCES = tests/check_text.c
tests_check_words_SOURCES = tests/check_words.c
tests_check_train_SOURCES = tests/check_train.c
tests_check_muon_SOURCES = tests/check_muon.c
tests_check_model_SOURCES = tests/check_model.c tests/models.h tests/models.c
tests_check_decode_SOURCES = tests/check_decode.c tests/models.h tests/models.c
tests_check_torch_SOURCES = tests/check_torch.c tests/models.h tests/models.c
tests_check_torch_LDADD = libtorchfile.la libsupport.la
tests_check_sample_SOURCES = tests/check_sample.c
tests_check_threads_SOURCES = tests/check_threads.c
tests_check_threads_plain_SOURCES = tests/check_threads.c src/cpu/product-plain.c
tests_check_threads_plain_CPPFLAGS = $(AM_CPPFLAGS) -DSRU_PLAIN_PRODUCTS
tests_check_kernels_SOURCES = tests/check_kernels.c tests/kernels.h tests/kernels_elementwise.c tests/kernels_rows.c \
  tests/kernels_exp.c tests/kernels_edges.c tests/kernels_decode.c tests/kernels_product.c
tests_check_bench_SOURCES = tests/check_bench.c
tests_check_bench_LDADD = libbench.la libsupport.la
# Threads that spin while they wait take the processor from tests that run beside them.
AM_TESTS_ENVIRONMENT = OMP_WAIT_POLICY=passive; export OMP_WAIT_POLICY; \
  CK_DEFAULT_TIMEOUT=60; export CK_DEFAULT_TIMEOUT; \
  LSAN_OPTIONS='$(LSAN_OPTIONS)'; export LSAN_OPTIONS; $(neon_environment)
LDADD = libsupport.la

# Not a test by itself: tests/commands.sh compares it with eval.
check_PROGRAMS += tests/score
tests_score_SOURCES = tests/score.c
tests_score_LDADD = libsru.la -lm

EXTRA_DIST += tests/bench/README tests/lsan.supp tests/avx2.sh tests/commands.sh tests/data.sh tests/manual.sh
EXTRA_DIST += tests/bench/peers tests/bench/peers.py tests/bench/peers_torch.py tests/bench/peers_cuda.py tests/bench/peers_words.py

# The tests that have something to do on a GPU, on GPUs alone.
gpu_tests = tests/check_ops tests/check_ops_layer tests/check_muon tests/check_conformance tests/check_decode tests/check_train
check-gpu: $(gpu_tests)
	for test in $(gpu_tests); do SRU_TEST_DEVICES=cuda CK_DEFAULT_TIMEOUT=120 srcdir=$(srcdir) ./$$test || exit 1; done
.PHONY: check-gpu clean-cuda
EXTRA_DIST += tests/gpu-machine tests/cuda.sh
clean-local: clean-cuda
clean-cuda:
	rm -rf cuda

# Pickles of any bytes, with clang's libFuzzer: for FUZZ_SECONDS, from those of ../shared's fixtures where they are.
FUZZ_SECONDS = 600
fuzz:
	$(MKDIR_P) fuzz/corpus
	for f in $(srcdir)/../shared/fixtures/*.pt; do unzip -p $$f '*/data.pkl' >fuzz/corpus/`basename $$f` || :; done
	clang -g -O1 -std=c17 -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I. -I$(srcdir) -o fuzz/pickle \
	  $(srcdir)/tests/fuzz_pickle.c $(srcdir)/src/io/pickle.c $(srcdir)/src/error.c
	fuzz/pickle -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 fuzz/corpus
.PHONY: fuzz
EXTRA_DIST += tests/fuzz_pickle.c

include tests/neon.mk
