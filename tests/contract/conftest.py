"""What the contract tests share."""

import pytest

from tests.contract import validator


@pytest.fixture(scope="session")
def validator_python():
    """The Python that has the official FOCUS validator; the first use makes its environment."""
    return validator.environment()


@pytest.fixture
def validate(validator_python, tmp_path_factory):
    """Return what the official FOCUS validator says of each rule that a Parquet file fails."""

    def ask(file, without=()):
        folder = tmp_path_factory.mktemp("validator")
        return validator.failed_rules(validator.validate(validator_python, file, folder, without))

    return ask
