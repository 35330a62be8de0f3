"""Connects what happens in ``carts`` with the movement here. Called once, when Django is ready."""


def connect() -> None:
    pass
