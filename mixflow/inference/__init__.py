"""Contrasts, degrees of freedom, Wald tests, multiplicity: everything that follows from a Fit."""
