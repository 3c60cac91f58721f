"""What is said of methods without importing them is what they are."""

from dimcli.models import registry
from dimcli.models.names import trained_methods


def test_the_names_in_the_files_are_those_that_are_registered() -> None:
    assert list(trained_methods()) == registry.methods(trained=True)
