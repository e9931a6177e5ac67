"""``python -m foldwise.settings``: the reference of the parameters, in Markdown."""

import sys

from foldwise.settings.reference import reference_tables

sys.stdout.write(reference_tables())
