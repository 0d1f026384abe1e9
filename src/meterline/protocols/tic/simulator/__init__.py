"""A Linky that does not exist: its state, its groups, its frames."""
