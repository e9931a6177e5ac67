"""The reference of the parameters as Markdown tables, written from the schema itself."""

from dataclasses import Field, fields, is_dataclass
from typing import Any

from foldwise.settings.rules import shown
from foldwise.settings.schema import Settings

_HEAD = "| parameter | must be | default | meaning |\n|---|---|---|---|\n"


def reference_tables() -> str:
    """One Markdown table for the top level and one for each section of params.yaml."""
    sections = [field for field in fields(Settings) if is_dataclass(field.type)]
    single = [_row(field) for field in fields(Settings) if field not in sections]
    tables = ["".join([_HEAD, *single])]
    for section in sections:
        rows = [_row(field, prefix=f"{section.name}.") for field in fields(_of(section))]
        tables.append("".join([f"### {section.name}\n\n{_of(section).__doc__}\n\n", _HEAD, *rows]))
    return "\n".join(tables)


def _of(section: Field[Any]) -> Any:
    return section.type


def _row(field: Field[Any], *, prefix: str = "") -> str:
    default = field.default if isinstance(field.default, str) else shown(field.default)
    cells = (f"`{prefix}{field.name}`", field.metadata["rule"].says, f"`{default}`")
    return f"| {' | '.join(cells)} | {field.metadata['meaning']} |\n"
