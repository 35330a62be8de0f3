"""The built-in warehouse."""
