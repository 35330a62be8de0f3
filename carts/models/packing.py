"""Bodies in the database are compressed. ISA-L writes the same format as zlib in a third of the time; zlib reads it."""

from __future__ import annotations

import zlib

from isal import isal_zlib


def pack(body: bytes) -> bytes:
    return isal_zlib.compress(body, 1) if body else b""


def unpack(packed: bytes | memoryview) -> bytes:
    return zlib.decompress(packed) if packed else b""
