"""What the servers of quick commands and stages have read once, for all that they fork."""

import gc
from collections.abc import Iterable
from importlib import import_module

from alembic.config import Config
from alembic.script import ScriptDirectory
from mlflow.store.db.utils import _get_latest_schema_revision
from optuna.storages import RDBStorage
from sqlalchemy.orm import configure_mappers

from foldwise.report import page
from tests.golden.running import LIBRARIES

# The stages, and what they import only when they come to need it.
STAGES = (
    "foldwise.app.prepare",
    "foldwise.app.tune",
    "foldwise.app.evaluate",
    "foldwise.report.figures.holdout",
    "foldwise.report.figures.images",
    "foldwise.report.figures.search",
    "foldwise.search.engines.estimator",
    *LIBRARIES,
)


def preload(modules: Iterable[str]) -> None:
    """Import modules, and read what they would read in every process."""
    for module in modules:
        import_module(module)
    configure_mappers()
    for name in page._environment().list_templates(extensions=["j2"]):
        page._environment().get_template(name)
    _remember_migrations()
    gc.freeze()  # or the children's collections would copy all memory


def _remember_migrations() -> None:
    """Read MLflow's and Optuna's once: each look at a database's schema reads dozens of files."""
    read = ScriptDirectory.from_config
    known: dict[str | None, ScriptDirectory] = {}

    def from_config(config: Config) -> ScriptDirectory:
        place = config.get_main_option("script_location")
        if place not in known:
            known[place] = read(config)
        return known[place]

    ScriptDirectory.from_config = from_config  # type: ignore[method-assign]
    _get_latest_schema_revision()  # type: ignore[no-untyped-call]
    RDBStorage("sqlite://").engine.dispose()
