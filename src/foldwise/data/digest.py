"""One digest for what a split holds: pixels, labels, origins, classes, shapes."""

import hashlib
import json

import numpy as np
from numpy.typing import NDArray


def content_digest(
    images: NDArray[np.generic],
    labels: NDArray[np.generic],
    origins: NDArray[np.generic] | None,
    *,
    classes: tuple[int, ...] | tuple[str, ...],
    image_shape: tuple[int, ...],
) -> str:
    """SHA-256 (hexadecimal) of everything that could change a result.

    The arrays' shapes and types, the image shape and the classes enter as one line of JSON, then
    the arrays' bytes follow, so that no two different splits give the same bytes.
    """
    arrays = [array for array in (images, labels, origins) if array is not None]
    head = {
        "arrays": [[list(array.shape), array.dtype.str] for array in arrays],
        "classes": list(classes),
        "image_shape": list(image_shape),
    }
    digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode() + b"\n")
    for array in arrays:
        digest.update(np.ascontiguousarray(array).reshape(-1).data)
    return digest.hexdigest()
