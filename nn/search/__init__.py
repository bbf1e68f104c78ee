"""Search: many trainings at once, by processes or on a cluster, and the choice of the best configuration."""
