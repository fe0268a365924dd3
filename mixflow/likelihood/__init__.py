"""Marginal likelihoods: u integrated out. Here the exact one of the Gaussian family."""
