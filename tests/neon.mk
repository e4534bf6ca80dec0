# The kernels of aarch64 under qemu (one of the tests, and alone: make check-neon), and e^x of all floats by hand.
neon_environment = WARN_CFLAGS='$(WARN_CFLAGS)'; export WARN_CFLAGS; SIMD_CFLAGS='$(SIMD_CFLAGS)'; export SIMD_CFLAGS;
neon_script = $(neon_environment) srcdir='$(srcdir)' $(SHELL) $(srcdir)/tests/neon.sh
EXTRA_DIST += tests/neon.sh

check-neon:
	@$(neon_script) || test $$? = 77

EXTRA_PROGRAMS = tests/exp_all
tests_exp_all_SOURCES = tests/exp_all.c
tests_exp_all_LDADD = libcore.la -lm
CLEANFILES += tests/exp_all$(EXEEXT)

check-exp-all: tests/exp_all$(EXEEXT)
	tests/exp_all$(EXEEXT)
	@$(neon_script) 997 || test $$? = 77

clean-local:
	rm -rf neon
.PHONY: check-neon check-exp-all
