"""What is known of each customer: events, the columnar table, the feature catalogue."""
