"""How churnwatch is run and watched: Kafka without Docker, alert rules, dashboards."""
