"""Cohorts, labels, learners, versions and alerts: what the future of a customer looks like."""
