dist_man_MANS = man/sru-lm.1
