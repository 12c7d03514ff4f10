"""The data dictionary in docs/ is what the types say."""

from pathlib import Path

from qserver.domain.events import EXTRA, KINDS
from qserver.feed import dictionary

DOCUMENT = Path(__file__).parents[2] / "docs" / "data-dictionary.md"


def test_the_document_is_what_the_types_say() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == dictionary.text(), (
        "run: python -m qserver.feed.dictionary docs/data-dictionary.md"
    )


def test_every_kind_and_further_field_stands_in_it() -> None:
    text = dictionary.text()
    assert [name for name in [*KINDS, *EXTRA] if f"| `{name}` | " not in text] == []


def test_every_field_has_a_meaning() -> None:
    assert [line for line in dictionary.text().splitlines() if line.endswith(("| |", "None |", "always `` |"))] == []
