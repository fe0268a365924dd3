"""What can be done with a finished run: make it again, compare it with another, hand it over as a crate."""
