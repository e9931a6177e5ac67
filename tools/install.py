"""``python tools/install.py LOCK|FOLDER``: install into this Python's environment, by uv or by pip.

A lock is installed as it is pinned and hashed, a folder is installed editable. uv is taken where it
lies beside this Python, with the settings that pip has; where it is missing or fails, pip does it.
Needs nothing but the standard library.
"""

import ast
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
UV = Path(sys.executable).with_name("uv")
BEAT = 10.0
"""Seconds after which pip, which may think for minutes, is said to be still at it."""

ONE = {
    "index-url": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "cert": ("SSL_CERT_FILE",),
    "client-cert": ("SSL_CLIENT_CERT",),
    "timeout": ("UV_HTTP_TIMEOUT",),
    "default-timeout": ("UV_HTTP_TIMEOUT",),
}
"""pip's settings of one value, and uv's names for them: the first is set, unless one is."""

SEVERAL = {
    "extra-index-url": (" ", ("UV_INDEX", "UV_EXTRA_INDEX_URL")),
    "find-links": (",", ("UV_FIND_LINKS",)),
    "trusted-host": (" ", ("UV_INSECURE_HOST",)),
}
"""pip's settings of several values, what uv parts them by, and its names for them."""

SECTIONS = ("global", "install", ":env:")
"""Where a setting of pip's may stand; the later one holds."""

PROXIES = ("HTTPS_PROXY", "HTTP_PROXY")


def main(target: str) -> None:
    """Install one lock or one folder, and say how."""
    lock = Path(target).is_file()
    what = (
        f"{pinned(Path(target).read_text())} packages pinned in {target}"
        if lock
        else "foldwise itself"
    )
    options = ["--require-hashes", "--requirement", target]
    if not lock:
        options = ["--no-deps", "--no-build-isolation", "--editable", target]
    if UV.exists():
        say(f"{what}, by uv")
        if by_uv(options):
            return
        say("uv could not install them, see above: pip tries, which takes longer")
    say(f"{what}, by pip")
    started = time.monotonic()
    if code := by_pip(options):
        sys.exit(code)
    say(f"done in {time.monotonic() - started:.0f} s")


def pinned(lock: str) -> int:
    """Count the packages that a lock pins, those for other systems included."""
    return len(re.findall(r"^[\w.\[\]-]+==", lock, re.MULTILINE))


def by_uv(options: list[str]) -> bool:
    """Let uv install; it shows its own progress."""
    command = [*PIP, "config", "list"]
    listed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    settings = pip_settings(listed.stdout)
    command = [str(UV), "pip", "install", "--python", sys.executable, "--compile-bytecode"]
    if is_on(settings.get("no-index", "")):
        command.append("--no-index")
    environment = {**os.environ, **for_uv(settings, os.environ)}
    return subprocess.run([*command, *options], env=environment, check=False).returncode == 0


def pip_settings(listed: str) -> dict[str, str]:
    """Read ``pip config list``: what holds for ``pip install``, by the setting's name.

    The environment goes before the files' ``[install]``, and that before their ``[global]``.
    """
    ranked: dict[str, tuple[int, str]] = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if section in SECTIONS and SECTIONS.index(section) >= ranked.get(name, (0, ""))[0]:
            ranked[name] = (SECTIONS.index(section), str(ast.literal_eval(value)))
    return {name: value for name, (_, value) in ranked.items()}


def for_uv(settings: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Say in uv's variables what pip is told; what the user told uv itself stays."""
    told: dict[str, str] = {}

    def tell(names: tuple[str, ...], value: str) -> None:
        if value and not any(environment.get(name) for name in names):
            told.setdefault(names[0], value)

    for name, names in ONE.items():
        tell(names, settings.get(name, ""))
    for name, (between, names) in SEVERAL.items():
        tell(names, between.join(settings.get(name, "").split()))
    for proxy in PROXIES:
        tell((proxy, proxy.lower(), "ALL_PROXY", "all_proxy"), settings.get("proxy", ""))
    if is_on(settings.get("no-cache-dir", "")):
        tell(("UV_NO_CACHE",), "1")
    if "UV_INDEX" in told:
        # pip's own way to read several indexes; the hashes say which file it must be.
        tell(("UV_INDEX_STRATEGY",), "unsafe-best-match")
    return told


def is_on(value: str) -> bool:
    """Read a switch of pip's."""
    return value.lower() in {"1", "true", "yes", "on", "y", "t"}


def by_pip(options: list[str]) -> int:
    """Let pip install; every few seconds it is said how far it is."""
    command = (*PIP, "install", "--progress-bar", "off", *options)
    said: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as pip:
        reader = threading.Thread(target=said.extend, args=(pip.stdout,))
        reader.start()
        while reader.is_alive():
            reader.join(BEAT)
            if reader.is_alive():
                say(f"  {how_far(said)}")
    if pip.returncode:
        sys.stdout.writelines(said[-20:])
    return pip.returncode


def how_far(said: list[str]) -> str:
    """Tell from what pip said so far what it is doing."""
    if any(line.startswith("Installing collected packages") for line in said):
        return "all fetched; pip writes and compiles them"
    fetched = sum(line.lstrip().startswith("Collecting ") for line in said)
    return f"packages looked up and fetched: {fetched}"


def say(line: str) -> None:
    """Print at once, wherever it goes."""
    print(line, flush=True)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
