"""The pages in this repository name files, links and commands that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/extending.md", "docs/experiments.md")


@pytest.mark.parametrize("page", PAGES)
def test_files_and_links_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    files = re.findall(r"\b(?:engine|screens|lth_tui|tests|benchmarks)/[\w./-]*\w", text)
    assert [file for file in files if not (ROOT / file).exists()] == []
    for target in re.findall(r"\]\(([^)]+)\)", text):
        path, _, heading = target.partition("#")
        if "://" in target:
            continue
        linked = (ROOT / page).parent / path if path else ROOT / page
        assert linked.exists(), target
        if heading:
            slugs = {re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in headings(linked)}
            assert heading in slugs, target


def headings(page: Path) -> list[str]:
    return [line for line in page.read_text().splitlines() if line.startswith("#")]


def test_the_readme_names_every_command_and_no_other() -> None:
    from lth_tui.cli import command_line

    named = set(re.findall(r"^    lth-tui ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert named == set(command_line.commands)


def test_a_round_fits_on_a_screen() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    flow = page.partition("## How one round flows")[2].partition("\n## ")[0]
    assert len(flow.splitlines()) <= 40
