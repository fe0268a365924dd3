"""Starts, the iteration for one feature, and the one place that maps it over many."""
