"""One set of tests over every warehouse connector, each with the remote that it talks to in tests.

To add a system: write a sub-class of ``destination.Destination`` (``builtin.py`` shows the shortest) and name it in
``DESTINATIONS`` of ``registry.py``. What a system cannot do is written into its ``lacks``, in words; the tests that need
it are then not made for it, and ``test_lacks.py`` holds the words against the connector's ports.
"""
