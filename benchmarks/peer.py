"""The environment of the peer (dlt): made when it is missing, apart from the hub's own."""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache

from benchmarks.processes import ROOT

FOLDER = ROOT / ".venv-bench"
REQUIREMENTS = ROOT / "requirements-bench.txt"
PYTHON = FOLDER / "bin" / "python"


@lru_cache(maxsize=1)
def peer_python() -> str:
    """The peer's interpreter; "" when its packages cannot be had here, which is then said once."""
    stamp = FOLDER / "installed.txt"
    wanted = REQUIREMENTS.read_text()
    if not (stamp.exists() and stamp.read_text() == wanted):
        print(f"Making {FOLDER.name} for dlt ...", flush=True)
        try:
            subprocess.run([sys.executable, "-m", "venv", str(FOLDER)], check=True)
            (FOLDER / ".gitignore").write_text("*\n")
            install = [str(PYTHON), "-m", "pip", "install", "-q", "--require-hashes", "-r", str(REQUIREMENTS)]
            subprocess.run(install, check=True, timeout=300, stderr=subprocess.DEVNULL)
        except (subprocess.SubprocessError, OSError) as error:
            print(f"dlt cannot be installed here ({error}): its rows are left out. It needs a package index.")
            return ""
        stamp.write_text(wanted)
    return str(PYTHON)
