"""Model versions: signed manifests and weights on disk for serving, and MLflow for people who compare runs."""
