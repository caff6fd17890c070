"""Platform: what others build on, on top of everything the shop does."""
