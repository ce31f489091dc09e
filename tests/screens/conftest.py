"""A home with a run that the engine made."""

import pytest
from driving import Finished, tiny_study

from engine.store import Store


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A small study on digits, run to its end; not to be written to."""
    from engine.runner import run

    home = tmp_path_factory.mktemp("finished-home")
    store = Store(home)
    with store.create(tiny_study()) as folder:
        assert run(folder, store) == "done"
        return Finished(home, folder.id)
