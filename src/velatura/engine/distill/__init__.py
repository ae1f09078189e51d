"""Distillation: a narrow network learns to see what a wide one sees."""

from velatura.engine.distill.diet import Chains, Crops
from velatura.engine.distill.loop import DistillationConfig, Lesson, distill
from velatura.engine.distill.student import Student, Teacher, Teachers

__all__ = ["Chains", "Crops", "DistillationConfig", "Lesson", "Student", "Teacher", "Teachers", "distill"]
