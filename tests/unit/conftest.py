"""What unit tests share: a clock of their own."""

from __future__ import annotations

from tests.patient_loop import PatientLoop


def pytest_asyncio_loop_factories() -> dict[str, type[PatientLoop]]:
    """The loop in which every asynchronous unit test runs."""
    return {"patient": PatientLoop}
