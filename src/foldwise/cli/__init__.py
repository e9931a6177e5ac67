"""The command line: ``foldwise ui | promote | rollback | history | verify | relocate``."""

from foldwise.cli.parsing import main

__all__ = ["main"]
