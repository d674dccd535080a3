"""How many examples a property is tried on."""

from __future__ import annotations

from hypothesis import settings


def examples(number: int) -> settings:
    """`number` examples in the steady profile, elsewhere the share that its own hundred is made of."""
    # Hypothesis begins with the plainest example there is, which alone proves little.
    return settings(max_examples=max(min(number, 3), number * settings.default.max_examples // 100))
