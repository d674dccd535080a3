"""The shell: everything that touches Kafka, HTTP or the process."""
