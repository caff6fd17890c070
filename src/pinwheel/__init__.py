"""Pinwheel: a self-hosted commerce platform on one transactional core."""
