"""``python -m logbastion.cli`` is the command ``logbastion``."""

import sys

from logbastion.cli.main import main

sys.exit(main())
