"""What a program gets with the Swift library: nothing but the standard library."""

from __future__ import annotations

from binaries import binary

# How the names of everything begin that Foundation defines, whichever of its modules has it.
FOUNDATION = [b"$s10Foundation", b"$s20FoundationEssentials", b"libFoundation"]


def of_foundation(program: str) -> list[bytes]:
    content = binary(program).read_bytes()
    return [name for name in FOUNDATION if name in content]


def test_program_with_the_client_library_has_nothing_of_foundation() -> None:
    """This one is docs/examples/with_lease, with everything that it links in it."""
    assert of_foundation("with_lease") == []


def test_foundation_is_found_where_it_is() -> None:
    """The daemon has it, from the library that reads its configuration."""
    assert of_foundation("lockd") != []
