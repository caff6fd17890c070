"""The strategy wing: what the shop is, seen from above, and what it could be."""
