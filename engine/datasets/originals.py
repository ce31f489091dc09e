"""The published files of a data set: found in a folder or downloaded, and checked before they are used."""

import hashlib
import threading
from pathlib import Path

from engine.datasets.listing import listing
from engine.datasets.recipe import Original, Recipe, Report
from engine.errors import BadInput

_PROBE_S = 2.5
_TIMEOUT_S = (5.0, 20.0)
_BLOCK = 1 << 18


def check_folder(folder: Path, recipe: Recipe) -> None:
    """Find every original of `recipe` in `folder`, whole and unchanged.

    **Raises:** BadInput naming the first thing that is wrong, what was found and what is expected.
    """
    wanted = f"expected a folder with {', '.join(original.name for original in recipe.originals)}"
    present = {found.name for found in listing(folder, wanted)}
    missing = [original.name for original in recipe.originals if original.name not in present]
    if missing:
        found = len(recipe.originals) - len(missing)
        raise BadInput(f"{folder}: {', '.join(missing)} missing, {found} of {len(recipe.originals)} files found")
    for original in recipe.originals:
        check_file(folder / original.name, original)


def check_file(path: Path, original: Original) -> None:
    """Compare length and SHA-256. **Raises:** BadInput."""
    try:
        size = path.stat().st_size
        if size != original.size:
            raise BadInput(f"{path}: {size} bytes, expected {original.size}; cut short, or not the published file")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); expected a file") from error
    if digest != original.sha256:
        raise BadInput(
            f"{path}: SHA-256 {digest[:12]}..., expected {original.sha256[:12]}...; damaged, or not the published file"
        )


def reachable(url: str) -> bool:
    """Whether `url` answers within a few seconds, proxies of the environment included."""
    answers: list[bool] = []

    def ask() -> None:
        import requests

        try:
            answers.append(requests.head(url, timeout=_PROBE_S, allow_redirects=True).ok)
        except (requests.RequestException, OSError):
            answers.append(False)

    # The time-out of a request does not cover the look-up of the name, which can hang for long.
    thread = threading.Thread(target=ask, name="data probe", daemon=True)
    thread.start()
    thread.join(_PROBE_S + 0.5)
    return bool(answers and answers[0])


def download(recipe: Recipe, folder: Path, report: Report) -> None:
    """Fetch every original into `folder` and check it; a server that is not there is found out at once.

    **Raises:** BadInput with the way to do without a network.
    """
    if not reachable(recipe.url + recipe.originals[0].name):
        raise BadInput(f"{recipe.name} is not prepared and {recipe.url} cannot be reached: {recipe.how}")
    total = sum(original.size for original in recipe.originals)
    done = 0
    for original in recipe.originals:
        _fetch(recipe, original, folder / original.name, report, done, total)
        try:
            check_file(folder / original.name, original)
        except BadInput as error:
            raise BadInput(f"{recipe.url}{original.name} came damaged ({error}): {recipe.how}") from error
        done += original.size


def _fetch(recipe: Recipe, original: Original, path: Path, report: Report, done: int, total: int) -> None:
    import requests

    stage = f"downloading {original.name}"
    report(stage, done / total)
    try:
        with requests.get(recipe.url + original.name, stream=True, timeout=_TIMEOUT_S) as response:
            response.raise_for_status()
            with path.open("wb") as file:
                for block in response.iter_content(_BLOCK):
                    file.write(block)
                    done += len(block)
                    report(stage, min(done / total, 1.0))
    except requests.RequestException as error:
        raise BadInput(
            f"{recipe.url}{original.name} could not be downloaded ({type(error).__name__}): {recipe.how}"
        ) from error
