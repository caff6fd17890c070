"""The demonstration shop's content."""
