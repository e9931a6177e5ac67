"""What a search leaves to look at: its tables and figures, and telling them to MLflow."""

from collections.abc import Mapping, Sequence

from foldwise.report.album import fold_pictures, search_pictures
from foldwise.report.picture import picture_files
from foldwise.report.summary import SearchSummary
from foldwise.report.tables import curve_csv, json_text, trials_csv, tuning
from foldwise.search.results import OuterFold, SearchResult
from foldwise.tracking.runs import Recorder


def search_tables(result: SearchResult, summary: SearchSummary) -> dict[str, bytes]:
    """The search's files in reports/, by name."""
    return {
        "tuning.json": json_text(tuning(summary)).encode(),
        "trials.csv": trials_csv(result).encode(),
        "curve.csv": curve_csv(result).encode(),
    }


def search_figures(
    result: SearchResult, summary: SearchSummary, *, startup: int
) -> dict[str, bytes]:
    """The search's figures, by file name."""
    return picture_files(search_pictures(result, summary, startup=startup))


def tell_fold_figures(recorder: Recorder, fold: OuterFold, classes: Sequence[str]) -> None:
    """Put an outer fold's figures beside its study's run."""
    figures = picture_files(fold_pictures(fold, classes))
    recorder.record_artifacts(fold.study, _among_figures(figures))


def tell_files(
    recorder: Recorder, tables: Mapping[str, bytes], figures: Mapping[str, bytes]
) -> None:
    """Put tables and figures beside the pipeline's run."""
    recorder.record_artifacts(None, tables)
    recorder.record_artifacts(None, _among_figures(figures))


def tell_search_files(
    recorder: Recorder,
    result: SearchResult,
    summary: SearchSummary,
    *,
    classes: Sequence[str],
    startup: int,
) -> None:
    """Put all of a search's tables and figures beside runs that haven't got them."""
    for fold in result.outer:
        tell_fold_figures(recorder, fold, classes)
    figures = search_figures(result, summary, startup=startup)
    tell_files(recorder, search_tables(result, summary), figures)


def _among_figures(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"figures/{name}": content for name, content in files.items()}
