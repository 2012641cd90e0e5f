"""Who is cited, and how: README, docstrings and CITATION.cff say the same."""

import re
from pathlib import Path

import yaml

import opengait_ext

ROOT = Path(__file__).parent.parent
DOI = "10.1145/3746027.3755413"
CFF = yaml.safe_load((ROOT / "CITATION.cff").read_text())
(PAPER,) = (entry for entry in CFF["references"] if entry.get("doi") == DOI)
SOURCES = [*sorted((ROOT / "opengait_ext").rglob("*.py")), *sorted(ROOT.glob("datasets/**/*.py"))]
TEXTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *SOURCES]
# Lin et al., "Title", CVPR 2022
CITED = re.compile(r'([A-Z]\w+) et al\.,? "([^"]{20,})"(?: \(\w+\))?, ([A-Z][\w ]*? \d{4})')


def flat(path):
    """Give a text in one line, without the marks of comments."""
    return re.sub(r"\s*\n\s*(?:#\s+)?", " ", path.read_text(encoding="utf-8"))


def citations():
    """Yield file, first author, title and venue of what is cited with its title."""
    for path in TEXTS:
        for author, title, venue in CITED.findall(flat(path)):
            yield path.name, author, title, venue


def test_the_paper_has_its_title_wherever_it_is_cited_with_one():
    found = [entry for entry in citations() if entry[1] == "Yang"]
    assert {entry[2:] for entry in found} == {(PAPER["title"], PAPER["conference"]["name"])}
    assert {"README.md", "dinogrl.py", "dinogrl_released.py", "released.py"} <= {
        entry[0] for entry in found
    }
    assert len(found) >= 8


def test_whoever_names_its_doi_names_its_first_author_and_venue():
    named = [path for path in TEXTS if DOI in path.read_text(encoding="utf-8")]
    assert len(named) >= 9
    first, venue = PAPER["authors"][0]["family-names"], PAPER["conference"]["name"]
    for path in named:
        text = flat(path)
        assert f"{first} et al." in text, path
        assert venue in text, path


def test_the_name_of_the_model_is_no_part_of_the_title():
    for path in TEXTS:
        assert not re.search(r'et al\.,? "DinoGRL', flat(path)), path


def test_one_title_has_one_spelling_and_one_venue():
    spelled = {}
    for _, author, title, venue in citations():
        spelled.setdefault(title.lower(), set()).add((author, title, venue))
    assert len(spelled) > 10
    assert [sorted(ways) for ways in spelled.values() if len(ways) > 1] == []


def test_the_citation_file_is_of_this_version_and_license():
    assert CFF["cff-version"] == "1.2.0"
    assert CFF["type"] == "software"
    assert CFF["version"] == opengait_ext.__version__
    assert f"license = {CFF['license']}\n" in (ROOT / "setup.cfg").read_text()
    assert CFF["title"] == "opengait_ext"
    assert CFF["message"]
    assert all(author.get("name") for author in CFF["authors"])


def test_the_reference_has_what_the_form_asks_for():
    assert PAPER["type"] == "conference-paper"
    assert str(PAPER["year"]) in PAPER["conference"]["name"]
    assert [author["family-names"] for author in PAPER["authors"]][:2] == ["Yang", "Li"]
    assert len(PAPER["authors"]) == 6
