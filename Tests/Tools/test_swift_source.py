from __future__ import annotations

import pytest
from swift_source import code_only


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("let a = 1 // import Foundation", "let a = 1 " + "_" * 20),
        ("a /* b /* c */ d */ e", "a " + "_" * 17 + " e"),
        ('print("import X")', "print(__________)"),
        (r'f("a\"b") + c', "f(______) + c"),
        (r'"a\(b("c"))d" e', "____b(___)___ e"),
        (r'#"a\(b)"c"# d', "___________ d"),
        (r'#"a\#(b)"# d', "______b___ d"),
        ('"""\n"a" // b\n""" c', "___\n________\n___ c"),
        ('"unclosed\ncode', "_________\ncode"),
    ],
)
def test_leaves_code_alone_where_it_stands(source: str, expected: str) -> None:
    assert code_only(source).replace(" ", "_") == expected.replace(" ", "_")
