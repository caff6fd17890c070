"""PostgreSQL without installing PostgreSQL: the programs come in a wheel, this package runs them.

Words: the *data directory* holds one database cluster; the *postmaster* is PostgreSQL's first
process and our direct child; the *account* is who it runs as (never root). Beside the data
directory lie its ``.password`` (readable by us alone), ``.port``, ``.log`` and ``.lock``.

Promises: one server for a data directory at a time; a committed row outlives a ``kill -9`` of
the server, of Pinwheel, or of both; a creation that stops half-way is done again; what can't work
is refused with a sentence that says what to do.
"""

from pinwheel.kernel.embedded.programs import binaries, system_binaries
from pinwheel.kernel.embedded.refusals import AlreadyRunning, DatabaseRefusal
from pinwheel.kernel.embedded.server import PostgresServer, running, start

__all__ = [
    "AlreadyRunning",
    "DatabaseRefusal",
    "PostgresServer",
    "binaries",
    "running",
    "start",
    "system_binaries",
]
