"""What all tests share: Hypothesis without a clock.

A deadline fails tests on a busy machine, and shrinking a log of events takes minutes that a red run does not
need; HYPOTHESIS_PROFILE=shrink brings it back for whoever hunts the cause.
"""

from __future__ import annotations

import os

from hypothesis import Phase, settings

settings.register_profile("steady", deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
settings.register_profile("shrink", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
