"""The page to read: one self-contained HTML file, with everything a decision needs."""

from collections.abc import Iterable
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from foldwise.report.findings import Findings
from foldwise.report.picture import Picture
from foldwise.report.wording import (
    chosen,
    counted,
    limits,
    number,
    percent,
    signed,
    span,
    value_text,
)
from foldwise.search.summary import optimism
from foldwise.stats.scores import METRICS, metric_label


def render(findings: Findings, pictures: Iterable[Picture]) -> str:
    """Write the page: no scripts, nothing from the network, so that it opens anywhere.

    It must also work inside the sandboxed frame in which MLflow shows HTML artifacts.

    Parameters
    ----------
    findings : Findings
    pictures : iterable of Picture
        All that ``album.search_pictures`` and ``album.holdout_pictures`` give.
    """
    return _template().render(
        findings=findings,
        data=findings.data,
        search=findings.search,
        outer=findings.outer,
        holdout=findings.holdout,
        reference=findings.reference,
        pictures={picture.name: picture for picture in pictures},
        metrics=METRICS,
        limits=limits(len(findings.search.outer)),
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
    for word in (
        chosen,
        counted,
        metric_label,
        number,
        optimism,
        percent,
        signed,
        span,
        value_text,
    ):
        environment.filters[word.__name__] = word
    return environment.get_template("page.html.j2")
