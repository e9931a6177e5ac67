"""A script: runs modules as ``python -m`` would, each in a forked process, libraries imported once.

It needs nothing but the environment that it runs in, so that any commit's can be driven. On stdin
one JSON order: ``folders``, each with the ``modules`` to run in it in turn as lists of arguments,
and what to ``import`` beforehand. On stdout one JSON answer: CPU seconds by folder.
"""

import gc
import json
import os
import resource
import runpy
import sys
import traceback
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path


def _skip_drawing() -> None:
    """Leave out what costs most and is not looked at: every picture becomes an empty file."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    def save(_figure: Figure, target: object, **_options: object) -> None:
        if isinstance(target, str | os.PathLike):
            Path(target).write_bytes(b"")

    Figure.savefig = save  # type: ignore[method-assign, assignment]
    ConstrainedLayoutEngine.execute = lambda *_: None  # type: ignore[method-assign]


def _run(folder: str, name: str, arguments: list[str]) -> int:
    os.chdir(folder)
    log = os.open(f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.argv = [name, *arguments]
    sys.modules.pop(name, None)  # runpy warns of a main module that was imported before
    try:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - whatever it is, the log and the status tell it
        traceback.print_exc()
        return 1
    return 0


def _in_a_fork(folder: str, name: str, arguments: list[str]) -> None:
    child = os.fork()
    if child == 0:
        status = _run(folder, name, arguments)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    if status := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        said = Path(folder, f"{name}.log").read_text()
        sys.exit(f"{name} {' '.join(arguments)} ended with {status} in {folder}:\n{said}")


def _seconds(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Do what the order says."""
    order = json.load(sys.stdin)
    for name in order["import"]:
        if find_spec(name.partition(".")[0]):
            import_module(name)
    _skip_drawing()
    gc.freeze()  # or the children's collections would copy all memory
    took = {"imports": _seconds(resource.RUSAGE_SELF)}
    for folder, modules in order["folders"].items():
        before = _seconds(resource.RUSAGE_CHILDREN)
        for name, *arguments in modules:
            _in_a_fork(folder, name, arguments)
        took[Path(folder).name] = _seconds(resource.RUSAGE_CHILDREN) - before
    json.dump(took, sys.stdout)


if __name__ == "__main__":
    main()
