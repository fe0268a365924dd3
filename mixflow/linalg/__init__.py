"""Small dense kernels and the block arrow, written for one system and mapped outside; no LAPACK."""
