"""The words of the protocol, in the order of its document."""

from __future__ import annotations

import pytest

from lockd import LocalProtocolError
from lockd import _grammar as grammar

EVERY_BYTE = bytes(range(256))


@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        (b"reports/nightly", "reports/nightly"),
        (b"!\"$&'()*+,-./09:;<>?@AZ[\\]^_`az{|}~", "!\"$&'()*+,-./09:;<>?@AZ[\\]^_`az{|}~"),
        (b"#%=", "%23%25%3D"),
        (b" \x00\x1f\x7f", "%20%00%1F%7F"),
        ("é".encode(), "%C3%A9"),
        (b"\xff", "%FF"),
    ],
)
def test_names_have_one_canonical_spelling(name: bytes, spelling: str) -> None:
    assert grammar.spell_name(name) == spelling
    assert grammar.read_name(spelling) == name


def test_in_texts_hash_and_equals_stand_for_themselves() -> None:
    assert grammar.spell_text(b"a#b=c%d e") == "a#b=c%25d%20e"
    assert grammar.read_text("a#b=c%25d%20e") == b"a#b=c%d e"


def test_every_byte_survives_a_name_and_a_text() -> None:
    assert grammar.read_name(grammar.spell_name(EVERY_BYTE)) == EVERY_BYTE
    assert grammar.read_text(grammar.spell_text(EVERY_BYTE)) == EVERY_BYTE


def test_requests_may_hold_high_bytes_and_needless_or_small_escapes() -> None:
    assert grammar.read_name("\xc3\xa9%c3%A9%61") == b"\xc3\xa9\xc3\xa9a"


@pytest.mark.parametrize("word", ["", "#", "a#", "a=b", "%", "%4", "%4g", "a b", "a\tb", "\x7f"])
def test_what_is_no_name(word: str) -> None:
    assert grammar.read_name(word) is None


@pytest.mark.parametrize("word", ["", "%", "%zz", "a b", "\x1f"])
def test_what_is_no_text(word: str) -> None:
    assert grammar.read_text(word) is None


@pytest.mark.parametrize(
    ("milliseconds", "spelling"),
    [
        (0, "0ms"),
        (1, "1ms"),
        (999, "999ms"),
        (1000, "1s"),
        (90_000, "90s"),
        (120_000, "2m"),
        (90 * 60_000, "90m"),
        (2 * 3_600_000, "2h"),
        (36 * 3_600_000, "36h"),
        (7 * 86_400_000, "7d"),
        (86_400_001, "86400001ms"),
    ],
)
def test_durations_are_written_in_the_largest_exact_unit(milliseconds: int, spelling: str) -> None:
    assert grammar.spell_duration(milliseconds) == spelling
    assert grammar.read_duration(spelling) == milliseconds


@pytest.mark.parametrize("word", ["", "5", "s", "-1s", "1.5s", "1S", "1 s", "1w", "1000000000000000s", "٣s"])
def test_what_is_no_duration(word: str) -> None:
    assert grammar.read_duration(word) is None


def test_numbers_have_64_bits() -> None:
    assert grammar.read_number("18446744073709551615") == 2**64 - 1
    assert grammar.read_number("007") == 7
    for word in ("18446744073709551616", "", "-1", "+1", "1_0", "٣", "000000000000000000001"):
        assert grammar.read_number(word) is None


def test_tags_begin_with_a_hash_and_have_up_to_32_characters() -> None:
    assert grammar.is_tag("#aZ09._:-")
    assert grammar.is_tag("#" + "x" * 32)
    for word in ("#", "x", "#" + "x" * 33, "#a b", "#ä", "#a\n"):
        assert not grammar.is_tag(word)


def test_cursors_are_two_numbers() -> None:
    assert grammar.is_cursor("1.2")
    for word in ("1", "1.", ".2", "1.2.3", "1.2\n"):
        assert not grammar.is_cursor(word)


def test_a_str_stands_for_its_utf_8_bytes_unnormalised() -> None:
    assert grammar.check_name("é") == b"\xc3\xa9"
    assert grammar.check_name("e\N{COMBINING ACUTE ACCENT}") == b"e\xcc\x81"
    assert grammar.check_name(b"\xff") == b"\xff"


@pytest.mark.parametrize("name", ["", b"", "x" * 256, "é" * 128])
def test_a_name_has_1_to_255_bytes(name: str | bytes) -> None:
    with pytest.raises(LocalProtocolError, match="a lock name has 1 to 255 bytes, not"):
        grammar.check_name(name)


def test_a_name_that_utf_8_cannot_encode_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="UTF-8"):
        grammar.check_name("\udcff")


def test_a_name_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="a lock name is a str or bytes, not int"):
        grammar.check_name(5)  # type: ignore[arg-type]


def test_durations_and_numbers_outside_their_range_are_refused() -> None:
    assert grammar.check_duration("a ttl", 366 * 86_400_000, least=1) == 366 * 86_400_000
    with pytest.raises(LocalProtocolError, match="a ttl is 1 ms to 366 days, not 0 ms"):
        grammar.check_duration("a ttl", 0, least=1)
    with pytest.raises(LocalProtocolError, match="366 days"):
        grammar.check_duration("a wait", 366 * 86_400_000 + 1)
    assert grammar.check_number("a limit", 500, least=1, most=500) == 500
    with pytest.raises(LocalProtocolError, match="a limit is 1 to 500, not 501"):
        grammar.check_number("a limit", 501, least=1, most=500)


def test_names_of_a_lock_keep_their_order() -> None:
    assert grammar.check_names(["b", b"a", "é"]) == (b"b", b"a", "é".encode())
    assert len(grammar.check_names(str(number) for number in range(16))) == 16


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        ([], "a lock has 1 to 16 names, not 0"),
        ([str(number) for number in range(17)], "a lock has 1 to 16 names, not 17"),
        (["a", "b", b"a"], "the names of a lock are all different, but 'a' is there twice"),
        (["a", ""], "a lock name has 1 to 255 bytes, not 0"),
    ],
)
def test_what_are_no_names_of_a_lock(names: list[str | bytes], complaint: str) -> None:
    with pytest.raises(LocalProtocolError, match=complaint):
        grammar.check_names(names)
