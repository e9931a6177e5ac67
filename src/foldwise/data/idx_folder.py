"""A folder of four IDX files, such as MNIST, Fashion-MNIST and KMNIST come in."""

from pathlib import Path

from foldwise.data.idx import Kind, read_idx
from foldwise.data.raw import RawData, RawSplit
from foldwise.errors import DataError

_KNOWN = {
    "mnist": {
        "train-images-idx3-ubyte": (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
        ),
        "train-labels-idx1-ubyte": (
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
        ),
        "t10k-images-idx3-ubyte": (
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
        ),
        "t10k-labels-idx1-ubyte": (
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
        ),
    }
}


def read_idx_folder(folder: Path, *, name: str) -> RawData:
    """Read ``train-*`` as development set and ``t10k-*`` as holdout, gzip-compressed or not.

    Parameters
    ----------
    folder : Path
        Holds ``{train,t10k}-images-idx3-ubyte`` and ``{train,t10k}-labels-idx1-ubyte``, each
        with or without ``.gz``.
    name : str
        If it is ``mnist``, the files' checksums are known and compared.

    Raises
    ------
    DataError
        A file is missing, damaged or not the one the name stands for, or the files don't belong
        together.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} must be a folder of four IDX files: check prepare.path")
    shape, development = _read_split(folder, "train", name)
    holdout_shape, holdout = _read_split(folder, "t10k", name)
    if shape != holdout_shape:
        raise DataError(
            f"images of both splits must have one shape, got {shape} in train and"
            f" {holdout_shape} in t10k: put files of one data set into {folder}"
        )
    return RawData(shape, development, holdout)


def _read_split(folder: Path, prefix: str, name: str) -> tuple[tuple[int, ...], RawSplit]:
    images_path = _find(folder, f"{prefix}-images-idx3-ubyte")
    labels_path = _find(folder, f"{prefix}-labels-idx1-ubyte")
    contents = []
    kinds: dict[Path, Kind] = {images_path: "images", labels_path: "labels"}
    for path, kind in kinds.items():
        content, digest = read_idx(path, kind)
        _check_digest(path, digest, name)
        contents.append(content)
    images, labels = contents
    if len(images) != len(labels):
        raise DataError(
            f"there must be one label for each image, got {len(images):,} images in"
            f" {images_path} and {len(labels):,} labels in {labels_path.name}:"
            " put files of one data set there"
        )
    return images.shape[1:], RawSplit(images.reshape(len(images), -1), labels.astype("int64"))


def _find(folder: Path, stem: str) -> Path:
    found = [path for path in (folder / stem, folder / f"{stem}.gz") if path.exists()]
    if len(found) != 1:
        raise DataError(
            f"{folder} must hold either {stem} or {stem}.gz, got"
            f" {'both: remove one' if found else 'neither: put it there, or change prepare.path'}"
        )
    return found[0]


def _check_digest(path: Path, digest: str, name: str) -> None:
    known = _KNOWN.get(name, {}).get(path.name.removesuffix(".gz"), digest)
    if digest != known:
        raise DataError(
            f"{path} must hold {name}'s own bytes, SHA-256 {known[:12]}..., got {digest[:12]}...:"
            " fetch the file again, or give other data another prepare.name"
        )
