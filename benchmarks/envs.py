"""An environment of its own for each rival: their pins clash with ours and with each other's."""

from __future__ import annotations

import subprocess
import venv
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: What every rival's job needs, in the versions that churnwatch itself uses.
JOB = ("msgspec==0.22.*", "xxhash==4.*")


def interpreter(folder: Path, requirements: Sequence[str]) -> Path:
    """Python of the environment in `folder`, made and filled by pip unless it holds just these requirements.

    Raises `subprocess.CalledProcessError` if pip fails; what pip says is on the terminal.
    """
    python, stamp = folder / "bin" / "python", folder / "requirements.txt"
    wanted = "\n".join((*requirements, *JOB))
    if not stamp.exists() or stamp.read_text() != wanted:
        venv.create(folder, clear=True, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, *wanted.split()], check=True)
        stamp.write_text(wanted)
    return python
