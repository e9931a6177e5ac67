"""A project whose Python commands start at once: see `warm_server.py`."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.project import Ended, Project, ended

# Called as python, dvc or foldwise. What isn't `python -m ...` is for the real one. To sh the
# second line is a command, to Python a text: only there may a path have a blank.
_CLIENT = """#!/bin/sh
'''exec' {quoted} -IS "$0" "$@"
' '''
import json, os, socket, sys
name, *arguments = os.path.basename(sys.argv[0]), *sys.argv[1:]
if name == "python":
    if arguments[:1] != ["-m"]:
        os.execv({python!r}, [{python!r}, *arguments])
    name, *arguments = arguments[1:]
order = dict(folder=os.getcwd(), environment=dict(os.environ), arguments=[name, *arguments])
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect({address!r})
    socket.send_fds(connection, [json.dumps(order).encode()], [0, 1, 2])
    sys.exit(ord(connection.recv(1) or b"\\xff"))
"""


@dataclass(frozen=True, slots=True)
class Warm:
    """A project, and the folder of its quick commands."""

    project: Project
    commands: Path

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.project.folder

    def shell(self, script: str, *, timeout: float = 240, **given: str) -> Ended:
        """Run a script to its end, as far as its commands end well."""
        path = f"{self.commands}{os.pathsep}{self.project.environment({})['PATH']}"
        environment = {"PATH": path, "FOLDWISE_THREADS": "1", **given}
        with self.project.start("bash", "-ec", script, **environment) as process:
            return ended(process, timeout)


@contextmanager
def warm(project: Project) -> Iterator[Warm]:
    """Serve the project's commands meanwhile."""
    commands = project.folder.with_name("commands")
    commands.mkdir()
    address = str(commands / "socket")
    client = commands / "python"
    client.write_text(
        _CLIENT.format(python=sys.executable, quoted=shlex.quote(sys.executable), address=address)
    )
    client.chmod(0o755)
    for name in ("dvc", "foldwise"):
        (commands / name).symlink_to(client)
    server = Path(__file__).with_name("warm_server.py")
    with subprocess.Popen(
        [sys.executable, str(server), address, str(client)],
        env=project.environment({"FOLDWISE_QUIET": "1"}),
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"\n"
            yield Warm(project, commands)
        finally:
            process.terminate()
