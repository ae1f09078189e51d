"""The report of a run, a training or a sweep: what they left behind, as one page."""
