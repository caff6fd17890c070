"""Insight: what happens in the shop, who its people are, and what works."""
