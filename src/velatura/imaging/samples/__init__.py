"""Pictures drawn by code, free to use for anything: what the demo, the documents and the tests run on."""

from velatura.imaging.samples.gallery import SAMPLES, Sample, draw_sample, write_samples

__all__ = ["SAMPLES", "Sample", "draw_sample", "write_samples"]
