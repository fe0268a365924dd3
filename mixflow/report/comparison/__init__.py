"""The report of a sweep: which conclusions hold in all combinations, and which choice matters."""
