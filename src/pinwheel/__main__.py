"""``python -m pinwheel``: the same as the command."""

import sys

from pinwheel.cli import main

sys.exit(main())
