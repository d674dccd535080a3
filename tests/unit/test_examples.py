"""The examples of a property are the same in every run (tests/conftest.py)."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def drawn() -> list[list[int]]:
    seen: list[list[int]] = []

    @settings(settings.get_profile("steady"))
    @given(st.lists(st.integers(), min_size=9, max_size=9))
    def see(numbers: list[int]) -> None:
        seen.append(numbers)

    see()
    return seen


def test_a_property_meets_the_same_examples_again():
    first = drawn()

    assert len(first) == 100
    assert drawn() == first


def test_modules_that_other_tests_import_change_no_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = drawn()
    source = tmp_path / "constants.py"
    source.write_text(f"NUMBERS = {list(range(123_400, 123_500))}\n")
    module = ModuleType("constants")
    module.__file__ = str(source)
    monkeypatch.setitem(sys.modules, "constants", module)

    assert drawn() == first
