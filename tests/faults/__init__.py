"""Faults under load: parts of a cluster are killed while people use it, who note what they were promised."""
