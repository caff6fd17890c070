"""Discovery: how a buyer finds what they want (search, recommendation, ads)."""
