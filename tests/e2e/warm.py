"""Python commands that start at once: see `warm_server.py`."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.project import REPOSITORY, make_project

# Called as python, dvc or foldwise. What isn't `python -m ...` is for the real one. To sh the
# second line is a command, to Python a text: only there may a path have a blank.
_CLIENT = """#!/bin/sh
'''exec' {quoted} -IS "$0" "$@"
' '''
import json, os, signal, socket, sys
name, *arguments = os.path.basename(sys.argv[0]), *sys.argv[1:]
if name == "python":
    if arguments[:1] != ["-m"]:
        os.execv({python!r}, [{python!r}, *arguments])
    name, *arguments = arguments[1:]
order = dict(folder=os.getcwd(), environment=dict(os.environ), arguments=[name, *arguments])
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect({address!r})
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: connection.send(bytes([number])))
    socket.send_fds(connection, [json.dumps(order).encode()], [0, 1, 2])
    sys.exit(ord(connection.recv(1) or b"\\xff"))
"""


@contextmanager
def warm_commands(folder: Path) -> Iterator[Path]:
    """Serve quick commands meanwhile, by the sources as they are here: for `Project.commands`.

    Beside them lies an empty tracking store, which takes two seconds to create.
    """
    sources = make_project(folder / "sources")
    address = str(folder / "socket")
    client = folder / "python"
    client.write_text(
        _CLIENT.format(python=sys.executable, quoted=shlex.quote(sys.executable), address=address)
    )
    client.chmod(0o755)
    for name in ("dvc", "foldwise"):
        (folder / name).symlink_to(client)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.warm_server", address, str(client)],
        cwd=REPOSITORY,
        env=sources.environment({"FOLDWISE_QUIET": "1"}),
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"\n"
            yield folder
        finally:
            process.terminate()
