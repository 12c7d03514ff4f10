"""An archive on a store whose clock the test sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from qserver.archive.shelf import Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """An opened, empty archive."""
    shelf = Shelf(tmp_path / "archive")
    shelf.open()
    return shelf
