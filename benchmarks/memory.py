"""Resident memory of a process, as the kernel counts it."""

from __future__ import annotations

from pathlib import Path


def resident_bytes(process: int | str = "self") -> int:
    """Resident set size of a process id, by default of this process; raises OSError if there is none."""
    status = Path(f"/proc/{process}/status").read_text()
    return 1024 * int(status.split("VmRSS:")[1].split()[0])
