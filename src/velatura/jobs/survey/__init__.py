"""Blind comparisons by people: a page that asks which of two pictures is better, and what the answers say."""
