"""The machine and the versions, as a reader needs them to place the figures."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info

_PACKAGES = ("foldwise", "numpy", "scipy", "scikit-learn", "scikit-learn-intelex", "optuna")


def description() -> tuple[str, ...]:
    """Processor, cores, BLAS kernels, versions and date, one each."""
    return (
        f"{_processor()}, {os.cpu_count()} cores",
        f"{platform.system()}, Python {platform.python_version()}",
        f"BLAS: {blas()}",
        ", ".join(f"{name} {found}" for name in _PACKAGES if (found := _version(name))),
        f"{datetime.now(UTC):%Y-%m-%d}",
    )


def blas() -> str:
    """NumPy's BLAS library, its version and the kernels it chose for this processor."""
    loaded = [info for info in threadpool_info() if info["user_api"] == "blas"]
    numpys = [info for info in loaded if Path(np.__file__).parent.name in info["filepath"]]
    names = {
        f"{info['internal_api']} {info['version']}, {info.get('architecture', '?')} kernels"
        for info in numpys or loaded
    }
    return "; ".join(sorted(names))


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
