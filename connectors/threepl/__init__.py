"""Extensiv 3PL Warehouse Manager."""
