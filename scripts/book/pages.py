"""Lays out the pages of the book for MkDocs: those that docs/SUMMARY.md names and those of the repository to which they
link, each where it stands in the repository; sources become pages of their own.

    pages.py FOLDER_OF_PAGES FOLDER_OF_THE_BOOK

The references stand in FOLDER_OF_PAGES already. That C's has every function of the header is looked at here.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(?<=\]\()([^)#\s]+)(#[^)\s]*)?(?=\))")
LANGUAGES = {".c": "c", ".h": "c", ".cs": "csharp", ".java": "java", ".lua": "lua", ".php": "php", ".py": "python", ".rb": "ruby"}
PICTURES = {".png", ".svg"}
# A link to the source leads to what was made of it.
REFERENCES = {
    "include/stent.h": "reference/c/stent_8h.html",
    "bindings/cpp/include/stent.hpp": "reference/cpp/annotated.html",
    "bindings/python/src/stent/__init__.py": "reference/python/stent.html",
    "bindings/node/src/index.ts": "reference/node/index.html",
    "bindings/go/library.go": "reference/go.md",
    "bindings/rust/stent/src/lib.rs": "reference/rust/stent/index.html",
}


class Pages:
    def __init__(self, place: Path) -> None:
        self.place = place
        self.done: set[str] = set()

    def add(self, name: str) -> None:
        """A file of the repository, with all to which it links."""
        if name in self.done:
            return
        self.done.add(name)
        if Path(name).suffix in PICTURES:
            (self.place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.place / name)
            return
        text = (ROOT / name).read_text()
        if not name.endswith(".md"):
            language = LANGUAGES.get(Path(name).suffix, "text")
            self.write(name + ".md", f"# {Path(name).name}\n\n~~~~{language}\n{text}~~~~\n")
            return
        parts = re.split(r"(^```.*?^```|`[^`\n]*`)", text, flags=re.MULTILINE | re.DOTALL)
        self.write(name, "".join(part if part.startswith("`") else self.linked(name, part) for part in parts))

    def linked(self, name: str, text: str) -> str:
        def target(found: re.Match[str]) -> str:
            link, anchor = found[1], found[2] or ""
            if "://" in link:
                return found[0]
            path = (ROOT / name).parent.joinpath(link).resolve()
            leads = path.relative_to(ROOT).as_posix()
            to = REFERENCES.get(leads)
            if to is None and path.is_file():
                self.add(leads)
                to = leads if Path(leads).suffix in {".md", *PICTURES} else leads + ".md"
            # A folder has no page.
            to = to or "README.md"
            up = "../" * name.count("/")
            return up + to + anchor

        return LINK.sub(target, text)

    def write(self, name: str, text: str) -> None:
        page = self.place / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text)


def contents() -> list[object]:
    """SUMMARY.md as MkDocs wants it."""
    nav: list[object] = [{"Stent": "README.md"}]
    part = nav
    for line in (ROOT / "docs" / "SUMMARY.md").read_text().splitlines()[1:]:
        if line.startswith("# "):
            part = []
            nav.append({line[2:]: part})
        elif found := re.fullmatch(r"- \[(.+)\]\((.+)\)", line):
            part.append({found[1].replace("`", ""): f"docs/{found[2]}"})
    return nav


def main() -> None:
    place, book = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    pages = Pages(place)
    pages.add("README.md")
    for page in sorted((ROOT / "docs").glob("*.md")):
        if page.name != "SUMMARY.md":
            pages.add(f"docs/{page.name}")
    go = (place / "reference" / "go" / "index.txt").read_text()
    pages.write("reference/go.md", f"# Go\n\n~~~~go\n{go}~~~~\n")
    made = (place / "reference" / "c" / "stent_8h.html").read_text()
    functions = [function["name"] for function in json.loads((ROOT / "include" / "stent.json").read_text())["functions"]]
    missing = [name for name in functions if f">{name}<" not in made and f">{name}()<" not in made]
    if missing:
        sys.exit(f"the reference of C lacks {missing}")
    settings = {
        "site_name": "Stent",
        "docs_dir": str(place),
        "site_dir": str(book),
        # So it can be read from a disk as well.
        "use_directory_urls": False,
        "theme": {"name": "mkdocs", "highlightjs": False, "navigation_depth": 3},
        "markdown_extensions": [{"toc": {"permalink": True}}, "tables", "fenced_code", "sane_lists"],
        "validation": {"omitted_files": "ignore", "links": {"not_found": "warn", "unrecognized_links": "warn", "anchors": "warn"}},
        "nav": contents(),
    }
    # JSON is YAML.
    place.with_name(place.name + ".yml").write_text(json.dumps(settings, indent=1))


if __name__ == "__main__":
    main()
