"""The page to read: one self-contained HTML file, with everything a decision needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from foldwise.report.findings import Findings
from foldwise.report.picture import Picture
from foldwise.report.wording import (
    chosen,
    counted,
    limits,
    metric_label,
    number,
    percent,
    signed,
    span,
    value_text,
)
from foldwise.stats.scores import METRICS


@dataclass(frozen=True, slots=True, eq=False)
class PageContent:
    """What is on the page.

    Attributes
    ----------
    findings : Findings
    pictures : tuple of Picture
        All that ``album.search_pictures`` and ``album.holdout_pictures`` give.
    """

    findings: Findings
    pictures: tuple[Picture, ...]

    def by_name(self) -> Mapping[str, Picture]:
        """Pictures by name."""
        return {picture.name: picture for picture in self.pictures}


def render(content: PageContent) -> str:
    """Write the page: no scripts, nothing from the network, so that it opens anywhere.

    It must also work inside the sandboxed frame in which MLflow shows HTML artifacts.
    """
    findings = content.findings
    return _template().render(
        findings=findings,
        data=findings.data,
        search=findings.search,
        holdout=findings.holdout,
        reference=findings.reference,
        pictures=content.by_name(),
        metrics=METRICS,
        limits=limits(len(findings.search.folds)),
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("foldwise", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for word in (chosen, counted, metric_label, number, percent, signed, span, value_text):
        environment.filters[word.__name__] = word
    return environment.get_template("page.html.j2")
