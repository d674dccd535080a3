"""The same job on other engines: scripts that run in environments of their own, without churnwatch."""
