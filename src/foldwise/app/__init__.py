"""Stages and command line: the only place, with the estimator, that connects rooms."""

import sys

from foldwise.errors import MissingError, require_extra

try:
    require_extra("workflow", "the workflow")
except MissingError as error:  # before the imports of a stage or command end in a traceback
    sys.exit(f"foldwise: {error}")
