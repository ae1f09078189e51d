"""Metrics: how a stylization is judged, beside its photograph and its painting."""

from velatura.metrics.base import Direction, FeatureMetric, Metric, View, metrics

__all__ = ["Direction", "FeatureMetric", "Metric", "View", "metrics"]
