"""Questions about what a worker holds in memory, asked and answered over two topics of their own.

Every worker reads `queries`, and the one that owns what is asked for writes to `answers`. Who may ask is who
may write and read these two topics (docs/rights.md).
"""
