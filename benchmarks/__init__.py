"""What churnwatch costs, measured beside other engines: `make bench` (`python -m benchmarks`)."""
