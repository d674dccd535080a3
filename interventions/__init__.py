"""What is done about it: policy, holdout, ledger, commands."""
