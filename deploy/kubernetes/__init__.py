"""Resources for Kubernetes. `python -m deploy.kubernetes` writes those that follow from the catalogues."""
