"""Measurements: each is a ratio to something real, measured in the same run on the same server.

``pinwheel bench NAME`` starts an embedded server of its own when none is given, prints one
table (or one JSON object with ``--json``), and leaves nothing behind."""
