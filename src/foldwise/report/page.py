"""What there is to read of a version: the page, one HTML file, and the model card in Markdown."""

from collections.abc import Iterable
from functools import cache
from math import prod

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from foldwise.report import wording
from foldwise.report.findings import Findings
from foldwise.report.picture import Picture
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
    named = {picture.name: picture for picture in pictures}
    return _written("page.html.j2", findings, pictures=named)


def render_card(findings: Findings) -> str:
    """Write the model card: a version's description in Markdown, as MLflow's registry shows it.

    The first line is plain text, because the list of versions shows it raw; headings begin at the
    second level, because MLflow shows the first one huge.
    """
    return _written("card.md.j2", findings)


def _written(name: str, findings: Findings, **more: object) -> str:
    return (
        _environment()
        .get_template(name)
        .render(
            findings=findings,
            data=findings.data,
            search=findings.search,
            outer=findings.outer,
            holdout=findings.holdout,
            reference=findings.reference,
            metrics=METRICS,
            limits=findings.limits(),
            **more,
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("foldwise", "report"),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = ("chosen", "counted", "digits_told", "escaped", "number", "percent", "signed", "span")
    environment.filters |= {word: getattr(wording, word) for word in (*words, "value_text")}
    environment.filters |= {"metric_label": metric_label, "optimism": optimism, "product": prod}
    return environment
