"""How good the predictions are, beside models that are refit on everything each week: `make quality`."""
