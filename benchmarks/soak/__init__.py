"""A worker under steady load, its customers coming and going: what grows that should not is seen here."""
