# Scripts that fetch and prepare corpora.
corporadir = $(pkgdatadir)/data
dist_corpora_SCRIPTS = data/enwik8 data/wikitext-103 data/billion-word
dist_corpora_DATA = data/fetch.sh
