"""Ids and names that mean harm, made without throwing any away."""

from __future__ import annotations

from hypothesis import strategies as st

PIECES = [
    "'",
    "''",
    "]",
    "]]",
    "[",
    "--",
    "/*",
    "*/",
    ";",
    "$",
    "{",
    "}",
    "\\",
    '"',
    "`",
    "%",
    "?",
    "@",
    "N'",
    "\u2019",
    "\u02bc",
    "\uff07",
    " ",
]
WHOLE = [
    "' OR 1=1 --", "'); DROP TABLE lpm.tdr--", "$output", "${x}", "{0}", "[x]", "ACME", "acme", "АСМЕ", "ＡＣＭＥ", "İ", "ß", "電話", "🚑" * 32,
    "x" * 64,
    "0", "007", "1e3", "NULL", "null", "a b", "1001", "e\u0301", "\u00e9",
]  # fmt: skip
_SEEN = st.characters(exclude_categories=("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp", "Zs"))


def _joined(*kinds: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(st.one_of(st.sampled_from(PIECES), *kinds), min_size=1, max_size=12).map("".join)


# What a route can have: 32 characters are 64 UTF-16 units at the most.
ids = st.one_of(st.sampled_from(WHOLE), _joined(st.text(_SEEN, max_size=6)).map(lambda text: text[:32].strip() or "'"))
# What can be quoted: control characters too.
names = _joined(st.sampled_from(["\n", "\r", "\t"]), st.text(max_size=6)).map(
    lambda text: text.replace("\0", "'")[:128] or "]"
)
