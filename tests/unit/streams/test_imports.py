"""What a process need not load: River and pandas take seconds of CPU time, and few processes learn."""

import subprocess
import sys

import pytest

HEAVY = ("river", "pandas", "sklearn", "scipy.optimize", "scipy.stats")
LIGHT = {
    "listing the commands": "from streams.cli import main; main(['--help'], standalone_mode=False)",
    # One process for all of these: each loads the settings first.
    "settings, a worker that trains nothing, replaying, asking": """
        from streams.settings import load
        load(None).trainer()
        import streams.checking, streams.inspecting, streams.replaying, streams.serving, streams.sources.files
    """,
}


@pytest.mark.parametrize("program", LIGHT.values(), ids=LIGHT)
def test_nothing_heavy_is_loaded_by(program: str) -> None:
    lines = [line.strip() for line in program.splitlines()]
    asked = "\n".join(
        ["import sys", *lines, f"print('\\n', [name for name in {HEAVY!r} if name in sys.modules])"]
    )

    run = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)

    assert run.stdout.splitlines()[-1].strip() == "[]"
