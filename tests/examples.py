"""How many examples a property is tried on, and that they are the same in every run."""

from __future__ import annotations

from hypothesis import settings
from hypothesis.internal.conjecture import providers


def examples(number: int) -> settings:
    """`number` examples in the steady profile, elsewhere the share that its own hundred is made of."""
    # Hypothesis begins with the plainest example there is, which alone proves little.
    return settings(max_examples=max(min(number, 3), number * settings.default.max_examples // 100))


def draw_the_same_in_every_run() -> None:
    """Make a derandomised test draw the same examples alone as in the whole suite.

    Hypothesis mixes in constants of the project's modules that have been imported so far, so that examples
    depend on which tests are run together: a help to a random search and a nuisance to a fixed one.
    """
    # There is no setting for it.
    providers._get_local_constants = providers.Constants
