"""The report's page and charts, from the figures of `models.report`. Needs the extra `report`."""
