"""A study: its config, its sample sheet, and the plan of models and shards that follows from them."""
